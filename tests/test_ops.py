"""The functions that NumPy lacks: right to the last digits where the textbook formula overflows."""

import json
from pathlib import Path

import mpmath
import numpy as np
import pytest

from tinyllm import Tensor, ops
from tinyllm.autograd.rules import differentiable

POINTS = [s * x for x in (1e-8, 1.0, 30.0, 90.0, 700.0) for s in (1, -1)]
EPS = np.finfo(float).eps


def value_and_slope(f, x):
    t = Tensor([x], requires_grad=True)
    y = np.sum(f(t))
    y.backward()
    return float(y), float(t.grad[0])


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def close(got, expected, relative=4 * EPS, absolute=0.0):
    return abs(got - expected) <= relative * abs(expected) + absolute


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(400):  # 1 + exp(-700) must not be 1
        yield


@pytest.mark.parametrize("x", POINTS)
def test_softplus_and_its_slope_are_exact_relative_to_their_size(x):
    value, slope = value_and_slope(ops.softplus, x)
    assert close(value, mpmath.log(1 + mpmath.exp(x)))
    assert close(slope, sigmoid(x))


@pytest.mark.parametrize("x", POINTS)
def test_sigmoid_is_exact_relative_to_its_size_and_its_slope_to_1(x):
    value, slope = value_and_slope(ops.sigmoid, x)
    assert close(value, sigmoid(x))
    assert close(slope, sigmoid(x) * (1 - sigmoid(x)), absolute=EPS)


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize("label", [0.0, 1.0, 0.25])
def test_the_binary_cross_entropy_is_exact(x, label):
    value, slope = value_and_slope(lambda z: ops.binary_cross_entropy_with_logits(z, label), x)
    p = sigmoid(x)
    expected = -label * mpmath.log(p) - (1 - label) * mpmath.log(1 - p)
    assert close(value, expected, absolute=EPS * abs(x) if label == 0.25 else 0)
    assert close(slope, p - label, absolute=EPS)


