"""Masks in an ONNX graph: booleans (batch, time) that say which time steps count, as Layer.compute_mask has them."""

from functools import reduce
from typing import Any

import numpy as np

from tinyllm import layers
from tinyllm.saving.onnx.builder import Builder, Value

__all__ = ["any_of", "mask_after", "mask_of_steps"]


def mask_after(b: Builder, layer: Any, x: Any) -> Any:
    """The mask of a layer's output: a Value, None, or a list for several outputs."""
    if isinstance(layer, layers.Embedding):
        return _differs(b, b.cast(x, np.int64), 0) if layer.mask_zero else None
    if isinstance(layer, layers.Masking):
        return mask_of_steps(b, layer, x)
    masks = [each.mask for each in x] if isinstance(x, list) else x.mask
    if masks is None or (isinstance(masks, list) and all(each is None for each in masks)):
        masks = None
    elif isinstance(layer, layers.Concatenate):
        return _joined(b, layer, x)
    elif isinstance(layer, layers.Add | layers.Subtract | layers.Multiply | layers.Average):
        return None if None in masks else reduce(lambda m, n: Value(b.add("Or", m, n), m.shape, bool), masks)
    return layer.compute_mask(None, masks)  # every other layer passes the mask on, or ends it


def mask_of_steps(b: Builder, layer: layers.Masking, x: Value) -> Value:
    """Masking's own: where any feature of a step differs from mask_value."""
    differs = _differs(b, x, layer.mask_value)
    return Value(any_of(b, differs.name, keepdims=0), x.shape[:-1], bool)


def any_of(b: Builder, x: Any, keepdims: int = 1) -> str:
    """Whether any of the booleans along the last axis is true."""
    numbers = b.add("Cast", x, to=b.element(np.float32))  # ONNX takes no maximum of booleans
    return b.add("Cast", b.add("ReduceMax", numbers, axes=[-1], keepdims=keepdims), to=b.element(bool))


def _differs(b: Builder, x: Value, value: float) -> Value:
    return Value(b.add("Not", b.add("Equal", x, b.constant(value, x.dtype))), x.shape, bool)


def _joined(b: Builder, layer: layers.Concatenate, xs: list[Value]) -> Value:
    """A step counts if it counts in any input; the inputs may lie behind one another in time."""
    yes, wide = b.constant(True), []
    for x in xs:
        mask: Any = yes
        if x.mask is not None:
            missing = list(range(len(x.mask.shape), len(x.shape)))
            mask = b.add("Unsqueeze", x.mask, missing) if missing else x.mask
        wide.append(b.add("Expand", mask, b.add("Shape", x)))
    rank = len(xs[0].shape)
    return Value(any_of(b, b.add("Concat", *wide, axis=layer.axis % rank), keepdims=0), xs[0].shape[:-1], bool)
