"""The recorded computation: what a node holds, and the walk that carries gradients back through it.

Nothing here knows a derivative (rules.py) or what a Tensor is (tensor.py): a node holds arrays and other nodes, never
Tensors, so there are no reference cycles and a dropped loss frees its graph at once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from operator import attrgetter
from typing import Any

import numpy as np

__all__ = ["Node", "Op", "is_recording", "no_grad", "recording", "unbroadcast", "walk"]

_recording: ContextVar[bool] = ContextVar("recording", default=True)
is_recording = _recording.get


@contextmanager
def recording(on: bool) -> Iterator[None]:
    """Record operations inside, or do not, whatever holds outside."""
    token = _recording.set(on)
    try:
        yield
    finally:
        _recording.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording: nothing inside can be differentiated, and nothing is kept for it.

    >>> from tinyllm import Tensor, no_grad
    >>> w = Tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     (w * 2).requires_grad
    False
    """
    with recording(False):
        yield


class Op:
    """One line of the table: a function, its name, and one derivative per argument.

    `derivatives[i]` takes (g, y, *args, **kwargs) and gives the gradient of argument i; None where there is none.
    `variadic(i)` stands in for it when the number of arguments is open (concatenate). `reference` is set for a kernel,
    whose function returns its value together with a closure that computes all gradients at once.
    """

    __slots__ = ("arity", "derivatives", "function", "keywords", "name", "positional", "reference", "variadic")

    def __init__(self, function: Callable, name: str):
        self.function = function
        self.name = name
        self.derivatives: tuple[Callable | None, ...] = ()
        self.variadic: Callable | None = None
        self.reference: Callable | None = None
        self.arity = 0  # how many leading arguments are arrays
        self.positional = 0  # how many leading arguments NumPy and the rule call by the same name
        self.keywords: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Op({self.name})"


class Node:
    """One recorded call. A leaf (a Tensor made with requires_grad=True) has no op, and is where gradients collect."""

    __slots__ = ("args", "backward", "grad", "kwargs", "number", "op", "parents", "value")

    def __init__(self, op, parents, args, kwargs, value, backward=None):
        self.op: Any = op  # an Op, or None: a leaf
        self.parents: Sequence[Any] = parents  # a Node, or None where the argument is not on the graph
        self.args = args
        self.kwargs = kwargs
        self.value = value
        self.backward = backward
        self.grad = None
        self.number = next(_count)  # a node is always newer than what it was made from


_count = count()
PICK = Op(lambda outputs, i: outputs[i], "output")  # one output of a kernel that has several: args (outputs, i)


def reachable(roots: list[Node], sinks: frozenset[Node]) -> list[Node]:
    """The nodes below the roots, newest first, so that each comes after everything made from it. No recursion.

    With sinks, only the nodes that lead to one of them; what is older than all sinks is not even looked at.
    """
    oldest = min((sink.number for sink in sinks), default=-1)
    seen = {node for node in roots if node.number >= oldest}
    stack = list(seen)
    while stack:
        node = stack.pop()
        if node in sinks:
            continue
        if node.args is None and node.op is not None:
            raise RuntimeError(
                f"backward() ran already and freed this graph at '{node.op.name}'; "
                "call backward(retain_graph=True) the first time"
            )
        for parent in node.parents:
            if parent is not None and parent not in seen and parent.number >= oldest:
                seen.add(parent)
                stack.append(parent)
    order = sorted(seen, key=attrgetter("number"), reverse=True)
    if not sinks:
        return order
    leading = set(sinks)
    for node in reversed(order):
        if not leading.isdisjoint(node.parents):
            leading.add(node)
    return [node for node in order if node in leading]


