"""Conv1D: the same small window over every stretch of time."""

from typing import Any

import numpy as np

from tinyllm import activations, initializers, regularizers
from tinyllm.layers.arguments import one_of, positive, single
from tinyllm.layers.base import Layer, Shape
from tinyllm.layers.reshaping import CHANNELS
from tinyllm.ops import conv1d

__all__ = ["Conv1D"]


class Conv1D(Layer):
    """A convolution over time: y[t] = activation(sum over w of x[t strides + w dilation_rate] @ kernel[w] + bias).

    x (batch, time, features); kernel (kernel_size, features / groups, filters); bias (filters,);
    y (batch, steps, filters).
    padding      "valid": none; "same": zeros on both sides so that steps = ceil(time / strides); "causal": zeros
                 before, so that no output depends on a later step (van den Oord et al. 2016)
    groups       so many parts of the features, each with its own part of the filters
    data_format  "channels_last", or "channels_first" for x and y with time as the last axis

    Raises ValueError where the window is longer than the sequence.

    >>> Conv1D(4, 3, padding="causal")(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int],
        strides: int | tuple[int] = 1,
        padding: str = "valid",
        data_format: str = "channels_last",
        dilation_rate: int | tuple[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.filters = positive("Conv1D", "filters", filters)
        self.kernel_size = single("Conv1D", "kernel_size", kernel_size)
        self.strides = single("Conv1D", "strides", strides)
        self.padding = one_of("Conv1D", "padding", padding, ("valid", "same", "causal"))
        self.data_format = one_of("Conv1D", "data_format", data_format or "channels_last", CHANNELS)
        self.dilation_rate = single("Conv1D", "dilation_rate", dilation_rate)
        self.groups = positive("Conv1D", "groups", groups)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        if self.filters % self.groups:
            raise ValueError(f"Conv1D: groups must divide filters; found {groups} and {filters}")

    def build(self, input_shape):
        features = input_shape[-1 if self.data_format == "channels_last" else 1] if len(input_shape) == 3 else None
        if features is None:
            axes = "(batch, time, features)" if self.data_format == "channels_last" else "(batch, features, time)"
            raise ValueError(f"Conv1D '{self.name}': expected inputs {axes}, found {tuple(input_shape)}")
        if features % self.groups:
            found = f"found {self.groups} and {features}"
            raise ValueError(f"Conv1D '{self.name}': groups must divide the features; {found}")
        shape = (self.kernel_size, features // self.groups, self.filters)
        self.kernel = self.add_weight("kernel", shape, self.kernel_initializer)
        self.bias = self.add_weight("bias", (self.filters,), self.bias_initializer) if self.use_bias else None
        self.compute_output_shape(input_shape)

    def call(self, x):
        self.compute_output_shape(x.shape)
        x = x if self.data_format == "channels_last" else np.swapaxes(x, 1, 2)
        how = {"stride": self.strides, "padding": self.padding, "dilation": self.dilation_rate}
        if self.groups == 1:
            y = conv1d(x, self.kernel, **how)
        else:
            parts = zip(np.split(x, self.groups, axis=2), np.split(self.kernel, self.groups, axis=2))
            y = np.concatenate([conv1d(part, kernel, **how) for part, kernel in parts], axis=2)
        y = self.activation(y if self.bias is None else y + self.bias)
        return y if self.data_format == "channels_last" else np.swapaxes(y, 1, 2)

    def compute_mask(self, x, mask=None):
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        last = self.data_format == "channels_last"
        batch, time, features = input_shape if last or len(input_shape) != 3 else [input_shape[i] for i in (0, 2, 1)]
        wanted = self.kernel.shape[1] * self.groups
        if features != wanted:
            axes = f"(batch, time, {wanted})" if last else f"(batch, {wanted}, time)"
            raise ValueError(f"Conv1D '{self.name}': expected inputs {axes}, found {tuple(input_shape)}")
        span = self.dilation_rate * (self.kernel_size - 1) + 1
        steps = windows(time, span, self.strides, self.padding)
        if steps is not None and steps < 1:
            raise ValueError(f"Conv1D '{self.name}': {time} time steps are fewer than the {span} that the kernel spans")
        return (batch, steps, self.filters) if last else (batch, self.filters, steps)


def windows(time: int | None, span: int, stride: int, padding: str) -> int | None:
    """How many windows of `span` steps there are, one every `stride` steps; None if the time is not known."""
    if time is None:
        return None
    return (time - span) // stride + 1 if padding == "valid" else -(-time // stride)
