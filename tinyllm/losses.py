"""Losses: how wrong a prediction is, as one number to go downhill on.

Each comes as a function (y_true, y_pred) -> one value per sample (per time step, for sequences) and as a class that
reduces those to one number. log is the natural logarithm everywhere. Predictions are probabilities unless
from_logits=True; where a prediction was just computed by sigmoid or softmax, the loss is computed from the logits under
it, so nothing is lost to rounding or clipping even at +-1000.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.autograd.tensor import as_array, origin
from tinyllm.names import lookup
from tinyllm.ops import binary_cross_entropy_with_logits, cross_entropy_with_logits, log_softmax, sigmoid, softmax

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "HalfSumSquaredError",
    "Loss",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "get",
    "half_sum_squared_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
]

EPSILON = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras 3 (keras.config.epsilon)


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of (y_pred - y_true)^2.

    >>> mean_squared_error([[0.0, 2.0]], [[1.0, 2.0]]).data
    array([0.5])
    """
    y_true, y_pred = _paired("mean_squared_error", y_true, y_pred)
    return np.mean(np.square(y_pred - y_true), axis=-1)


def half_sum_squared_error(y_true: Any, y_pred: Any) -> Any:
    """1/2 of the sum over the last axis of (y_true - y_pred)^2: what the article calls the mean squared error.

    It is neither a mean nor the usual MSE (which is 2/n times this), but its gradient is just y_pred - y_true.

    >>> half_sum_squared_error([[0.0, 2.0]], [[1.0, 4.0]]).data
    array([2.5])
    """
    y_true, y_pred = _paired("half_sum_squared_error", y_true, y_pred)
    return np.sum(np.square(y_pred - y_true), axis=-1) / 2


def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0) -> Any:
    """Mean over the last axis of -[y log p + (1 - y) log(1 - p)]. y_true 0 or 1 (or between), y_pred the same shape.

    The derivative with respect to the logit is p - y. label_smoothing s moves the labels to y (1 - s) + s / 2.

    >>> binary_crossentropy([[1.0], [0.0]], [[0.9], [0.1]]).data.round(6)
    array([0.105361, 0.105361])
    """
    y_true, y_pred = _paired("binary_crossentropy", y_true, y_pred)
    wrong = y_true[(y_true < 0) | (y_true > 1)]
    if wrong.size:
        raise ValueError(f"binary_crossentropy: a label lies between 0 and 1; found {wrong[0]}")
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / 2
    logits = _logits("binary_crossentropy", y_pred, from_logits, sigmoid)
    if logits is not None:
        return np.mean(binary_cross_entropy_with_logits(logits, y_true), axis=-1)
    _check_probabilities("binary_crossentropy", y_pred, "sigmoid")
    p = np.clip(y_pred, EPSILON, 1 - EPSILON)
    return np.mean(-(y_true * np.log(p) + (1 - y_true) * np.log(1 - p)), axis=-1)


