"""Activations: Keras's values, slopes that a difference quotient confirms, and no overflow far out."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm import Tensor, activations
from tinyllm.autograd.network import SELU_ALPHA, SELU_SCALE

TRUTH = json.loads((Path(__file__).parent / "golden" / "document.json").read_text(encoding="utf-8"))
X = np.array(TRUTH["activations"]["x"])
NAMES = sorted(set(TRUTH["activations"]["values"]) & set(activations.ACTIVATIONS))
ONE_BY_ONE = sorted(set(activations.ACTIVATIONS) - {"softmax"})


def slope(name, x):
    x = Tensor(x, requires_grad=True)
    np.sum(activations.get(name)(x)).backward()
    return x.grad


@pytest.mark.parametrize("name", NAMES)
def test_the_values_are_those_of_keras(name):
    expected = TRUTH["activations"]["values"][name]
    np.testing.assert_allclose(activations.get(name)(X), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(activations.get(name)(Tensor(X)).data, expected, rtol=1e-10, atol=1e-12)


def test_softmax_is_that_of_keras_even_for_a_thousand():
    np.testing.assert_allclose(
        activations.softmax(np.array(TRUTH["softmax"]["x"])), TRUTH["softmax"]["out"], rtol=1e-12
    )


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_the_slope_is_that_of_the_curve(name):
    x = np.array([-4.1, -2.2, -0.7, -0.01, 0.02, 0.6, 2.1, 3.3])
    f, h = activations.get(name), 1e-6
    np.testing.assert_allclose(slope(name, x), (f(x + h) - f(x - h)) / (2 * h), rtol=1e-7, atol=1e-9)


def test_elu_has_slope_one_at_zero_where_its_two_halves_meet():
    assert slope("elu", [0.0]) == 1
    np.testing.assert_allclose(slope("selu", [0.0]), SELU_ALPHA * SELU_SCALE)


@pytest.mark.parametrize("name", sorted(set(ONE_BY_ONE) - {"exponential"}))
def test_a_thousand_is_not_too_much(name):
    x = np.array([-1000.0, 1000.0])
    assert np.isfinite(activations.get(name)(x)).all() and np.isfinite(slope(name, x)).all()


@pytest.mark.parametrize("name", sorted(activations.ACTIVATIONS))
def test_float32_stays_float32(name):
    x = Tensor(np.linspace(-2, 2, 5), requires_grad=True, dtype="float32")
    y = activations.get(name)(x)
    np.sum(y * y).backward()
    assert activations.get(name)(x.data).dtype == y.dtype == x.grad.dtype == "float32"


@pytest.mark.parametrize("name", sorted(activations.ACTIVATIONS))
def test_a_model_file_can_name_each_of_them(name):
    function = activations.get(name)
    assert activations.get(activations.name_of(function)) is function


def test_none_is_linear_and_a_function_is_itself():
    assert activations.get(None) is activations.linear
    assert activations.get(np.sin) is np.sin


@pytest.mark.parametrize("wrong", ["nope", "Tanh", "", 3, ["tanh"]])
def test_an_unknown_name_lists_the_known_ones(wrong):
    with pytest.raises(ValueError, match=r"unknown activation .*; known: elu, exponential, .*tanh"):
        activations.get(wrong)


def test_a_private_function_cannot_be_named_in_a_file():
    with pytest.raises(ValueError, match="so a model file cannot name it"):
        activations.name_of(np.sin)
