"""Input and InputLayer: where a model begins."""

from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.layers.base import Layer
from tinyllm.layers.symbolic import Call, SymbolicTensor, outputs_of

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """Says what one sample looks like, so that a model can be built before it sees data.

    >>> InputLayer((5,)).batch_input_shape
    (None, 5)
    """

    def __init__(self, shape: tuple, **options: Any):
        super().__init__(input_shape=shape, **options)
        self.ensure_built(self.batch_input_shape)
        self.symbol: SymbolicTensor = outputs_of(Call(self, None, {}), self.batch_input_shape, self.dtype)

    def call(self, x):
        return x

    def compute_output_shape(self, input_shape):
        return input_shape

    def cast(self, x):
        return x if isinstance(x, Tensor) else np.asarray(x)

    def get_config(self):
        config = {"name": self.name, "shape": list((self.batch_input_shape or ())[1:])}
        return config | {"dtype": self.dtype.name} if self.dtype_given else config


def Input(shape: tuple, dtype: Any = None, name: str | None = None) -> SymbolicTensor:
    """A symbolic tensor (batch, *shape), where a Model begins. None in the shape: an axis of any length.

    >>> Input((5,), name="ids")
    <SymbolicTensor (None, 5) float32 of 'ids'>
    """
    return InputLayer(shape, dtype=dtype, name=name).symbol
