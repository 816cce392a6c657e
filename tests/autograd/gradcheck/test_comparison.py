"""Kinks, jumps, edges, noise and scales: what is not a mistake is accepted, and what is a mistake is still found."""

import numpy as np
import pytest

from tinyllm import gradcheck, layers


def notes(report):
    return " ".join(report.notes)


@pytest.mark.parametrize(
    "f, x, kinks",
    [
        (lambda x: np.maximum(x, 0), [0.0, 1.0, -1.0], [(0,)]),
        (np.abs, [0.0, 1.0], [(0,)]),
        (np.max, [1.0, 1.0, 0.5], [(0,), (1,)]),
        (lambda x: np.clip(x, -1, 1), [-1.0, 1.0, 0.5, 2.0], [(0,), (1,)]),
        (lambda x: np.maximum(x, x), [1.0, 0.5], []),
        (np.abs, [1e-3, -1e-5, 1e-7, 1e-12], []),
    ],
)
def test_a_kink_is_told_from_an_error(f, x, kinks):
    report = gradcheck(f, x)
    assert report.ok and [kink["index"] for kink in report.kinks] == kinks
    assert ("kink" in notes(report)) == bool(kinks)


@pytest.mark.parametrize("slope, ok", [(0.0, True), (0.3, True), (1.0, True), (1.1, False), (-0.1, False)])
def test_at_a_kink_any_slope_between_the_two_sides_is_right_and_no_other(slope, ok):
    f = gradcheck(lambda x: np.maximum(x, 0), [0.0, 1.0], gradient=lambda g, x: g * np.where(x == 0, slope, 1.0))
    assert f.ok == ok


@pytest.mark.parametrize("near", [1e-7, 1e-6, 1e-5, 5e-5])
def test_a_wrong_slope_on_the_flat_side_of_a_near_kink_is_rejected(near):
    x = np.array([-near, 1.0, -2.0])
    right = gradcheck(lambda x: np.maximum(x, 0), x, gradient=lambda g, x: g * (x > 0))
    assert right.ok and not right.notes
    assert not gradcheck(lambda x: np.maximum(x, 0), x, gradient=lambda g, x: g * [0.5, 1, 0]).ok


def test_a_tie_that_is_counted_twice_is_rejected():
    report = gradcheck(np.max, [1.0, 1.0, 0.5], gradient=lambda g, x: g * (x == x.max()))
    assert not report.ok and "a kink is counted twice: a[1] and a[0] tie" in report.diagnosis
    both = gradcheck(np.maximum, [1.0, 2.0], [1.0, 1.0], gradient=lambda g, a, b: (g * (a >= b), g * (b >= a)))
    assert not both.ok and "counted twice" in both.diagnosis


@pytest.mark.parametrize("method", ["forward", "central", "richardson"])
def test_a_domain_ends_at_zero_and_the_rest_is_still_compared(method):
    def root(factor):
        return gradcheck(np.sqrt, [0.0, 1.0], method=method, gradient=lambda g, x: factor * g * 0.5 / np.sqrt(x))

    assert root(1).ok and root(1).arguments[0].jumps == [(0,)]
    assert not root(1.001).ok


def test_the_logarithm_beside_its_singularity_is_accepted():
    assert gradcheck(np.log, [1e-12, 1.0]).ok
    assert not gradcheck(np.log, [1e-12, 1.0], gradient=lambda g, x: 2 * g / x).ok


def test_x_log_x_at_zero_has_one_vertical_side_and_is_accepted():
    def entropy(x):
        return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)

    report = gradcheck(entropy, [0.0, 1.0, 0.3])
    assert report.ok and report.kinks[0]["left"] == 0 and report.kinks[0]["right"] == -np.inf
    assert "float32" not in notes(report)


def test_a_jump_is_noted_and_where_there_is_nothing_else_the_verdict_is_doubtful():
    some, only = gradcheck(np.floor, [1.2, 2.0]), gradcheck(np.floor, [1.0, 2.0])
    assert some.ok and "f jumps or has no finite slope in x at [1]" in notes(some)
    assert only.grade == "doubtful" and "nothing to compare with" in only.diagnosis
    assert gradcheck(np.round, [0.2, 1.3]).ok
    assert not gradcheck(np.round, [0.2, 1.3], gradient=lambda g, x: g).ok


def test_a_function_that_is_infinite_everywhere_is_no_reason_for_trust():
    report = gradcheck(np.square, [1e200])
    assert report.grade == "doubtful" and "inf or nan everywhere" in report.diagnosis


def test_outputs_that_are_not_finite_are_left_out_and_noted():
    right = gradcheck(np.square, [1e200, 2.0], gradient=lambda g, x: 2 * g * np.where(x > 1e100, 0, x))
    assert right.ok and "not finite everywhere" in notes(right)
    assert not gradcheck(np.square, [1e200, 2.0], gradient=lambda g, x: 3 * g * np.where(x > 1e100, 0, x)).ok


