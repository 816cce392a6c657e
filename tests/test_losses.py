"""Losses: Keras 3's values and gradients, exact logits, and labels that must fit."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm import Tensor, losses, ops

TRUTH = json.loads((Path(__file__).parent / "golden" / "document.json").read_text(encoding="utf-8"))["losses"]
CASES = [case for case in TRUTH if case["class"] in losses.__all__]
REDUCTIONS = ["sum_over_batch_size", "sum", "none"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_loss_has_the_value_and_the_gradient_of_keras_3(case, reduction):
    loss = getattr(losses, case["class"])(reduction=reduction, **case["kwargs"])
    prediction = Tensor(case["y_pred"], requires_grad=True)
    value = loss(case["y_true"], prediction, sample_weight=case["sample_weight"])
    np.sum(value).backward()
    expected = case["result"][reduction]
    np.testing.assert_allclose(value.data, expected["value"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(prediction.grad, expected["grad_pred"], rtol=1e-10, atol=1e-12)


def test_each_of_the_four_classes_has_cases():
    assert {case["class"] for case in CASES} >= {
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "SparseCategoricalCrossentropy",
        "MeanSquaredError",
    }


# What the article calls the mean squared error


def test_half_the_sum_of_squares_is_no_mean():
    y, p = [[0.0], [1.0], [1.0]], Tensor([[0.5], [0.5], [3.0]], requires_grad=True)
    half_sum, mean = losses.HalfSumSquaredError()(y, p), losses.MeanSquaredError()(y, p)
    np.testing.assert_allclose(float(mean), 2 / 3 * float(half_sum))
    half_sum.backward()
    np.testing.assert_array_equal(p.grad, p.data - y)


# Cross-entropy from the logits under a prediction


@pytest.mark.parametrize("logit", [-1000.0, -30.0, 0.3, 30.0, 1000.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_binary_crossentropy_of_a_sigmoid_is_exact_and_its_slope_is_p_minus_y(logit, label):
    z = Tensor([[logit]], requires_grad=True)
    p = ops.sigmoid(z)
    loss = losses.BinaryCrossentropy()([[label]], p)
    loss.backward()
    np.testing.assert_allclose(float(loss), np.logaddexp(0, -logit if label else logit), rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(z.grad, p.data - label, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_crossentropy_of_a_softmax_is_exact_and_its_slope_is_p_minus_y(smoothing):
    z = Tensor([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]], requires_grad=True)
    p, y = ops.softmax(z), np.eye(3)[[2, 0]]
    loss = losses.CategoricalCrossentropy("sum", label_smoothing=smoothing)(y, p)
    loss.backward()
    np.testing.assert_allclose(z.grad, p.data - (y * (1 - smoothing) + smoothing / 3), atol=1e-12)
    assert np.isfinite(loss.data)


def test_one_hot_and_whole_number_labels_give_the_same_loss():
    z = np.array([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]])
    one_hot = losses.CategoricalCrossentropy(from_logits=True)(np.eye(3)[[2, 0]], z)
    sparse = losses.SparseCategoricalCrossentropy(from_logits=True)([2, 0], z)
    np.testing.assert_allclose(float(sparse), float(one_hot), rtol=1e-14)


def test_label_smoothing_moves_binary_labels_towards_a_half():
    found = losses.BinaryCrossentropy(label_smoothing=0.2)([[1.0]], [[0.7]])
    np.testing.assert_allclose(float(found), -(0.9 * np.log(0.7) + 0.1 * np.log(0.3)))


def test_the_labels_are_never_changed_in_place():
    y = np.array([[1.0], [0.0]])
    losses.BinaryCrossentropy(label_smoothing=0.2)(y, [[0.7], [0.2]])
    assert y.tolist() == [[1], [0]]


# Weights and masks


def test_a_masked_step_counts_in_neither_the_sum_nor_the_number():
    y, p = np.zeros((2, 3, 1)), np.array([[[1.0], [2.0], [9.0]], [[3.0], [9.0], [9.0]]])
    mask = [[True, True, False], [True, False, False]]
    assert float(losses.MeanSquaredError()(y, p, mask=mask)) == (1 + 4 + 9) / 3
    assert float(losses.MeanSquaredError()(y, p, mask=np.zeros((2, 3), bool))) == 0


def test_a_sample_weight_holds_for_every_step_of_its_sample():
    y, p = np.zeros((2, 2, 1)), np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    assert float(losses.MeanSquaredError()(y, p, sample_weight=[2.0, 0.0])) == 10 / 4
    assert float(losses.MeanSquaredError()(y, p, sample_weight=[[1.0, 0.0], [0.0, 1.0]])) == 17 / 4
    assert float(losses.MeanSquaredError()(y, p, sample_weight=[[2.0], [0.0]])) == 10 / 4


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1,), (4, 1)])
def test_a_sample_weight_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match=r"mean_squared_error: sample_weight \(.*\) does not fit the losses \(2,\)"):
        losses.MeanSquaredError()(np.zeros((2, 3)), np.ones((2, 3)), sample_weight=np.ones(shape))


# Bad input


@pytest.mark.parametrize(
    "function",
    [
        losses.mean_squared_error,
        losses.half_sum_squared_error,
        losses.binary_crossentropy,
        losses.categorical_crossentropy,
        losses.sparse_categorical_crossentropy,
    ],
    ids=lambda f: f.__name__,
)
def test_labels_that_do_not_fit_are_refused_with_both_shapes(function):
    with pytest.raises(ValueError, match=rf"{function.__name__}: labels \(2, 2\) do not fit predictions \(3, 4\)"):
        function(np.ones((2, 2)), np.full((3, 4), 0.25))


@pytest.mark.parametrize("label", [-1, 3, 1.5, np.nan, np.inf])
@pytest.mark.parametrize("from_logits", [True, False])
def test_a_label_that_is_no_class_is_named(label, from_logits):
    message = rf"sparse_categorical_crossentropy: label {label} is not one of 0\.\.2"
    with pytest.raises(ValueError, match=message):
        losses.sparse_categorical_crossentropy([0, label], np.full((2, 3), 1 / 3), from_logits=from_logits)


@pytest.mark.parametrize("label", [2.0, -1.0])
def test_a_binary_label_outside_0_and_1_would_make_the_loss_negative_and_is_refused(label):
    with pytest.raises(ValueError, match=f"binary_crossentropy: a label lies between 0 and 1; found {label}"):
        losses.binary_crossentropy([[label]], [[0.9]])


@pytest.mark.parametrize("value", [3.0, np.ones(1)])
def test_a_loss_of_ones_own_that_lost_the_graph_is_refused(value):
    with pytest.raises(TypeError, match=r"a loss is a Tensor computed from y_pred; found (float|ndarray)"):
        losses.get(lambda y_true, y_pred: value)([[1.0]], [[1.0]])


def test_labels_in_a_row_fit_predictions_in_a_column():
    assert losses.binary_crossentropy([1, 0], [[0.9], [0.1]]).shape == (2,)
    assert losses.mean_squared_error([1, 0], [[1.0], [0.0]]).data.tolist() == [0, 0]


def test_an_unknown_loss_lists_the_known_ones():
    for wrong in ("nope", 3, None):
        with pytest.raises(ValueError, match=r"unknown loss .*; known: binary_crossentropy, .*mse"):
            losses.get(wrong)


def test_an_unknown_reduction_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown reduction 'mean'; known: sum_over_batch_size, sum, none"):
        losses.MeanSquaredError(reduction="mean")


def test_an_unknown_option_shows_when_the_loss_is_made():
    with pytest.raises(TypeError, match=r"unknown options .'from_logit'.; known: from_logits, label_smoothing"):
        losses.BinaryCrossentropy(from_logit=True)


def test_a_loss_may_be_a_name_a_class_an_object_or_a_function():
    made = losses.BinaryCrossentropy(from_logits=True)
    assert losses.get(made) is made
    assert type(losses.get("mse")) is type(losses.get(losses.MeanSquaredError)) is losses.MeanSquaredError
    mine = losses.get(lambda y_true, y_pred: np.mean(np.absolute(y_pred - y_true), axis=-1))
    assert float(mine(np.zeros((2, 2)), Tensor([[1.0, 3.0], [0.0, 0.0]]))) == 1


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_float32_stays_float32(name):
    p = Tensor([[0.25, 0.75], [0.5, 0.5]], requires_grad=True, dtype="float32")
    y = [1, 0] if name.startswith("sparse") else [[0.0, 1.0], [1.0, 0.0]]
    loss = losses.get(name)(y, p, sample_weight=[1.0, 2.0])
    loss.backward()
    assert loss.dtype == p.grad.dtype == "float32"


def test_a_configuration_makes_an_equal_loss():
    loss = losses.BinaryCrossentropy("sum", label_smoothing=0.1)
    assert losses.BinaryCrossentropy(**loss.get_config()).get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda: losses.binary_crossentropy([[1.0]], [[3.0]]),
            "a prediction is a probability; found 3.0: end .*'sigmoid'",
        ),
        (lambda: losses.binary_crossentropy([[1.0]], [[-0.5]]), "found -0.5"),
        (
            lambda: losses.categorical_crossentropy([[1.0, 0.0]], [[-1.0, 3.0]]),
            "found -1.0: .*'softmax', or .*from_logits",
        ),
        (lambda: losses.sparse_categorical_crossentropy([1], [[-1.0, 3.0]]), "found -1.0"),
        (lambda: losses.categorical_crossentropy([[1.0]], [[0.9]]), "one output: binary_crossentropy"),
        (lambda: losses.binary_crossentropy(1.0, 0.9), "at least one axis; found the number 0.9"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=3), "label_smoothing must lie between 0 and 1; found 3"),
    ],
)
def test_scores_where_probabilities_belong_and_other_misuse(action, message):
    with pytest.raises(ValueError, match=message):
        action()


@pytest.mark.parametrize(
    ("loss", "squash", "labels"),
    [
        (losses.BinaryCrossentropy, ops.sigmoid, [[1.0, 0.0]]),
        (losses.CategoricalCrossentropy, ops.softmax, [[1.0, 0.0]]),
        (losses.SparseCategoricalCrossentropy, ops.softmax, [0]),
    ],
)
def test_squashed_predictions_are_no_logits(loss, squash, labels):
    z = Tensor([[0.3, -0.2]], requires_grad=True)
    with pytest.raises(
        ValueError, match=f"from_logits=True, but the predictions went through {squash.__name__} already"
    ):
        loss(from_logits=True)(labels, squash(z))
