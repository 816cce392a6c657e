"""The backward walk, one node at a time: what each rule received and returned, and where it was added."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from tinyllm.autograd.graph import PICK, Node, kernel_gradients, unbroadcast, walk
from tinyllm.autograd.tensor import Tensor
from tinyllm.visualize.describe import (
    brief,
    call_text,
    names_of,
    recorded,
    rules_of,
    shape_text,
    short,
    upstream_of,
)

__all__ = ["Contribution", "Step", "Trace", "each_step", "trace"]

Pending = dict[Node, Any]  # what has come to a node so far; a list, one place per output, for a kernel with several


def each_step(order: list[Node], g: np.ndarray) -> Iterator[tuple[Node, Any, Pending, Pending]]:
    """Walk back from the last of these nodes; for each its gradient, and its parents' before and after it.

    Each step is the engine's own walk from one node to its parents, so the sums come out as in backward(), to the bit.
    """
    pending: Pending = {order[-1]: g}
    for node in reversed(order):
        received = pending.get(node)
        if received is None or node.op is None:
            yield node, received, {}, {}
            continue
        parents = frozenset(p for p in node.parents if p is not None)
        before = {p: pending[p] for p in parents if p in pending}
        roots = [(p, list(d) if isinstance(d, list) else d) for p, d in before.items()]
        after = walk([(node, received), *roots], sinks=parents, retain=True)
        pending.update(after)
        yield node, received, before, after


@dataclass(frozen=True, eq=False)
class Contribution:
    """What a rule returned for one argument.

    argument, rule  the argument's name in the rule, and the rule's text
    to              the label of what it belongs to
    raw             what the rule returned
    gradient        the same in the argument's own shape and dtype: summed where broadcasting had repeated it, cast
    total           the gradient collected there by the end of this step
    added           whether something had come there before
    """

    argument: str
    rule: str
    to: str
    raw: np.ndarray
    gradient: np.ndarray
    total: np.ndarray
    added: bool

    def __str__(self) -> str:
        rule = f"{self.rule} = " if self.rule else ""
        if len(rule) > 60:
            rule = f"{self.rule}\n    = "
        text = f"to {self.to}, as {self.argument}: {rule}{short(self.raw)}  {shape_text(self.raw)}"
        if self.raw.shape != self.gradient.shape:
            text += f", summed to {self.gradient.shape}: {short(self.gradient)}"
        if self.raw.dtype != self.gradient.dtype:
            text += f", cast to {self.gradient.dtype}"
        return text + (f", there now {short(self.total)}" if self.added else "")


@dataclass(frozen=True, eq=False)
class Step:
    """One node of the backward walk.

    number, name  of the node, as in the picture (`%3`), and of its operation
    call, value   the recorded call, and its value y (a tuple for a kernel with several outputs)
    inputs        the arguments, by the names that the rule has for them
    received      g, the gradient of the loss with respect to y; a list, None where nothing came, for several outputs
    rule          the rule's text for each argument that is on the graph
    returned      one Contribution for each argument that is on the graph and has a derivative
    """

    number: int
    name: str
    call: str
    value: Any
    inputs: dict[str, Any]
    received: Any
    returned: tuple[Contribution, ...]

    @property
    def rule(self) -> tuple[str, ...]:
        return tuple(each.rule for each in self.returned)

    @property
    def accumulated(self) -> dict[str, np.ndarray]:
        """The gradient collected so far at each of the arguments."""
        return {each.to: each.total for each in self.returned}

    def __str__(self) -> str:
        if isinstance(self.received, list):
            y = shape_text(self.value)
            g = "; ".join(f"for [{i}] {'none' if d is None else short(d)}" for i, d in enumerate(self.received))
        else:
            y, g = f"{short(self.value)}  {shape_text(self.value)}", short(self.received)
        given = [f"{k} = {short(v) if isinstance(v, np.ndarray) else brief(v)}" for k, v in self.inputs.items()]
        lines = [f"%{self.number} = {self.call}"]
        if given and any(self.rule):  # a kernel's gradients are not found by one line from these
            lines.append("; ".join(given))
        return "\n  ".join([*lines, f"y = {y}", f"g = {g}", *map(str, self.returned)])


class Trace(Iterator[Step]):
    """The steps of a backward walk, newest node first. `next()` gives one more; printed, it shows them all.

    steps      all of them, in a list
    """

    def __init__(self, steps: list[Step], gradients: dict[Node, Any]):
        self.steps = steps
        self._gradients = gradients
        self._position = 0

    def __next__(self) -> Step:
        if self._position == len(self.steps):
            raise StopIteration
        self._position += 1
        return self.steps[self._position - 1]

    def __len__(self) -> int:
        return len(self.steps)

    def gradient(self, tensor: Tensor) -> np.ndarray | None:
        """The gradient that the whole walk brings to a Tensor: for a leaf, what backward() would add to its .grad."""
        return None if tensor.node is None else self._gradients.get(tensor.node)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.steps))


def trace(tensor: Tensor, upstream: Any = None, names: Any = None) -> Trace:
    """Step through the backward walk from this tensor: what each rule received and returned.

    upstream  the gradient to begin with, of the tensor's shape; ones by default
    names     as for graph(): a dict of Tensors (locals() will do), or a model

    Nothing is changed: no .grad is written and the graph is kept. Raises TypeError for what is not a Tensor,
    ValueError where nothing was recorded, RuntimeError where backward() has freed the graph.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> steps = trace(np.square(x) * 2.0, names={"x": x})
    >>> print(next(steps))
    %3 = multiply(%2, 2)
      a = 9; b = 2
      y = 18  ()
      g = 1
      to %2, as a: g * b = 2  ()
    >>> print(next(steps))
    %2 = square(x)
      x = 3
      y = 9  ()
      g = 2
      to x, as x: g * 2 * x = 12  ()
    """
    order = recorded(tensor, "trace")
    numbers = {node: i for i, node in enumerate(order, 1)}
    named = names_of(names)

    def label(node: Node | None, value: Any) -> str | None:
        name = named.get(id(node)) or named.get(id(value))
        return name or (None if node is None else f"%{numbers[node]}")

    steps, gradients = [], {}
    for node, g, before, after in each_step(order, upstream_of(tensor, upstream, "trace")):
        gradients[node] = g
        if g is None or node.op is None:
            continue
        labels = [label(p, a) for p, a in zip(node.parents, node.args)]
        rules = rules_of(node)
        seen: set[Node] = set(before)
        returned = []
        for i, raw in _raw_gradients(node, g):
            parent, (argument, rule) = node.parents[i], rules[i]
            target = raw if node.op is PICK else parent.value
            total = after[parent][node.args[1]] if node.op is PICK else after[parent]
            fitted = unbroadcast(raw, target.shape, node.op.name).astype(target.dtype)
            returned.append(Contribution(argument, rule, str(labels[i]), raw, fitted, total, parent in seen))
            seen.add(parent)
        inputs = {} if node.op is PICK else {name: a for (name, _), a in zip(rules, node.args)}
        call = call_text(node, labels)
        steps.append(Step(numbers[node], node.op.name, call, node.value, inputs, g, tuple(returned)))
    return Trace(steps, gradients)


def _raw_gradients(node: Node, g: Any) -> list[tuple[int, Any]]:
    """The numbers of the arguments that are on the graph, with what the node's rule returns for each."""
    op = node.op
    on_graph = [i for i, parent in enumerate(node.parents) if parent is not None]
    if op is PICK:
        return [(0, g)]
    if node.backward is not None:
        return [(i, d) for i, d in enumerate(kernel_gradients(node, g)) if d is not None]
    derivatives = op.derivatives if op.variadic is None else [d for d, _ in zip(map(op.variadic, count()), node.args)]
    return [
        (i, derivatives[i](g, node.value, *node.args, **node.kwargs))
        for i in on_graph
        if i < len(derivatives) and derivatives[i] is not None
    ]