def test_a_nan_in_an_input_is_said_to_lie_outside_the_domain():
    assert "f itself is not finite" in gradcheck(np.square, [np.nan, 1.0]).diagnosis


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1.0, 1e150, 1e300])
def test_the_scale_of_the_output_does_not_matter(scale):
    assert gradcheck(lambda x: x * x * scale, [0.5, -1.0]).ok
    assert not gradcheck(lambda x: x * x * scale, [0.5, -1.0], gradient=lambda g, x: 3 * scale * g * x).ok


@pytest.mark.parametrize("scale", [1e-100, 1e-10, 1e10, 1e100])
def test_the_scale_of_the_input_does_not_matter(scale):
    x = np.array([0.5, -1.0]) * scale
    assert gradcheck(np.square, x, gradient=lambda g, x: 2 * g * x).ok
    assert not gradcheck(np.square, x, gradient=lambda g, x: 3 * g * x).ok


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_low_precision_inside_f_or_its_gradient_is_noticed_and_not_rejected(dtype):
    x = np.array([0.3, -0.7, 1.9])
    report = gradcheck(lambda x: x.astype(dtype) ** 2, x, gradient=lambda g, x: 2 * g * x)
    assert report.ok and f"f returns {np.dtype(dtype)}" in notes(report)
    assert gradcheck(np.square, x, gradient=lambda g, x: (2 * g * x).astype(dtype)).ok
    assert not gradcheck(lambda x: x.astype(dtype) ** 2, x, gradient=lambda g, x: -2 * g * x).ok
    assert f"x is {np.dtype(dtype)}: checked in float64" in notes(gradcheck(np.square, x.astype(dtype)))


def test_float32_is_not_suspected_where_the_values_only_started_as_float32():
    embedding = layers.Embedding(5, 3)
    embedding(np.array([[1, 2]]))
    assert "float32 inside f" not in notes(gradcheck(embedding, np.array([[1, 1, 2]])))


def test_a_gradient_that_drowns_in_rounding_errors_is_noted():
    report = gradcheck(lambda x: 1e14 + np.tanh(x), [0.3, 0.5], gradient=lambda g, x: g * (1 - np.tanh(x)))
    assert "smaller than what f's rounding errors let differences see" in notes(report)


@pytest.mark.parametrize("kind", ["random", "coin", "counter", "gradient"])
def test_what_is_not_the_same_twice_is_called_nondeterministic(kind):
    rng, calls = np.random.default_rng(0), [0]

    def f(x):
        calls[0] += 1
        factor = {"random": rng.random(3), "coin": rng.integers(0, 2, 3), "counter": calls[0], "gradient": 1.0}
        return x * factor[kind]

    gradient = (lambda g, x: g * rng.random(3)) if kind == "gradient" else lambda g, x: g
    report = gradcheck(f, np.array([0.5, 1.5, -1.0]), gradient=gradient)
    assert not report.ok and report.diagnosis.startswith("nondeterministic")


def test_very_many_outputs_do_not_make_a_wrong_gradient_take_minutes():
    calls = [0]

    def outer(x):
        calls[0] += 1
        return np.outer(x, x)

    f = gradcheck(lambda x: np.tile(outer(x), (500, 1)), np.linspace(0.5, 1, 40), gradient=lambda g, x: 0 * x + g.sum())
    assert not f.ok and calls[0] < 2500


def test_a_fixed_step_that_reaches_over_a_kink_is_blamed_and_not_the_gradient():
    report = gradcheck(lambda x: np.maximum(x, 0), [0.0, 1.0, -1.0], method="forward", step=1e-4)
    assert not report.ok and "finer differences agree with it" in report.diagnosis


def test_at_the_edge_of_a_domain_the_slope_of_the_side_that_exists_counts():
    def f(factor):
        return gradcheck(lambda x: x * np.sqrt(x), [0.0, 1.0], gradient=lambda g, x: g * (1.5 * np.sqrt(x) + factor))

    assert f(0).ok
    assert not gradcheck(lambda x: x + 0 * np.sqrt(x), [0.0, 1.0], gradient=lambda g, x: g * np.where(x, 1, 2)).ok
    assert not f(0.1).ok


def test_few_elements_of_a_function_with_very_many_outputs_are_a_sample_too():
    x = np.linspace(1.0, 2.0, 300)
    report = gradcheck(np.multiply.outer, x, x, gradient=lambda g, a, b: (g @ b, a @ g))
    assert report.ok and report.elements == "every element (600)"
    wide = np.ones(1000)
    report = gradcheck(np.multiply.outer, x, wide, gradient=lambda g, a, b: (g @ b, a @ g))
    assert report.ok and report.elements.endswith("chosen because there are 1,300 elements and 300,000 outputs")
