"""Pooling over time: the largest value or the mean, of windows or of the whole sequence."""

from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.layers.arguments import one_of, single
from tinyllm.layers.base import Layer, Shape
from tinyllm.layers.convolution import windows
from tinyllm.layers.reshaping import CHANNELS

__all__ = ["AveragePooling1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "MaxPooling1D"]


class _OverTime(Layer):
    """What all share: inputs (batch, time, features), or with data_format="channels_first" (batch, features, time)."""

    def __init__(self, data_format: str = "channels_last", **options: Any):
        super().__init__(**options)
        self.data_format = one_of(type(self).__name__, "data_format", data_format or "channels_last", CHANNELS)

    def call(self, x, mask=None):
        if x.ndim != 3:
            raise ValueError(f"{type(self).__name__} '{self.name}': expected three axes, found inputs {x.shape}")
        if self.data_format == "channels_last":
            return self.pooled(x, mask)
        y = self.pooled(np.swapaxes(x, 1, 2), mask)
        return np.swapaxes(y, 1, 2) if y.ndim == 3 else y

    def pooled(self, x: Any, mask: Any) -> Any:
        """The result for x (batch, time, features)."""
        raise NotImplementedError(f"{type(self).__name__} has no pooled()")

    def compute_mask(self, x, mask=None):
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.data_format == "channels_last":
            return self.pooled_shape(input_shape)
        y = self.pooled_shape(tuple(input_shape[i] for i in (0, 2, 1)))
        return (y[0], y[2], y[1]) if len(y) == 3 else y

    def pooled_shape(self, shape: Shape) -> Shape:
        """The result's shape for x (batch, time, features)."""
        raise NotImplementedError(f"{type(self).__name__} has no pooled_shape()")


class _Windows(_OverTime):
    """pool_size time steps, every `strides` steps (by default pool_size): so no step is in two windows.

    padding: "valid" leaves out what does not fill a window; "same" lets windows reach over the ends.
    """

    def __init__(
        self,
        pool_size: int | tuple[int] = 2,
        strides: int | tuple[int] | None = None,
        padding: str = "valid",
        data_format: str = "channels_last",
        **options: Any,
    ):
        super().__init__(data_format, **options)
        kind = type(self).__name__
        self.pool_size = single(kind, "pool_size", pool_size)
        self.strides = self.pool_size if strides is None else single(kind, "strides", strides)
        self.padding = one_of(kind, "padding", padding, ("valid", "same"))

    def pooled(self, x, mask):
        time = x.shape[1]
        steps = windows(time, self.pool_size, self.strides, self.padding) or 0
        if steps < 1:
            who = f"{type(self).__name__} '{self.name}'"
            raise ValueError(f"{who}: {time} time steps are fewer than the {self.pool_size} of a window")
        missing = (steps - 1) * self.strides + self.pool_size - time if self.padding == "same" else 0
        index = np.arange(steps)[:, None] * self.strides + np.arange(self.pool_size) - max(missing, 0) // 2
        inside = (index >= 0) & (index < time)
        return self.of_windows(x[:, index.clip(0, time - 1)], inside)

    def of_windows(self, x: Any, inside: np.ndarray) -> Any:
        """One value from each window. x (batch, steps, pool_size, features); inside (steps, pool_size): what counts."""
        raise NotImplementedError(f"{type(self).__name__} has no of_windows()")

    def pooled_shape(self, shape):
        return (shape[0], windows(shape[1], self.pool_size, self.strides, self.padding), shape[2])


class MaxPooling1D(_Windows):
    """The largest value of each window, feature by feature.

    x (batch, time, features); y (batch, steps, features). The other arguments: pool_size time steps are a window, one
    begins every `strides` steps; padding "valid" or "same" (windows may reach over the ends).

    >>> MaxPooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]])).data.ravel()
    array([3., 2.], dtype=float32)
    """

    def of_windows(self, x, inside):
        return np.max(x, axis=2)  # beyond an end stands the value at the end, which is in the window too


class AveragePooling1D(_Windows):
    """The mean of each window, feature by feature; what lies beyond the ends does not count.

    x (batch, time, features); y (batch, steps, features). Arguments as for MaxPooling1D.

    >>> AveragePooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]])).data.ravel()
    array([2., 1.], dtype=float32)
    """

    def of_windows(self, x, inside):
        share = inside / inside.sum(axis=1, keepdims=True)
        return np.sum(x * share[:, :, None].astype(x.dtype), axis=2)


class _Global(_OverTime):
    """Of the whole sequence. keepdims: y keeps a time axis, of size 1."""

    def __init__(self, data_format: str = "channels_last", keepdims: bool = False, **options: Any):
        super().__init__(data_format, **options)
        self.keepdims = keepdims

    def pooled_shape(self, shape):
        return (shape[0], 1, shape[2]) if self.keepdims else (shape[0], shape[2])


class GlobalMaxPooling1D(_Global):
    """The largest value over time, feature by feature. As in Keras, a mask does not count.

    x (batch, time, features); y (batch, features).

    >>> GlobalMaxPooling1D()(np.array([[[1.0, 5.0], [3.0, 2.0]]])).data
    array([[3., 5.]], dtype=float32)
    """

    def pooled(self, x, mask):
        return np.max(x, axis=1, keepdims=self.keepdims)


class GlobalAveragePooling1D(_Global):
    """The mean over the time steps whose mask is True (over none: 0), feature by feature.

    x (batch, time, features); y (batch, features).

    >>> GlobalAveragePooling1D()(np.array([[[1.0], [3.0], [9.0]]]), mask=np.array([[True, True, False]])).data
    array([[2.]], dtype=float32)
    """

    def pooled(self, x, mask):
        if mask is None:
            return np.mean(x, axis=1, keepdims=self.keepdims)
        seen = np.asarray(as_array(mask), bool)
        if seen.shape != x.shape[:2]:
            who = f"GlobalAveragePooling1D '{self.name}'"
            raise ValueError(f"{who}: expected a mask of shape {x.shape[:2]}, found {seen.shape}")
        share = (seen / np.maximum(seen.sum(axis=1, keepdims=True), 1)).astype(x.dtype)
        return np.sum(np.where(seen[..., None], x * share[..., None], 0), axis=1, keepdims=self.keepdims)
