"""Losses: how wrong a prediction is, as one number to go downhill on.

Each comes as a function (y_true, y_pred) -> one value per sample (per time step, for sequences) and as a class that
reduces those to one number: Keras's names, options, defaults and numbers. Every one is plain NumPy on Tensors, so it
can be differentiated, also twice.
"""

from typing import Any

from tinyllm.losses import classification, regression
from tinyllm.losses.base import Loss, snake_case
from tinyllm.losses.classification import *  # noqa: F403
from tinyllm.losses.regression import *  # noqa: F403
from tinyllm.names import lookup

__all__ = ["Loss", "get"]
__all__ += classification.__all__
__all__ += regression.__all__

LOSSES: dict[str, type[Loss]] = {
    snake_case(name): getattr(module, name)
    for module in (classification, regression)
    for name in module.__all__
    if name[0].isupper()
}
SHORT = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
LOSSES |= {short: LOSSES[name] for short, name in SHORT.items()}


def get(loss: Any) -> Loss:
    """A Loss from a name ("mse", "Huber", ...), a Loss, or a function (y_true, y_pred) -> one value per sample.

    >>> get("mse").name, get("KLDivergence").name
    ('mean_squared_error', 'kl_divergence')
    >>> get("poison")
    Traceback (most recent call last):
    ValueError: unknown loss 'poison'; known: bce, binary_crossentropy, ...
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if callable(loss):
        custom = type(getattr(loss, "__name__", "loss"), (Loss,), {"function": staticmethod(loss)})
        return custom()
    if isinstance(loss, str) and snake_case(loss) in LOSSES:
        return LOSSES[snake_case(loss)]()
    return lookup("loss", loss, LOSSES)()
