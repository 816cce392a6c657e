"""Metrics: what a person wants to know about predictions.

Functions (y_true, y_pred) -> one value per sample, averaged by fit and evaluate; and classes that collect a state over
batches (update_state, result, reset_state), for what is no mean of means: precision, recall, F1, AUC, perplexity.
Keras's names and numbers.
"""

from typing import Any

from tinyllm.losses import LOSSES, SHORT
from tinyllm.losses.base import snake_case
from tinyllm.metrics import accuracies, confusion, errors
from tinyllm.metrics.accuracies import *  # noqa: F403
from tinyllm.metrics.accuracies import accuracy, binary_accuracy
from tinyllm.metrics.base import Mean, MeanMetricWrapper, Metric
from tinyllm.metrics.confusion import *  # noqa: F403
from tinyllm.metrics.errors import *  # noqa: F403
from tinyllm.names import lookup

__all__ = ["Mean", "MeanMetricWrapper", "Metric", "get"]
__all__ += accuracies.__all__
__all__ += confusion.__all__
__all__ += errors.__all__

_CHOICES = {
    name: getattr(module, name)
    for module in (accuracies, confusion, errors)
    for name in module.__all__
    if name not in ("Accuracy", "accuracy", "ConfusionMatrix", "confusion_matrix")  # by shapes, below; no numbers
}
METRICS: dict[str, Any] = {  # name -> a function or a class; where there are both, the function
    **{snake_case(name): choice for name, choice in _CHOICES.items() if isinstance(choice, type)},
    **{name: loss.function for name, loss in LOSSES.items()},
    **{name: choice for name, choice in _CHOICES.items() if not isinstance(choice, type)},
}
METRICS |= {short: METRICS[name] for short, name in SHORT.items()}


def get(metric: Any, loss_name: str = "") -> Metric:
    """A Metric from a name, a Metric, or a function (y_true, y_pred) -> one value per sample.

    "accuracy" means the kind that fits the shapes, and the loss: with binary_crossentropy, several outputs are several
    yes-or-no answers.

    >>> get("accuracy").name, get("AUC")([0, 1], [0.1, 0.9])
    ('accuracy', 1.0)
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, type) and issubclass(metric, Metric):
        return metric()
    if callable(metric):
        return MeanMetricWrapper(metric)
    if metric in ("accuracy", "acc"):
        return MeanMetricWrapper(binary_accuracy if loss_name == "binary_crossentropy" else accuracy, metric)
    known = snake_case(metric) if isinstance(metric, str) and snake_case(metric) in METRICS else metric
    found = lookup("metric", known, METRICS | {"accuracy": None})
    return found(name=metric) if isinstance(found, type) else MeanMetricWrapper(found, metric)
