"""The steps of Keras and PyTorch, stored."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.optimizers.cases import walk
from tinyllm import Tensor, optimizers
from tinyllm.optimizers import GD, SGD, AdamW

TRUTH = json.loads((Path(__file__).parents[1] / "golden" / "optimizers.json").read_text(encoding="utf-8"))
ROUNDED = {"adam_default", "adam_lr0.1"}  # Keras rounds these betas to float32


def made(case):
    return optimizers.get({"class_name": case["class_name"], "config": case["config"]})


def one_weight(optimizer, dtype="float64"):
    path = walk(optimizer, [TRUTH["W0"]], [[np.array(g)] for g in TRUTH["gradients"]], dtype)
    return np.array([weights[0] for weights in path])


@pytest.mark.parametrize("name", TRUTH["keras"])
def test_five_steps_are_those_of_keras(name):
    case = TRUTH["keras"][name]
    tolerance = {"rtol": 0, "atol": 1e-5} if name in ROUNDED else {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(one_weight(made(case)), case["weights"], **tolerance)


@pytest.mark.parametrize("name", TRUTH["pytorch"])
def test_five_steps_are_those_of_pytorch(name):
    """PyTorch adds epsilon to sqrt(v / (1 - beta_2^t)), Keras to sqrt(v): the same with another epsilon each step."""
    case = TRUTH["pytorch"][name]
    optimizer = made(case)
    epsilon = getattr(optimizer, "epsilon", None)
    w, path = Tensor(TRUTH["W0"], requires_grad=True), []
    for t, g in enumerate(TRUTH["gradients"], 1):
        if epsilon is not None:
            optimizer.epsilon = epsilon * math.sqrt(1 - optimizer.beta_2**t)
        optimizer.apply_gradients([(np.array(g), w)])
        path.append(w.data.copy())
    np.testing.assert_allclose(path, case["weights"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", TRUTH["gradient_descent"])
@pytest.mark.parametrize("optimizer", [GD, SGD])
def test_gradient_descent_does_the_articles_arithmetic(name, optimizer):
    case = TRUTH["gradient_descent"][name]
    ((after,),) = walk(optimizer(0.1), [case["before"]], [[np.array(case["gradient"])]])
    np.testing.assert_allclose(after, case["after"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", TRUTH["clipping_two_weights"]["steps"])
def test_two_gradients_are_clipped_as_keras_clips_them(name):
    gradients = [np.array(g) for g in TRUTH["clipping_two_weights"]["gradients"]]
    optimizer = SGD(1.0, **{name.removesuffix("1"): 1.0})
    (after,) = walk(optimizer, [np.zeros(2), np.zeros(1)], [gradients])
    for found, expected in zip(after, TRUTH["clipping_two_weights"]["steps"][name], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", TRUTH["defaults"])
def test_the_defaults_are_those_of_keras(name):
    config = optimizers.get(name).get_config()
    assert config == TRUTH["defaults"][name] | {"name": name.lower()}


def test_gradient_descent_has_the_default_rate_of_sgd():
    assert GD().learning_rate == SGD().learning_rate == 0.01


@pytest.mark.parametrize("name", TRUTH["keras"])
def test_float32_stays_float32_and_near(name):
    case = TRUTH["keras"][name]
    found = one_weight(made(case), "float32")
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, case["weights"], rtol=0, atol=1e-5)


def test_decay_first_and_step_then():
    """AdamW's decay is of the weight before the step, and no part of the gradient."""
    ((after,),) = walk(AdamW(0.5, weight_decay=0.25), [[4.0]], [[np.array([1e-3])]])
    np.testing.assert_allclose(after, 4.0 * (1 - 0.5 * 0.25) - 0.5, atol=2e-3)
