"""Losses as metrics: the mean over all samples (or by weights), and what is a function of such a mean."""

from typing import Any

import numpy as np

from tinyllm import losses
from tinyllm.autograd.tensor import as_array
from tinyllm.metrics.base import Mean, MeanMetricWrapper

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Perplexity",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "cosine_similarity",
    "mean_absolute_error",
]


def mean_absolute_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Mean over the last axis of |y_true - y_pred|.

    >>> mean_absolute_error([[0.0, 2.0]], [[1.0, 2.0]])
    array([0.5])
    """
    return losses.mean_absolute_error(y_true, as_array(y_pred)).data


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> np.ndarray:
    """The cosine of the angle between label and prediction: 1 for one direction. (The loss is minus this.)

    >>> cosine_similarity([[0.0, 1.0]], [[0.0, 5.0]])
    array([1.])
    """
    return -losses.cosine_similarity(y_true, as_array(y_pred), axis).data


class _OfLoss(MeanMetricWrapper):
    """The mean of a loss function; its options are keywords."""

    function: Any = None

    def __init__(self, name: str | None = None, **options: Any):
        super().__init__(type(self).function, name, **options)


class MeanSquaredError(_OfLoss):
    """The mean of losses.mean_squared_error."""

    function = staticmethod(losses.mean_squared_error)


class RootMeanSquaredError(MeanSquaredError):
    """The square root of the mean squared error over all batches (not the mean of the batches' roots).

    >>> RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]])
    5.0
    """

    def __init__(self, name: str | None = None):
        super().__init__(name or "root_mean_squared_error")

    def result(self) -> float:
        return super().result() ** 0.5


class MeanAbsoluteError(_OfLoss):
    """The mean of losses.mean_absolute_error."""

    function = staticmethod(losses.mean_absolute_error)


class MeanAbsolutePercentageError(_OfLoss):
    """The mean of losses.mean_absolute_percentage_error."""

    function = staticmethod(losses.mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(_OfLoss):
    """The mean of losses.mean_squared_logarithmic_error."""

    function = staticmethod(losses.mean_squared_logarithmic_error)


class LogCoshError(_OfLoss):
    """The mean of losses.log_cosh."""

    function = staticmethod(losses.log_cosh)


class CosineSimilarity(_OfLoss):
    """The mean of cosine_similarity: unlike the loss, 1 for one direction and -1 for opposite ones. Option: axis."""

    function = staticmethod(cosine_similarity)


class BinaryCrossentropy(_OfLoss):
    """The mean of losses.binary_crossentropy. Options: from_logits, label_smoothing."""

    function = staticmethod(losses.binary_crossentropy)


class CategoricalCrossentropy(_OfLoss):
    """The mean of losses.categorical_crossentropy. Options: from_logits, label_smoothing, axis."""

    function = staticmethod(losses.categorical_crossentropy)


class SparseCategoricalCrossentropy(_OfLoss):
    """The mean of losses.sparse_categorical_crossentropy. Options: from_logits, axis."""

    function = staticmethod(losses.sparse_categorical_crossentropy)


class KLDivergence(_OfLoss):
    """The mean of losses.kl_divergence."""

    function = staticmethod(losses.kl_divergence)


class Poisson(_OfLoss):
    """The mean of losses.poisson."""

    function = staticmethod(losses.poisson)


class Hinge(_OfLoss):
    """The mean of losses.hinge."""

    function = staticmethod(losses.hinge)


class SquaredHinge(_OfLoss):
    """The mean of losses.squared_hinge."""

    function = staticmethod(losses.squared_hinge)


class CategoricalHinge(_OfLoss):
    """The mean of losses.categorical_hinge."""

    function = staticmethod(losses.categorical_hinge)


class Perplexity(Mean):
    """exp of the mean cross-entropy in nats per token: how many equally likely tokens the model seems to choose from.

    y_true (...) whole numbers, or one-hot; y_pred (..., classes), probabilities or, with from_logits, logits.
    Tokens equal to ignore_class (padding) do not count, nor do masked ones. NaN before the first that counts.

    >>> Perplexity()([0, 1], [[0.5, 0.5], [0.5, 0.5]])
    2.0
    """

    def __init__(self, from_logits: bool = False, ignore_class: int | None = None, name: str | None = None):
        self.from_logits, self.ignore_class = from_logits, ignore_class
        super().__init__(name)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_true, y_pred = as_array(y_true), as_array(y_pred)
        if y_true.shape == y_pred.shape:
            return super().update_state(
                losses.categorical_crossentropy(y_true, y_pred, self.from_logits), sample_weight
            )
        values = losses.sparse_categorical_crossentropy(y_true, y_pred, self.from_logits, self.ignore_class).data
        weights = np.ones(values.shape) if sample_weight is None else np.asarray(sample_weight, float)
        if self.ignore_class is not None:
            weights = losses.inputs.spread(self.name, weights, values.shape)
            weights = weights * (y_true.reshape(values.shape) != self.ignore_class)
        return super().update_state(values, weights)

    def result(self) -> float:
        with np.errstate(over="ignore"):
            return float(np.exp(self.total / self.count)) if self.count else float("nan")
