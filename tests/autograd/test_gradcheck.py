"""The checker is checked: it accepts what is right, and rejects every animal of the zoo."""

import numpy as np
import pytest

from tinyllm import Tensor, gradcheck
from tinyllm.autograd.rules import rule, scatter_add
from tinyllm.autograd.tensor import TABLE, as_array, function


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


IDS = np.array([1, 1, 0])
X, B, CUBE, POSITIVE = normal(2, 3), normal(3, seed=1), normal(3, 3, 3), np.abs(normal(4)) + 0.5

# what is wrong: (the function, its wrong derivatives, where)
ZOO = {
    "g is forgotten": (lambda x: x * x, [lambda g, y, x: 2 * x], [X]),
    "a constant factor": (lambda x: x * x, [lambda g, y, x: g * x], [X]),
    "the sign": (lambda x: 1 / x, [lambda g, y, x: g * y * y], [POSITIVE]),
    "one part in 100,000": (lambda x: x * x, [lambda g, y, x: g * 2 * x * (1 + 1e-5)], [X]),
    "one part in 100,000 of one element of 1000": (
        lambda x: x * 2,
        [lambda g, y, x: g * 2 * (1 + 1e-5 * (np.arange(1000) == 537))],
        [normal(1000)],
    ),
    "a constant term": (np.exp, [lambda g, y, x: g * y + 1e-4], [X]),
    "the sum over a broadcast axis": (lambda a, b: a + b, [lambda g, y, a, b: g, lambda g, y, a, b: g[0]], [X, B]),
    "the mean instead of that sum": (
        lambda a, b: a + b,
        [lambda g, y, a, b: g, lambda g, y, a, b: np.mean(g, axis=0)],
        [X, B],
    ),
    "repeated ids overwrite": (
        lambda table: table[IDS],
        [lambda g, y, table: np.stack([g[2], g[1], 0 * g[0]])],
        [normal(3, 2)],
    ),
    "ids shifted by one": (
        lambda table: table[IDS],
        [lambda g, y, table: scatter_add(g, IDS + 1, table.shape)],
        [normal(3, 2)],
    ),
    "the permutation instead of its inverse": (
        lambda x: x.transpose(1, 2, 0),
        [lambda g, y, x: np.transpose(g, (1, 2, 0))],
        [CUBE],
    ),
    "a matrix not transposed": (
        lambda a, b: a @ b,
        [lambda g, y, a, b: g @ b, lambda g, y, a, b: a.T @ g],
        [normal(3, 3), normal(3, 3, seed=1)],
    ),
    "the arguments swapped": (
        lambda a, b: a * b,
        [lambda g, y, a, b: g * a, lambda g, y, a, b: g * b],
        [X, normal(2, 3, seed=1)],
    ),
    "softmax without its sum: 0 to an all-ones gradient": (softmax, [lambda g, y, x: 0 * g], [X]),
    "softmax with its diagonal only": (softmax, [lambda g, y, x: g * y * (1 - y)], [X]),
    "the wrong count in a mean": (
        lambda x: x.mean(axis=0),
        [lambda g, y, x: np.broadcast_to(g / x.shape[1], x.shape)],
        [X],
    ),
    "reversed without reversing back": (lambda x: x[::-1], [lambda g, y, x: g], [X]),
    "the output where the input belongs": (np.tanh, [lambda g, y, x: g * (1 - x * x)], [X]),
    "one argument has no gradient": (lambda a, b: a * b, [lambda g, y, a, b: g * b, None], [X, B]),
    "not a number": (lambda x: x * 2, [lambda g, y, x: g * np.nan], [X]),
    "nothing at all": (lambda x: x * 2, [lambda g, y, x: g * 0], [X]),
}


@pytest.fixture
def enter():
    """Puts a function with a (wrong) line into the table for the time of one test."""
    entered = []

    def make(forward, *derivatives):
        f = function(forward)
        rule(f)(*derivatives)
        entered.append(f)
        return f

    yield make
    for f in entered:
        del TABLE[f]


@pytest.mark.parametrize("animal", ZOO)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_checker_rejects(enter, animal, seed):
    forward, derivatives, inputs = ZOO[animal]
    report = gradcheck(enter(forward, *derivatives), *inputs, seed=seed)
    assert not report.ok
    assert report.error > 5e-6
    assert report.grade.upper() in str(report)


def test_a_derivative_that_is_right_but_not_recorded_is_rejected_at_second_order(enter):
    f = enter(lambda x: x**3, lambda g, y, x: g * 3 * as_array(x) ** 2)
    assert gradcheck(f, X).ok
    report = gradcheck(f, X, order=2)
    assert not report.ok
    assert report.order == 2


def test_a_gradient_lost_on_the_way_is_rejected():
    assert not gradcheck(lambda x: x * x.detach(), X).ok
    assert not gradcheck(lambda x: Tensor(np.exp(x.data)), X).ok


@pytest.mark.parametrize(
    "f, inputs",
    [
        (np.multiply, [X, B]),
        (lambda x: np.split(x, 3, axis=1), [X]),
        (lambda x, ids: x[ids], [X, np.array([1, 1])]),
        (lambda x, n, name: x * n if name == "double" else x, [X, 2, "double"]),
        (lambda x: x * 0.0 + np.ones(3), [X]),
        (lambda x: x * 1e-200, [X]),
        (lambda x: x * 1e200, [X]),
        (lambda x: x + 1e6, [X]),
        (lambda x: x[::-1], [X.T]),
        (np.sum, [np.zeros((0, 2))]),
        (np.exp, [0.5]),
        (np.tanh, [Tensor([0.1, 0.2], dtype=np.float32)]),
    ],
)
def test_the_checker_accepts_what_is_right(f, inputs):
    for order in (1, 2):
        report = gradcheck(f, *inputs, order=order)
        assert report.ok, str(report)


def test_the_inputs_are_as_they_were():
    x = X.copy()
    t = Tensor(X, requires_grad=True)
    gradcheck(np.square, x, order=2)
    gradcheck(np.square, t)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(t.data, X)
    assert t.grad is None


def test_the_report_points_at_the_worst_element(enter):
    def derivative(g, y, a, b):
        off = np.zeros((2, 3))
        off[1, 2] = 0.5
        return g * (1 + off)

    report = gradcheck(enter(lambda a, b: b + a, derivative, lambda g, y, a, b: g), X, B)
    wrong, right = report.arguments
    assert (wrong.position, wrong.shape, wrong.index) == (0, (2, 3), (1, 2))
    assert wrong.analytic == pytest.approx(1.5 * wrong.numeric, rel=1e-8)
    assert wrong.error == pytest.approx(1 / 3, rel=1e-6)
    assert right.error < 1e-9
    assert not report
    assert "one element wrong, at [1, 2]" in report.diagnosis
    assert "(2, 3)  WRONG    3.3e-01  [1, 2]" in str(report)


def test_a_looser_tolerance_can_be_asked_for(enter):
    f = enter(lambda x: x * x, lambda g, y, x: g * 2 * x * (1 + 1e-5))
    assert not gradcheck(f, X).ok
    assert gradcheck(f, X, rtol=1e-4).ok


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match="order must be 1 or 2; found 3"):
        gradcheck(np.exp, X, order=3)
    with pytest.raises(TypeError, match="no input is a floating-point array"):
        gradcheck(np.add, 1, [2, 3])
    with pytest.raises(TypeError, match="f must return real numbers; found complex128"):
        gradcheck(lambda x: x * 1j, X)
