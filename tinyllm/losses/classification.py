"""Losses for classes: cross-entropies and their focal forms, divergences between distributions, hinges.

log is the natural logarithm. Predictions are probabilities unless from_logits=True; where a prediction was just
computed by sigmoid or softmax, the loss is computed from the logits under it, so nothing is lost to rounding or
clipping even at +-1000.
"""

from typing import Any

import numpy as np

from tinyllm.losses.base import Loss
from tinyllm.losses.inputs import (
    check_labels,
    check_options,
    check_probabilities,
    class_labels,
    logits_under,
    paired,
)
from tinyllm.ops import binary_cross_entropy_with_logits, cross_entropy_with_logits, log_softmax, sigmoid, softmax

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "Hinge",
    "KLDivergence",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "hinge",
    "kl_divergence",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]

EPSILON = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras 3 (keras.config.epsilon)


# -- cross-entropies ------------------------------------------------------------------------------------------------


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Mean over `axis` of -[y log p + (1 - y) log(1 - p)]. y_true 0 or 1 (or between), y_pred the same shape.

    The derivative with respect to the logit is p - y. label_smoothing s moves the labels to y (1 - s) + s / 2.

    >>> binary_crossentropy([[1.0], [0.0]], [[0.9], [0.1]]).data.round(6)
    array([0.105361, 0.105361])
    """
    y_true, scores, logits = _binary("binary_crossentropy", y_true, y_pred, from_logits, label_smoothing, axis)
    return np.mean(_binary_values(y_true, scores, logits), axis=-1)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """binary_crossentropy, each element times (1 - p_t)^gamma: what is easy already counts for less.

    p_t = y p + (1 - y) (1 - p) is the probability given to the truth. With apply_class_balancing, also times
    alpha for label 1 and 1 - alpha for label 0 (Lin et al. 2017, "Focal loss", equations 4 and 5).

    >>> binary_focal_crossentropy([[1.0], [1.0]], [[0.9], [0.5]]).data.round(6)
    array([0.001054, 0.173287])
    """
    name = "binary_focal_crossentropy"
    check_options(name, {"alpha": alpha, "gamma": gamma})
    y_true, scores, logits = _binary(name, y_true, y_pred, from_logits, label_smoothing, axis)
    p, q = (sigmoid(scores), sigmoid(-scores)) if logits else (scores, 1 - scores)
    values = _power(y_true * q + (1 - y_true) * p, gamma) * _binary_values(y_true, scores, logits)
    if apply_class_balancing:
        values = (y_true * float(alpha) + (1 - y_true) * (1 - float(alpha))) * values
    return np.mean(values, axis=-1)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """-sum over classes of y log p. y_true one-hot (..., classes); y_pred (..., classes), normalised to sum 1.

    label_smoothing s moves the labels to y (1 - s) + s / classes. `axis` is where the classes are.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.2, 0.8]]).data.round(6)
    array([0.223144])
    """
    y_true, log_p = _categorical("categorical_crossentropy", y_true, y_pred, from_logits, label_smoothing, axis)
    return -np.sum(y_true * log_p, axis=-1)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """-sum over classes of alpha (1 - p)^gamma y log p (Lin et al. 2017). alpha: one number, or one per class.

    >>> categorical_focal_crossentropy([[0.0, 1.0]], [[0.2, 0.8]]).data.round(6)
    array([0.002231])
    """
    name = "categorical_focal_crossentropy"
    check_options(name, {"alpha": alpha, "gamma": gamma})
    y_true, log_p = _categorical(name, y_true, y_pred, from_logits, label_smoothing, axis)
    alpha = np.asarray(alpha, log_p.dtype)
    if alpha.shape not in ((), (1,), log_p.shape[-1:]):
        raise ValueError(f"{name}: alpha is one number or one per class; found {alpha.shape} for {log_p.shape[-1]}")
    return -np.sum(alpha * _power(-np.expm1(log_p), gamma) * y_true * log_p, axis=-1)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """-log p[label]. y_true (...) whole numbers in 0..classes-1; y_pred (..., classes).

    Where the label is ignore_class (it need not be a class: -1, or a padding id) the loss is 0; the class leaves these
    out of its mean too. Raises ValueError for another label outside the classes, naming it.

    >>> sparse_categorical_crossentropy([1, -1], [[0.2, 0.8], [0.5, 0.5]], ignore_class=-1).data.round(6)
    array([0.223144, 0.      ])
    """
    name = "sparse_categorical_crossentropy"
    logits = logits_under(name, y_pred, from_logits, softmax)
    given = y_pred if logits is None else logits
    labels, scores, counted = class_labels(name, y_true, given, axis, ignore_class)
    if counted is not None:
        scores = np.where(counted[..., None], scores, 1 / scores.shape[-1])  # whatever was predicted there, it is gone
    if logits is None:
        check_probabilities(name, scores, "softmax", most=np.inf)
        # softmax of these is p, normalised
        scores = np.log(np.clip(scores, EPSILON, 1 - EPSILON))
    values = cross_entropy_with_logits(scores, labels)
    return values if counted is None else np.where(counted, values, 0.0)


def _binary(name: str, y_true: Any, y_pred: Any, from_logits: bool, label_smoothing: float, axis: int) -> tuple:
    """(smoothed labels, logits or probabilities, whether they are logits), the axis last."""
    logits = logits_under(name, y_pred, from_logits, sigmoid)
    y_true, scores = paired(name, y_true, y_pred if logits is None else logits, axis)
    check_labels(name, y_true)
    if logits is None:
        check_probabilities(name, scores, "sigmoid")
    if label_smoothing:
        check_options(name, {"label_smoothing": label_smoothing})
        y_true = y_true * (1 - label_smoothing) + label_smoothing / 2
    return y_true, scores, logits is not None


def _binary_values(y_true: Any, scores: Any, logits: bool) -> Any:
    if logits:
        return binary_cross_entropy_with_logits(scores, y_true)
    p = np.clip(scores, EPSILON, 1 - EPSILON)
    return -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p))


def _categorical(name: str, y_true: Any, y_pred: Any, from_logits: bool, label_smoothing: float, axis: int) -> tuple:
    """(smoothed labels, log p), the classes last."""
    logits = logits_under(name, y_pred, from_logits, softmax)
    y_true, scores = paired(name, y_true, y_pred if logits is None else logits, axis)
    check_labels(name, y_true)
    classes = y_true.shape[-1]
    if classes == 1:
        raise ValueError(f"{name}: takes two classes or more; one output: {name.replace('categorical', 'binary')}")
    if label_smoothing:
        check_options(name, {"label_smoothing": label_smoothing})
        y_true = y_true * (1 - label_smoothing) + label_smoothing / classes
    if logits is not None:
        return y_true, log_softmax(scores)
    check_probabilities(name, scores, "softmax", most=np.inf)  # may sum to more than 1, as in Keras
    return y_true, np.log(np.clip(scores / np.sum(scores, axis=-1, keepdims=True), EPSILON, 1 - EPSILON))


def _power(x: Any, exponent: float) -> Any:
    """x ** exponent for 0 <= x <= 1, with a finite slope at 0 also where the exponent is below 1."""
    return np.maximum(x, np.finfo(x.dtype).tiny) ** float(exponent)


# -- distributions --------------------------------------------------------------------------------------------------


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Sum over the last axis of y log(y / p): the nats lost by taking p for y. Both probabilities, at least 1e-7.

    >>> kl_divergence([[0.5, 0.5]], [[0.9, 0.1]]).data.round(6)
    array([0.510826])
    """
    y_true, y_pred = paired("kl_divergence", y_true, y_pred)
    check_labels("kl_divergence", y_true)
    check_probabilities("kl_divergence", y_pred, "softmax")
    y_true = np.clip(y_true, EPSILON, 1)
    return np.sum(y_true * np.log(y_true / np.clip(y_pred, EPSILON, 1)), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of p - y log(p + 1e-7): -log of Poisson's probability of the count y at the rate p.

    Up to log y!, which does not depend on p. Raises ValueError for a negative count or rate.

    >>> poisson([[2.0]], [[2.0]]).data.round(6)
    array([0.613706])
    """
    y_true, y_pred = paired("poisson", y_true, y_pred)
    check_labels("poisson", y_true, most=np.inf)
    check_probabilities("poisson", y_pred, "softplus", most=np.inf)
    return np.mean(y_pred - y_true * np.log(y_pred + EPSILON), axis=-1)


# -- hinges ---------------------------------------------------------------------------------------------------------


def hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of max(1 - y p, 0), y -1 or 1 (labels 0 and 1 are turned into these), p any score.

    >>> hinge([[1.0], [0.0]], [[0.25], [-3.0]]).data
    array([0.75, 0.  ])
    """
    return np.mean(_margin("hinge", y_true, y_pred), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of max(1 - y p, 0)^2, as hinge.

    >>> squared_hinge([[1.0], [0.0]], [[0.5], [-3.0]]).data
    array([0.25, 0.  ])
    """
    return np.mean(np.square(_margin("squared_hinge", y_true, y_pred)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(1 + the best score of the other classes - the score of the label's, 0); y_true one-hot (..., classes).

    As in Keras, "the best of the others" is at least 0: the label's own place counts as a score of 0.

    >>> categorical_hinge([[0.0, 1.0]], [[2.0, 2.5]]).data
    array([0.5])
    """
    y_true, y_pred = paired("categorical_hinge", y_true, y_pred)
    check_labels("categorical_hinge", y_true)
    others = np.max((1 - y_true) * y_pred, axis=-1)
    return np.maximum(1 + others - np.sum(y_true * y_pred, axis=-1), 0.0)


def _margin(name: str, y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = paired(name, y_true, y_pred)
    if np.isin(y_true, (0, 1)).all():
        y_true = 2 * y_true - 1
    wrong = y_true[~np.isin(y_true, (-1, 1))]
    if wrong.size:
        raise ValueError(f"{name}: labels are -1 and 1, or 0 and 1; found {wrong[0]} among {np.unique(y_true)[:4]}")
    return np.maximum(1 - y_true * y_pred, 0.0)


class BinaryCrossentropy(Loss):
    """binary_crossentropy over the batch. Options: from_logits, label_smoothing, axis.

    >>> float(BinaryCrossentropy(from_logits=True)([[1.0]], [[1000.0]]))
    0.0
    """

    function = staticmethod(binary_crossentropy)


class BinaryFocalCrossentropy(Loss):
    """binary_focal_crossentropy over the batch. Also: apply_class_balancing, alpha, gamma."""

    function = staticmethod(binary_focal_crossentropy)


class CategoricalCrossentropy(Loss):
    """categorical_crossentropy over the batch. Options: from_logits, label_smoothing, axis."""

    function = staticmethod(categorical_crossentropy)


class CategoricalFocalCrossentropy(Loss):
    """categorical_focal_crossentropy over the batch. Also: alpha, gamma."""

    function = staticmethod(categorical_focal_crossentropy)


class SparseCategoricalCrossentropy(Loss):
    """sparse_categorical_crossentropy over the batch. Options: from_logits, ignore_class, axis.

    >>> loss = SparseCategoricalCrossentropy(ignore_class=-1)  # the mean is over the one label that counts
    >>> round(float(loss([1, -1], [[0.2, 0.8], [0.5, 0.5]])), 6)
    0.223144
    """

    function = staticmethod(sparse_categorical_crossentropy)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Any:
        ignored = self.options.get("ignore_class")
        if ignored is not None:
            axis = self.options.get("axis", -1)
            counted = class_labels(self.name, y_true, y_pred, axis, ignored)[2]
            mask = counted if mask is None else counted & np.asarray(mask, bool)
        return super().__call__(y_true, y_pred, sample_weight, mask)


class KLDivergence(Loss):
    """kl_divergence over the batch."""

    function = staticmethod(kl_divergence)


class Poisson(Loss):
    """poisson over the batch."""

    function = staticmethod(poisson)


class Hinge(Loss):
    """hinge over the batch."""

    function = staticmethod(hinge)


class SquaredHinge(Loss):
    """squared_hinge over the batch."""

    function = staticmethod(squared_hinge)


class CategoricalHinge(Loss):
    """categorical_hinge over the batch."""

    function = staticmethod(categorical_hinge)
