"""Flatten, Reshape and RepeatVector: the same numbers in another shape."""

import math
from typing import Any

import numpy as np

from tinyllm.layers.arguments import one_of, positive
from tinyllm.layers.base import Layer, Shape

__all__ = ["CHANNELS", "Flatten", "RepeatVector", "Reshape"]

CHANNELS = ("channels_last", "channels_first")  # Keras's names for (batch, time, features) and (batch, features, time)


class Flatten(Layer):
    """All numbers of a sample in one row: (batch, a, b, ...) becomes (batch, a b ...).

    data_format: "channels_last", or "channels_first" to move axis 1 to the end before.

    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format: str = "channels_last", **options: Any):
        super().__init__(**options)
        self.data_format = one_of("Flatten", "data_format", data_format or "channels_last", CHANNELS)

    def call(self, x):
        if self.data_format == "channels_first" and x.ndim > 2:
            x = np.moveaxis(x, 1, -1)
        return np.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute_mask(self, x, mask=None):
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], _product(input_shape[1:]))


class Reshape(Layer):
    """Each sample in another shape: (batch, ...) becomes (batch, *target_shape); one size may be -1, it is worked out.

    Raises ValueError where the sizes do not fit.

    >>> Reshape((-1, 2))(np.ones((3, 8))).shape
    (3, 4, 2)
    """

    def __init__(self, target_shape: tuple, **options: Any):
        super().__init__(**options)
        self.target_shape = tuple(target_shape)
        sizes = [n for n in self.target_shape if n != -1]
        if len(self.target_shape) - len(sizes) > 1 or any(not isinstance(n, int | np.integer) or n < 0 for n in sizes):
            raise ValueError(f"Reshape: target_shape holds sizes, at most one of them -1; found {target_shape!r}")

    def call(self, x):
        return np.reshape(x, (x.shape[0], *self.compute_output_shape(x.shape)[1:]))

    def compute_mask(self, x, mask=None):
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        given, rest = _product(input_shape[1:]), math.prod(n for n in self.target_shape if n != -1)
        if given is None:
            return (input_shape[0], *(None if n == -1 else n for n in self.target_shape))
        if given % rest if -1 in self.target_shape and rest else given != rest:
            found = f"found {given} numbers, {tuple(input_shape[1:])}"
            raise ValueError(f"Reshape '{self.name}': a sample must fit target_shape {self.target_shape}; {found}")
        return (input_shape[0], *(given // max(rest, 1) if n == -1 else n for n in self.target_shape))


class RepeatVector(Layer):
    """The same vector n times: (batch, features) becomes (batch, n, features).

    >>> RepeatVector(3)(np.ones((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n: int, **options: Any):
        super().__init__(**options)
        self.n = positive("RepeatVector", "n", n)

    def call(self, x):
        if x.ndim != 2:
            raise ValueError(f"RepeatVector '{self.name}': expected inputs (batch, features), found {x.shape}")
        return np.repeat(x[:, None], self.n, axis=1)

    def compute_mask(self, x, mask=None):
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.n, input_shape[1])


def _product(sizes: Shape) -> int | None:
    """How many numbers there are, None where a size is not known."""
    return None if None in sizes else math.prod(n for n in sizes if n is not None)
