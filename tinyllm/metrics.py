"""Metrics: what a person wants to know about predictions: functions (y_true, y_pred) -> one value per sample."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.losses import LOSSES
from tinyllm.names import lookup

__all__ = [
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "get",
    "mean_absolute_error",
    "sparse_categorical_accuracy",
]


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> np.ndarray:
    """1 where y_pred > threshold (strictly) agrees with y_true, averaged over the last axis.

    >>> binary_accuracy([[1], [0], [1]], [[0.9], [0.5], [0.5]])
    array([1., 1., 0.])
    """
    y_true, y_pred = _paired("binary_accuracy", y_true, y_pred)
    return np.mean((y_pred > threshold) == (y_true > threshold), axis=-1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """1 where the most probable class is the one-hot label's.

    >>> categorical_accuracy([[0, 1]], [[0.2, 0.8]])
    array([1.])
    """
    y_true, y_pred = _paired("categorical_accuracy", y_true, y_pred)
    return (y_true.argmax(axis=-1) == y_pred.argmax(axis=-1)).astype(float)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """1 where the most probable class is the label.

    >>> sparse_categorical_accuracy([1], [[0.2, 0.8]])
    array([1.])
    """
    labels, y_pred = as_array(y_true), as_array(y_pred)
    if labels.shape == (*y_pred.shape[:-1], 1):
        labels = labels[..., 0]
    if labels.shape != y_pred.shape[:-1]:
        raise ValueError(f"sparse_categorical_accuracy: labels {labels.shape} do not fit predictions {y_pred.shape}")
    return (labels == y_pred.argmax(axis=-1)).astype(float)


def mean_absolute_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Mean over the last axis of |y_true - y_pred|.

    >>> mean_absolute_error([[0.0, 2.0]], [[1.0, 2.0]])
    array([0.5])
    """
    y_true, y_pred = _paired("mean_absolute_error", y_true, y_pred)
    return np.mean(np.abs(y_true - y_pred), axis=-1)


def accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """The accuracy that fits the shapes: binary for one output, sparse for whole-number labels, else categorical.

    >>> accuracy([1, 0], [[0.9], [0.6]]), accuracy([1], [[0.2, 0.8]]), accuracy([[0, 1]], [[0.2, 0.8]])
    (array([1., 0.]), array([1.]), array([1.]))
    """
    labels, outputs = as_array(y_true).shape, as_array(y_pred).shape
    if outputs[-1] == 1:
        return binary_accuracy(y_true, y_pred)
    sparse = labels in (outputs[:-1], (*outputs[:-1], 1))
    return (sparse_categorical_accuracy if sparse else categorical_accuracy)(y_true, y_pred)


METRICS: dict[str, Callable] = {
    f.__name__: f for f in (binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, mean_absolute_error)
} | {"mae": mean_absolute_error}
METRICS |= {name: loss.function for name, loss in LOSSES.items()}


def get(metric: Any, loss_name: str = "") -> tuple[str, Callable]:
    """A metric's name in the history and its function. "accuracy" means the kind that fits the loss and the shapes.

    >>> get("accuracy", "binary_crossentropy")[1].__name__
    'binary_accuracy'
    """
    if callable(metric):
        return getattr(metric, "__name__", "metric"), metric
    if metric in ("accuracy", "acc"):
        return metric, binary_accuracy if loss_name == "binary_crossentropy" else accuracy
    return metric, lookup("metric", metric, METRICS | {"accuracy": None})


def _paired(name: str, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions with equal shapes; labels (n,) go with predictions (n, 1)."""
    y_true, y_pred = as_array(y_true), as_array(y_pred)
    if y_pred.shape == (*y_true.shape, 1):
        y_true = y_true[..., None]
    if y_true.shape != y_pred.shape:
        raise ValueError(f"{name}: labels {y_true.shape} do not fit predictions {y_pred.shape}")
    return y_true, y_pred
