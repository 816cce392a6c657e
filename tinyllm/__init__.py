"""tinyllm: understand a language model by reading, breaking and checking one. Pure NumPy."""

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
from tinyllm.autograd import Tensor, gradcheck, no_grad
from tinyllm.models import Sequential

__all__ = [
    "Sequential",
    "Tensor",
    "activations",
    "callbacks",
    "gradcheck",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "no_grad",
    "ops",
    "optimizers",
    "preprocessing",
]
__version__ = "0.1.0"
