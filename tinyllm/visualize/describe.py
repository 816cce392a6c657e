"""Words for arrays, arguments, rules and names: the same in the picture, the listing and the trace."""

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from tinyllm.autograd.graph import PICK, Node, Op, reachable
from tinyllm.autograd.tensor import TABLE, Tensor, getitem

__all__ = ["brief", "call_text", "names_of", "number", "recorded", "rules_of", "shape_text", "short", "upstream_of"]

LONGEST = 36  # a value is spelled out up to here


# -- arrays and arguments -------------------------------------------------------------------------------------------


def number(x: Any, digits: int = 4) -> str:
    """A number in at most four significant digits.

    >>> number(2 / 3), number(7), number(1e-9), number(True)
    ('0.6667', '7', '1e-09', 'True')
    """
    return f"{x + 0.0:.{digits}g}" if isinstance(x, float | np.floating) else str(x)


def short(a: Any) -> str:
    """The numbers of an array where they are few, otherwise their range and mean.

    >>> short(np.eye(2)), short(np.arange(100.0))
    ('[[1, 0], [0, 1]]', '0 .. 99, mean 49.5')
    """
    a = np.asarray(a)
    if a.size == 0:
        return "empty"
    if a.ndim == 0:
        return number(a[()])
    if a.size <= 12:
        text = " ".join(np.array2string(a, separator=", ", formatter={"all": number}, max_line_width=10_000).split())
        if len(text) <= LONGEST:
            return text
    if a.dtype.kind not in "biuf":
        return f"{a.size} of {a.dtype}"
    nan = np.count_nonzero(np.isnan(a))
    if nan:
        return f"{nan} of {a.size} are nan"
    if a.min() == a.max():
        return f"all {number(a.min())}"
    with np.errstate(all="ignore"):
        mean = a.mean(dtype=float)
    return f"{number(a.min(), 3)} .. {number(a.max(), 3)}, mean {number(mean, 3)}"


def shape_text(a: Any) -> str:
    """Shape and dtype; float64, NumPy's own choice, goes without saying."""
    if isinstance(a, tuple):
        return f"outputs {', '.join(str(part.shape) for part in a)}"
    return f"{a.shape} {a.dtype}" if a.dtype != np.float64 else str(a.shape)


def brief(argument: Any) -> str:
    """An argument that is not on the graph, as one would write it."""
    if isinstance(argument, slice):
        ends = ["" if end is None else brief(end) for end in (argument.start, argument.stop)]
        return ":".join(ends if argument.step is None else [*ends, brief(argument.step)])
    if isinstance(argument, tuple | list):
        inside = ", ".join(map(brief, argument[:8])) + (", ..." if len(argument) > 8 else "")
        return f"[{inside}]" if isinstance(argument, list) else f"({inside}{',' * (len(argument) == 1)})"
    if argument is Ellipsis:
        return "..."
    if isinstance(argument, np.ndarray):
        return number(argument[()]) if argument.ndim == 0 else f"array{argument.shape}"
    text = number(argument) if isinstance(argument, int | float | np.generic) else repr(argument)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def call_text(node: Node, labels: list[str | None]) -> str:
    """The recorded call as one would write it; labels stand for the arguments that are shown themselves."""
    given = [brief(a) if label is None else label for a, label in zip_longest(node.args, labels)]
    if node.op is PICK:
        return f"{given[0]}[{given[1]}]"
    if node.op is TABLE[getitem]:
        index = given[1][1:-1].rstrip(",") if isinstance(node.args[1], tuple) else given[1]
        return f"{given[0]}[{index}]"
    return f"{node.op.name}({', '.join([*given, *(f'{k}={brief(v)}' for k, v in node.kwargs.items())])})"


# -- rules ----------------------------------------------------------------------------------------------------------


@cache
def _lambdas(path: str) -> tuple[str, dict[int, list[ast.Lambda]]]:
    """A file's text, and its lambdas by line, the inner ones after the outer."""
    source = Path(path).read_text(encoding="utf-8")
    found: dict[int, list[ast.Lambda]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Lambda):
            found.setdefault(node.lineno, []).append(node)
    return source, found


