"""What every metric is made of: a state that batches add to, a result, a fresh start."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.losses.base import snake_case
from tinyllm.losses.inputs import spread

__all__ = ["Mean", "MeanMetricWrapper", "Metric", "divided", "pair"]


class Metric:
    """A number about predictions that is collected batch by batch, because it is no mean of the batches' own numbers.

    update_state(y_true, y_pred, sample_weight=None) adds a batch, result() is the number so far, reset_state() starts
    anew; calling the metric does the first two. Of one's own: define these three; the name is what the history shows.

    >>> class Largest(Metric):
    ...     def reset_state(self):
    ...         self.largest = 0.0
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest = max(self.largest, float(np.max(y_pred)))
    ...     def result(self):
    ...         return self.largest
    >>> largest = Largest()
    >>> largest([1], [0.5]), largest([1], [0.25]), largest.name
    (0.5, 0.5, 'largest')
    """

    def __init__(self, name: str | None = None):
        self.name = name or snake_case(type(self).__name__)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget every batch."""
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch. sample_weight: one number per sample, or per time step; 0 for what is masked."""
        raise NotImplementedError

    def result(self) -> Any:
        """The metric over all batches since reset_state()."""
        raise NotImplementedError

    def __call__(self, *batch: Any, **options: Any) -> Any:
        self.update_state(*batch, **options)
        return self.result()


class Mean(Metric):
    """The mean of values, or with weights sum(weight * value) / sum(weight); 0 before the first value.

    >>> mean = Mean()
    >>> mean([1.0, 3.0]), mean([8.0])
    (2.0, 4.0)
    """

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        values = np.asarray(as_array(values), float)
        if sample_weight is None:
            self.total, self.count = self.total + float(np.sum(values)), self.count + values.size
            return
        weights = spread(self.name, sample_weight, values.shape)
        self.total += float(np.sum(np.where(weights == 0, 0, values) * weights))
        self.count += float(np.sum(weights))

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0


class MeanMetricWrapper(Mean):
    """The mean of a function (y_true, y_pred, **options) -> one value per sample or per time step.

    >>> from tinyllm.losses import huber
    >>> MeanMetricWrapper(huber, delta=2.0)([[0.0]], [[3.0]])
    4.0
    """

    def __init__(self, fn: Callable, name: str | None = None, **options: Any):
        accepted = inspect.signature(fn).parameters
        unknown = [option for option in options if option not in accepted]
        if unknown:
            raise TypeError(f"{fn.__name__}: unknown option {unknown[0]!r}; known: {', '.join(list(accepted)[2:])}")
        self.fn, self.options = fn, options
        super().__init__(name or getattr(fn, "__name__", "metric"))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        values = np.asarray(as_array(self.fn(y_true, y_pred, **self.options)))
        if not values.ndim:  # a mean over the batch already; it counts for each sample
            values, sample_weight = np.full(len(as_array(y_true)), values), None
        super().update_state(values, sample_weight)


def pair(name: str, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions as arrays of one shape; labels (n,) go with predictions (n, 1)."""
    y_true, y_pred = as_array(y_true), as_array(y_pred)
    if y_pred.shape == (*y_true.shape, 1):
        y_true = y_true[..., None]
    elif y_true.shape == (*y_pred.shape, 1):
        y_pred = y_pred[..., None]
    if y_true.shape != y_pred.shape:
        raise ValueError(f"{name}: labels {y_true.shape} do not fit predictions {y_pred.shape}")
    if not y_pred.size:
        raise ValueError(f"{name}: an empty batch: there are no predictions in the shape {y_pred.shape}")
    return (y_true, y_pred) if y_pred.ndim > 1 else (y_true.reshape(-1, 1), y_pred.reshape(-1, 1))


def divided(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)
