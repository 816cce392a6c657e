"""The loss and the metrics over the batches of an epoch, or of an evaluation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyllm import losses, metrics
from tinyllm.autograd import Tensor
from tinyllm.autograd.tensor import as_array
from tinyllm.layers.base import mask_of
from tinyllm.losses.inputs import spread

__all__ = ["Averages", "like", "named_metrics"]


def named_metrics(plain: Sequence, weighted: Sequence, loss: losses.Loss) -> dict[str, metrics.Metric]:
    """The metrics by the names they have in the history; a weighted one is called so where its name is taken."""
    found: dict[str, metrics.Metric] = {}
    for i, metric in enumerate(metrics.get(each, loss.name) for each in (*plain, *weighted)):
        name = f"weighted_{metric.name}" if i >= len(plain) and metric.name in found else metric.name
        if name in found or name == "loss" or any(metric is other for other in found.values()):
            raise ValueError(f"compile: two metrics are called '{name}'; give one another name, or __name__")
        found[name] = metric
    return found


class Averages:
    """The loss and the metrics over the batches so far. A batch's loss counts for the samples that it holds."""

    def __init__(self, model: Any):
        self.loss = metrics.Mean("loss")
        self.metrics = named_metrics(model.metrics, model.weighted_metrics, model.loss)
        self.weighted = [False] * len(model.metrics) + [True] * len(model.weighted_metrics)
        self.ignored = model.loss.options.get("ignore_class")
        for metric in self.metrics.values():
            metric.reset_state()

    def add(self, y: np.ndarray, loss: float, prediction: Tensor, sample_weight: Any = None) -> None:
        self.loss.update_state(np.full(len(y), loss))
        labels = like(prediction, y)
        mask = mask_of(prediction)
        keep = None if mask is None else np.asarray(mask, float)
        if self.ignored is not None:  # what the loss ignores counts in no metric
            counted = labels.reshape(prediction.shape[:-1]) != self.ignored
            keep = counted * (1.0 if keep is None else keep)
            labels = np.where(labels == self.ignored, 0, labels)
        for metric, weighted in zip(self.metrics.values(), self.weighted):
            weight = sample_weight if weighted else None
            if weight is not None and keep is not None:
                weight = spread(metric.name, weight, keep.shape) * keep
            metric.update_state(labels, prediction.data, sample_weight=keep if weight is None else weight)

    def logs(self) -> dict[str, float]:
        return {name: _one_number(name, metric) for name, metric in ({"loss": self.loss} | self.metrics).items()}


def _one_number(name: str, metric: metrics.Metric) -> float:
    value = np.asarray(as_array(metric.result()))
    if value.size != 1:
        raise ValueError(
            f"the metric '{name}' is an array {value.shape}, and training reports one number: choose an average or one "
            "threshold, or call the metric with the labels and model.predict(x)"
        )
    return value.item()


def like(prediction: Tensor, y: np.ndarray) -> np.ndarray:
    """Labels (n,) as a column when the predictions are (n, 1); NumPy would pair each of one with each of the other."""
    return y[..., None] if prediction.shape == (*y.shape, 1) else y
