"""What every loss asks of its labels and predictions before it computes: shapes that pair, labels that can be."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.autograd.tensor import as_array, origin

__all__ = ["check_labels", "check_options", "check_probabilities", "class_labels", "logits_under", "paired", "spread"]

LIMITS: dict[str, tuple[Callable, str]] = {
    "alpha": (lambda a: a >= 0, "be 0 or more"),
    "delta": (lambda a: a > 0, "be positive"),
    "gamma": (lambda a: a >= 0, "be 0 or more"),
    "label_smoothing": (lambda a: (a >= 0) & (a <= 1), "lie between 0 and 1"),
}


def paired(name: str, y_true: Any, y_pred: Any, axis: int = -1) -> tuple[np.ndarray, Tensor]:
    """Labels and predictions of one shape, `axis` moved to the end; labels (n,) go with predictions (n, 1)."""
    y_pred = predictions(name, y_pred)
    labels = np.asarray(as_array(y_true), y_pred.dtype)
    if y_pred.shape == (*labels.shape, 1):
        labels = labels[..., None]
    elif labels.shape == (*y_pred.shape, 1):
        y_pred = y_pred[..., None]
    if labels.shape != y_pred.shape:
        raise ValueError(f"{name}: labels {labels.shape} do not fit predictions {y_pred.shape}")
    axis = axis_of(name, y_pred, axis)
    if axis == y_pred.ndim - 1:
        return labels, y_pred
    return np.moveaxis(labels, axis, -1), np.moveaxis(y_pred, axis, -1)


def class_labels(name: str, y_true: Any, y_pred: Any, axis: int, ignored: int | None) -> tuple[np.ndarray, Any, Any]:
    """(labels as indices, predictions with the classes last, which labels count: None for all)."""
    y_pred = predictions(name, y_pred)
    axis = axis_of(name, y_pred, axis)
    labels = np.asarray(as_array(y_true))
    expected = y_pred.shape[:axis] + y_pred.shape[axis + 1 :]
    if labels.ndim == y_pred.ndim and labels.shape[axis] == 1:
        labels = labels.squeeze(axis)
    if labels.shape != expected:
        raise ValueError(f"{name}: labels {labels.shape} do not fit predictions {y_pred.shape}; expected {expected}")
    counted = None
    if ignored is not None:
        counted = labels != ignored
        labels = np.where(counted, labels, 0)
    classes = y_pred.shape[axis]
    wrong = labels[~((labels >= 0) & (labels < classes) & (labels == np.floor(labels)))]
    if wrong.size:
        raise ValueError(f"{name}: label {wrong[0]} is not one of 0..{classes - 1}")
    return labels.astype(np.intp), y_pred if axis == y_pred.ndim - 1 else np.moveaxis(y_pred, axis, -1), counted


def predictions(name: str, y_pred: Any) -> Tensor:
    """y_pred as a Tensor of floating-point numbers, with an axis and something on it."""
    if not isinstance(y_pred, Tensor):
        array = np.asarray(y_pred)
        y_pred = Tensor(array if np.issubdtype(array.dtype, np.floating) else array.astype(float))
    if not y_pred.ndim:
        raise ValueError(f"{name}: a prediction has at least one axis; found the number {y_pred.item()}: write [[0.9]]")
    if not y_pred.size:
        raise ValueError(f"{name}: an empty batch: there are no predictions in the shape {y_pred.shape}")
    return y_pred


def axis_of(name: str, y_pred: Tensor, axis: Any) -> int:
    if isinstance(axis, bool) or not isinstance(axis, int) or not -y_pred.ndim <= axis < y_pred.ndim:
        raise ValueError(f"{name}: predictions {y_pred.shape} have no axis {axis!r}")
    return axis % y_pred.ndim


def logits_under(name: str, y_pred: Tensor, from_logits: bool, squash: Callable) -> Tensor | None:
    """The predictions if they are logits, else what lies under the sigmoid or softmax that made them, else None."""
    under = origin(y_pred, squash)
    if from_logits and under is not None:
        raise ValueError(
            f"{name}: from_logits=True, but the predictions went through {squash.__name__} already: choose one"
        )
    return y_pred if from_logits else under


def check_probabilities(name: str, y_pred: Tensor, activation: str, most: float = 1.0) -> None:
    """Scores where probabilities belong would be clipped, and nothing learnt."""
    wrong = y_pred.data[(y_pred.data < 0) | (y_pred.data > most + 1e-5)]
    if wrong.size:
        logits = "" if name in ("kl_divergence", "poisson") else ", or use the loss with from_logits=True"
        what = "rate" if name == "poisson" else "probability"
        raise ValueError(
            f"{name}: a prediction is a {what}; found {wrong[0]}: end the model with activation='{activation}'{logits}"
        )


def check_labels(name: str, y_true: np.ndarray, most: float = 1.0) -> None:
    """Labels between 0 and `most`; NaN passes, and makes the loss NaN."""
    wrong = y_true[(y_true < 0) | (y_true > most)]
    if wrong.size:
        expected = "lies between 0 and 1" if most == 1 else "is 0 or more"
        raise ValueError(f"{name}: a label {expected}; found {wrong[0]}")


def check_options(name: str, options: dict[str, Any]) -> None:
    """The options that have limits lie within them."""
    if not isinstance(options.get("from_logits", False), bool | np.bool_):
        raise TypeError(f"{name}: from_logits is True or False; found {options['from_logits']!r}")
    for option in LIMITS.keys() & options.keys():
        value = np.asarray(options[option], float)
        if not LIMITS[option][0](value).all():
            raise ValueError(f"{name}: {option} must {LIMITS[option][1]}; found {options[option]}")


def spread(name: str, weights: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Weights for values of this shape: one per sample, per time step or per value, each holding for all under it.

    >>> spread("loss", [2.0, 0.0], (2, 3))
    array([[2., 2., 2.],
           [0., 0., 0.]])
    """
    given = np.asarray(as_array(weights))
    w = given
    while w.ndim > len(shape) and w.shape[-1] == 1:
        w = w[..., 0]
    fits = w.ndim <= len(shape) and all(n in (1, m) for n, m in zip(w.shape, shape)) and w.shape[:1] in ((), shape[:1])
    if not fits:
        raise ValueError(f"{name}: sample_weight {given.shape} does not fit the losses {shape}")
    return np.broadcast_to(w.reshape(w.shape + (1,) * (len(shape) - w.ndim)), shape)
