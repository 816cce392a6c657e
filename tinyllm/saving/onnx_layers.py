"""How each layer looks in ONNX: one function per class, of the builder, the layer, its inputs and a call's options.

Gates: our LSTM has i, f, g, o side by side, ONNX stacks i, o, f, c; the GRU's z, r, n are ONNX's z, r, h. Matrices are
turned round, (directions, gates units, features).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm import activations, layers
from tinyllm.layers.base import Layer
from tinyllm.saving.onnx import Builder, Value

__all__ = ["export_layer"]

EXPORTERS: dict[type, Callable] = {}


def export_layer(b: Builder, layer: Layer, x: Any, options: dict[str, Any]) -> Any:
    """Add the layer's nodes; its output, or a list of them. TypeError, naming the layer, where there is no way."""
    kind = type(layer)
    if isinstance(layer, layers.MODELS["Model"]):
        return _model(b, layer, x)
    if kind not in EXPORTERS:
        raise TypeError(f"export: the layer '{layer.name}' is a {kind.__name__}, which has no counterpart in ONNX here")
    strange = [name for name, value in options.items() if value is not None and (kind, name) not in OPTIONS]
    if strange:
        raise _refused(layer, f"it is called with {strange[0]}=")
    xs = x if isinstance(x, list) else [x]
    if any(each.masked for each in xs) and kind in MASK_MATTERS:
        raise _refused(layer, "a mask reaches it, which ONNX does not know: use mask_zero=False and no Masking")
    masked = any(each.masked for each in xs) and kind not in MASK_ENDS
    dtype = layer.dtype
    xs = [each if kind is layers.Embedding else b.cast(each, dtype) for each in xs]
    y = EXPORTERS[kind](b, layer, xs if layer.several_inputs else xs[0], **options)
    shapes = [each.shape for each in xs]
    shape = layer.compute_output_shape(shapes if layer.several_inputs else shapes[0])
    if isinstance(shape, list):
        return [Value(name, each, dtype) for name, each in zip(y, shape)]
    return Value(y, shape, dtype, masked or getattr(layer, "mask_zero", False) or kind is layers.Masking)


def _model(b: Builder, model: Any, x: Any) -> Any:
    if issubclass(type(model), layers.MODELS["Sequential"]):
        for layer in model.layers:
            x = export_layer(b, layer, x, {})
        return x
    if model.outputs is None:
        raise TypeError(f"export: {type(model).__name__} is a class of your own, whose call() no file can hold")
    return model._through(x, lambda layer, x, options: export_layer(b, layer, x, options))


def _refused(layer: Layer, why: str) -> TypeError:
    who = f"the layer '{layer.name}' ({type(layer).__name__})"
    return TypeError(f"export: {who} has no exact counterpart in ONNX: {why}")


def exports(*kinds: type) -> Callable:
    """Enter a function as the way to export these layers."""

    def enter(function: Callable) -> Callable:
        EXPORTERS.update(dict.fromkeys(kinds, function))
        return function

    return enter


OPTIONS = {
    (layers.MultiHeadAttention, "use_causal_mask"),
    *((kind, "initial_state") for kind in (layers.LSTM, layers.GRU, layers.SimpleRNN)),
}
RECURRENT = (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Bidirectional)
MASK_MATTERS = {*RECURRENT, layers.MultiHeadAttention, layers.GlobalAveragePooling1D, layers.TimeDistributed}
MASK_ENDS = {layers.Flatten, layers.Conv1D, layers.GlobalMaxPooling1D, layers.Reshape, layers.MaxPooling1D}


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
    raise _refused(layer, f"its activation {getattr(function, '__name__', function)}")


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
    differs = b.add("Not", b.add("Equal", x, b.constant(layer.mask_value, layer.dtype)))
    number = b.add("Cast", differs, to=b.onnx.helper.np_dtype_to_tensor_dtype(layer.dtype))
    return b.add("Mul", x, b.add("ReduceMax", number, axes=[-1], keepdims=1))


@exports(layers.LayerNormalization, layers.RMSNormalization)
def normalization(b, layer, x):
    if layer.axes(len(x.shape)) != [len(x.shape) - 1]:
        raise _refused(layer, f"it normalises axis {layer.axis}, not the last")
    if isinstance(layer, layers.LayerNormalization):
        size = x.shape[-1]
        gain = np.ones(size, layer.dtype) if layer.gamma is None else layer.gamma.data
        bias = np.zeros(size, layer.dtype) if layer.beta is None else layer.beta.data
        return b.add("LayerNormalization", x, b.constant(gain), b.constant(bias), axis=-1, epsilon=layer.epsilon)
    square = b.add("ReduceMean", b.add("Mul", x, x), axes=[-1], keepdims=1)
    root = b.add("Sqrt", b.add("Add", square, b.constant(layer.epsilon, layer.dtype)))
    return b.add("Mul", b.add("Div", x, root), b.constant(layer.scale.data))


