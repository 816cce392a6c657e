"""ONNX: a model as a file that other programs run (onnxruntime, browsers, phones). Needs the package onnx.

A model is exported layer by layer (onnx_layers.py holds one function for each class), for prediction: dropout does
nothing. The batch axis may have any size, and so may any axis that the model does not fix.
"""

import os
from typing import Any

import numpy as np

from tinyllm.layers import InputLayer
from tinyllm.layers.base import Layer
from tinyllm.layers.symbolic import SymbolicTensor, mapped
from tinyllm.saving.files import exclusive, path_text, write_atomically

__all__ = ["export_onnx"]

OPSET = 17  # the first with LayerNormalization
IR_VERSION = 8  # the one that came with it


def export_onnx(model: Any, path: Any) -> None:
    """Write the model to an ONNX file: inputs and outputs under their layers' names, `preprocess` is not part of it.

    Raises TypeError, naming the layer, for what has no exact counterpart: a class of your own, an unusual activation, a
    stateful layer, a mask that reaches a layer whose result depends on it. Nothing is written then.
    """
    path = os.path.realpath(path_text(path, "export"))
    data = _onnx_bytes(model)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with exclusive(os.path.dirname(path)):
        write_atomically(path, data)


def _onnx_bytes(model: Any) -> bytes:
    try:
        import onnx
    except ImportError:
        raise ImportError("export needs onnx: pip install 'tinyllm-numpy[onnx]'") from None
    from tinyllm import __version__
    from tinyllm.saving.onnx_layers import export_layer

    builder = Builder(onnx)
    inputs = _inputs(model)
    values = [builder.input(*each) for each in inputs]
    outputs = export_layer(builder, model, values if len(values) > 1 else values[0], {})
    flat: list[Value] = []
    mapped(flat.append, outputs)
    names = [f"output_{i}" if len(flat) > 1 else "output" for i in range(len(flat))]
    for value, name in zip(flat, names):
        builder.nodes.append(onnx.helper.make_node("Identity", [value.name], [name]))
    made = onnx.helper.make_graph(
        builder.nodes,
        model.name,
        builder.inputs,
        [builder.described(name, value.dtype, value.shape) for name, value in zip(names, flat)],
        builder.constants,
    )
    opset = [onnx.helper.make_opsetid("", OPSET)]
    whole = onnx.helper.make_model(made, opset_imports=opset, producer_name="tinyllm", producer_version=__version__)
    whole.ir_version = IR_VERSION
    onnx.checker.check_model(whole)
    return whole.SerializeToString()


def _inputs(model: Any) -> list[tuple[str, tuple, np.dtype]]:
    """Name, shape and dtype of each input."""
    if not model.built:
        raise RuntimeError(f"export: the model '{model.name}' has no weights yet: build it, or show it some data")
    if getattr(model, "inputs", None) is not None:
        symbols: list[SymbolicTensor] = []
        mapped(symbols.append, model.inputs)
        return [(s.call.layer.name, s.shape, s.dtype) for s in symbols]
    first: Layer = model.layers[0]
    name = first.name if isinstance(first, InputLayer) else f"{first.name}_input"
    return [(name, (None, *model.input_shape[1:]), first.dtype)]


class Value:
    """A tensor of the file: its name, its shape (None where it is open), its dtype, and whether steps are masked."""

    def __init__(self, name: str, shape: tuple, dtype: Any, masked: bool = False):
        self.name, self.shape, self.dtype, self.masked = name, tuple(shape), np.dtype(dtype), masked


class Builder:
    """Collects the nodes and constants of a graph."""

    def __init__(self, onnx: Any):
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.count = 0

    def input(self, name: str, shape: tuple, dtype: np.dtype) -> Value:
        """An input of the whole graph."""
        self.inputs.append(self.described(name, dtype, shape))
        return Value(name, shape, dtype)

    def constant(self, array: Any, dtype: Any = None) -> str:
        """The name of a constant."""
        name = self._name("constant")
        array = np.ascontiguousarray(np.asarray(array, dtype)).reshape(np.shape(array))
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; inputs are Values, names, integers for constant index lists, or "". The outputs' names."""
        names = [
            each.name if isinstance(each, Value) else self.constant(each, np.int64) if isinstance(each, list) else each
            for each in inputs
        ]
        made = [self._name(op.lower()) for _ in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(op, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def cast(self, x: Value, dtype: Any) -> Value:
        """x in another dtype."""
        if x.dtype == dtype:
            return x
        to = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return Value(self.add("Cast", x, to=to), x.shape, dtype, x.masked)

    def described(self, name: str, dtype: np.dtype, shape: tuple) -> Any:
        """An input or output with its type and shape; open axes get names."""
        axes = [("batch" if i == 0 else f"{name}_axis_{i}") if n is None else n for i, n in enumerate(shape)]
        element = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.onnx.helper.make_tensor_value_info(name, element, axes)

    def _name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"
