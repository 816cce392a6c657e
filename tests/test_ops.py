"""The functions that NumPy lacks: right to the last digits where the textbook formula overflows."""

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
