"""Dense with every activation, and Dropout."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm import Tensor, activations
from tinyllm.layers import Dense, Dropout

TRUTH = json.loads((Path(__file__).parents[1] / "golden" / "document.json").read_text(encoding="utf-8"))["dense"]
INPUTS = {name: np.array(value) for name, value in TRUTH["inputs"].items()}
CASES = [case for case in TRUTH["cases"] if case["activation"] in {None, *activations.ACTIVATIONS}]


def dense(activation=None):
    return Dense(4, activation=activation, weights=[INPUTS["kernel"], INPUTS["bias"]], dtype="float64")


def check(layer, x, weight, case):
    x = Tensor(x, requires_grad=True)
    y = layer(x)
    loss = np.sum(y * np.array(weight))
    loss.backward()
    np.testing.assert_allclose(y.data, case["output"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(float(loss), case["loss"], rtol=1e-10)
    found = {"kernel": layer.kernel.grad, "bias": layer.bias.grad, "x": x.grad}
    for name, expected in case["grad"].items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["activation"]))
def test_a_dense_layer_has_the_values_and_the_gradients_of_keras(case):
    check(dense(case["activation"]), INPUTS["x"], INPUTS["C"], case)


def test_a_dense_layer_works_along_the_last_axis_of_any_input():
    check(dense("tanh"), TRUTH["3d"]["x"], TRUTH["3d"]["C"], TRUTH["3d"])


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3), (1, 1, 1, 3)])
def test_no_rows_and_many_axes_are_fine(shape):
    assert dense()(np.ones(shape)).shape == (*shape[:-1], 4)


def test_without_a_bias_there_is_none():
    layer = Dense(2, use_bias=False)
    np.testing.assert_array_equal(layer(np.zeros((1, 3))).data, 0)
    assert list(layer.parameters) == ["kernel"]


def test_the_shape_that_does_not_fit_is_named_with_the_one_that_does():
    with pytest.raises(ValueError, match=r"Dense 'dense': expected inputs \(\.\.\., 3\), found \(2, 5\)"):
        layer = dense()
        layer(INPUTS["x"])
        layer(np.ones((2, 5)))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_first_input_without_a_batch_is_refused(shape):
    with pytest.raises(ValueError, match=r"Dense 'dense': expected inputs \(batch, \.\.\., features\)"):
        Dense(2)(np.ones(shape))


def test_the_number_of_features_must_be_known_before_the_kernel_is_made():
    with pytest.raises(ValueError, match=r"Dense 'dense': expected inputs \(batch, \.\.\., features\)"):
        Dense(2).ensure_built((None, None))


@pytest.mark.parametrize("units", [0, -1, 2.5, True, "3", None])
def test_units_must_be_a_positive_whole_number(units):
    with pytest.raises(ValueError, match="Dense: units must be a positive whole number; found"):
        Dense(units)


# Dropout


def test_dropout_scales_what_it_keeps_so_that_the_mean_stays():
    y = Dropout(0.25, seed=0, dtype="float64")(np.ones((200, 200)), training=True).data
    assert np.unique(y).tolist() == [0, 4 / 3]
    assert abs(np.mean(y == 0) - 0.25) < 0.01


def test_dropout_does_nothing_outside_training_or_at_rate_zero():
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Dropout(0.5)(x).data, x)
    np.testing.assert_array_equal(Dropout(0)(x, training=True).data, x)


def test_the_gradient_passes_where_the_value_passed():
    x = Tensor(np.ones((4, 5)), requires_grad=True, dtype="float32")
    y = Dropout(0.5, seed=1)(x, training=True)
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, y.data)
    assert y.dtype == x.grad.dtype == "float32"


def test_the_seed_decides_what_is_dropped_and_each_call_draws_anew():
    first, same, other = Dropout(0.5, seed=1), Dropout(0.5, seed=1), Dropout(0.5, seed=2)
    x = np.ones((8, 8))
    a, b = (first(x, training=True).data for _ in range(2))
    np.testing.assert_array_equal(a, same(x, training=True).data)
    assert (a != b).any() and (a != other(x, training=True).data).any()


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, float("nan")])
def test_a_rate_that_keeps_nothing_or_means_nothing_is_refused(rate):
    with pytest.raises(ValueError, match="Dropout: rate must be at least 0 and below 1; found"):
        Dropout(rate)