def walk(
    roots: list[tuple[Node, Any]],
    sinks: frozenset[Node] = frozenset(),
    retain: bool = False,
    wrap: Callable | None = None,
) -> dict[Node, Any]:
    """Carry the gradients of `roots` back to the leaves, or to `sinks`, if given: then to nothing else.

    roots   pairs of a node and the gradient of the loss with respect to its value
    retain  keep what the nodes hold, so that the walk can be repeated
    wrap    makes a Tensor of (array, node): then the rules run on Tensors and the gradients are recorded themselves

    The chores that no rule mentions happen here, once: a gradient is summed back to the shape of its argument where
    broadcasting had widened it, cast to its dtype, and added, out of place, to what came by other paths.
    """
    gradients: dict[Node, Any] = {}
    for node, g in roots:
        _add(gradients, node, g)
    found = {}
    order = reachable([node for node, _ in roots], sinks)
    leading = set(order) if sinks else None
    for node in order:
        g = gradients.pop(node, None)
        if g is None:
            continue
        op = node.op
        if op is None or node in sinks:
            found[node] = g
            continue
        if op is PICK:
            parent, i = node.parents[0], node.args[1]
            slots = gradients.setdefault(parent, [None] * len(parent.value))
            slots[i] = g if slots[i] is None else slots[i] + g
        elif node.backward is not None:
            for parent, d in _kernel_gradients(node, g, wrap):
                if d is not None and (leading is None or parent in leading):
                    _add(gradients, parent, _fit(d, parent.value, op))
        else:
            args, y, kwargs = node.args, node.value, node.kwargs
            if wrap is not None:
                args = [a if p is None else wrap(a, p) for a, p in zip(args, node.parents)]
                y = wrap(y, node)
            derivatives = op.derivatives if op.variadic is None else map(op.variadic, count())
            for parent, derivative in zip(node.parents, derivatives):
                if parent is None or derivative is None or (leading is not None and parent not in leading):
                    continue
                d = derivative(g, y, *args, **kwargs) if kwargs else derivative(g, y, *args)
                target = parent.value
                if d.shape != target.shape or d.dtype is not target.dtype:  # spelled out: a call costs 60 ns
                    d = _fit(d, target, op)
                previous = gradients.get(parent)
                gradients[parent] = d if previous is None else previous + d
        if not retain:
            node.args = node.value = node.backward = None
            node.parents = ()
    return found


def _add(gradients: dict[Node, Any], node: Node, d: Any) -> None:
    previous = gradients.get(node)
    gradients[node] = d if previous is None else previous + d


def kernel_gradients(node: Node, g: Any) -> list[Any]:
    """What a kernel's own closure returns, None for arguments that are not on the graph; g: a list for several outputs.

    A gradient that costs much may be a function without arguments: it is called where it is wanted.
    """
    found = node.backward(*(g if isinstance(g, list) else [g]))
    wanted = [None if parent is None else d for parent, d in zip(node.parents, found)]
    return [d() if callable(d) else d for d in wanted]


def _kernel_gradients(node: Node, g: Any, wrap: Callable | None) -> Iterator[tuple[Node, Any]]:
    """A kernel's gradients: from its own closure, or, when they must be recorded, by way of its reference."""
    if wrap is None:
        for parent, d in zip(node.parents, kernel_gradients(node, g)):
            if parent is not None:
                yield parent, d
        return
    args = [a if p is None else wrap(a, p) for a, p in zip(node.args, node.parents)]
    outputs = node.op.reference(*args, **node.kwargs)
    if not isinstance(outputs, tuple):
        outputs, g = (outputs,), [g]
    roots = [(output.node, d) for output, d in zip(outputs, g) if d is not None and output.node is not None]
    sinks = frozenset(p for p in node.parents if p is not None)
    yield from walk(roots, sinks, retain=True, wrap=wrap).items()


def _fit(d: Any, target: np.ndarray, op: Op) -> Any:
    """The gradient d in the shape and dtype of the value it belongs to."""
    if d.dtype.kind != target.dtype.kind:
        raise TypeError(f"{op.name}: a gradient became {d.dtype}; only real floating-point values have gradients")
    if d.shape != target.shape:
        d = unbroadcast(d, target.shape, op.name)
    return d if d.dtype == target.dtype else d.astype(target.dtype)


def unbroadcast(d: Any, shape: tuple[int, ...], name: str = "unbroadcast") -> Any:
    """Sum d over the axes along which broadcasting had repeated a value of this shape.

    >>> unbroadcast(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    """
    extra = d.ndim - len(shape)
    if extra < 0 or any(n != m and n != 1 for n, m in zip(shape, d.shape[extra:])):
        raise RuntimeError(f"{name}: its rule returned a gradient of shape {d.shape} for an argument of shape {shape}")
    widened = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1 and d.shape[extra + i] != 1)
    return np.reshape(np.sum(d, axis=widened), shape)
