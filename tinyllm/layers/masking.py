"""Masking: which time steps count, read from the values themselves."""

from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.layers.base import Layer, Shape

__all__ = ["Masking"]


class Masking(Layer):
    """A time step whose features all equal mask_value is padding: layers after this one skip it.

    x (batch, time, features); y is x with zeros in the padding.

    >>> Masking().compute_mask(np.array([[[1.0, 0.0], [0.0, 0.0]]]))
    array([[ True, False]])
    """

    def __init__(self, mask_value: float = 0.0, **options: Any):
        super().__init__(**options)
        self.mask_value = mask_value

    def call(self, x):
        return np.where(self.compute_mask(x)[..., None], x, np.zeros((), x.dtype))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute_mask(self, x, mask=None):
        return np.not_equal(as_array(self.cast(x)), self.mask_value).any(axis=-1)
