"""Which function exports which layer: exports() enters it, export_layer() finds it and keeps shapes and masks."""

from collections.abc import Callable
from typing import Any

from tinyllm import layers
from tinyllm.layers.base import Layer
from tinyllm.saving.onnx.builder import Builder, Value
from tinyllm.saving.onnx.masks import mask_after

__all__ = ["export_layer", "exports", "refused"]

EXPORTERS: dict[type, Callable] = {}
OPTIONS: dict[type, tuple[str, ...]] = {}


def exports(*kinds: type, options: tuple[str, ...] = ()) -> Callable:
    """Enter a function as the way to export these layers: function(builder, layer, x, **options) -> names.

    x is a Value, or a list of them where the layer takes several inputs; the result a name, or a list of names where
    call() returns a list. options: what such a layer may be called with.
    """

    def enter(function: Callable) -> Callable:
        EXPORTERS.update(dict.fromkeys(kinds, function))
        OPTIONS.update(dict.fromkeys(kinds, options))
        return function

    return enter


def export_layer(b: Builder, layer: Layer, x: Any, options: dict[str, Any]) -> Any:
    """Add the layer's nodes; its output, or a list of them. TypeError, naming the layer, where there is no way."""
    kind = type(layer)
    if isinstance(layer, layers.MODELS["Model"]):
        return _model(b, layer, x)
    if kind not in EXPORTERS:
        raise TypeError(f"export: the layer '{layer.name}' is a {kind.__name__}, which has no counterpart in ONNX here")
    options = {name: value for name, value in options.items() if value is not None and (name, value) != TRAINING}
    if strange := options.keys() - set(OPTIONS[kind]):
        raise refused(layer, f"it is called with {min(strange)}=")
    xs = [
        each if kind is layers.Embedding else b.cast(each, layer.dtype) for each in (x if isinstance(x, list) else [x])
    ]
    x = xs if layer.several_inputs else xs[0]
    y = EXPORTERS[kind](b, layer, x, **options)
    shape = layer.compute_output_shape([each.shape for each in xs] if layer.several_inputs else x.shape)
    mask = mask_after(b, layer, x)
    if not isinstance(shape, list):
        return Value(y, shape, layer.dtype, mask)
    masks = mask if isinstance(mask, list) else [mask] * len(shape)
    return [Value(name, of_y, layer.dtype, of_mask) for name, of_y, of_mask in zip(y, shape, masks)]


TRAINING = ("training", False)


def _model(b: Builder, model: Any, x: Any) -> Any:
    if issubclass(type(model), layers.MODELS["Sequential"]):
        for layer in model.layers:
            x = export_layer(b, layer, x, {})
        return x
    if model.outputs is None:
        raise TypeError(f"export: {type(model).__name__} is a class of your own, whose call() no file can hold")
    return model._through(x, lambda layer, x, options: export_layer(b, layer, x, options))


def refused(layer: Any, why: str) -> TypeError:
    """The error of a layer that has no exact counterpart."""
    return TypeError(
        f"export: the layer '{layer.name}' ({type(layer).__name__}) has no exact counterpart in ONNX: {why}"
    )
