"""Add, Subtract, Multiply, Average and Concatenate: several inputs become one."""

from functools import reduce
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.layers.base import Layer, Shape

__all__ = ["Add", "Average", "Concatenate", "Multiply", "Subtract"]


class _Merge(Layer):
    """Element by element, of a list of inputs: a time step counts if it counts in any of them.

    Their shapes are equal, or broadcast; an input with fewer axes gets the missing ones after the batch.
    """

    several_inputs = True

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, x):
        axes = max(each.ndim for each in x)
        self.compute_output_shape([each.shape for each in x])
        return self.merge([np.reshape(each, _widened(each.shape, axes)) for each in x])

    def merge(self, inputs: list) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no merge()")

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        axes = max(map(len, input_shape))
        sizes = [set(column) for column in zip(*(_widened(tuple(s), axes) for s in input_shape))]
        if any(len(s - {1, None}) > 1 for s in sizes[1:]) or len(sizes[0] - {None}) > 1:
            raise ValueError(f"{type(self).__name__} '{self.name}': inputs of shapes {_listed(input_shape)} do not fit")
        return tuple(next(iter(s - {1, None}), None if None in s else 1) for s in sizes)

    def compute_mask(self, x, mask=None):
        if mask is None or any(m is None for m in mask):
            return None
        return reduce(np.logical_or, [np.asarray(as_array(m), bool) for m in mask])


class Add(_Merge):
    """a + b + ... of a list of inputs: a residual connection, for one (He et al. 2016).

    >>> Add()([np.ones((1, 2)), np.ones((1, 2))]).data
    array([[2., 2.]], dtype=float32)
    """

    def merge(self, inputs):
        return reduce(np.add, inputs)


class Subtract(_Merge):
    """a - b of a list of two inputs.

    >>> Subtract()([np.ones((1, 2)), np.ones((1, 2))]).data
    array([[0., 0.]], dtype=float32)
    """

    def merge(self, inputs):
        if len(inputs) != 2:
            raise ValueError(f"Subtract '{self.name}': expected two inputs, found {len(inputs)}")
        return inputs[0] - inputs[1]


class Multiply(_Merge):
    """a * b * ... of a list of inputs, element by element: a gate, for one.

    >>> Multiply()([np.full((1, 2), 3.0), np.full((1, 2), 2.0)]).data
    array([[6., 6.]], dtype=float32)
    """

    def merge(self, inputs):
        return reduce(np.multiply, inputs)


class Average(_Merge):
    """The mean of a list of inputs.

    >>> Average()([np.zeros((1, 2)), np.ones((1, 2))]).data
    array([[0.5, 0.5]], dtype=float32)
    """

    def merge(self, inputs):
        return reduce(np.add, inputs) / len(inputs)


class Concatenate(Layer):
    """The inputs of a list side by side along an axis, by default the features.

    Raises ValueError where the inputs differ in another axis.

    >>> Concatenate()([np.ones((2, 3)), np.ones((2, 4))]).shape
    (2, 7)
    """

    several_inputs = True

    def __init__(self, axis: int = -1, **options: Any):
        super().__init__(**options)
        self.axis = axis

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, x):
        self.compute_output_shape([each.shape for each in x])
        return np.concatenate(x, axis=self.axis)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        axes = {len(s) for s in input_shape}
        if len(axes) != 1 or not -min(axes) <= self.axis < min(axes) or self.axis % min(axes) == 0:
            found = f"found shapes {_listed(input_shape)} and axis {self.axis}"
            raise ValueError(f"Concatenate '{self.name}': inputs of as many axes join along one but the batch; {found}")
        joined = self.axis % min(axes)
        columns = list(zip(*input_shape))
        if any(len(set(c) - {None}) > 1 for i, c in enumerate(columns) if i != joined):
            found = f"found shapes {_listed(input_shape)}"
            raise ValueError(f"Concatenate '{self.name}': inputs may differ only along axis {self.axis}; {found}")
        sizes = [next((n for n in c if n is not None), None) for c in columns]
        sizes[joined] = None if None in columns[joined] else sum(n for n in columns[joined] if n is not None)
        return tuple(sizes)

    def compute_mask(self, x, mask=None):
        if mask is None or all(m is None for m in mask):
            return None
        wide = [
            np.ones(np.shape(each), bool)
            if m is None
            else np.broadcast_to(np.reshape(as_array(m), _trailing(np.shape(m), np.ndim(each))), np.shape(each))
            for each, m in zip(x, mask)
        ]
        return np.concatenate(wide, axis=self.axis).any(axis=-1)


def _widened(shape: tuple, axes: int) -> tuple:
    """A shape with as many axes, the new ones of size 1 after the batch."""
    return (*shape[:1], *[1] * (axes - len(shape)), *shape[1:])


def _trailing(shape: tuple, axes: int) -> tuple:
    """A shape with as many axes, the new ones of size 1 at the end."""
    return (*shape, *[1] * (axes - len(shape)))


def _listed(shapes: list) -> str:
    return ", ".join(str(tuple(s)) for s in shapes)