@exports(layers.TimeDistributed)
def each_step(b, layer, x):
    if None in x.shape[2:]:
        raise _refused(layer, f"its steps have an axis of open size: {x.shape}")
    flat = b.add("Reshape", x, [-1, *x.shape[2:]])
    y = export_layer(b, layer.layer, Value(flat, (None, *x.shape[2:]), layer.dtype), {})
    ends = b.add("Slice", b.add("Shape", x), [0], [2])
    return b.add("Reshape", y, b.add("Concat", ends, b.constant(y.shape[1:], np.int64), axis=0))


# -- shapes and several inputs --------------------------------------------------------------------------------------


@exports(layers.Flatten, layers.Reshape)
def reshaped(b, layer, x):
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise _refused(layer, "data_format='channels_first'")
    wanted = [-1] if isinstance(layer, layers.Flatten) else list(layer.target_shape)
    return b.add("Reshape", x, [0, *wanted])


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


# -- over time ------------------------------------------------------------------------------------------------------


@exports(layers.Conv1D)
def convolution(b, layer, x):
    if layer.data_format != "channels_last":
        raise _refused(layer, "data_format='channels_first'")
    kernel = b.constant(layer.kernel.data.transpose(2, 1, 0))
    bias = [] if layer.bias is None else [b.constant(layer.bias.data)]
    span = layer.dilation_rate * (layer.kernel_size - 1)
    pads = {"causal": [span, 0], "same": [span // 2, span - span // 2], "valid": [0, 0]}
    where: dict[str, Any] = {"pads": pads[layer.padding]}
    if layer.padding == "same" and layer.strides > 1:  # how much is padded hangs on the length
        where = {"auto_pad": "SAME_UPPER"}
    how = {"strides": [layer.strides], "dilations": [layer.dilation_rate], "group": layer.groups}
    y = b.add("Conv", _turned(b, x), kernel, *bias, kernel_shape=[layer.kernel_size], **where, **how)
    return activated(b, layer, _turned(b, y), layer.activation)


@exports(layers.MaxPooling1D, layers.AveragePooling1D)
def pooled(b, layer, x):
    if layer.data_format != "channels_last":
        raise _refused(layer, "data_format='channels_first'")
    op = "MaxPool" if isinstance(layer, layers.MaxPooling1D) else "AveragePool"
    pad = "SAME_UPPER" if layer.padding == "same" else "VALID"
    y = b.add(op, _turned(b, x), kernel_shape=[layer.pool_size], strides=[layer.strides], auto_pad=pad)
    return _turned(b, y)


@exports(layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D)
def pooled_whole(b, layer, x):
    axis = 1 if layer.data_format == "channels_last" else 2
    op = "ReduceMax" if isinstance(layer, layers.GlobalMaxPooling1D) else "ReduceMean"
    return b.add(op, x, axes=[axis], keepdims=int(layer.keepdims))


def _turned(b: Builder, x: Any) -> str:
    """(batch, time, features) to (batch, features, time), and back."""
    return b.add("Transpose", x, perm=[0, 2, 1])


@exports(layers.LSTM, layers.GRU, layers.SimpleRNN)
def recurrent(b, layer, x, initial_state=None):
    states = initial_state if isinstance(initial_state, list) or initial_state is None else [initial_state]
    sequence, *last = _read(b, layer, x, states)
    if layer.return_sequences and layer.go_backwards:  # ours come in the order in which they are made
        sequence = b.add("Slice", sequence, [-1], [np.iinfo(np.int64).min], [1], [-1])
    y = sequence if layer.return_sequences else last[0]
    return [y, *last] if layer.return_state else y


@exports(layers.Bidirectional)
def bidirectional(b, layer, x):
    found = [_read(b, each, x, None) for each in (layer.layer, layer.backward_layer)]
    ends = [each[0] if layer.return_sequences else each[1] for each in found]
    op = {"concat": "Concat", "sum": "Add", "mul": "Mul", "ave": "Mean", None: None}[layer.merge_mode]
    how = {"axis": -1} if op == "Concat" else {}
    outputs = ends if op is None else [b.add(op, *ends, **how)]
    if layer.return_state:
        return outputs + [state for each in found for state in each[1:]]
    return outputs if op is None else outputs[0]


def _read(b: Builder, layer: Any, x: Value, states: list | None) -> list[str]:
    """(all outputs in the order of time, the last states) of a recurrent layer, by ONNX's operator of its kind."""
    unusual = layer.activation is not activations.tanh
    unusual |= getattr(layer, "recurrent_activation", activations.sigmoid) is not activations.sigmoid
    if layer.stateful or unusual:
        raise _refused(layer, "stateful=True" if layer.stateful else "activations other than tanh and sigmoid")
    units = layer.units
    kernel, recurrent_kernel = _stacked(layer, layer.kernel.data), _stacked(layer, layer.recurrent_kernel.data)
    inputs: list[Any] = [b.add("Transpose", x, perm=[1, 0, 2]), b.constant(kernel), b.constant(recurrent_kernel)]
    if layer.bias is not None:
        both = layer.bias.data if layer.bias.ndim == 2 else np.stack([layer.bias.data, np.zeros_like(layer.bias.data)])
        inputs.append(b.constant(np.concatenate([_stacked(layer, each[:, None])[0, :, 0] for each in both])[None]))
    if states is not None:
        inputs += [""] * (5 - len(inputs)) + [b.add("Unsqueeze", b.cast(each, layer.dtype), [0]) for each in states]
    kind = {layers.LSTM: "LSTM", layers.GRU: "GRU", layers.SimpleRNN: "RNN"}[type(layer)]
    how: dict[str, Any] = {"hidden_size": units, "direction": "reverse" if layer.go_backwards else "forward"}
    if kind == "GRU":
        how["linear_before_reset"] = int(layer.reset_after)
    y, *last = b.add(kind, *inputs, outputs=1 + len(layer.state_names), **how)
    sequence = b.add("Transpose", b.add("Squeeze", y, [1]), perm=[1, 0, 2])
    return [sequence, *(b.add("Squeeze", each, [0]) for each in last)]


def _stacked(layer: Any, w: np.ndarray) -> np.ndarray:
    """A kernel (features, gates units), or a bias (gates units, 1), as ONNX has it: (1, gates units, features or 1)."""
    w = w if w.shape[-1] == 1 and w.shape[0] == layer.gates * layer.units else w.T
    gates = np.split(w, layer.gates)
    if isinstance(layer, layers.LSTM):
        i, f, g, o = gates
        gates = [i, o, f, g]
    return np.concatenate(gates)[None]


@exports(layers.MultiHeadAttention)
def attention(b, layer, xs, use_causal_mask=False):
    query, value, key = xs[0], xs[1], xs[-1]
    if len(layer._output(query.shape)) != 1:
        raise _refused(layer, f"output_shape={layer.output_shape}")
    heads = {name: _projected(b, layer, name, x) for name, x in (("query", query), ("key", key), ("value", value))}
    scale = b.constant(1 / np.sqrt(layer.key_dim), layer.dtype)
    scores = b.add("Mul", b.add("MatMul", heads["query"], b.add("Transpose", heads["key"], perm=[0, 1, 3, 2])), scale)
    if use_causal_mask:
        shape = b.add("Slice", b.add("Shape", scores), [2], [4])
        minus = b.onnx.numpy_helper.from_array(np.array([-1e9], layer.dtype))
        later = b.add("Trilu", b.add("ConstantOfShape", shape, value=minus), b.constant(1, np.int64), upper=1)
        scores = b.add("Add", scores, later)
    y = b.add("MatMul", b.add("Softmax", scores, axis=-1), heads["value"])
    flat = b.add("Reshape", b.add("Transpose", y, perm=[0, 2, 1, 3]), [0, 0, layer.num_heads * layer.value_dim])
    kernel = layer.own_parameters["attention_output/kernel"].data
    y = b.add("MatMul", flat, b.constant(kernel.reshape(-1, kernel.shape[-1])))
    bias = layer.own_parameters.get("attention_output/bias")
    return y if bias is None else b.add("Add", y, b.constant(bias.data))


def _projected(b: Builder, layer: Any, name: str, x: Value) -> str:
    """A projection, head by head: (batch, heads, time, size)."""
    kernel, bias = layer.own_parameters[f"{name}/kernel"].data, layer.own_parameters.get(f"{name}/bias")
    y = b.add("MatMul", x, b.constant(kernel.reshape(len(kernel), -1)))
    y = y if bias is None else b.add("Add", y, b.constant(bias.data.ravel()))
    return b.add("Transpose", b.add("Reshape", y, [0, 0, *kernel.shape[1:]]), perm=[0, 2, 1, 3])
