"""Losses for numbers: how far a prediction lies from the label."""

import math
from typing import Any

import numpy as np

from tinyllm.losses.base import Loss
from tinyllm.losses.inputs import check_labels, check_options, paired
from tinyllm.ops import softplus

__all__ = [
    "CosineSimilarity",
    "HalfSumSquaredError",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "cosine_similarity",
    "half_sum_squared_error",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
]

EPSILON = 1e-7  # as in Keras 3 (keras.config.epsilon)


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of (y_pred - y_true)^2.

    >>> mean_squared_error([[0.0, 2.0]], [[1.0, 2.0]]).data
    array([0.5])
    """
    y_true, y_pred = paired("mean_squared_error", y_true, y_pred)
    return np.mean(np.square(y_pred - y_true), axis=-1)


def half_sum_squared_error(y_true: Any, y_pred: Any) -> Any:
    """1/2 of the sum over the last axis of (y_true - y_pred)^2: what the article calls the mean squared error.

    It is neither a mean nor the usual MSE (which is 2/n times this), but its gradient is just y_pred - y_true.

    >>> half_sum_squared_error([[0.0, 2.0]], [[1.0, 4.0]]).data
    array([2.5])
    """
    y_true, y_pred = paired("half_sum_squared_error", y_true, y_pred)
    return np.sum(np.square(y_pred - y_true), axis=-1) / 2


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of |y_pred - y_true|. Its slope is a sign: as steep near the label as far away.

    >>> mean_absolute_error([[0.0, 2.0]], [[1.0, 2.0]]).data
    array([0.5])
    """
    y_true, y_pred = paired("mean_absolute_error", y_true, y_pred)
    return np.mean(np.absolute(y_pred - y_true), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 times the mean over the last axis of |y_pred - y_true| / |y_true|; a label nearer to 0 than 1e-7 counts so.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]]).data
    array([25.])
    """
    y_true, y_pred = paired("mean_absolute_percentage_error", y_true, y_pred)
    return 100 * np.mean(np.absolute(y_pred - y_true) / np.maximum(np.absolute(y_true), EPSILON), axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of (log(1 + y_pred) - log(1 + y_true))^2; a prediction below 1e-7 counts as 1e-7.

    Raises ValueError for a negative label.

    >>> mean_squared_logarithmic_error([[0.0]], [[np.e - 1]]).data.round(6)
    array([1.])
    """
    y_true, y_pred = paired("mean_squared_logarithmic_error", y_true, y_pred)
    check_labels("mean_squared_logarithmic_error", y_true, most=np.inf)
    error = np.log1p(np.maximum(y_pred, EPSILON)) - np.log1p(np.maximum(y_true, EPSILON))
    return np.mean(np.square(error), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Mean over the last axis of error^2 / 2 where |error| <= delta, delta (|error| - delta / 2) beyond.

    A parabola in the middle, straight outside, so that one outlier does not rule the gradient (Huber 1964, section 2).

    >>> huber([[0.0], [0.0]], [[1.0], [3.0]]).data
    array([0.5, 2.5])
    """
    y_true, y_pred = paired("huber", y_true, y_pred)
    check_options("huber", {"delta": delta})
    delta, error = float(delta), y_pred - y_true
    bounded = np.clip(error, -delta, delta)
    return np.mean(bounded * (error - bounded / 2), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of log(cosh(y_pred - y_true)): about error^2 / 2 if small, |error| - log 2 if large.

    >>> log_cosh([[0.0], [0.0]], [[0.0], [1000.0]]).data.round(6)
    array([  0.      , 999.306853])
    """
    y_true, y_pred = paired("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    return np.mean(error + softplus(-2 * error) - math.log(2), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between label and prediction along `axis`: -1 for one direction, 1 for opposite.

    A vector of zeros has no direction and gives 0.

    >>> cosine_similarity([[0.0, 1.0], [0.0, 1.0]], [[0.0, 5.0], [0.0, -2.0]]).data
    array([-1.,  1.])
    """
    y_true, y_pred = paired("cosine_similarity", y_true, y_pred, axis)
    return -np.sum(_direction(y_true) * _direction(y_pred), axis=-1)


def _direction(x: Any) -> Any:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), EPSILON)


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


class MeanAbsoluteError(Loss):
    """mean_absolute_error over the batch."""

    function = staticmethod(mean_absolute_error)


class MeanAbsolutePercentageError(Loss):
    """mean_absolute_percentage_error over the batch."""

    function = staticmethod(mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(Loss):
    """mean_squared_logarithmic_error over the batch."""

    function = staticmethod(mean_squared_logarithmic_error)


class Huber(Loss):
    """huber over the batch. Option: delta.

    >>> float(Huber(delta=2.0)([[0.0], [0.0]], [[1.0], [3.0]]))
    2.25
    """

    function = staticmethod(huber)


class LogCosh(Loss):
    """log_cosh over the batch."""

    function = staticmethod(log_cosh)


class CosineSimilarity(Loss):
    """cosine_similarity over the batch. Option: axis."""

    function = staticmethod(cosine_similarity)
