"""Dense and Activation: the layers that look at one position at a time."""

from typing import Any

from tinyllm import activations, initializers, regularizers
from tinyllm.layers.arguments import positive
from tinyllm.layers.base import Layer, Shape
from tinyllm.ops import linear

__all__ = ["Activation", "Dense"]


class Dense(Layer):
    """A fully connected layer: y = activation(x @ kernel + bias).

    x (..., features); kernel (features, units); bias (units,); y (..., units).

    Raises ValueError when x has another number of features than the kernel.

    >>> import numpy as np
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
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.units = positive("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def build(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(f"Dense '{self.name}': expected inputs (batch, ..., features), found {input_shape}")
        self.kernel = self.add_weight("kernel", (input_shape[-1], self.units), self.kernel_initializer)
        self.bias = self.add_weight("bias", (self.units,), self.bias_initializer) if self.use_bias else None

    def call(self, x):
        features = self.kernel.shape[0]
        if x.shape[-1] != features:
            raise ValueError(f"Dense '{self.name}': expected inputs (..., {features}), found {x.shape}")
        return self.activation(linear(x, self.kernel, self.bias))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)


class Activation(Layer):
    """An activation function as a layer of its own: y = activation(x).

    >>> import numpy as np
    >>> Activation("relu")(np.array([[-1.0, 2.0]])).data
    array([[0., 2.]], dtype=float32)
    """

    def __init__(self, activation: Any, **options: Any):
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, x):
        return self.activation(x)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
