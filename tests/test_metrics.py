"""Metrics count what a person would count, and refuse shapes that NumPy would quietly stretch."""

import numpy as np
import pytest

from tinyllm import Tensor, metrics

CLASSES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
FUNCTIONS = [
    metrics.binary_accuracy,
    metrics.categorical_accuracy,
    metrics.sparse_categorical_accuracy,
    metrics.mean_absolute_error,
]


def test_a_half_is_not_above_the_threshold():
    found = metrics.binary_accuracy([[1], [0], [1], [0]], [[0.5], [0.5], [0.51], [0.49]])
    assert found.tolist() == [0, 1, 1, 1]


def test_binary_accuracy_averages_over_several_outputs():
    assert metrics.binary_accuracy([[1, 0]], [[0.9, 0.9]]).tolist() == [0.5]


def test_the_most_probable_class_counts_and_the_first_of_equals():
    assert metrics.categorical_accuracy(np.eye(3)[[0, 2, 1]], CLASSES).tolist() == [1, 0, 0]
    assert metrics.sparse_categorical_accuracy([0, 2, 1], CLASSES).tolist() == [1, 0, 0]
    assert metrics.sparse_categorical_accuracy([[0], [2], [2]], CLASSES).tolist() == [1, 0, 1]
    assert metrics.sparse_categorical_accuracy([0, 1], [[0.5, 0.5], [0.5, 0.5]]).tolist() == [1, 0]


def test_sequences_get_one_value_per_step():
    labels = np.array([[0, 1, 2], [0, 0, 0]])
    found = metrics.sparse_categorical_accuracy(labels, np.stack([CLASSES, CLASSES]))
    assert found.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_mean_absolute_error_is_the_mean_of_the_distances():
    assert metrics.mean_absolute_error([[0.0, 2.0], [5.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]).tolist() == [0.5, 2.5]


def test_labels_in_a_row_fit_predictions_in_a_column():
    column = [[0.9], [0.2]]
    assert metrics.binary_accuracy([1, 1], column).tolist() == [1, 0]
    np.testing.assert_allclose(metrics.mean_absolute_error([1, 1], column), [0.1, 0.8])


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_labels_that_do_not_fit_are_refused_with_both_shapes(function):
    with pytest.raises(ValueError, match=rf"{function.__name__}: labels \(2, 2\) do not fit predictions \(3, 3\)"):
        function(np.ones((2, 2)), CLASSES)


def test_predictions_may_be_tensors():
    assert metrics.binary_accuracy([1], Tensor([[0.9]], requires_grad=True)).tolist() == [1]


@pytest.mark.parametrize(
    ("loss", "labels", "predictions", "expected"),
    [
        ("binary_crossentropy", [1, 0], [[0.9], [0.9]], [1, 0]),
        ("binary_crossentropy", [[1, 1]], [[0.9, 0.1]], [0.5]),  # two yes-or-no answers, not two classes
        ("sparse_categorical_crossentropy", [0, 2, 1], CLASSES, [1, 0, 0]),
        ("categorical_crossentropy", np.eye(3)[[0, 2, 1]], CLASSES, [1, 0, 0]),
        ("a function of mine", [0, 2, 1], CLASSES, [1, 0, 0]),
        ("a function of mine", [1, 0], [[0.9], [0.9]], [1, 0]),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_means_the_kind_that_fits_the_loss_and_the_shapes(name, loss, labels, predictions, expected):
    metric = metrics.get(name, loss)
    assert metric.name == name and metric.fn(labels, predictions).tolist() == expected


def test_every_loss_can_be_watched_as_a_metric():
    assert metrics.get("mse")([[0.0]], [[2.0]]) == 4


@pytest.mark.parametrize("wrong", ["nope", 3, None])
def test_an_unknown_name_lists_the_known_ones(wrong):
    with pytest.raises(ValueError, match=r"unknown metric .*; known: accuracy, auc, bce, .*mae"):
        metrics.get(wrong)
