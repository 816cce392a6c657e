"""How each layer looks in ONNX: one function per class, of the builder, the layer, its input and a call's options."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm import activations, layers
from tinyllm.layers.base import Layer
from tinyllm.saving.onnx.builder import Builder, Value
from tinyllm.saving.onnx.masks import mask_of_steps
from tinyllm.saving.onnx.registry import export_layer, exports, refused

__all__ = ["activated"]


# -- one position at a time -----------------------------------------------------------------------------------------


@exports(layers.InputLayer, layers.Dropout, layers.SpatialDropout1D)
def same(b, layer, x):
    return b.add("Identity", x)


@exports(layers.Activation)
def activation(b, layer, x):
    return activated(b, layer, x.name, layer.activation)


def activated(b: Builder, layer: Layer, x: str, function: Callable) -> str:
    """An activation function after x."""
    simple: dict[Any, tuple[str, dict[str, Any]]] = {
        activations.relu: ("Relu", {}),
        activations.sigmoid: ("Sigmoid", {}),
        activations.tanh: ("Tanh", {}),
        activations.softmax: ("Softmax", {"axis": -1}),
        activations.elu: ("Elu", {"alpha": 1.0}),
        activations.selu: ("Selu", {}),
        activations.softplus: ("Softplus", {}),
        activations.softsign: ("Softsign", {}),
        activations.exponential: ("Exp", {}),
        activations.leaky_relu: ("LeakyRelu", {"alpha": -float(activations.leaky_relu(np.array(-1.0)))}),
        activations.hard_sigmoid: ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    }
    if function in simple:
        op, attributes = simple[function]
        return b.add(op, x, **attributes)
    if function is activations.linear:
        return x
    if function is activations.silu:
        return b.add("Mul", x, b.add("Sigmoid", x))
    if function is activations.gelu:  # x (1 + erf(x / sqrt(2))) / 2
        half, root = b.constant(0.5, layer.dtype), b.constant(np.sqrt(0.5), layer.dtype)
        inner = b.add("Add", b.add("Erf", b.add("Mul", x, root)), b.constant(1.0, layer.dtype))
        return b.add("Mul", b.add("Mul", x, half), inner)
    raise refused(layer, f"its activation {getattr(function, '__name__', function)}")


@exports(layers.Dense)
def dense(b, layer, x):
    y = b.add("MatMul", x, b.constant(layer.kernel.data))
    y = y if layer.bias is None else b.add("Add", y, b.constant(layer.bias.data))
    return activated(b, layer, y, layer.activation)


@exports(layers.Embedding)
def embedding(b, layer, x):
    return b.add("Gather", b.constant(layer.embeddings.data), b.cast(x, np.int64), axis=0)


@exports(layers.Masking)
def masking(b, layer, x):
    counts = b.add("Unsqueeze", mask_of_steps(b, layer, x), [-1])
    return b.add("Where", counts, x, b.constant(0, layer.dtype))


@exports(layers.LayerNormalization, layers.RMSNormalization)
def normalization(b, layer, x):
    axes = layer.axes(len(x.shape))
    if axes != list(range(axes[0], len(x.shape))):
        raise refused(layer, f"it normalises axis {layer.axis}, not the last")
    if isinstance(layer, layers.LayerNormalization):
        shape = layer.weight_shape(x.shape)
        gain = np.ones(shape, layer.dtype) if layer.gamma is None else layer.gamma.data
        bias = np.zeros(shape, layer.dtype) if layer.beta is None else layer.beta.data
        how = {"axis": axes[0], "epsilon": layer.epsilon}
        return b.add("LayerNormalization", x, b.constant(gain), b.constant(bias), **how)
    square = b.add("ReduceMean", b.add("Mul", x, x), axes=axes, keepdims=1)
    root = b.add("Sqrt", b.add("Add", square, b.constant(layer.epsilon, layer.dtype)))
    return b.add("Mul", b.add("Div", x, root), b.constant(layer.scale.data))


@exports(layers.TimeDistributed)
def each_step(b, layer, x):
    if None in x.shape[2:]:
        raise refused(layer, f"its steps have an axis of open size: {x.shape}")
    mask = x.mask
    if mask is not None:  # (batch, time, inner time): the inner layer's own
        sizes = [-1, *mask.shape[2:]]
        mask = Value(b.add("Reshape", mask, sizes), (None, *sizes[1:]), bool) if len(sizes) > 1 else None
    flat = b.add("Reshape", x, [-1, *x.shape[2:]])
    y = export_layer(b, layer.layer, Value(flat, (None, *x.shape[2:]), layer.dtype, mask), {})
    ends = b.add("Slice", b.add("Shape", x), [0], [2])
    return b.add("Reshape", y, b.add("Concat", ends, b.constant(y.shape[1:], np.int64), axis=0))


# -- shapes and several inputs --------------------------------------------------------------------------------------


@exports(layers.Flatten)
def flattened(b, layer, x):
    if layer.data_format == "channels_first" and len(x.shape) > 2:
        return b.add("Reshape", b.add("Transpose", x, perm=[0, *range(2, len(x.shape)), 1]), [0, -1])
    return b.add("Reshape", x, [0, -1])


@exports(layers.Reshape)
def reshaped(b, layer, x):
    return b.add("Reshape", x, [0, *layer.target_shape])


@exports(layers.RepeatVector)
def repeated(b, layer, x):
    return b.add("Tile", b.add("Unsqueeze", x, [1]), [1, layer.n, 1])


@exports(layers.Add, layers.Subtract, layers.Multiply, layers.Average)
def merged(b, layer, xs):
    axes = max(len(x.shape) for x in xs)
    wide = [b.add("Unsqueeze", x, list(range(1, 1 + axes - len(x.shape)))) if len(x.shape) < axes else x for x in xs]
    if isinstance(layer, layers.Average):
        return b.add("Mean", *wide)
    op = {layers.Add: "Add", layers.Subtract: "Sub", layers.Multiply: "Mul"}[type(layer)]
    y = wide[0]
    for each in wide[1:]:
        y = b.add(op, y, each)
    return b.add("Identity", y) if isinstance(y, Value) else y


@exports(layers.Concatenate)
def concatenated(b, layer, xs):
    return b.add("Concat", *xs, axis=layer.axis % len(xs[0].shape))


# -- windows over time, and the whole time --------------------------------------------------------------------------


@exports(layers.Conv1D)
def convolution(b, layer, x):
    bias = [] if layer.bias is None else [b.constant(layer.bias.data)]
    span = layer.dilation_rate * (layer.kernel_size - 1)
    pads = {"causal": [span, 0], "same": [span // 2, span - span // 2], "valid": [0, 0]}
    where: dict[str, Any] = {"pads": pads[layer.padding]}
    if layer.padding == "same" and layer.strides > 1:  # how much is padded hangs on the length
        if layer.dilation_rate > 1:  # onnxruntime does not compute it, and Keras knows no such layer
            raise refused(layer, "padding='same' with both strides and dilation_rate above 1")
        where = {"auto_pad": "SAME_UPPER"}
    how = {"strides": [layer.strides], "dilations": [layer.dilation_rate], "group": layer.groups}
    kernel = b.constant(layer.kernel.data.transpose(2, 1, 0))
    features_first = _features_first(b, layer, x)
    y = b.add("Conv", features_first, kernel, *bias, kernel_shape=[layer.kernel_size], **where, **how)
    y = activated(b, layer, _turned(b, y), layer.activation)
    return y if layer.data_format == "channels_last" else _turned(b, y)


@exports(layers.MaxPooling1D, layers.AveragePooling1D)
def pooled(b, layer, x):
    op = "MaxPool" if isinstance(layer, layers.MaxPooling1D) else "AveragePool"
    pad = "SAME_UPPER" if layer.padding == "same" else "VALID"
    how = {"kernel_shape": [layer.pool_size], "strides": [layer.strides], "auto_pad": pad}
    y = b.add(op, _features_first(b, layer, x), **how)
    return y if layer.data_format == "channels_first" else _turned(b, y)


@exports(layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D)
def pooled_whole(b, layer, x):
    how = {"axes": [2], "keepdims": int(layer.keepdims)}
    y, mask = _features_first(b, layer, x), x.mask
    if isinstance(layer, layers.GlobalMaxPooling1D):
        y = b.add("ReduceMax", y, **how)
    elif mask is None:
        y = b.add("ReduceMean", y, **how)
    else:  # over the steps that count
        seen = b.add("Unsqueeze", mask, [1])
        number = b.add("Cast", seen, to=b.element(layer.dtype))
        count = b.add("Max", b.add("ReduceSum", number, [2], keepdims=1), b.constant(1, layer.dtype))
        parts = b.add("Where", seen, b.add("Mul", y, b.add("Div", number, count)), b.constant(0, layer.dtype))
        y = b.add("ReduceSum", parts, [2], keepdims=int(layer.keepdims))
    return _turned(b, y) if layer.keepdims and layer.data_format == "channels_last" else y


def _features_first(b: Builder, layer: Any, x: Value) -> Any:
    """(batch, features, time), whatever the layer's data_format."""
    return x if layer.data_format == "channels_first" else _turned(b, x)


def _turned(b: Builder, x: Any) -> str:
    """(batch, time, features) to (batch, features, time), and back."""
    return b.add("Transpose", x, perm=[0, 2, 1])
