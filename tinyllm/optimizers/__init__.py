"""Optimisers: how a gradient becomes a step. Names, defaults and numbers are Keras's."""

from typing import Any

from tinyllm import schedules
from tinyllm.names import lookup
from tinyllm.optimizers.adaptive import Adagrad, Adam, Adamax, AdamW, Nadam, RMSprop
from tinyllm.optimizers.base import Group, Optimizer
from tinyllm.optimizers.descent import GD, SGD

__all__ = [
    "GD",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Group",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
    "schedules",
]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    c.__name__.lower(): c for c in (Adagrad, Adam, AdamW, Adamax, GD, Nadam, RMSprop, SGD)
}


def get(optimizer: Any) -> Optimizer:
    """An optimizer from a name, from {"class_name": ..., "config": {...}}, or the optimizer itself.

    >>> get("adam").learning_rate
    0.001
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type):
        name = optimizer.__name__
        raise TypeError(f"optimizer: found the class {name}; make one of it: {name}()")
    if isinstance(optimizer, dict):
        return lookup("optimizer", str(optimizer.get("class_name")).lower(), OPTIMIZERS)(**optimizer.get("config", {}))
    return lookup("optimizer", optimizer.lower() if isinstance(optimizer, str) else optimizer, OPTIMIZERS)()
