"""What the exporters write with: the nodes and constants of an ONNX graph."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["OPSET", "Builder", "Value"]

OPSET = 17  # the first with LayerNormalization


@dataclass(eq=False)
class Value:
    """A tensor of the file: its name, shape (None where it is open), dtype, and the mask that travels with it."""

    name: str
    shape: tuple
    dtype: Any
    mask: "Value | None" = None


class Builder:
    """Collects the nodes and constants of a graph. Tensors go by their names."""

    def __init__(self, onnx: Any):
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self._names: set[str] = set()
        self._known: dict[tuple, str] = {}  # constants: shared weights are written once

    def input(self, name: str, shape: tuple, dtype: np.dtype) -> Value:
        """An input of the whole graph."""
        self.inputs.append(self.described(self.free(name), dtype, shape))
        return Value(name, tuple(shape), np.dtype(dtype))

    def constant(self, array: Any, dtype: Any = None) -> str:
        """A constant."""
        array = np.asarray(array, dtype)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._known:
            self._known[key] = self.free("constant")
            stored = np.ascontiguousarray(array).reshape(array.shape)
            self.constants.append(self.onnx.numpy_helper.from_array(stored, self._known[key]))
        return self._known[key]

    def add(self, op: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; inputs are Values, names, lists for constant whole numbers, or "". The output, or a list."""
        names = [
            each.name if isinstance(each, Value) else self.constant(each, np.int64) if isinstance(each, list) else each
            for each in inputs
        ]
        made = [self.free(op.lower()) for _ in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(op, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def scan(self, step: Callable, states: list, steps: list, dtypes: list) -> tuple[Any, list]:
        """states = step(states, slices) for each slice of `steps` along axis 0.

        Returns the first of the states after each step, side by side along axis 0, and the last states. dtypes: of the
        states, then of the steps.
        """
        inputs = [self.free("step") for _ in (*states, *steps)]
        outside, self.nodes = self.nodes, []
        new = step(inputs[: len(states)], inputs[len(states) :])
        outputs = [self.add("Identity", each) for each in (*new, new[0])]  # a graph's outputs have different names
        of_outputs = [*dtypes[: len(states)], dtypes[0]]
        body = self.onnx.helper.make_graph(
            self.nodes,
            "step",
            [self.described(name, dtype, None) for name, dtype in zip(inputs, dtypes)],
            [self.described(name, dtype, None) for name, dtype in zip(outputs, of_outputs)],
        )
        self.nodes = outside
        how = {"body": body, "num_scan_inputs": len(steps)}
        *last, every = self.add("Scan", *states, *steps, outputs=len(outputs), **how)
        return every, last

    def cast(self, x: Any, dtype: Any) -> Any:
        """A Value in another dtype."""
        if x.dtype == dtype:
            return x
        return Value(self.add("Cast", x, to=self.element(dtype)), x.shape, np.dtype(dtype), x.mask)

    def zeros(self, dtype: Any, like: Any, *sizes: int) -> str:
        """Zeros (batch, *sizes), as many samples as `like` has."""
        shape = self.add("Concat", self.add("Slice", self.add("Shape", like), [0], [1]), list(sizes), axis=0)
        return self.add("ConstantOfShape", shape, value=self.onnx.numpy_helper.from_array(np.zeros(1, dtype)))

    def element(self, dtype: Any) -> int:
        """ONNX's number of a dtype."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def described(self, name: str, dtype: Any, shape: tuple | None) -> Any:
        """An input or output with its type and shape; open axes get names. None: a shape that is not told."""
        axes = shape and [("batch" if i == 0 else f"{name}_axis_{i}") if n is None else n for i, n in enumerate(shape)]
        return self.onnx.helper.make_tensor_value_info(name, self.element(dtype), axes)

    def free(self, name: str) -> str:
        """The name, with a number behind it where it is taken; from now on it is."""
        number, found = 0, name
        while found in self._names:
            number, found = number + 1, f"{name}_{number + 1}"
        self._names.add(found)
        return found
