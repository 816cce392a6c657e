"""LayerNormalization and RMSNormalization: each position's features brought to one size."""

import math
from typing import Any

import numpy as np

from tinyllm import initializers, regularizers
from tinyllm.layers.base import Layer, Shape
from tinyllm.ops import layer_norm, rms_norm

__all__ = ["LayerNormalization", "RMSNormalization"]


class _Normalization(Layer):
    """What both share: which axes are normalised, and their shape, which is that of the weights."""

    def __init__(self, axis: int | list[int] | tuple[int, ...], epsilon: float, **options: Any):
        super().__init__(**options)
        if not epsilon >= 0:
            raise ValueError(f"{type(self).__name__}: epsilon must be at least 0; found {epsilon!r}")
        self.axis = axis
        self.epsilon = epsilon

    def axes(self, dimensions: int) -> list[int]:
        """The axes along which an input with so many dimensions is normalised, in order, counted from 0."""
        wanted = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        if any(not -dimensions <= a < dimensions for a in wanted) or 0 in [a % dimensions for a in wanted]:
            found = f"found axis {self.axis} and inputs of {dimensions} axes"
            raise ValueError(f"{type(self).__name__} '{self.name}': axes of a sample are needed; {found}")
        return sorted({a % dimensions for a in wanted})

    def weight_shape(self, input_shape: Shape) -> tuple[int, ...]:
        """One number for each that is normalised together."""
        sizes = [input_shape[a] for a in self.axes(len(input_shape))]
        if None in sizes:
            found = f"found inputs {tuple(input_shape)} and axis {self.axis}"
            raise ValueError(f"{type(self).__name__} '{self.name}': what is normalised must have a known size; {found}")
        return tuple(n for n in sizes if n is not None)

    def call(self, x):
        axes = self.axes(x.ndim)
        expected, found = self.weight_shape(self.input_shape or x.shape), self.weight_shape(x.shape)
        if expected != found:
            who = f"{type(self).__name__} '{self.name}'"
            raise ValueError(f"{who}: expected sizes {expected} along axis {self.axis}, found inputs {x.shape}")
        if axes == [x.ndim - 1]:
            return self.normalized(x)
        order = [a for a in range(x.ndim) if a not in axes] + axes  # the axes to the end, and made one
        moved = np.transpose(x, order)
        flat = np.reshape(moved, (*moved.shape[: x.ndim - len(axes)], math.prod(found)))
        return np.transpose(np.reshape(self.normalized(flat), moved.shape), np.argsort(order))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def normalized(self, x: Any) -> Any:
        """x normalised over its last axis."""
        raise NotImplementedError(f"{type(self).__name__} has no normalized()")


class LayerNormalization(_Normalization):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance of each position (Ba et al. 2016).

    x (..., features); gamma, beta (features,); axis: another axis, or a list of axes that are normalised together.
    center, scale: whether there is a beta, a gamma.

    >>> LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0]])).data
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: int | list[int] | tuple[int, ...] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **options: Any,
    ):
        super().__init__(axis, epsilon, **options)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)

    def build(self, input_shape):
        shape = self.weight_shape(input_shape)
        self.gamma = self.add_weight("gamma", shape, self.gamma_initializer) if self.scale else None
        self.beta = self.add_weight("beta", shape, self.beta_initializer) if self.center else None

    def normalized(self, x):
        gain = 1.0 if self.gamma is None else np.reshape(self.gamma, (-1,))
        bias = 0.0 if self.beta is None else np.reshape(self.beta, (-1,))
        return layer_norm(x, gain, bias, self.epsilon)


class RMSNormalization(_Normalization):
    """y = scale x / sqrt(mean of x^2 + epsilon): no mean is taken off (Zhang & Sennrich 2019).

    x (..., features); scale (features,); axis: another axis, or a list of axes that are normalised together.

    >>> RMSNormalization(epsilon=0.0)(np.array([[3.0, -3.0]])).data
    array([[ 1., -1.]], dtype=float32)
    """

    def __init__(self, axis: int | list[int] | tuple[int, ...] = -1, epsilon: float = 1e-6, **options: Any):
        super().__init__(axis, epsilon, **options)

    def build(self, input_shape):
        self.scale = self.add_weight("scale", self.weight_shape(input_shape), "ones")

    def normalized(self, x):
        return rms_norm(x, np.reshape(self.scale, (-1,)), self.epsilon)
