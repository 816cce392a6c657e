"""Optimisers: the steps of Keras, and weights that stay where their owners can see them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm import Tensor, optimizers
from tinyllm.optimizers import SGD, Adam

TRUTH = json.loads((Path(__file__).parent / "golden" / "document.json").read_text(encoding="utf-8"))["optimizers"]
GRADIENTS = [np.array(g) for g in TRUTH["grads"]]
MADE = {  # name of the run -> the optimizer, and how exact Keras is (it rounds the default betas to float32)
    "sgd_lr0.1": (lambda: SGD(0.125), 1e-12),
    "sgd_momentum0.9": (lambda: SGD(0.125, momentum=0.875), 1e-12),
    "adam_default": (Adam, 1e-5),
    "adam_lr0.1": (lambda: Adam(0.1), 1e-5),
    "adam_exact_f32_hparams": (lambda: Adam(1 / 16, beta_1=0.875, beta_2=0.96875, epsilon=2**-20), 1e-12),
}


def five_steps(optimizer, dtype="float64"):
    w = Tensor(TRUTH["W0"], requires_grad=True, dtype=dtype)
    for g in GRADIENTS:
        optimizer.apply_gradients([(g, w)])
        yield w.data.copy()


@pytest.mark.parametrize("stack", ["keras3", "tf_keras"])
@pytest.mark.parametrize("name", MADE)
def test_five_steps_are_those_of_keras(name, stack):
    make, tolerance = MADE[name]
    for found, expected in zip(five_steps(make()), TRUTH["runs"][stack][name], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_nesterov_looks_ahead_by_one_more_momentum():
    w, v, found = np.array(TRUTH["W0"]), 0.0, five_steps(SGD(0.125, momentum=0.5, nesterov=True))
    for g, step in zip(GRADIENTS, found, strict=True):
        v = 0.5 * v - 0.125 * g
        w = w + 0.5 * v - 0.125 * g
        np.testing.assert_allclose(step, w, rtol=1e-15)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_the_defaults_are_those_of_keras(name):
    config = optimizers.get(name).get_config()
    assert {key: config[key] for key in TRUTH["defaults"][name]} == TRUTH["defaults"][name]


@pytest.mark.parametrize("make", [SGD, Adam, lambda: SGD(0.1, momentum=0.9, nesterov=True)])
def test_float32_stays_float32(make):
    assert all(w.dtype == "float32" for w in five_steps(make(), "float32"))


# Weights and their buffers


def two_weights():
    return Tensor([[1.0, 2.0]], requires_grad=True), Tensor([3.0], requires_grad=True, dtype="float32")


def test_weights_of_several_shapes_and_dtypes_move_together():
    a, b = two_weights()
    SGD(0.5).apply_gradients([(np.array([[2.0, 4.0]]), a), (np.array([2.0]), b)])
    assert (a.data.tolist(), b.data.tolist(), a.dtype, b.dtype) == ([[0, 0]], [2], "float64", "float32")


def test_a_weight_without_a_gradient_stays():
    a, b = two_weights()
    SGD(0.5).apply_gradients([(None, a), (np.array([2.0]), b)])
    assert (a.data.tolist(), b.data.tolist()) == ([[1, 2]], [2])


def test_a_weight_that_was_given_another_array_is_picked_up():
    a, b = two_weights()
    optimizer, g = SGD(0.5), [np.ones((1, 2)), np.ones(1)]
    optimizer.apply_gradients(zip(g, (a, b)))
    a.data = np.array([[10.0, 10.0]])
    optimizer.apply_gradients(zip(g, (a, b)))
    assert a.data.tolist() == [[9.5, 9.5]]


def test_a_gradient_may_be_a_tensor_and_is_never_changed():
    a, _ = two_weights()
    for g in (Tensor([[2.0, 4.0]]), np.array([[2.0, 4.0]])):
        for optimizer in (SGD(0.5, momentum=0.5), Adam()):
            optimizer.apply_gradients([(g, a)])
            np.testing.assert_array_equal(g, [[2, 4]])


def test_other_weights_than_the_first_time_are_refused():
    a, b = two_weights()
    optimizer = SGD()
    optimizer.apply_gradients([(np.ones((1, 2)), a)])
    with pytest.raises(ValueError, match=r"SGD: built for 1 weights, found others; .*compile the model again"):
        optimizer.apply_gradients([(np.ones(1), b)])


def test_the_state_is_there_to_be_saved():
    a, b = two_weights()
    optimizer = Adam()
    optimizer.apply_gradients([(np.ones((1, 2)), a), (np.ones(1), b)])
    assert optimizer.iterations == 1
    assert [{k: v.shape for k, v in slots.items()} for slots in optimizer.get_state()] == [
        {"momentum": (1, 2), "velocity": (1, 2)},
        {"momentum": (1,), "velocity": (1,)},
    ]


def test_the_learning_rate_may_change_between_steps():
    a, _ = two_weights()
    optimizer = SGD(0.5)
    optimizer.apply_gradients([(np.ones((1, 2)), a)])
    optimizer.learning_rate = 0.0
    optimizer.apply_gradients([(np.ones((1, 2)), a)])
    assert a.data.tolist() == [[0.5, 1.5]]


# Bad input


@pytest.mark.parametrize("make", [SGD, Adam])
@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_a_learning_rate_below_zero_or_beyond_all_numbers_is_refused(make, rate):
    with pytest.raises(
        ValueError, match=f"{make.__name__}: learning_rate must be 0 or a positive number; found {rate}"
    ):
        make(learning_rate=rate)


@pytest.mark.parametrize("options", [{"beta_1": 1.0}, {"beta_2": -0.1}, {"epsilon": 0}, {"epsilon": -1e-7}])
def test_adam_names_the_argument_that_is_out_of_range(options):
    with pytest.raises(ValueError, match=f"Adam: .*{next(iter(options))}"):
        Adam(**options)


def test_sgd_names_the_momentum_that_is_out_of_range():
    with pytest.raises(ValueError, match=r"SGD: momentum must be between 0 and 1; found 1\.5"):
        SGD(momentum=1.5)


def test_an_unknown_optimizer_lists_the_known_ones():
    for wrong in ("nope", 3, None, {"class_name": "Nope"}):
        with pytest.raises(ValueError, match=r"unknown optimizer .*; known: adam, .*sgd"):
            optimizers.get(wrong)


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9, True), Adam(0.1, 0.5, 0.6, 1e-3)])
def test_a_configuration_makes_an_equal_optimizer(optimizer):
    again = optimizers.get({"class_name": type(optimizer).__name__, "config": optimizer.get_config()})
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    ("pair", "error", "message"),
    [
        (
            (np.ones(3), Tensor([1.0, 2.0], requires_grad=True)),
            ValueError,
            r"of shape \(3,\) for a weight of shape \(2,\)",
        ),
        ((np.array(1.0), Tensor([1.0, 2.0], requires_grad=True)), ValueError, r"of shape \(\) for a weight"),
        ((Tensor([1.0], requires_grad=True), np.ones(1)), TypeError, r"a pair is \(gradient, weight\)"),
    ],
)
def test_a_gradient_that_does_not_belong_to_its_weight_is_refused(pair, error, message):
    with pytest.raises(error, match=message):
        SGD().apply_gradients([pair])


def test_a_learning_rate_is_a_number():
    with pytest.raises(ValueError, match="must be 0 or a positive number; found '0"):
        SGD("0.1")
