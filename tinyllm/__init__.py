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
from tinyllm.autograd import Tensor, grad, gradcheck, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp
from tinyllm.models import Sequential

__all__ = [
    "Sequential",
    "Tensor",
    "activations",
    "callbacks",
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
    "vjp",
]
__version__ = "0.1.0"
