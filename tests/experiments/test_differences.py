"""Differences behave as theory says: the U-curve, the digits that cancel, the mean of both sides at a corner."""

import numpy as np
import pytest

from tinyllm.experiments import cancellation, kinks, step_size

METHODS = ["forward", "central", "richardson"]


@pytest.fixture(scope="module")
def curves():
    return step_size()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("method", "order"), list(zip(METHODS, [1, 2, 4])))
def test_the_best_step_is_within_a_decade_of_theory(curves, dtype, method, order):
    h, _ = curves.best(dtype, method)
    theory = np.finfo(dtype).eps ** (1 / (order + 1))
    assert curves.theory(dtype, method) == pytest.approx(theory)
    assert theory / 10 < h < theory * 10


@pytest.mark.parametrize(("method", "order"), list(zip([*METHODS, "complex"], [1, 2, 4, 2])))
def test_to_the_right_of_the_minimum_the_error_falls_with_the_order_of_the_formula(curves, method, order):
    h, _ = curves.best("float64", method)
    right = (curves.steps > 10 * h) & (curves.steps < 0.3)
    found, _ = np.polyfit(np.log(curves.steps[right]), np.log(curves.errors["float64"][method][right]), 1)
    assert found == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_to_the_left_of_it_the_error_grows_as_one_over_the_step(curves, method):
    h, _ = curves.best("float64", method)
    left = (curves.steps > 1e-14) & (curves.steps < h / 3)
    found, _ = np.polyfit(np.log(curves.steps[left]), np.log(curves.errors["float64"][method][left]), 1)
    assert found == pytest.approx(-1, abs=0.1)


def test_the_complex_step_is_exact_to_rounding_at_every_small_step(curves):
    for dtype in ("float64", "float32"):
        small = curves.steps < curves.best(dtype, "complex")[0]
        assert np.max(curves.errors[dtype]["complex"][small]) < 4 * np.finfo(dtype).eps
        assert curves.theory(dtype, "complex") is None


def test_better_formulas_reach_smaller_errors_and_float32_never_reaches_float64(curves):
    for dtype in ("float64", "float32"):
        errors = [curves.best(dtype, m)[1] for m in (*METHODS, "complex")]
        assert errors == sorted(errors, reverse=True)
    assert curves.best("float32", "richardson")[1] > curves.best("float64", "forward")[1]


def test_it_takes_a_function_of_many_numbers():
    result = step_size(lambda x: np.sum(np.sin(x) * np.exp(x)), np.ones((2, 3)), points=4)
    assert result.best("float64", "central")[1] < 1e-9


def test_the_same_seed_gives_the_same_errors_and_another_seed_others():
    one, same, other = (step_size(points=2, seed=seed).errors["float64"]["central"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"methods": ["centred"]}, "unknown method 'centred'; known: forward, central, richardson, complex"),
        ({"methods": []}, "methods is empty; known: forward"),
        ({"dtypes": ["float16"]}, r"dtypes are 'float64', 'float32' or both; found \['float16'\]"),
        ({"dtypes": []}, r"found \[\]"),
        ({"points": 0}, "points must be a whole number of at least 1; found 0"),
    ],
)
def test_a_wrong_choice_is_one_line(options, says):
    with pytest.raises(ValueError, match=f"step_size: .*{says}|step_size: {says}"):
        step_size(**options)


def test_a_function_that_takes_no_complex_numbers_says_so():
    with pytest.raises(TypeError, match=r"step_size: f does not take complex numbers .*; leave 'complex' out"):
        step_size(lambda x: np.arctan2(x, 1.0))


def test_a_function_that_overflows_has_no_error_to_speak_of():
    with pytest.raises(ValueError, match="step_size: f has no finite gradient at"):
        step_size(np.exp, 1e4)
    result = step_size(np.log, 0.2, methods=["central"], dtypes=["float64"], points=2)  # finite for small steps only
    assert np.isinf(result.errors["float64"]["central"][-1]) or result.errors["float64"]["central"][-1] > 1e9
    result.plot()


def test_every_cured_form_keeps_all_its_digits_and_every_plain_one_loses_them():
    for case in cancellation().cases.values():
        assert np.max(case.cured_error) < 1e-15, case.name
        assert np.max(case.plain_error) >= 1 or case.name == "variance", case.name


def test_a_difference_loses_a_digit_for_each_digit_of_the_step():
    case = cancellation().cases["difference"]
    lost = np.log10(case.plain_error * case.x / 1e-16)
    assert np.all(np.abs(lost[1:-1]) < 1.5)


def test_the_kinks_are_exact():
    table = {name: (c.left, c.right, c.central, c.engine) for name, c in kinks().corners.items()}
    assert table == {
        "relu(x)": (0, 1, 0.5, 0),
        "abs(x)": (-1, 1, 0, 0),
        "maximum(x, 0)": (0, 1, 0.5, 0.5),
        "clip(x, 0, 1)": (0, 1, 0.5, 1),
    }


@pytest.mark.parametrize("h", [2.0**-10, 0.25, 1e-3])
def test_within_h_of_a_corner_a_central_difference_mixes_both_sides_and_beyond_it_is_right(h):
    result = kinks(h)
    for c in result.corners.values():
        mixed = c.left + (c.right - c.left) * np.clip(result.x / h + 1, 0, 2) / 2
        np.testing.assert_allclose(c.central_near, mixed, atol=1e-9)
        away = np.abs(result.x) >= h
        np.testing.assert_allclose(c.central_near[away], c.engine_near[away], atol=1e-9)


@pytest.mark.parametrize("h", [0.0, -1e-3, 0.5, np.nan])
def test_a_step_that_would_see_two_corners_or_none_is_refused(h):
    with pytest.raises(ValueError, match="kinks: h must be above 0 and at most"):
        kinks(h)
