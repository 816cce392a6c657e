"""ONNX: a model as a file that other programs run (onnxruntime, browsers, phones). Needs the package onnx.

A model is exported layer by layer (layers.py holds one function for each class, recurrent.py and attention.py those
that look along time), for prediction: dropout does nothing. The batch axis may have any size, and so may any axis that
the model does not fix. Masks are part of the file (masks.py).
"""

import os
from typing import Any

import numpy as np

from tinyllm.layers import InputLayer
from tinyllm.layers.base import Layer
from tinyllm.layers.symbolic import SymbolicTensor, mapped
from tinyllm.saving.files import exclusive, path_text, write_atomically
from tinyllm.saving.onnx import attention, layers, recurrent  # noqa: F401 (each enters its functions)
from tinyllm.saving.onnx.builder import OPSET, Builder, Value
from tinyllm.saving.onnx.registry import export_layer

__all__ = ["export_onnx"]

IR_VERSION = 8  # the one that came with OPSET


def export_onnx(model: Any, path: Any) -> None:
    """Write the model to an ONNX file: inputs and outputs under their layers' names, `preprocess` is not part of it.

    Raises TypeError, naming the layer, for what has no exact counterpart: a class of your own, an activation of your
    own, a stateful layer. Nothing is written then.
    """
    path = os.path.realpath(path_text(path, "export"))
    if os.path.isdir(path):
        raise IsADirectoryError(f"export: '{path}' is a folder; choose a name for a file, such as model.onnx")
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

    builder = Builder(onnx)
    values = [builder.input(*each) for each in _inputs(model)]
    outputs = export_layer(builder, model, values if len(values) > 1 else values[0], {})
    flat: list[Value] = []
    mapped(flat.append, outputs)
    wanted = [f"output_{i}" for i in range(len(flat))] if len(flat) > 1 else ["output"]
    names = [builder.free(name) for name in (outputs if isinstance(outputs, dict) else wanted)]
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