@cache
def rule_text(derivative: Any) -> str:
    """A derivative as it stands in the table: a lambda's expression; a function's name and arguments.

    inspect.getsource gives whole lines, on which several lambdas may stand: the one that begins where this one's
    compiled code says it does is taken.

    >>> rule_text(TABLE[np.divide].derivatives[1])
    '-g * y / b'
    """
    code = derivative.__code__
    if derivative.__name__ != "<lambda>":
        return f"{derivative.__name__}({', '.join(inspect.signature(derivative).parameters)})"
    try:
        source, by_line = _lambdas(code.co_filename)
    except OSError:
        return "(source not found)"
    places = {(line, column) for line, _, column, _ in code.co_positions()}
    bodies = [each.body for each in by_line.get(code.co_firstlineno, [])]
    body = next((b for b in bodies if len(bodies) == 1 or (b.lineno, b.col_offset) in places), None)
    text = None if body is None else ast.get_source_segment(source, body)
    return " ".join((text or "(source not found)").split())


def rules_of(node: Node) -> list[tuple[str, str]]:
    """For each argument its name and its rule's text ("" where there is none, and for a kernel, which has one for all).

    >>> x = Tensor(2.0, requires_grad=True)
    >>> rules_of((x * 3.0).node)
    [('a', 'g * b'), ('b', 'g * a')]
    """
    op: Op = node.op
    if op is PICK:
        return [(f"outputs[{node.args[1]}]", "g"), ("i", "")]
    if op.reference is not None:
        return [(name, "") for name in inspect.signature(op.function).parameters]
    if op.variadic is not None:
        return [(f"arrays[{i}]", rule_text(op.variadic(i))) for i in range(len(node.args))]
    example = next(derivative for derivative in op.derivatives if derivative is not None)
    names = list(inspect.signature(example).parameters)[2:]  # after g and y
    derivatives = [*op.derivatives, *[None] * len(node.args)]
    return [(name, rule_text(d) if d else "") for name, d, _ in zip(names, derivatives, node.args)]


# -- names ----------------------------------------------------------------------------------------------------------


def names_of(names: Any) -> dict[int, str]:
    """Names by the identity of what they name: nodes, and arrays that are constants.

    names   a dict of Tensors, arrays, layers and models (others in it are ignored, so locals() will do); or one model
            or layer, whose weights bear the names it gives them
    """
    found: dict[int, str] = {}
    if names is not None and not isinstance(names, Mapping) and not _weights(names):
        raise TypeError(
            f"names: a dict such as {{'w': w}}, or a model that has weights, is needed; found {type(names).__name__}"
        )
    for name, thing in (names if isinstance(names, Mapping) else _weights(names)).items():
        if str(name).startswith("_"):  # in a notebook locals() holds the last results as _, __, _12
            continue
        single = isinstance(thing, Tensor | np.ndarray)
        for key, value in {name: thing}.items() if single else _weights(thing, f"{name}/").items():
            for known in (value.node, value.data) if isinstance(value, Tensor) else (value,):
                if known is not None:
                    found.setdefault(id(known), " ".join(str(key).split()))
    return found


def _weights(thing: Any, prefix: str = "") -> dict[str, Any]:
    """The weights of a model or a layer, by the names that they have there; of anything else, none."""
    if isinstance(thing, type) or thing is None:
        return {}
    parameters = getattr(thing, "parameters", None)
    return {prefix + name: w for name, w in parameters.items()} if isinstance(parameters, Mapping) else {}


# -- what is asked for ----------------------------------------------------------------------------------------------


def recorded(tensor: Any, asked: str) -> list[Node]:
    """The nodes that the tensor was computed from and its own, oldest first; or an error that says what to do."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{asked}: a Tensor is needed; found {type(tensor).__name__}: pass the result of a computation")
    if tensor.node is None:
        raise ValueError(
            f"{asked}: nothing was recorded: no input of this Tensor was made with requires_grad=True, or it was "
            "computed under no_grad()"
        )
    if tensor.node.op is None:
        raise ValueError(f"{asked}: this Tensor is a leaf, no operation made it; pass what you computed from it")
    try:
        return reachable([tensor.node], frozenset())[::-1]
    except RuntimeError as error:
        at = str(error).partition(" at ")[2].partition(";")[0]
        raise RuntimeError(
            f"{asked}: backward() ran already and freed this graph at {at}; call {asked}() before it, or "
            "backward(retain_graph=True)"
        ) from None


def upstream_of(tensor: Tensor, upstream: Any, asked: str) -> np.ndarray:
    """The gradient that the walk begins with: ones, unless another of the tensor's shape is given."""
    if upstream is None:
        return np.ones_like(tensor.data)
    g = np.asarray(upstream.data if isinstance(upstream, Tensor) else upstream)
    if g.shape != tensor.shape or g.dtype.kind not in "biuf":
        raise ValueError(
            f"{asked}: upstream must be real numbers of the tensor's shape {tensor.shape}; found {g.dtype} of shape "
            f"{g.shape}"
        )
    return g.astype(tensor.dtype)