@pytest.mark.parametrize("x", POINTS)
def test_logsumexp_log_softmax_and_cross_entropy_are_exact_to_rounding(x):
    pair = lambda t: np.concatenate([t, np.zeros(1)])  # noqa: E731
    digit = EPS * max(1, abs(x))
    total = mpmath.log(mpmath.exp(x) + 1)
    value, slope = value_and_slope(lambda t: ops.logsumexp(pair(t)), x)
    assert close(value, total, absolute=digit)
    assert close(slope, sigmoid(x), absolute=digit)
    value, slope = value_and_slope(lambda t: ops.log_softmax(pair(t))[0], x)
    assert close(value, x - total, absolute=digit)
    assert close(slope, 1 - sigmoid(x), absolute=digit)
    value, slope = value_and_slope(lambda t: ops.cross_entropy_with_logits(pair(t), 1), x)
    assert close(value, total, absolute=digit)
    assert close(slope, sigmoid(x), absolute=digit)
    value, slope = value_and_slope(lambda t: ops.softmax(pair(t))[1], x)
    assert close(value, 1 - sigmoid(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x", [1000.0, -1000.0])
def test_nothing_overflows_at_1000(dtype, x):
    t = Tensor(np.array([x, 0.0]), requires_grad=True, dtype=dtype)
    with_label = [lambda z: ops.cross_entropy_with_logits(z, 0), lambda z: ops.binary_cross_entropy_with_logits(z, 1.0)]
    for f in [ops.sigmoid, ops.softplus, ops.softmax, ops.log_softmax, ops.logsumexp, *with_label]:
        t.grad = None
        y = f(t)
        np.sum(y).backward()
        assert np.isfinite(y.data).all()
        assert np.isfinite(t.grad).all()
        assert y.dtype == t.grad.dtype == dtype


def test_a_masked_class_has_no_probability_and_no_gradient():
    z = Tensor([0.5, -np.inf, 1.0], requires_grad=True)
    p = ops.softmax(z)
    assert p.data[1] == 0
    np.sum(p * np.array([1.0, 5.0, 2.0])).backward()
    assert z.grad[1] == 0
    assert np.isfinite(z.grad).all()


def test_logsumexp_of_nothing_is_minus_infinity():
    assert ops.logsumexp(np.zeros(0)) == -np.inf
    np.testing.assert_array_equal(ops.logsumexp(np.full((2, 3), -np.inf), axis=1), [-np.inf, -np.inf])


def test_lists_and_integers_are_taken():
    np.testing.assert_allclose(ops.softmax([0, 0]), [0.5, 0.5])
    np.testing.assert_allclose(ops.log_softmax(np.array([1, 1])), np.log([0.5, 0.5]))
    np.testing.assert_allclose(ops.logsumexp([0, 0]), np.log(2))
    np.testing.assert_array_equal(ops.sigmoid([0, 0]), [0.5, 0.5])


def test_everything_offered_here_is_differentiable():
    assert set(ops.__all__) - {"differentiable"} <= set(differentiable())


# A second opinion: PyTorch's values and gradients, stored (python -m tests.test_ops writes them) and live

GOLDEN = Path(__file__).parent / "golden" / "autograd.json"
IDS, LABELS = [2, 0, 0], [1, 0, 2, 1]
OURS = {
    "elementwise": lambda x, w: (
        np.tanh(x) * np.exp(-x * x) / (1 + np.abs(x)) + np.log1p(np.square(x)) - np.sqrt(x * x + 1) ** 1.5
    ),
    "products": lambda x, w: x @ w @ w.T,
    "reductions": lambda x, w: np.max(x, axis=0) + np.mean(x, axis=0) * np.min(x) + ops.logsumexp(x, axis=0),
    "shapes": lambda x, w: np.stack([x.T[IDS], np.where(x > 0, x, 0.1 * x).T]).reshape(2, -1)[:, 1:],
    "bounds": lambda x, w: np.clip(x, -0.5, 0.5) * np.maximum(x, w[:, 0]) * np.minimum(x, 0.2),
    "activations": lambda x, w: (
        ops.sigmoid(x) * ops.softplus(x) + ops.relu(x) * ops.softmax(x) + ops.log_softmax(x, axis=0)
    ),
    "losses": lambda x, w: (
        ops.cross_entropy_with_logits(x, LABELS) + ops.binary_cross_entropy_with_logits(x, 0.3)[:, 0]
    ),
    "embedding": lambda x, w: ops.embedding_lookup(w, IDS) * w,
}


def inputs():
    rng = np.random.default_rng(0)
    return rng.standard_normal((4, 3)), rng.standard_normal((3, 5))


def pytorchs():
    """The value and the gradients for x and w, of sum(value * cos(0, 1, 2, ...)), as PyTorch computes them."""
    import torch

    nn = torch.nn.functional
    theirs = {
        "elementwise": lambda x, w: (
            x.tanh() * (-x * x).exp() / (1 + x.abs()) + (x * x).log1p() - (x * x + 1).sqrt() ** 1.5
        ),
        "products": lambda x, w: x @ w @ w.T,
        "reductions": lambda x, w: x.amax(0) + x.mean(0) * x.min() + x.logsumexp(0),
        "shapes": lambda x, w: torch.stack([x.T[IDS], torch.where(x > 0, x, 0.1 * x).T]).reshape(2, -1)[:, 1:],
        "bounds": lambda x, w: x.clip(-0.5, 0.5) * torch.maximum(x, w[:, 0]) * x.clip(max=0.2),
        "activations": lambda x, w: x.sigmoid() * nn.softplus(x) + x.relu() * x.softmax(-1) + x.log_softmax(0),
        "losses": lambda x, w: (
            nn.cross_entropy(x, torch.tensor(LABELS), reduction="none")
            + nn.binary_cross_entropy_with_logits(x, torch.full_like(x, 0.3), reduction="none")[:, 0]
        ),
        "embedding": lambda x, w: nn.embedding(torch.tensor(IDS), w) * w,
    }
    found = {}
    for name, f in theirs.items():
        leaves = [torch.tensor(a, requires_grad=True) for a in inputs()]
        y = f(*leaves)
        y.backward(torch.cos(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape))
        found[name] = [y.tolist(), *[None if t.grad is None else t.grad.tolist() for t in leaves]]
    return found


def agree_with(expected):
    assert expected.keys() == OURS.keys()
    for name, f in OURS.items():
        leaves = [Tensor(a, requires_grad=True) for a in inputs()]
        y = f(*leaves)
        y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
        value, *gradients = expected[name]
        np.testing.assert_allclose(y.data, value, rtol=1e-12, atol=1e-13, err_msg=name)
        for t, g in zip(leaves, gradients):
            assert (t.grad is None) == (g is None), name
            if g is not None:
                np.testing.assert_allclose(t.grad, g, rtol=1e-10, atol=1e-12, err_msg=name)


def test_values_and_gradients_are_those_that_pytorch_computed():
    agree_with(json.loads(GOLDEN.read_text()))


@pytest.mark.torch
def test_pytorch_computes_the_same_values_and_gradients_today():
    pytest.importorskip("torch")
    agree_with(pytorchs())


@pytest.mark.torch
def test_pytorchs_lstm_computes_the_same():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, h, c, kernel, recurrent, bias = (
        rng.standard_normal(s) for s in [(2, 4, 3), (2, 5), (2, 5), (3, 20), (5, 20), (20,)]
    )
    theirs = torch.nn.LSTM(3, 5, batch_first=True).double()
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), (kernel.T, recurrent.T, bias, np.zeros(20))):
            parameter.copy_(torch.tensor(value))
    tx = torch.tensor(x, requires_grad=True)
    z, _ = theirs(tx, (torch.tensor(h)[None], torch.tensor(c)[None]))
    leaves = [Tensor(a, requires_grad=True) for a in (x, kernel, recurrent, bias)]
    y, _, _ = ops.lstm(leaves[0], h, c, *leaves[1:])
    upstream = rng.standard_normal(y.shape)
    y.backward(upstream)
    z.backward(torch.tensor(upstream))
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-12)
    expected = [tx.grad.numpy(), *[p.grad.numpy().T for p in list(theirs.parameters())[:3]]]
    for t, g in zip(leaves, expected):
        np.testing.assert_allclose(t.grad, g, rtol=1e-10, atol=1e-13)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(pytorchs(), indent=1) + "\n")
