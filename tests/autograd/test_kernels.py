"""A kernel and its reference cannot be told apart, except by the clock."""

import numpy as np
import pytest

from tinyllm import Tensor, gradcheck, no_grad
from tinyllm.autograd.branch_kernels import attention_branch, mlp_branch
from tinyllm.autograd.graph import kernel_gradients
from tinyllm.autograd.kernels import (
    KERNELS,
    binary_cross_entropy_with_logits,
    cross_entropy_with_logits,
    embedding_lookup,
    lstm,
    lstm_from_rules,
    lstm_step,
    references,
)
from tinyllm.autograd.recurrent_kernels import gru, gru_from_rules, simple_rnn, simple_rnn_from_rules
from tinyllm.autograd.tensor import as_array
from tinyllm.autograd.transformer_kernels import (
    gelu,
    layer_norm,
    linear,
    scaled_dot_product_attention,
    self_attention,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def lstm_arguments(batch=2, steps=3, features=2, units=3, bias=True, mask=None):
    shapes = [(batch, steps, features), (batch, units), (batch, units), (features, 4 * units), (units, 4 * units)]
    arrays = [0.7 * normal(*s, seed=i) for i, s in enumerate(shapes)]
    return [*arrays, 0.7 * normal(4 * units, seed=9) if bias else None, mask]


def gru_arguments(batch=2, steps=3, features=2, units=3, bias=True, mask=None, reset_after=True):
    shapes = [(batch, steps, features), (batch, units), (features, 3 * units), (units, 3 * units)]
    arrays = [0.7 * normal(*s, seed=i) for i, s in enumerate(shapes)]
    biases = 0.7 * normal(2, 3 * units, seed=9)
    return [*arrays, (biases if reset_after else biases[0]) if bias else None, mask, reset_after]


def simple_rnn_arguments(batch=2, steps=3, features=2, units=3, bias=True, mask=None):
    shapes = [(batch, steps, features), (batch, units), (features, units), (units, units)]
    arrays = [0.7 * normal(*s, seed=i) for i, s in enumerate(shapes)]
    return [*arrays, 0.7 * normal(units, seed=9) if bias else None, mask]


MASKS = {
    "random": np.array([[True, False, True], [False, True, True]]),
    "late": np.array([[False, False, True], [False, True, True]]),
    "early": np.array([[True, False, False], [True, True, False]]),
    "none seen": np.zeros((2, 3), bool),
    "all seen": np.ones((2, 3), bool),
    "numbers": np.array([[1, 0, 2], [0, 1, 1]]),
}
CASES = {
    "binary cross-entropy": (binary_cross_entropy_with_logits, [3 * normal(4, 3), np.tile([0.0, 1.0, 0.3], (4, 1))]),
    "binary cross-entropy, broadcast": (binary_cross_entropy_with_logits, [normal(4, 1), np.array([0.0, 1.0])]),
    "binary cross-entropy, huge": (binary_cross_entropy_with_logits, [np.array([-1e3, 1e3]), np.array([1.0, 1.0])]),
    "cross-entropy": (cross_entropy_with_logits, [normal(4, 3), np.array([2, 0, 2, 1])]),
    "cross-entropy over time": (cross_entropy_with_logits, [normal(2, 3, 5), np.array([[4, 0, 4], [1, 1, -1]])]),
    "cross-entropy of one row": (cross_entropy_with_logits, [normal(3), np.array(1)]),
    "cross-entropy of no rows": (cross_entropy_with_logits, [normal(0, 3), np.zeros(0, int)]),
    "cross-entropy, huge": (cross_entropy_with_logits, [np.array([[1e3, -1e3, 0.0]]), np.array([1])]),
    "embedding": (embedding_lookup, [normal(5, 2), np.array([[1, 1, 4], [0, 1, -1]])]),
    "embedding, small integers": (embedding_lookup, [normal(5, 100), np.array([3, 3, 4], np.uint8)]),
    "embedding of no ids": (embedding_lookup, [normal(5, 2), np.zeros((2, 0), int)]),
    "embedding of one id": (embedding_lookup, [normal(5, 2), 3]),
    "lstm": (lstm, lstm_arguments()),
    "lstm of one step": (lstm, lstm_arguments(steps=1)),
    "lstm of one row": (lstm, lstm_arguments(batch=1)),
    "lstm of no rows": (lstm, lstm_arguments(batch=0)),
    "lstm without bias": (lstm, lstm_arguments(bias=False)),
    "lstm far out": (lstm, [40 * a if a is not None else a for a in lstm_arguments()]),
    **{f"lstm, mask {name}": (lstm, lstm_arguments(mask=mask)) for name, mask in MASKS.items()},
    **{
        f"{f.__name__}, {name}": (f, arguments(**options))
        for f, arguments, more in [
            (gru, gru_arguments, {"reset_after": True}),
            (gru, gru_arguments, {"reset_after": False}),
            (simple_rnn, simple_rnn_arguments, {}),
        ]
        for name, options in {
            f"plain {more}": more,
            f"one step {more}": {"steps": 1} | more,
            f"one row {more}": {"batch": 1} | more,
            f"no rows {more}": {"batch": 0} | more,
            f"no bias {more}": {"bias": False} | more,
            **{f"mask {name} {more}": {"mask": mask} | more for name, mask in MASKS.items()},
        }.items()
    },
    "gru far out": (gru, [40 * a if isinstance(a, np.ndarray) else a for a in gru_arguments()]),
    "simple_rnn far out": (simple_rnn, [40 * a if a is not None else a for a in simple_rnn_arguments()]),
}
QKV = [normal(2, 3, 4), normal(2, 3, 4, seed=1), normal(2, 3, 2, seed=2)]
LOOK = np.array([[True, False, True], [False] * 3, [True] * 3])
CASES |= {
    "linear": (linear, [normal(2, 3, 4), normal(4, 3, seed=1), normal(3, seed=2)]),
    "linear without bias": (linear, [normal(3, 4), normal(4, 3, seed=1), None]),
    "linear of one position": (linear, [normal(4), normal(4, 3, seed=1), normal(3, seed=2)]),
    "linear of no rows": (linear, [normal(0, 4), normal(4, 3, seed=1), normal(3, seed=2)]),
    "linear to no units": (linear, [normal(2, 4), normal(4, 0), normal(0)]),
    "layer norm": (layer_norm, [normal(2, 3, 4), normal(4, seed=1), normal(4, seed=2), 1e-3]),
    "layer norm, plain": (layer_norm, [normal(3, 4), 1.0, 0.0, 1e-5]),
    "layer norm, a gain each": (layer_norm, [normal(3, 4), normal(2, 3, 4, seed=1), normal(1, 4, seed=2), 1e-5]),
    "layer norm, one gain": (layer_norm, [normal(3, 4), normal(1, seed=1), normal(3, 1, seed=2), np.array(0.1)]),
    "layer norm, a wide bias": (layer_norm, [normal(3, 4), 2.0, normal(2, 3, 4, seed=2), 0.1]),
    "layer norm of equal values": (layer_norm, [np.ones((2, 4)), normal(4, seed=1), normal(4, seed=2), 1e-5]),
    "layer norm of one value": (layer_norm, [normal(2, 1), normal(1, seed=1), normal(1, seed=2), 1e-5]),
    "layer norm of many rows": (layer_norm, [normal(70, 1000), normal(1000, seed=1), normal(1000, seed=2), 1e-5]),
    "layer norm of no rows": (layer_norm, [normal(0, 4), normal(4, seed=1), normal(4, seed=2), 1e-5]),
    "gelu": (gelu, [2 * normal(3, 4), False]),
    "gelu by tanh": (gelu, [2 * normal(3, 4), True]),
    "gelu of one number": (gelu, [np.array(0.3), True]),
    "gelu of nothing": (gelu, [normal(0, 2), True]),
    "gelu of many rows": (gelu, [normal(70, 1000), True]),
    "self-attention": (self_attention, [normal(2, 5, 12), 2, False]),
    "self-attention, causal": (self_attention, [normal(2, 5, 12), 4, True]),
    "self-attention of one step": (self_attention, [normal(3, 1, 6), 1, True]),
    "self-attention of no rows": (self_attention, [normal(0, 3, 6), 2, True]),
    "self-attention far out": (self_attention, [40 * normal(1, 4, 6), 1, True]),
    "self-attention, all scores high": (self_attention, [normal(1, 4, 6) + 30 * np.array([1, 1, 1, 1, 0, 0]), 1, True]),
    "self-attention, all scores low": (
        self_attention,
        [normal(1, 4, 6) + 30 * np.array([1, 1, -1, -1, 0, 0]), 1, True],
    ),
    "gelu far out": (gelu, [np.array([-40.0, -6.0, 0.0, 6.0, 40.0]), True]),
    "attention": (scaled_dot_product_attention, [*QKV, None, False]),
    "attention, causal": (scaled_dot_product_attention, [*QKV, None, True]),
    "attention, mask": (scaled_dot_product_attention, [*QKV, LOOK, False]),
    "attention, mask and causal": (scaled_dot_product_attention, [*QKV, LOOK, True]),
    "attention, numbers for a mask, causal": (scaled_dot_product_attention, [*QKV, LOOK * 2, True]),
    "attention, a mask each": (scaled_dot_product_attention, [*QKV, np.stack([LOOK, ~LOOK]), False]),
    "attention, numbers for a mask": (scaled_dot_product_attention, [*QKV, LOOK * 2, False]),
    "attention of one query": (scaled_dot_product_attention, [normal(1, 4), *(a[0] for a in QKV[1:]), None, False]),
    "attention, more keys, causal": (scaled_dot_product_attention, [QKV[0][:, :2], *QKV[1:], None, True]),
    "attention, shared keys": (scaled_dot_product_attention, [normal(2, 2, 3, 4), *QKV[1:], LOOK[None], False]),
    "attention of heads": (scaled_dot_product_attention, [*(np.stack([a, a + 1]) for a in QKV), None, True]),
    "attention far out": (scaled_dot_product_attention, [100 * QKV[0], *QKV[1:], LOOK, False]),
    "attention of no keys": (scaled_dot_product_attention, [normal(2, 4), normal(0, 4), normal(0, 3), None, False]),
    "attention of no queries": (scaled_dot_product_attention, [normal(0, 4), normal(2, 4), normal(2, 3), None, True]),
}


def branch_arguments(between, hidden, shift=True, bias=True, rows=(2, 3)):
    """A branch of width 4 to a kernel of `between` columns and back from `hidden`."""
    gain, *biases = (normal(n, seed=n) if wanted else None for n, wanted in [(4, True), (4, shift), (between, bias)])
    kernels = [normal(4, between, seed=3), normal(hidden, 4, seed=4)]
    return [normal(*rows, 4), gain, biases[0], kernels[0], biases[1], kernels[1], normal(4, seed=5) if bias else None]


KEEP = np.array([0.0, 2.0, 2.0, 2.0]) * np.array([1.0, 0.0, 1.0])[:, None] * np.ones((2, 1, 1))
CASES |= {
    "mlp branch": (mlp_branch, [*branch_arguments(5, 5), None, 1e-3]),
    "mlp branch, dropout": (mlp_branch, [*branch_arguments(5, 5), KEEP, 1e-3]),
    "mlp branch, bare": (mlp_branch, [*branch_arguments(5, 5, False, False), None, 1e-3]),
    "mlp branch, bare, dropout": (mlp_branch, [*branch_arguments(5, 5, False, False), KEEP, 1e-3]),
    "mlp branch, a bias alone": (mlp_branch, [*branch_arguments(5, 5, False), KEEP, 1e-3]),
    "mlp branch, a shift alone": (mlp_branch, [*branch_arguments(5, 5, True, False), None, 1e-3]),
    "mlp branch of one row": (mlp_branch, [*branch_arguments(5, 5, rows=()), None, 1e-3]),
    "mlp branch of no rows": (mlp_branch, [*branch_arguments(5, 5, rows=(0,)), None, 1e-3]),
    "attention branch": (attention_branch, [*branch_arguments(12, 4), 2, False, None, 1e-3]),
    "attention branch, causal, dropout": (attention_branch, [*branch_arguments(12, 4), 1, True, KEEP, 1e-3]),
    "attention branch, bare": (attention_branch, [*branch_arguments(12, 4, False, False), 2, True, None, 1e-3]),
    "attention branch of no rows": (attention_branch, [*branch_arguments(12, 4, rows=(0, 3)), 2, True, None, 1e-3]),
}
every_case = pytest.mark.parametrize("kernel, arrays", CASES.values(), ids=CASES)


def run(f, arrays, used=None, **options):
    """Values and gradients; `used`: which of several outputs the loss sees."""
    leaves = [Tensor(a, requires_grad=True) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arrays]
    ys = f(*leaves)
    ys = ys if isinstance(ys, tuple) else (ys,)
    loss = sum(
        np.sum(y * normal(*y.shape, seed=i).astype(y.dtype)) for i, y in enumerate(ys) if used is None or i == used
    )
    loss.backward(**options)
    return [y.data for y in ys], leaves


def test_every_kernel_has_a_case_here():
    assert {f for f, _ in CASES.values()} == set(KERNELS)
    assert references() == {f.__name__: (f, reference) for f, reference in KERNELS.items()}


def agree(got, expected):
    values, leaves = got
    reference_values, reference_leaves = expected
    for y, r in zip(values, reference_values):
        np.testing.assert_allclose(y, r, rtol=1e-12, atol=1e-13)
        assert y.shape == r.shape
        assert y.dtype == r.dtype
    for a, b in zip(leaves, reference_leaves):
        if isinstance(a, Tensor):
            g, r = (np.zeros(t.shape) if t.grad is None else as_array(t.grad) for t in (a, b))
            np.testing.assert_allclose(g, r, rtol=1e-12, atol=1e-13)


@every_case
def test_a_kernel_is_its_reference_in_value_and_gradient(kernel, arrays):
    agree(run(kernel, arrays), run(KERNELS[kernel], arrays))


@every_case
def test_under_create_graph_a_kernel_gives_its_references_gradient(kernel, arrays):
    agree(run(kernel, arrays, create_graph=True), run(KERNELS[kernel], arrays))


@every_case
def test_on_arrays_a_kernel_is_a_plain_function(kernel, arrays):
    ys = kernel(*[None if a is None else np.asarray(a) for a in arrays])
    for y, value in zip(ys if isinstance(ys, tuple) else (ys,), run(kernel, arrays)[0]):
        assert type(y) is not Tensor
        np.testing.assert_array_equal(y, value)


@every_case
def test_where_nothing_is_recorded_a_kernel_gives_the_same_value(kernel, arrays):
    with no_grad():
        ys = kernel(*[Tensor(a) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arrays])
    for y, value in zip(ys if isinstance(ys, tuple) else (ys,), run(kernel, arrays)[0]):
        np.testing.assert_array_equal(y.data, value)


@every_case
def test_float32_stays_float32_through_a_kernel(kernel, arrays):
    single = [a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a for a in arrays]
    values, leaves = run(kernel, single)
    assert {y.dtype for y in values} == {np.dtype(np.float32)}
    assert {t.grad.dtype for t in leaves if isinstance(t, Tensor)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("used", [0, 1, 2])
@pytest.mark.parametrize("mask", [None, MASKS["random"]], ids=["no mask", "mask"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_loss_may_use_one_of_the_outputs_only(used, mask, create_graph):
    arrays = lstm_arguments(mask=mask)
    agree(run(lstm, arrays, used, create_graph=create_graph), run(lstm_from_rules, arrays, used))


@pytest.mark.parametrize("used", [0, 1])
@pytest.mark.parametrize("mask", [None, MASKS["random"]], ids=["no mask", "mask"])
@pytest.mark.parametrize("fused, readable, arguments", [
    (gru, gru_from_rules, gru_arguments),
    (simple_rnn, simple_rnn_from_rules, simple_rnn_arguments),
])  # fmt: skip
def test_a_loss_may_use_the_outputs_or_the_last_state(fused, readable, arguments, used, mask):
    arrays = arguments(mask=mask)
    agree(run(fused, arrays, used), run(readable, arrays, used))


@pytest.mark.parametrize("fused, readable, arguments, gates", [
    (simple_rnn, simple_rnn_from_rules, simple_rnn_arguments, 1),
    (gru, gru_from_rules, gru_arguments, 3),
    (gru, gru_from_rules, lambda **o: gru_arguments(reset_after=False, **o), 3),
    (lstm, lstm_from_rules, lstm_arguments, 4),
])  # fmt: skip
@pytest.mark.parametrize("of_x, of_h", [(True, True), (True, False), (False, True)])
def test_a_mask_of_dropout_reaches_its_own_gate_alone(fused, readable, arguments, gates, of_x, of_h):
    given = arguments(batch=1)  # for one row a mask is a factor of the kernel's rows
    x, weights = given[0], 2 if gates < 4 else 3
    kernel, recurrent = given[weights : weights + 2]
    keep_x = np.random.default_rng(1).choice([0.0, 2.0], (gates, 1, 1, x.shape[2])) if of_x else None
    keep_h = np.random.default_rng(2).choice([0.0, 1.5, 3.0], (gates, 1, recurrent.shape[0])) if of_h else None

    def scaled(kernel, keep):
        by_gate = kernel.reshape(len(kernel), gates, -1)
        return (by_gate * keep.reshape(gates, -1).T[:, :, None]).reshape(kernel.shape)

    expected = list(given)
    expected[weights] = scaled(kernel, keep_x) if of_x else kernel
    expected[weights + 1] = scaled(recurrent, keep_h) if of_h else recurrent
    found = readable(*given, keep=(keep_x, keep_h))
    for a, b in zip(found, fused(*expected)):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("arguments", [simple_rnn_arguments, gru_arguments])
def test_a_graph_that_is_kept_goes_backward_twice_through_a_recurrent_kernel(arguments):
    f = gru if arguments is gru_arguments else simple_rnn
    leaves = [Tensor(a, requires_grad=True) if isinstance(a, np.ndarray) else a for a in arguments()]
    loss = np.sum(f(*leaves)[0])
    loss.backward(retain_graph=True)
    once = [t.grad.copy() for t in leaves if isinstance(t, Tensor)]
    loss.backward()
    for first, t in zip(once, leaves):
        np.testing.assert_allclose(t.grad, 2 * first, rtol=1e-14)


@pytest.mark.parametrize("fused, arguments", [(gru, gru_arguments), (simple_rnn, simple_rnn_arguments)])
def test_a_state_in_double_precision_widens_the_result_as_in_the_reference(fused, arguments):
    x, h, *weights, bias, mask = arguments()[:6]
    narrow = [x.astype(np.float32), h, *(w.astype(np.float32) for w in weights), bias.astype(np.float32), mask]
    agree_in_dtype = [y.dtype for y in fused(*narrow)], [y.dtype for y in KERNELS[fused](*narrow)]
    assert agree_in_dtype[0] == agree_in_dtype[1] == ["float64"] * 2
    for y, r in zip(fused(*narrow), KERNELS[fused](*narrow)):
        np.testing.assert_allclose(y, r, rtol=1e-5, atol=1e-7)


def test_an_output_may_be_used_twice_and_another_not_at_all():
    arrays = lstm_arguments()

    def twice(f):
        y, h, _ = f(*arrays[:3], kernel, *arrays[4:])
        np.sum(h * h + y[:, -1] * h).backward()
        return kernel.grad

    kernel = Tensor(arrays[3], requires_grad=True)
    fused, kernel.grad = twice(lstm), None
    np.testing.assert_allclose(fused, twice(lstm_from_rules), rtol=1e-12)


@pytest.mark.parametrize("create_graph", [False, True])
def test_one_tensor_may_be_both_initial_states(create_graph):
    x, h, _, *weights = lstm_arguments()

    def gradient(f):
        state = Tensor(h, requires_grad=True)
        np.sum(f(x, state, state, *weights)[0] ** 2).backward(create_graph=create_graph)
        return as_array(state.grad)

    np.testing.assert_allclose(gradient(lstm), gradient(lstm_from_rules), rtol=1e-12)


def test_states_computed_from_the_input_carry_its_gradient_to_second_order():
    x, _, _, *weights = lstm_arguments(units=2)

    def f(x):
        return lstm(x, x[:, 0], np.tanh(x[:, 1]), *weights)

    assert gradcheck(f, x, order=2).ok


@pytest.mark.parametrize("mask", [None, MASKS["late"]], ids=["no mask", "mask"])
def test_the_lstm_agrees_with_differences_to_second_order(mask):
    *arrays, _ = lstm_arguments(units=2)
    report = gradcheck(lambda *a: lstm(*a, mask), *arrays, order=2)
    assert report.ok, str(report)


def test_a_skipped_step_changes_nothing():
    x, h, c, *weights, _ = lstm_arguments(steps=4)
    seen = np.array([[False, True, False, True]] * 2)
    outputs, last_h, last_c = lstm(x, h, c, *weights, seen)
    short, short_h, short_c = lstm(x[:, 1::2], h, c, *weights)
    np.testing.assert_allclose(outputs[:, [1, 3]], short, rtol=1e-14)
    np.testing.assert_array_equal(outputs[:, 2], outputs[:, 1])
    np.testing.assert_array_equal(outputs[:, 0], 0)
    np.testing.assert_allclose(last_h, short_h, rtol=1e-14)
    np.testing.assert_allclose(last_c, short_c, rtol=1e-14)


def test_one_step_is_the_textbook_formula():
    x, h, c, kernel, recurrent, bias, _ = lstm_arguments(steps=1)
    z = x[:, 0] @ kernel + bias + h @ recurrent
    i, f, g, o = (z[:, k * 3 : k * 3 + 3] for k in range(4))
    new_c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
    new_h = np.tanh(new_c) / (1 + np.exp(-o))
    got_h, got_c = lstm_step(x[:, 0] @ kernel + bias, h, c, recurrent)
    np.testing.assert_allclose(got_h, new_h, rtol=1e-14)
    np.testing.assert_allclose(got_c, new_c, rtol=1e-14)


def test_the_third_derivative_of_a_kernel_is_recorded_too():
    z = Tensor(np.array([0.3, -1.2]), requires_grad=True)
    y = np.sum(binary_cross_entropy_with_logits(z, np.array([0.0, 1.0])))
    for _ in range(3):
        z.grad = None
        y.backward(create_graph=True)
        y = np.sum(z.grad)
    p = 1 / (1 + np.exp(-z.data))
    np.testing.assert_allclose(z.grad.data, p * (1 - p) * (1 - 2 * p), rtol=1e-13)


def test_the_gradient_of_the_cross_entropy_is_softmax_minus_one_hot():
    z = Tensor(normal(3), requires_grad=True)
    cross_entropy_with_logits(z, 1).backward()
    e = np.exp(z.data)
    np.testing.assert_allclose(z.grad, e / e.sum() - [0, 1, 0], rtol=1e-14)


def test_a_kernel_takes_its_arguments_by_name_and_tensors_as_labels():
    z = Tensor(normal(2, 3), requires_grad=True)
    by_name = cross_entropy_with_logits(labels=Tensor([0, 2]), logits=z)
    np.testing.assert_array_equal(by_name.data, cross_entropy_with_logits(z.data, np.array([0, 2])))
    np.sum(by_name).backward()
    assert z.grad.any()


def test_errors_of_kernels_say_what_was_found():
    table = Tensor(normal(4, 2), requires_grad=True)
    with pytest.raises(TypeError, match=r"embedding_lookup: .*integer ids are needed; found \(4, 2\), float64"):
        embedding_lookup(table, [0.5])
    with pytest.raises(IndexError, match=r"embedding_lookup: .*index 9 is out of bounds"):
        embedding_lookup(table, [9])
    with pytest.raises(IndexError, match=r"cross_entropy_with_logits: shapes \(4, 2\), \(4,\): index 2 is out"):
        cross_entropy_with_logits(table, [0, 1, 2, 0])
    with pytest.raises(ValueError, match=r"lstm: shapes .*x is \(batch, time, features\)"):
        lstm(table, table, table, table, table, None)
    with pytest.raises(ValueError, match=r"mlp_branch: shapes \(2, 3, 4\), .*the kernels \(width, ...\) and"):
        mlp_branch(Tensor(normal(2, 3, 4)), np.ones(4), None, np.ones((5, 2)), None, np.ones((2, 4)), None)
    with pytest.raises(ValueError, match=r"attention_branch: shapes \(3, 4\), .*x is \(batch, time, width\)"):
        attention_branch(Tensor(normal(3, 4)), np.ones(4), None, np.ones((4, 12)), None, np.eye(4), None, 2)
    with pytest.raises(ValueError, match=r"gru: shapes .*x is \(batch, time, features\).*\(units, 3 units\)"):
        gru(table, table, table, table, None)
    with pytest.raises(ValueError, match=r"simple_rnn: shapes .*x is \(batch, time, features\).*\(units, units\)"):
        simple_rnn(table, table, table, table, None)
    with pytest.raises(
        ValueError, match=r"gru: shapes .*the bias is \(2, 3 units\) with reset_after, \(3 units,\) without"
    ):
        gru(*[Tensor(a) for a in gru_arguments()[:4]], np.zeros(9))


def test_a_gradient_that_costs_much_is_computed_only_for_an_argument_on_the_graph():
    x, *others = lstm_arguments()
    asked = []
    for wanted in (False, True):
        leaf = Tensor(x, requires_grad=wanted)
        y = lstm(leaf, *[Tensor(a, requires_grad=True) for a in others[:-1]], None)[0]
        found = kernel_gradients(y.node.parents[0], [np.ones(y.shape), None, None])
        asked.append(found[0] is not None)
    assert asked == [False, True]
