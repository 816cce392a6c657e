"""Activation functions: what a layer does to x @ kernel + bias. Each takes and returns an array or a Tensor.

Those that are not in the table of derivatives are written with functions that are.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.names import lookup
from tinyllm.ops import relu, sigmoid, softmax, softplus

__all__ = [
    "elu",
    "exponential",
    "get",
    "hard_sigmoid",
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

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, appendix A1

tanh = np.tanh
exponential = np.exp


def linear(x):
    """x itself."""
    return x


def hard_sigmoid(x):
    """A sigmoid of three straight pieces, clip(0.2 x + 0.5, 0, 1) (the slope of tf.keras 2; Keras 3 has 1/6).

    >>> hard_sigmoid(np.array([-3.0, 0.0, 1.0]))
    array([0. , 0.5, 0.7])
    """
    return np.clip(0.2 * x + 0.5, 0.0, 1.0)


def elu(x, alpha=1.0):
    """x where positive, alpha (exp(x) - 1) elsewhere (Clevert et al. 2016).

    >>> elu(np.array([1.0, -1000.0]))
    array([ 1., -1.])
    """
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0.0, x)))


def selu(x):
    """A scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017)."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def silu(x):
    """x sigmoid(x), also called swish (Ramachandran et al. 2017)."""
    return x * sigmoid(x)


def softsign(x):
    """x / (1 + |x|)."""
    return x / (1 + np.absolute(x))


ACTIVATIONS: dict[str, Callable] = {
    f.__name__: f for f in (elu, hard_sigmoid, linear, relu, selu, sigmoid, silu, softmax, softplus, softsign, tanh)
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
