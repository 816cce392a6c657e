"""Metrics made of counts: true and false positives and negatives, what is computed from them, areas under curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.losses.inputs import spread
from tinyllm.metrics.base import Metric, divided, pair
from tinyllm.ops import sigmoid

__all__ = [
    "AUC",
    "ConfusionMatrix",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "Recall",
    "TrueNegatives",
    "TruePositives",
    "confusion_matrix",
]

EPSILON = 1e-7  # how far Keras puts the first and the last threshold of an AUC outside 0..1


def _checked(name: str, y_true: Any, y_pred: Any, scores: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Labels as booleans and predictions, of one shape. scores: what to do if they are no probabilities."""
    y_true, y_pred = pair(name, y_true, y_pred)
    wrong = y_true[(y_true != 0) & (y_true != 1)]
    if wrong.size:
        raise ValueError(f"{name}: a label is 0 or 1; found {wrong[0]}")
    wrong = y_pred[~((y_pred >= 0) & (y_pred <= 1 + 1e-5))] if scores else y_pred[np.isnan(y_pred)]
    if wrong.size:
        raise ValueError(f"{name}: a prediction is a probability; found {wrong[0]}{scores or ''}")
    return y_true.astype(bool), y_pred


def _above(scores: np.ndarray, weights: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """For each threshold, the weight of all scores strictly above it."""
    order = np.argsort(scores)
    weight_up_to = np.concatenate([[0.0], np.cumsum(weights[order])])
    return weight_up_to[-1] - weight_up_to[np.searchsorted(scores[order], thresholds, side="right")]


def _counted(y_true: np.ndarray, scores: np.ndarray, weights: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(true positives, false positives, true negatives, false negatives) x thresholds."""
    tp = _above(scores[y_true], weights[y_true], thresholds)
    fp = _above(scores[~y_true], weights[~y_true], thresholds)
    return np.stack([tp, fp, weights[~y_true].sum() - fp, weights[y_true].sum() - tp])


class _Counts(Metric):
    """True positives, false positives, true negatives and false negatives at one threshold or several.

    A prediction is positive where it is above the threshold (0.5 unless told; any scores if told). top_k: only the k
    best classes of a sample are positive. class_id: only this class is looked at.
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ):
        default = 0.5 if top_k is None else -np.inf
        self.thresholds = np.asarray(default if thresholds is None else thresholds, float)
        if self.thresholds.ndim > 1 or not self.thresholds.size or np.isnan(self.thresholds).any():
            raise ValueError(f"{type(self).__name__}: thresholds are a number or a list of them; found {thresholds!r}")
        self.probabilities = thresholds is None and top_k is None
        self.top_k, self.class_id = top_k, class_id
        super().__init__(name)

    def reset_state(self) -> None:
        self.counts = np.zeros((4, self.thresholds.size))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        advice = ": use the metric with thresholds=0.0 for logits" if self.probabilities else None
        labels, scores = _checked(self.name, y_true, y_pred, advice)
        weights = np.ones(scores.shape) if sample_weight is None else spread(self.name, sample_weight, scores.shape)
        classes = scores.shape[-1]
        if self.top_k is not None:
            if not 1 <= self.top_k <= classes:
                raise ValueError(f"{self.name}: top_k must lie in 1..{classes}, the classes; found {self.top_k}")
            rank = np.argsort(np.argsort(-scores, axis=-1, kind="stable"), axis=-1)
            scores = np.where(rank < self.top_k, scores, -np.inf)
        if self.class_id is not None:
            if not 0 <= self.class_id < classes:
                raise ValueError(f"{self.name}: class_id {self.class_id} is not one of 0..{classes - 1}")
            labels, scores, weights = (a[..., self.class_id] for a in (labels, scores, weights))
        self.counts += _counted(labels.ravel(), scores.ravel(), weights.ravel(), self.thresholds.ravel())

    def result(self) -> Any:
        values = self.compute(*self.counts)
        return values if self.thresholds.ndim else float(values[0])

    def compute(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        raise NotImplementedError


class TruePositives(_Counts):
    """How many are predicted 1 and are 1."""

    def compute(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        return tp


class FalsePositives(_Counts):
    """How many are predicted 1 and are 0."""

    def compute(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        return fp


class TrueNegatives(_Counts):
    """How many are predicted 0 and are 0."""

    def compute(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        return tn


class FalseNegatives(_Counts):
    """How many are predicted 0 and are 1."""

    def compute(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        return fn


class Precision(_Counts):
    """Of what is predicted 1, the part that is 1: tp / (tp + fp); 0 if nothing is predicted 1.

    >>> Precision()([0, 1, 1, 1], [0.9, 0.2, 0.9, 0.8])
    0.6666666666666666
    """

    def compute(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        return divided(tp, tp + fp)


class Recall(_Counts):
    """Of what is 1, the part that is predicted 1: tp / (tp + fn); 0 if nothing is 1.

    >>> Recall(thresholds=[0.1, 0.5])([0, 1, 1], [0.9, 0.2, 0.9])
    array([1. , 0.5])
    """

    def compute(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        return divided(tp, tp + fn)


class FBetaScore(Metric):
    """(1 + beta^2) precision recall / (beta^2 precision + recall), per class; recall weighs beta times as much.

    y_true (..., classes) of 0 and 1, or (...) whole numbers; y_pred (..., classes).
    average    None: one number per class; "micro": from the counts of all classes; "macro": the mean over classes;
               "weighted": the mean weighted by how often a class occurs
    threshold  a prediction above it is positive; None: the best class of each sample is

    >>> FBetaScore("macro", beta=2.0, threshold=0.5)([[1], [1], [0]], [[0.9], [0.2], [0.8]])
    0.5
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
    ):
        who = type(self).__name__
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{who}: unknown average {average!r}; known: None, micro, macro, weighted")
        if not beta > 0:
            raise ValueError(f"{who}: beta must be positive; found {beta}")
        self.average, self.beta, self.threshold = average, beta, threshold
        super().__init__(name)

    def reset_state(self) -> None:
        self.counts: Any = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = as_array(y_true), as_array(y_pred)
        if y_pred.ndim > 1 and y_pred.shape[-1] > 1 and y_true.shape == y_pred.shape[:-1]:
            y_true = y_true[..., None] == np.arange(y_pred.shape[-1])
        labels, scores = _checked(self.name, y_true, y_pred, ": give threshold=0.0" if self.threshold == 0.5 else None)
        classes = scores.shape[-1]
        if self.threshold is None and classes == 1:
            raise ValueError(f"{self.name}: of one output the best is always chosen; give threshold=0.5")
        if self.threshold is None:
            positive = (scores == scores.max(axis=-1, keepdims=True)) & (np.abs(scores) > 1e-9)  # as Keras
        else:
            positive = scores > self.threshold
        rows = scores.shape[:-1]
        weights = np.ones(rows) if sample_weight is None else spread(self.name, sample_weight, rows)
        kinds = np.stack([labels & positive, ~labels & positive, labels & ~positive]).reshape(3, -1, classes)
        self.counts = self.counts + np.sum(kinds * weights.reshape(-1, 1), axis=1)

    def result(self) -> Any:
        tp, fp, fn = np.broadcast_to(self.counts, (3, 1)) if np.ndim(self.counts) == 0 else self.counts
        support = tp + fn
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        square = self.beta**2
        score = divided((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        if self.average is None:
            return score
        return float(divided(np.sum(score * support), support.sum()) if self.average == "weighted" else np.mean(score))


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn), per class; arguments as FBetaScore's.

    >>> F1Score(threshold=0.5)([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.6, 0.6], [0.6, 0.8]])
    array([0.8, 0.8])
    """

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str | None = None):
        super().__init__(average, 1.0, threshold, name)


class AUC(Metric):
    """The area under the ROC curve (recall over false positive rate) or the PR curve (precision over recall).

    num_thresholds      the curve is drawn through that many thresholds from 0 to 1, as in Keras. None: through every
                        score, which is exact: for ROC the probability that a random 1 scores above a random 0, a tie
                        counting one half (Fawcett 2006, section 7)
    curve               "ROC" or "PR"
    summation_method    "interpolation": trapezoids (ROC), Davis & Goadrich 2006 (PR); "minoring"; "majoring"
    thresholds          these (and both ends) instead of evenly spaced ones
    multi_label         the mean of one area per output, instead of all outputs as one
    from_logits         predictions are logits
    With one class only there is no curve: 0.0, as in Keras, and NaN for the exact area.

    >>> AUC()([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    0.75
    >>> AUC(num_thresholds=None)([0, 0, 1, 1], [0.1, 0.1001, 0.1001, 0.1002])
    0.875
    """

    def __init__(
        self,
        num_thresholds: int | None = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        from_logits: bool = False,
    ):
        for what, value, known in (
            ("curve", curve, ("ROC", "PR")),
            ("summation_method", summation_method, ("interpolation", "minoring", "majoring")),
        ):
            if value not in known:
                raise ValueError(f"AUC: unknown {what} {value!r}; known: {', '.join(known)}")
        if num_thresholds is not None and num_thresholds < 2:
            raise ValueError(
                f"AUC: num_thresholds must be at least 2, or None for the exact area; found {num_thresholds}"
            )
        if thresholds is None and num_thresholds is not None:
            thresholds = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        inner = thresholds is not None and np.sort(np.asarray(thresholds, float))
        self.thresholds = None if inner is False else np.concatenate([[-EPSILON], inner, [1 + EPSILON]])
        self.curve, self.summation_method = curve, summation_method
        self.multi_label, self.from_logits = multi_label, from_logits
        super().__init__(name)

    def reset_state(self) -> None:
        self.counts: list[np.ndarray] = []  # one array per curve
        self.seen: list[tuple] = []  # labels, scores and weights of every batch, for the exact area

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if self.from_logits:
            y_pred = sigmoid(np.asarray(as_array(y_pred), float))
        labels, scores = _checked(self.name, y_true, y_pred, ": use the metric with from_logits=True")
        weights = np.ones(scores.shape) if sample_weight is None else spread(self.name, sample_weight, scores.shape)
        outputs = scores.shape[-1] if self.multi_label else 1
        rows = [a.reshape(-1, outputs).T for a in (labels, np.minimum(scores, 1.0), weights)]
        if self.thresholds is None:
            self.seen.append(tuple(rows))
            return
        found = [_counted(y, s, w, self.thresholds) for y, s, w in zip(*rows)]
        if self.counts and len(self.counts) != outputs:
            raise ValueError(f"{self.name}: found {outputs} outputs after batches of {len(self.counts)}")
        self.counts = [a + b for a, b in zip(self.counts, found)] if self.counts else found

    def result(self) -> float:
        counts = self.counts
        if self.seen:
            labels, scores, weights = (np.concatenate(parts, axis=1) for parts in zip(*self.seen))
            counts = [
                _counted(y, s, w, np.concatenate([[-np.inf], np.unique(s)])) for y, s, w in zip(labels, scores, weights)
            ]
            if any(not (c[0, 0] and c[1, 0]) for c in counts):
                return float("nan")
        return float(np.mean([self._area(*c) for c in counts])) if counts else 0.0

    def _area(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> float:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _precision_recall_area(tp, fp, fn)
        recall = divided(tp, tp + fn)
        x, y = (divided(fp, fp + tn), recall) if self.curve == "ROC" else (recall, divided(tp, tp + fp))
        height = {"minoring": np.minimum, "majoring": np.maximum}.get(self.summation_method, lambda a, b: (a + b) / 2)
        return float(np.sum((x[:-1] - x[1:]) * height(y[:-1], y[1:])))


def _precision_recall_area(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> float:
    """Davis & Goadrich 2006: between two thresholds tp grows linearly in tp + fp, so precision is no straight line."""
    positive = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = divided(gained, positive[:-1] - positive[1:])
    offset = tp[1:] - slope * positive[1:]
    both = (positive[:-1] > 0) & (positive[1:] > 0)
    growth = np.log(np.where(both, positive[:-1], 1) / np.where(both, positive[1:], 1))
    return float(np.sum(divided(slope * (gained + offset * growth), (tp + fn)[1:])))


def confusion_matrix(labels: Any, predictions: Any, num_classes: int | None = None, weights: Any = None) -> np.ndarray:
    """counts[i, j]: how many of class i were taken for class j. Both are whole numbers in 0..num_classes-1.

    With weights, the sum of the weights instead. num_classes: the largest number found plus one, unless told.

    >>> confusion_matrix([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """
    labels, predictions = (a.ravel() for a in pair("confusion_matrix", labels, predictions))
    n = int(max(labels.max(), predictions.max())) + 1 if num_classes is None else int(num_classes)
    for what, found in (("label", labels), ("prediction", predictions)):
        wrong = found[~((found >= 0) & (found < n) & (found == np.floor(found)))]
        if wrong.size:
            raise ValueError(f"confusion_matrix: {what} {wrong[0]} is not one of 0..{n - 1}")
    cells = labels.astype(np.intp) * n + predictions.astype(np.intp)
    weights = None if weights is None else spread("confusion_matrix", np.ravel(weights), cells.shape)
    return np.bincount(cells, weights, n * n).reshape(n, n)


class ConfusionMatrix(Metric):
    """confusion_matrix over batches, of a model's outputs: result() is (num_classes, num_classes), rows the truth.

    y_true: whole numbers, or one-hot like y_pred. y_pred (..., classes); one output (n, 1) or (n,) is the probability
    of class 1. As it is no number, call it, or read result(); fit cannot report it.

    >>> ConfusionMatrix(2)([0, 1, 1], [[0.1], [0.7], [0.2]])
    array([[1., 0.],
           [1., 1.]])
    """

    def __init__(self, num_classes: int, threshold: float = 0.5, name: str | None = None):
        self.num_classes, self.threshold = num_classes, threshold
        super().__init__(name)

    def reset_state(self) -> None:
        self.counts = np.zeros((self.num_classes, self.num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels, outputs = as_array(y_true), as_array(y_pred)
        if outputs.ndim < 2 or outputs.shape[-1] == 1:
            labels, outputs = pair(self.name, labels, outputs)
            labels, predicted = labels[..., 0], outputs[..., 0] > self.threshold
        else:
            predicted = outputs.argmax(axis=-1)
            if labels.shape == outputs.shape:
                labels = labels.argmax(axis=-1)
        weights = None if sample_weight is None else spread(self.name, sample_weight, predicted.shape)
        self.counts += confusion_matrix(labels, predicted.astype(np.intp), self.num_classes, weights)

    def result(self) -> np.ndarray:
        return self.counts.copy()
