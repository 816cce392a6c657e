"""MultiHeadAttention in ONNX, from matrix products and a softmax."""

from typing import Any

import numpy as np

from tinyllm import layers
from tinyllm.saving.onnx.builder import Builder, Value
from tinyllm.saving.onnx.masks import any_of
from tinyllm.saving.onnx.registry import exports

MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")


@exports(layers.MultiHeadAttention, options=(*MASKS, "use_causal_mask"))
def attention(b, layer, xs, use_causal_mask=False, **masks):
    query, value, key = xs[0], xs[1], xs[-1]
    heads = {name: _projected(b, layer, name, x) for name, x in (("query", query), ("key", key), ("value", value))}
    scale = b.constant(1 / np.sqrt(layer.key_dim), layer.dtype)
    scores = b.add("Mul", b.add("MatMul", heads["query"], b.add("Transpose", heads["key"], perm=[0, 1, 3, 2])), scale)
    if any(x.mask is not None for x in xs):  # those that travel with the inputs come first, as in the layer
        masks |= dict(zip(MASKS, [*(x.mask for x in xs), None][:3]))
    may_look = _visible(b, scores, masks, use_causal_mask)
    if may_look is None:
        weights = b.add("Softmax", scores, axis=-1)
    else:
        anywhere = any_of(b, may_look)
        seen = b.add("Or", may_look, b.add("Not", anywhere))
        scores = b.add("Where", seen, scores, b.constant(-np.inf, layer.dtype))
        weights = b.add("Where", anywhere, b.add("Softmax", scores, axis=-1), b.constant(0, layer.dtype))
    y = b.add("Transpose", b.add("MatMul", weights, heads["value"]), perm=[0, 2, 1, 3])
    kernel, bias = _weights(layer, "attention_output")
    sides = b.add("Reshape", y, [0, 0, layer.num_heads * layer.value_dim])
    out = b.add("MatMul", sides, b.constant(kernel.reshape(layer.num_heads * layer.value_dim, -1)))
    out = b.add("Reshape", out, [0, 0, *kernel.shape[2:]])
    return out if bias is None else b.add("Add", out, b.constant(bias))


def _visible(b: Builder, scores: str, masks: dict[str, Any], causal: bool) -> str | None:
    """Where all masks allow to look, of a shape that fits (batch, heads, m, n); None: everywhere."""
    found = []
    for name, mask in masks.items():
        if mask is not None:
            mask = b.cast(mask, bool) if isinstance(mask, Value) else b.constant(mask, bool)
            missing = {"query_mask": [2], "value_mask": [1], "key_mask": [1], "attention_mask": None}[name]
            found.append(mask if missing is None else b.add("Unsqueeze", mask, missing))
    if causal:
        shape = b.add("Slice", b.add("Shape", scores), [2], [4])
        ones = b.add("ConstantOfShape", shape, value=b.onnx.numpy_helper.from_array(np.ones(1, np.int64)))
        found.append(b.add("Cast", b.add("Trilu", ones, upper=0), to=b.element(bool)))
    if not found:
        return None
    every = found[0]
    for each in found[1:]:
        every = b.add("And", every, each)
    return b.add("Unsqueeze", every, [-3])  # the same for all heads


def _projected(b: Builder, layer: Any, name: str, x: Value) -> str:
    """A projection, head by head: (batch, heads, time, size)."""
    kernel, bias = _weights(layer, name)
    y = b.add("MatMul", x, b.constant(kernel.reshape(len(kernel), -1)))
    y = y if bias is None else b.add("Add", y, b.constant(bias.ravel()))
    return b.add("Transpose", b.add("Reshape", y, [0, 0, *kernel.shape[1:]]), perm=[0, 2, 1, 3])


def _weights(layer: Any, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    bias = layer.own_parameters.get(f"{name}/bias")
    return layer.own_parameters[f"{name}/kernel"].data, None if bias is None else bias.data