def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0) -> Any:
    """-sum over classes of y log p. y_true one-hot (..., classes); y_pred (..., classes), normalised to sum 1.

    label_smoothing s moves the labels to y (1 - s) + s / classes.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.2, 0.8]]).data.round(6)
    array([0.223144])
    """
    y_true, y_pred = _paired("categorical_crossentropy", y_true, y_pred)
    if y_pred.shape[-1] == 1:
        raise ValueError("categorical_crossentropy: takes two classes or more; one output: binary_crossentropy")
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / y_true.shape[-1]
    logits = _logits("categorical_crossentropy", y_pred, from_logits, softmax)
    if logits is not None:
        return -np.sum(y_true * log_softmax(logits), axis=-1)
    _check_probabilities("categorical_crossentropy", y_pred, "softmax")
    p = np.clip(y_pred / np.sum(y_pred, axis=-1, keepdims=True), EPSILON, 1 - EPSILON)
    return -np.sum(y_true * np.log(p), axis=-1)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Any:
    """-log p[label]. y_true (...) whole numbers in 0..classes-1; y_pred (..., classes).

    Raises ValueError for a label outside the classes, naming it.

    >>> sparse_categorical_crossentropy([1], [[0.2, 0.8]]).data.round(6)
    array([0.223144])
    """
    y_pred = _tensor(y_pred)
    labels = np.asarray(as_array(y_true))
    if labels.shape == (*y_pred.shape[:-1], 1):
        labels = labels[..., 0]
    if labels.shape != y_pred.shape[:-1]:
        raise ValueError(
            f"sparse_categorical_crossentropy: labels {labels.shape} do not fit predictions {y_pred.shape}; "
            f"expected {y_pred.shape[:-1]}"
        )
    classes = y_pred.shape[-1]
    wrong = labels[(labels < 0) | (labels >= classes) | (labels != np.floor(labels))]
    if wrong.size:
        raise ValueError(f"sparse_categorical_crossentropy: label {wrong[0]} is not one of 0..{classes - 1}")
    logits = _logits("sparse_categorical_crossentropy", y_pred, from_logits, softmax)
    if logits is None:
        _check_probabilities("sparse_categorical_crossentropy", y_pred, "softmax")
        logits = np.log(np.clip(y_pred, EPSILON, 1 - EPSILON))  # softmax of these is p, normalised
    return cross_entropy_with_logits(logits, labels.astype(np.intp))


class Loss:
    """A loss as one number: f(y_true, y_pred) per sample, weighted, then reduced.

    reduction  "sum_over_batch_size" (the mean), "sum" or "none"
    __call__(y_true, y_pred, sample_weight=None, mask=None) -> a Tensor
    sample_weight multiplies each sample's loss; with a mask the mean is over the time steps it keeps.
    """

    function: Callable
    reduction = "sum_over_batch_size"

    def __init__(self, reduction: str | None = None, name: str | None = None, **options: Any):
        known = ("sum_over_batch_size", "sum", "none")
        if reduction is not None and reduction not in known:
            raise ValueError(f"unknown reduction {reduction!r}; known: {', '.join(known)}")
        allowed = list(inspect.signature(type(self).function).parameters)[2:]
        if not set(options) <= set(allowed):
            raise TypeError(f"{type(self).__name__}: unknown options {sorted(options)}; known: {', '.join(allowed)}")
        if not 0 <= (smoothing := options.get("label_smoothing", 0.0)) <= 1:
            raise ValueError(f"{type(self).__name__}: label_smoothing must lie between 0 and 1; found {smoothing}")
        self.reduction = reduction or self.reduction
        self.name = name or snake_case(type(self).__name__)
        self.options = options

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Tensor:
        values = type(self).function(y_true, y_pred, **self.options)
        if not isinstance(values, Tensor):
            raise TypeError(f"{self.name}: a loss is a Tensor computed from y_pred; found {type(values).__name__}")
        weight = None if mask is None else np.asarray(mask, values.dtype)
        total = values.size if weight is None else max(weight.sum(), EPSILON)
        if sample_weight is not None:
            w = np.asarray(sample_weight, values.dtype)
            if w.size == math.prod(values.shape[:1]):  # one for each sample
                w = w.reshape(-1, *(1,) * (values.ndim - 1))
            elif w.shape != values.shape:
                raise ValueError(f"{self.name}: sample_weight {w.shape} does not fit the losses {values.shape}")
            weight = w if weight is None else weight * w
        if weight is not None:
            values = values * weight
        if self.reduction == "none":
            return values
        return np.sum(values) if self.reduction == "sum" else np.sum(values) / total

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one."""
        return {"reduction": self.reduction, "name": self.name, **self.options}


class MeanSquaredError(Loss):
    """mean_squared_error over the batch.

    >>> float(MeanSquaredError()([[0.0], [2.0]], [[1.0], [4.0]]))
    2.5
    """

    function = staticmethod(mean_squared_error)


class HalfSumSquaredError(Loss):
    """1/2 sum (y - y_hat)^2 over the whole batch: the article's "mean squared error" under its own name.

    >>> float(HalfSumSquaredError()([[0.0], [2.0]], [[1.0], [4.0]]))
    2.5
    """

    function = staticmethod(half_sum_squared_error)
    reduction = "sum"


class BinaryCrossentropy(Loss):
    """binary_crossentropy over the batch. Options: from_logits, label_smoothing.

    >>> float(BinaryCrossentropy(from_logits=True)([[1.0]], [[1000.0]]))
    0.0
    """

    function = staticmethod(binary_crossentropy)


class CategoricalCrossentropy(Loss):
    """categorical_crossentropy over the batch. Options: from_logits, label_smoothing."""

    function = staticmethod(categorical_crossentropy)


class SparseCategoricalCrossentropy(Loss):
    """sparse_categorical_crossentropy over the batch. Option: from_logits."""

    function = staticmethod(sparse_categorical_crossentropy)


def snake_case(name: str) -> str:
    """CamelCase as snake_case.

    >>> snake_case("MeanSquaredError")
    'mean_squared_error'
    """
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


LOSSES: dict[str, type[Loss]] = {
    snake_case(c.__name__): c
    for c in (
        BinaryCrossentropy,
        CategoricalCrossentropy,
        HalfSumSquaredError,
        MeanSquaredError,
        SparseCategoricalCrossentropy,
    )
}
LOSSES["mse"] = MeanSquaredError


def get(loss: Any) -> Loss:
    """A Loss from a name, a Loss, or a function (y_true, y_pred) -> one value per sample.

    >>> get("mse").name
    'mean_squared_error'
    >>> get("hinge")
    Traceback (most recent call last):
    ValueError: unknown loss 'hinge'; known: binary_crossentropy, categorical_crossentropy, half_sum_squared_error, \
