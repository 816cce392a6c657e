"""Accuracies: how often a prediction is right. Functions give one value per sample, classes the mean over batches."""

from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.losses.inputs import class_labels
from tinyllm.metrics.base import MeanMetricWrapper, pair

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> np.ndarray:
    """1 where y_pred > threshold (strictly) agrees with y_true, averaged over the last axis.

    A label between 0 and 1 is rounded (Keras counts it as wrong always). With logits, the threshold is 0.

    >>> binary_accuracy([[1], [0], [1]], [[0.9], [0.5], [0.5]])
    array([1., 1., 0.])
    """
    y_true, y_pred = pair("binary_accuracy", y_true, y_pred)
    wrong = y_true[(y_true < 0) | (y_true > 1)]
    if wrong.size:
        raise ValueError(f"binary_accuracy: a label lies between 0 and 1; found {wrong[0]}")
    return np.mean((y_pred > threshold) == (y_true > 0.5), axis=-1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """1 where the most probable class (the first of equals) is the one-hot label's.

    >>> categorical_accuracy([[0, 1]], [[0.2, 0.8]])
    array([1.])
    """
    y_true, y_pred = pair("categorical_accuracy", y_true, y_pred)
    return (y_true.argmax(axis=-1) == y_pred.argmax(axis=-1)).astype(float)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """1 where the most probable class (the first of equals) is the label.

    >>> sparse_categorical_accuracy([1], [[0.2, 0.8]])
    array([1.])
    """
    labels, scores, _ = class_labels("sparse_categorical_accuracy", y_true, as_array(y_pred), -1, None)
    return (labels == scores.data.argmax(axis=-1)).astype(float)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> np.ndarray:
    """1 where the one-hot label's class is among the k most probable; of equals, the first come first.

    >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.2, 0.3]], k=2)
    array([1.])
    """
    y_true, y_pred = pair("top_k_categorical_accuracy", y_true, y_pred)
    return _among_best("top_k_categorical_accuracy", y_true.argmax(axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> np.ndarray:
    """1 where the label is among the k most probable classes; of equals, the first come first.

    So k = 1 is sparse_categorical_accuracy, and a model that finds all classes equal gains nothing by it.

    >>> sparse_top_k_categorical_accuracy([2, 1], [[0.5, 0.2, 0.3], [0.5, 0.2, 0.3]], k=2)
    array([1., 0.])
    """
    name = "sparse_top_k_categorical_accuracy"
    labels, scores, _ = class_labels(name, y_true, as_array(y_pred), -1, None)
    return _among_best(name, labels, scores.data, k)


def _among_best(name: str, labels: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    classes = scores.shape[-1]
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= classes:
        raise ValueError(f"{name}: k must be a whole number in 1..{classes}, the number of classes; found {k!r}")
    own = np.take_along_axis(scores, labels[..., None], axis=-1)
    before = (scores == own) & (np.arange(classes) < labels[..., None])
    rank = np.sum((scores > own) | before, axis=-1)
    return ((rank < k) & ~np.isnan(own[..., 0])).astype(float)


def accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """The accuracy that fits the shapes: binary for one output, sparse for whole-number labels, else categorical.

    >>> accuracy([1, 0], [[0.9], [0.6]]), accuracy([1], [[0.2, 0.8]]), accuracy([[0, 1]], [[0.2, 0.8]])
    (array([1., 0.]), array([1.]), array([1.]))
    """
    labels, outputs = as_array(y_true).shape, as_array(y_pred).shape
    if outputs[-1:] in ((), (1,)) or len(outputs) == 1:
        return binary_accuracy(y_true, y_pred)
    sparse = labels in (outputs[:-1], (*outputs[:-1], 1))
    return (sparse_categorical_accuracy if sparse else categorical_accuracy)(y_true, y_pred)


def _equal(y_true: Any, y_pred: Any) -> np.ndarray:
    y_true, y_pred = pair("accuracy", y_true, y_pred)
    return (y_true == y_pred).astype(float)


class Accuracy(MeanMetricWrapper):
    """How often y_pred equals y_true exactly: for labels, not for probabilities (the name "accuracy" means another).

    >>> Accuracy()([1, 2, 3, 4], [0, 2, 3, 4])
    0.75
    """

    def __init__(self, name: str | None = None):
        super().__init__(_equal, name or "accuracy")


class BinaryAccuracy(MeanMetricWrapper):
    """The mean of binary_accuracy.

    >>> BinaryAccuracy(threshold=0.8)([[1], [0]], [[0.9], [0.7]])
    1.0
    """

    def __init__(self, name: str | None = None, threshold: float = 0.5):
        super().__init__(binary_accuracy, name, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """The mean of categorical_accuracy."""

    def __init__(self, name: str | None = None):
        super().__init__(categorical_accuracy, name)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """The mean of sparse_categorical_accuracy."""

    def __init__(self, name: str | None = None):
        super().__init__(sparse_categorical_accuracy, name)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """The mean of top_k_categorical_accuracy."""

    def __init__(self, k: int = 5, name: str | None = None):
        super().__init__(top_k_categorical_accuracy, name, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """The mean of sparse_top_k_categorical_accuracy."""

    def __init__(self, k: int = 5, name: str | None = None):
        super().__init__(sparse_top_k_categorical_accuracy, name, k=k)
