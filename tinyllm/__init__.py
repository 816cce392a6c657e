"""tinyllm: understand a language model by reading, breaking and checking one. Pure NumPy."""

from importlib import import_module
from typing import Any

from tinyllm import (
    activations,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    preprocessing,
)
from tinyllm.autograd import Tensor, grad, gradcheck, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp
from tinyllm.models import Sequential

__all__ = [
    "Sequential",
    "Tensor",
    "activations",
    "callbacks",
    "experiments",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "initializers",
    "jacobian",
    "jvp",
    "layers",
    "losses",
    "metrics",
    "models",
    "no_grad",
    "ops",
    "optimizers",
    "preprocessing",
    "value_and_grad",
    "visualize",
    "vjp",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """tinyllm.experiments and tinyllm.visualize are imported when they are first asked for."""
    if name in ("experiments", "visualize"):
        return import_module(f"tinyllm.{name}")
    raise AttributeError(f"module 'tinyllm' has no attribute '{name}'")