mean_squared_error, mse, sparse_categorical_crossentropy
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if callable(loss):
        custom = type(getattr(loss, "__name__", "loss"), (Loss,), {"function": staticmethod(loss)})
        return custom()
    return lookup("loss", loss, LOSSES)()


def _tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    array = np.asarray(x)
    return Tensor(array if np.issubdtype(array.dtype, np.floating) else array.astype(float))


def _paired(name: str, y_true: Any, y_pred: Any) -> tuple[np.ndarray, Tensor]:
    """Labels and predictions with equal shapes; labels (n,) go with predictions (n, 1)."""
    y_pred = _tensor(y_pred)
    if not y_pred.ndim:
        raise ValueError(f"{name}: a prediction has at least one axis; found the number {y_pred.item()}: write [[0.9]]")
    labels = np.asarray(as_array(y_true), y_pred.dtype)
    if y_pred.shape == (*labels.shape, 1):
        labels = labels[..., None]
    if labels.shape != y_pred.shape:
        raise ValueError(f"{name}: labels {labels.shape} do not fit predictions {y_pred.shape}")
    return labels, y_pred


def _logits(name: str, y_pred: Tensor, from_logits: bool, squash: Callable) -> Tensor | None:
    """The predictions if they are logits, else what lies under the sigmoid or softmax that made them, else None."""
    under = origin(y_pred, squash)
    if from_logits and under is not None:
        raise ValueError(
            f"{name}: from_logits=True, but the predictions went through {squash.__name__} already: choose one"
        )
    return y_pred if from_logits else under


def _check_probabilities(name: str, y_pred: Tensor, activation: str) -> None:
    """Scores where probabilities belong would be clipped, and nothing learnt. Softmax may sum to more, as in Keras."""
    most = 1 + 1e-5 if activation == "sigmoid" else np.inf
    wrong = y_pred.data[(y_pred.data < 0) | (y_pred.data > most)]
    if wrong.size:
        raise ValueError(
            f"{name}: a prediction is a probability; found {wrong[0]}: "
            f"end the model with activation='{activation}', or use the loss with from_logits=True"
        )
