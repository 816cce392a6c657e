"""Dropout: while training, some values are left out, so that no value can rely on a certain other one."""

from typing import Any

import numpy as np

from tinyllm.layers.arguments import fraction
from tinyllm.layers.base import Layer, Shape

__all__ = ["Dropout", "SpatialDropout1D", "dropout_mask"]


def dropout_mask(layer: Layer, shape: tuple[int, ...], rate: float) -> np.ndarray:
    """0 with probability `rate`, else 1 / (1 - rate), so that what is multiplied by it keeps its mean."""
    return ((layer.generator.random(shape) >= rate) / (1 - rate)).astype(layer.dtype)


class Dropout(Layer):
    """While training, sets each value to 0 with probability `rate` and scales the others by 1 / (1 - rate).

    Outside training it does nothing (Srivastava et al. 2014). noise_shape: the shape of what is drawn, where one draw
    serves a whole axis: (None, 1, None) drops a feature in all time steps or in none; None stands for the input's size.

    >>> y = Dropout(0.25, seed=0)(np.ones((1, 8)), training=True)
    >>> np.unique(y.data)
    array([0.       , 1.3333334], dtype=float32)
    """

    def __init__(self, rate: float, noise_shape: tuple | None = None, **options: Any):
        super().__init__(**options)
        self.rate = fraction(type(self).__name__, "rate", rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, x, training=False):
        if not training or self.rate == 0:
            return x
        return x * dropout_mask(self, self._drawn(x.shape), self.rate)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def _drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        wanted = self.noise_shape
        if len(wanted) != len(shape) or any(n not in (None, 1, size) for n, size in zip(wanted, shape)):
            raise ValueError(f"Dropout '{self.name}': noise_shape {wanted} does not fit inputs of shape {shape}")
        return tuple(size if n is None else n for n, size in zip(wanted, shape))


class SpatialDropout1D(Layer):
    """While training, drops whole features: each is left out of all time steps, or of none (Tompson et al. 2015).

    x (batch, time, features). Neighbours in time resemble each other: what one step lacks is read from the next.

    >>> y = SpatialDropout1D(0.5, seed=1)(np.ones((1, 3, 4)), training=True)
    >>> bool((y.data == y.data[:, :1]).all())
    True
    """

    def __init__(self, rate: float, **options: Any):
        super().__init__(**options)
        self.rate = fraction("SpatialDropout1D", "rate", rate)

    def call(self, x, training=False):
        if x.ndim != 3:
            found = f"found {x.shape}"
            raise ValueError(f"SpatialDropout1D '{self.name}': expected inputs (batch, time, features), {found}")
        if not training or self.rate == 0:
            return x
        return x * dropout_mask(self, (x.shape[0], 1, x.shape[2]), self.rate)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
