"""Symbolic tensors: what Input() gives and what a layer gives when it is called on one. A Model is made of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

__all__ = [
    "Call",
    "Shape",
    "SymbolicTensor",
    "any_symbolic",
    "common_shape",
    "mapped",
    "outputs_of",
    "shapes_of",
    "zeros_of",
]

Shape = tuple[int | None, ...]  # the batch axis, and any axis not known yet, is None


@dataclass(eq=False)
class Call:
    """A layer called on symbolic tensors: x (one, or a list) and the options of the call."""

    layer: Any
    x: Any
    options: dict[str, Any]
    number: int = field(default_factory=count().__next__)  # a call is newer than those that made its inputs
    outputs: list["SymbolicTensor"] = field(default_factory=list)


@dataclass(eq=False)
class SymbolicTensor:
    """A value to come: of this shape, the batch axis None, and dtype; output number `index` of a call.

    It has no numbers yet, so NumPy's functions and operators refuse it: call layers on it instead.

    >>> from tinyllm.layers import Add, Dense, Input
    >>> x = Input((3,))
    >>> Add()([Dense(3)(x), x])
    <SymbolicTensor (None, 3) float32 of 'add'>
    >>> x + 1
    Traceback (most recent call last):
    TypeError: a symbolic tensor has no values yet: call a layer on it (Add()([a, b]) for a + b), not +
    """

    shape: Shape
    dtype: np.dtype
    call: Call
    index: int = 0

    @property
    def ndim(self) -> int:
        """Number of axes, the batch's included."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<SymbolicTensor {self.shape} {self.dtype.name} of '{self.call.layer.name}'>"

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        raise _no_values(f"np.{ufunc.__name__}")

    def __array_function__(self, function: Callable, *rest: Any) -> Any:
        raise _no_values(f"np.{function.__name__}")


def _no_values(what: str) -> TypeError:
    return TypeError(f"a symbolic tensor has no values yet: call a layer on it (Add()([a, b]) for a + b), not {what}")


def _refuse(symbol: str) -> Callable:
    def method(self: SymbolicTensor, *others: Any) -> Any:
        raise _no_values(symbol)

    return method


# fmt: off
BINARY = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@"}
OTHERS = {"neg": "-", "getitem": "[]", "len": "len()", "iter": "a loop", "bool": "if", "float": "float()",
          "array": "np.array"}
# fmt: on
for _name, _symbol in (BINARY | {f"r{name}": symbol for name, symbol in BINARY.items()} | OTHERS).items():
    setattr(SymbolicTensor, f"__{_name}__", _refuse(_symbol))


def any_symbolic(x: Any) -> bool:
    """Whether x is a symbolic tensor, or a list, tuple or dict that holds one."""
    if isinstance(x, SymbolicTensor):
        return True
    if isinstance(x, dict):
        x = x.values()
    elif not isinstance(x, list | tuple):
        return False
    return any(any_symbolic(each) for each in x)


def mapped(function: Callable, x: Any) -> Any:
    """x with function(each) in the place of each thing in it that is no list, tuple or dict."""
    if isinstance(x, list | tuple):
        return [mapped(function, each) for each in x]
    if isinstance(x, dict):
        return {name: mapped(function, each) for name, each in x.items()}
    return function(x)


def shapes_of(x: Any) -> Any:
    """The shape of x, its batch axis None; for a list or dict the shapes of what it holds."""
    return mapped(lambda each: (None, *each.shape[1:]), x)


def zeros_of(shape: Any, length: int) -> Any:
    """Zeros of this shape, or of each shape in a list or dict; `length` in the place of None."""
    if isinstance(shape, tuple):
        return np.zeros([length if n is None else n for n in shape])
    if isinstance(shape, dict):
        return {name: zeros_of(each, length) for name, each in shape.items()}
    return [zeros_of(each, length) for each in shape]


def common_shape(a: Any, b: Any) -> Shape:
    """The shape of both, its batch axis None, and so is every axis in which they differ."""
    return (None, *(n if n == m else None for n, m in zip(a.shape[1:], b.shape[1:])))


def outputs_of(call: Call, shape: Any, dtype: np.dtype) -> Any:
    """The symbolic output of a call; a list of them for a list of shapes."""
    if isinstance(shape, dict):
        what = f"'{call.layer.name}' returns a dict of outputs, which only the outermost model may"
        raise TypeError(f"{what}: return a list")
    shapes = shape if isinstance(shape, list) else [shape]
    call.outputs = [SymbolicTensor(tuple(each), dtype, call, i) for i, each in enumerate(shapes)]
    return call.outputs if isinstance(shape, list) else call.outputs[0]
