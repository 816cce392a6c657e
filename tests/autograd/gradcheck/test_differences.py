"""Each difference formula has the order it claims; the closer look tells slopes, kinks, edges and jumps apart."""

import math

import numpy as np
import pytest

from tinyllm.autograd.gradcheck.differences import EPS, METHODS, STEPS, look_closer, noise, slope

X, V = np.array([0.3, -0.8]), np.array([1.0, 2.0])
TRUE = float(np.exp(X) @ V)


def error(method, h):
    return abs(slope(lambda x: np.sum(np.exp(x)), X, V, h, method) - TRUE)


@pytest.mark.parametrize("method, h", [("forward", 1e-4), ("central", 1e-2), ("richardson", 1e-1)])
def test_halving_the_step_divides_the_error_by_two_to_the_order(method, h):
    assert error(method, h) / error(method, h / 2) == pytest.approx(2 ** METHODS[method].order, rel=0.1)


def test_the_complex_step_has_no_rounding_error():
    assert error("complex", 1e-200) <= 4 * EPS * abs(TRUE)


@pytest.mark.parametrize("method", METHODS)
def test_the_best_step_is_better_than_one_much_longer_or_shorter(method):
    h = METHODS[method].best_step()
    assert error(method, h) < 1e-7
    if method != "complex":
        assert error(method, h) < min(error(method, 100 * h), error(method, h / 1000))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="unknown method 'x'; known: forward, central, richardson, complex"):
        slope(np.sum, X, V, 1e-3, "x")


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e-2])
def test_the_size_of_noise_is_measured_within_a_factor_of_three(size):
    rng = np.random.default_rng(0)
    assert noise(lambda t: math.exp(t) + size * rng.standard_normal()) == pytest.approx(size, rel=2)


def test_noise_of_values_that_are_not_finite_is_infinite():
    assert noise(lambda t: math.nan) == math.inf


@pytest.mark.parametrize(
    "phi, kind, left, right",
    [
        (np.sin, "smooth", 1, 1),
        (abs, "kink", -1, 1),
        (lambda t: max(t, 0.0), "kink", 0, 1),
        (lambda t: 1.0 + max(t - 1e-5, 0.0), "smooth", 0, 0),  # flat, with a kink nearby
        (lambda t: 1.0 + float(t > 1e-5), "smooth", 0, 0),  # and with a jump
        (lambda t: t if t >= 0 else math.nan, "edge", math.nan, 1),
        (lambda t: t * math.log(t) if t > 0 else 0.0, "kink", 0, -math.inf),
        (lambda t: float(t >= 0), "jump", None, None),
        (np.cbrt, "jump", None, None),
        (lambda t: math.sqrt(t) if t >= 0 else math.nan, "jump", None, None),
        (lambda t: math.nan, "jump", None, None),
    ],
)
def test_a_closer_look_tells_what_is_there(phi, kind, left, right):
    found = look_closer(phi, STEPS, EPS)
    assert found.kind == kind
    if left is not None:
        np.testing.assert_allclose([found.left, found.right], [left, right], atol=1e-9)


def test_a_closer_look_knows_how_far_its_slope_can_be_trusted():
    rng = np.random.default_rng(1)
    found = look_closer(lambda t: math.sin(t) + 1e-8 * rng.standard_normal(), STEPS, 1e-8)
    assert abs(found.value - 1) <= 3 * found.resolution < 1e-3
