"""Dense and Dropout: the layers that look at one position at a time."""

from typing import Any

import numpy as np

from tinyllm import activations, initializers
from tinyllm.layers.base import Layer, Shape

__all__ = ["Dense", "Dropout"]


class Dense(Layer):
    """A fully connected layer: y = activation(x @ kernel + bias).

    x (..., features); kernel (features, units); bias (units,); y (..., units).

    Raises ValueError when x has another number of features than the kernel.

    >>> Dense(3)(np.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ):
        super().__init__(**options)
        self.units = positive("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(f"Dense '{self.name}': expected inputs (batch, ..., features), found {input_shape}")
        self.kernel = self.add_weight("kernel", (input_shape[-1], self.units), self.kernel_initializer)
        self.bias = self.add_weight("bias", (self.units,), self.bias_initializer) if self.use_bias else None

    def call(self, x):
        features = self.kernel.shape[0]
        if x.shape[-1] != features:
            raise ValueError(f"Dense '{self.name}': expected inputs (..., {features}), found {x.shape}")
        y = np.reshape(x, (-1, features)) @ self.kernel
        if self.bias is not None:
            y = y + self.bias
        return self.activation(np.reshape(y, (*x.shape[:-1], self.units)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return super().get_config() | {
            "units": self.units,
            "activation": activations.name_of(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


class Dropout(Layer):
    """While training, sets each value to 0 with probability `rate` and scales the others by 1 / (1 - rate).

    Outside training it does nothing (Srivastava et al. 2014).

    >>> y = Dropout(0.25, seed=0)(np.ones((1, 8)), training=True)
    >>> np.unique(y.data)
    array([0.       , 1.3333334], dtype=float32)
    """

    def __init__(self, rate: float, **options: Any):
        super().__init__(**options)
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate must be at least 0 and below 1; found {rate}")
        self.rate = rate

    def call(self, x, training=False):
        if not training or self.rate == 0:
            return x
        if self.rng is None:
            self.rng = np.random.default_rng(0)
        keep = self.rng.random(x.shape) >= self.rate
        return x * (keep / (1 - self.rate)).astype(x.dtype)

    def get_config(self):
        return super().get_config() | {"rate": self.rate}


def positive(layer: str, argument: str, value: Any) -> int:
    """A positive whole number, or an error that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{layer}: {argument} must be a positive whole number; found {value!r}")
    return int(value)
