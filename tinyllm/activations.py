"""Activation functions: what a layer does to x @ kernel + bias. Each takes and returns an array or a Tensor.

Those that are not in the table of derivatives are written with functions that are.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm import ops
from tinyllm.names import lookup
from tinyllm.ops import elu, erfc, hard_sigmoid, relu, selu, sigmoid, silu, softmax, softplus, softsign

__all__ = [
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]

SQRT_HALF = float(np.float32(0.5**0.5))

tanh = np.tanh
exponential = np.exp


def linear(x):
    """x itself."""
    return x


def leaky_relu(x, negative_slope=0.2):
    """x where it is positive, else negative_slope x: ops.leaky_relu with Keras's slope (PyTorch's is 0.01).

    >>> leaky_relu(np.array([-1.0, 2.0]))
    array([-0.2,  2. ])
    """
    return ops.leaky_relu(x, negative_slope)


def gelu(x, approximate=False):
    """ops.gelu as Keras has it: sqrt(1/2) is rounded to float32 there, also for float64 (a difference of 1e-8).

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    return ops.gelu(x, approximate=True) if approximate else 0.5 * x * erfc(-x * SQRT_HALF)


ACTIVATIONS: dict[str, Callable] = {
    f.__name__: f
    for f in (elu, gelu, hard_sigmoid, leaky_relu, linear, relu, selu, sigmoid, silu, softmax, softplus, softsign, tanh)
} | {"exponential": exponential, "swish": silu}


def get(activation: Any) -> Callable:
    """An activation by name; None is linear; a function is returned as it is. ValueError on an unknown name."""
    if activation is None:
        return linear
    return activation if callable(activation) else lookup("activation", activation, ACTIVATIONS)


def name_of(activation: Callable) -> str:
    """The name under which get() finds this activation (a model file stores it). ValueError for a private function."""
    for name, known in ACTIVATIONS.items():
        if known is activation:
            return name
    raise ValueError(f"{activation!r} is not one of tinyllm's activations, so a model file cannot name it")
