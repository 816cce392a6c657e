"""The functions of neural networks against a second, slower way to compute them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyllm import Tensor, gradcheck, ops
from tinyllm.autograd.cases import normal

some = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def conv1d_by_hand(x, kernel, stride, before, after, dilation):
    """The definition: y[b, t, f] = the sum over w and c of x[b, stride t + dilation w - before, c] kernel[w, c, f]."""
    (batch, time, _), (width, _, filters) = x.shape, kernel.shape
    steps = (before + time + after - dilation * (width - 1) - 1) // stride + 1
    y = np.zeros((batch, steps, filters))
    for t in range(steps):
        for w in range(width):
            at = stride * t + dilation * w - before
            if 0 <= at < time:
                y[:, t] += x[:, at] @ kernel[w]
    return y


@some
@given(
    time=st.integers(1, 6),
    width=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same", "causal"]),
    seed=st.integers(0, 99),
)
def test_a_convolution_is_its_definition(time, width, stride, dilation, padding, seed):
    x, kernel = normal(2, time, 2, seed=seed), normal(width, 2, 3, seed=seed + 1)
    span = dilation * (width - 1) + 1
    if padding == "valid" and time < span:
        with pytest.raises(ValueError, match="steps are fewer than"):
            ops.conv1d(x, kernel, None, stride, padding, dilation)
        return
    missing = max((-(-time // stride) - 1) * stride + span - time, 0) if padding == "same" else 0
    before, after = {"valid": (0, 0), "causal": (span - 1, 0), "same": (missing // 2, missing - missing // 2)}[padding]
    y = ops.conv1d(x, kernel, None, stride, padding, dilation)
    np.testing.assert_allclose(y, conv1d_by_hand(x, kernel, stride, before, after, dilation), atol=1e-13)
    if padding != "valid":
        assert y.shape[1] == -(-time // stride)
    assert gradcheck(lambda x, k: ops.conv1d(x, k, None, stride, padding, dilation), x, kernel).ok


@some
@given(
    heads=st.integers(0, 2),
    queries=st.integers(0, 3),
    keys=st.integers(1, 3),
    causal=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_attention_is_a_weighted_mean_of_what_may_be_seen(heads, queries, keys, causal, masked, seed):
    q, k, v = (normal(heads, n, 2, seed=seed + i) for i, n in enumerate((queries, keys, keys)))
    mask = normal(queries, keys, seed=seed) > 0 if masked else np.ones((queries, keys), bool)
    seen = np.tril(mask) if causal else mask
    expected = np.zeros((heads, queries, 2))
    for h in range(heads):
        for i in range(queries):
            weights = np.exp(q[h, i] @ k[h].T / np.sqrt(2)) * seen[i]
            if seen[i].any():
                expected[h, i] = weights @ v[h] / weights.sum()

    def attend(q, k, v):
        return ops.scaled_dot_product_attention(q, k, v, mask if masked else None, causal)

    np.testing.assert_allclose(attend(q, k, v), expected, atol=1e-13)
    assert gradcheck(attend, q, k, v).ok


def test_attention_gives_nothing_back_to_what_was_masked():
    q, k, v = (Tensor(normal(3, 2, seed=i), requires_grad=True) for i in range(3))
    np.sum(ops.scaled_dot_product_attention(q, k, v, np.array([True, True, False])) * normal(3, 2, seed=4)).backward()
    assert not k.grad[2].any()
    assert not v.grad[2].any()
    assert k.grad[:2].all()


@pytest.mark.parametrize("reset_after", [True, False])
def test_a_masked_step_of_a_gru_leaves_no_trace(reset_after):
    x, h, kernel, recurrent = normal(1, 3, 2), normal(1, 2, seed=1), normal(2, 6, seed=2), normal(2, 6, seed=3)
    mask = np.array([[True, False, True]])
    out, last = ops.gru(x, h, kernel, recurrent, mask=mask, reset_after=reset_after)
    short, short_last = ops.gru(x[:, [0, 2]], h, kernel, recurrent, reset_after=reset_after)
    np.testing.assert_array_equal(out[:, [0, 2]], short)
    np.testing.assert_array_equal(out[:, 1], out[:, 0])
    np.testing.assert_array_equal(last, short_last)
    t = Tensor(x, requires_grad=True)
    np.sum(ops.gru(t, h, kernel, recurrent, mask=mask, reset_after=reset_after)[1]).backward()
    assert not t.grad[:, 1].any()
    assert t.grad[:, 0].all()


def test_a_normalised_row_has_mean_0_and_variance_1_and_its_gradient_is_orthogonal_to_both():
    x = Tensor(normal(3, 5), requires_grad=True)
    y = ops.layer_norm(x, epsilon=0.0)
    np.testing.assert_allclose(y.data.mean(-1), 0, atol=1e-14)
    np.testing.assert_allclose(y.data.var(-1), 1, rtol=1e-13)
    np.sum(y * normal(3, 5, seed=1)).backward()
    np.testing.assert_allclose(np.sum(x.grad, -1), 0, atol=1e-13)
    np.testing.assert_allclose(np.sum(x.grad * y.data, -1), 0, atol=1e-13)


def test_a_constant_row_is_normalised_to_zeros_without_nan():
    for f in (ops.layer_norm, ops.rms_norm):
        x = Tensor(np.zeros((2, 3)), requires_grad=True)
        np.sum(f(x) * normal(2, 3)).backward()
        assert np.isfinite(x.grad).all()


def test_dropout_keeps_the_mean_and_gives_no_gradient_to_what_it_dropped():
    x = Tensor(np.ones((100, 100)), requires_grad=True)
    y = ops.dropout(x, 0.25, np.random.default_rng(0))
    assert set(np.unique(y.data)) == {0, 1 / 0.75}
    assert abs(y.data.mean() - 1) < 0.02
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, y.data)


def test_huber_is_quadratic_inside_and_linear_outside_and_smooth_between():
    error = np.array([0.0, 0.5, 1.0, 1.0 + 1e-12, 3.0])
    t = Tensor(error, requires_grad=True)
    y = ops.huber(np.zeros(5), t) * 5
    y.backward()
    np.testing.assert_allclose(y.item(), 0 + 0.125 + 0.5 + 0.5 + 2.5)
    np.testing.assert_allclose(t.grad, np.minimum(error, 1))


ERRORS = {
    "ops.conv1d(x, kernel[0])": "conv1d: x is (batch, time, channels), the kernel (width, channels, filters); found",
    "ops.conv1d(x[0], kernel)": "conv1d: x is (batch, time, channels)",
    "ops.conv1d(x, kernel[:, :1])": "conv1d: x is (batch, time, channels)",
    "ops.conv1d(x, kernel, stride=0)": "conv1d: stride and dilation are at least 1; found 0 and 1",
    "ops.conv1d(x, kernel, dilation=0)": "conv1d: stride and dilation are at least 1; found 1 and 0",
    "ops.conv1d(x, kernel, padding='full')": "conv1d: unknown padding 'full'; known: valid, same, causal",
    "ops.dropout(x, 1.0, np.random.default_rng())": "dropout: rate must be at least 0 and below 1; found 1.0",
    "ops.huber(x, x, delta=0)": "huber: delta must be positive; found 0",
    "ops.glu(x[..., :1])": "split: axis -1 of shape (2, 4, 1) does not divide into 2 equal parts",
    "ops.scaled_dot_product_attention(x, x[..., :1], x)": (
        "scaled_dot_product_attention: shapes (2, 4, 2), (2, 4, 1), (2, 4, 2), (): query is (..., m, features)"
    ),
    "ops.scaled_dot_product_attention(h[0], h, h)": "query is (..., m, features), key (..., n, features)",
    "ops.scaled_dot_product_attention(h, h[0], h)": "query is (..., m, features), key (..., n, features)",
    "ops.linear(x, kernel[0, :1])": "linear: shapes (2, 4, 2), (1, 2): x is (..., features)",
    "ops.linear(x, kernel[0], h)": "linear: shapes (2, 4, 2), (2, 2), (2, 3): x is (..., features)",
    "ops.gru(x, h, np.ones((2, 5)), np.ones((3, 9)))": "gru: shapes (2, 4, 2), (2, 3), (2, 5)",
}


@pytest.mark.parametrize("line", ERRORS)
def test_a_wrong_call_gets_one_line(line):
    given = {"x": normal(2, 4, 2), "kernel": normal(3, 2, 2), "h": normal(2, 3)}
    with pytest.raises(ValueError) as caught:
        eval(line, {"np": np, "ops": ops, **{k: Tensor(a, requires_grad=True) for k, a in given.items()}})
    assert ERRORS[line] in str(caught.value)
    assert "\n" not in str(caught.value)
