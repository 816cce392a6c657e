"""The recorded computation as a picture (SVG, laid out here), as a listing, and as text for Graphviz and Mermaid."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinyllm.autograd.graph import Node
from tinyllm.visualize.describe import call_text, names_of, recorded, rules_of, shape_text, short, upstream_of
from tinyllm.visualize.layout import layered
from tinyllm.visualize.stepping import each_step
from tinyllm.visualize.svg import draw, measured

__all__ = ["Box", "Graph", "graph"]


@dataclass(eq=False)
class Box:
    """One node of the picture.

    label     what the others call it: its name, %3 where it has none, c1 for a constant
    kind      "leaf" (gradients collect there), "constant" (none flows there), "operation" or "result"
    call      the recorded call, "leaf" or "constant"
    value     its array (a tuple for a kernel with several outputs)
    gradient  of the tensor that was drawn, with respect to this; None where none flows or none was asked for
    details   the lines below the title
    rules     what the table of derivatives sends to each argument, by the names it has there
    inputs    the boxes that edges come from, one per argument that is drawn
    """

    label: str
    kind: str
    call: str
    value: Any
    gradient: Any = None
    details: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    inputs: list["Box"] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.label if self.kind == "constant" else f"{self.label} = {self.call}"


class Graph:
    """A drawn computation. In a notebook it shows itself; print() lists it.

    boxes  the nodes, each after its inputs
    """

    def __init__(self, boxes: list[Box]):
        self.boxes = boxes

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Pairs of positions in `boxes`, one pair per argument."""
        place = {id(box): i for i, box in enumerate(self.boxes)}
        return [(place[id(source)], i) for i, box in enumerate(self.boxes) for source in box.inputs]

    def to_svg(self) -> str:
        """The picture: a card with a background of its own, so that it looks alike on light and dark pages."""
        sizes = [measured(box) for box in self.boxes]
        return draw(self.boxes, self.edges, layered(sizes, self.edges))

    def to_dot(self) -> str:
        """For Graphviz: `dot -Tsvg`."""
        shapes = {"leaf": "box, peripheries=2", "constant": "box, style=dashed"}
        lines = []
        for i, box in enumerate(self.boxes):
            shape = shapes.get(box.kind, "box, style=rounded")
            lines.append(f'  n{i} [shape={shape}, label="{_lines(box, _dot_escaped, chr(92) + "n")}"];')
        edges = [f"  n{i} -> n{j};" for i, j in self.edges]
        return "\n".join(["digraph computation {", '  node [fontname="monospace"];', *lines, *edges, "}"]) + "\n"

    def to_mermaid(self) -> str:
        """For a ```mermaid block in Markdown."""
        brackets = {"leaf": ("[[", "]]"), "constant": ("[", "]")}
        lines = []
        for i, box in enumerate(self.boxes):
            left, right = brackets.get(box.kind, ("(", ")"))
            lines.append(f'  n{i}{left}"{_lines(box, _mermaid_escaped, "<br/>")}"{right}')
        return "\n".join(["flowchart TD", *lines, *[f"  n{i} --> n{j}" for i, j in self.edges]]) + "\n"

    def __str__(self) -> str:
        width = max((len(box.title) for box in self.boxes if len(box.title) <= 40), default=0)
        lines = []
        for box in self.boxes:
            lines.append("  ".join([f"{box.title:{width}}", *box.details]).rstrip())
            lines += [f"    {rule}" for rule in box.rules]
        return "\n".join(lines)

    def save(self, path: Any) -> None:
        """Write a file whose suffix says which form: .svg, .dot, .mmd (Mermaid) or .txt."""
        forms: dict[str, Callable[[], str]] = {
            ".svg": self.to_svg,
            ".dot": self.to_dot,
            ".mmd": self.to_mermaid,
            ".txt": lambda: f"{self}\n",
        }
        suffix = Path(path).suffix.lower()
        if suffix not in forms:
            raise ValueError(f"save: a graph is written as {', '.join(forms)}; found '{path}'")
        Path(path).write_text(forms[suffix](), encoding="utf-8")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.to_svg(), "text/plain": str(self)}


def _lines(box: Box, escaped: Callable[[str], str], newline: str) -> str:
    return newline.join(escaped(line) for line in [box.title, *box.details, *box.rules])


def _dot_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _mermaid_escaped(text: str) -> str:
    """Letters, digits and harmless signs as they are, the rest by number, as Mermaid has it."""
    return "".join(c if c.isalnum() or c in " %=.,:()[]+-*/_'" else f"#{ord(c)};" for c in text.replace("\n", " "))


def graph(
    tensor: Any,
    gradients: bool = True,
    rules: bool = False,
    names: Any = None,
    values: bool = True,
    constants: bool = True,
    upstream: Any = None,
    max_nodes: int = 200,
) -> Graph:
    """Draw the computation that made this tensor: every operation, its shape, its value, its gradient.

    gradients  show the gradient of the tensor with respect to every node, found by the engine's own walk
    rules      show each operation's line of the table of derivatives
    names      a dict of Tensors and arrays (locals() will do), or a model, whose weights then bear their names
    values     show the numbers, or the range and mean where they are many
    constants  draw the arrays that no gradient flows to; numbers stand inside the calls anyway
    upstream   the gradient to begin with, of the tensor's shape; ones by default
    max_nodes  how many nodes may be drawn

    Nothing is changed: no .grad is written and the graph is kept. Raises TypeError for what is not a Tensor,
    ValueError where nothing was recorded or too much, RuntimeError where backward() has freed the graph.

    >>> from tinyllm import Tensor
    >>> x = np.array([[1.0, 2.0]])
    >>> w = Tensor([[0.5], [-0.25]], requires_grad=True)
    >>> print(graph(np.sum(np.square(x @ w - 1.0)), names={"x": x, "w": w}))
    w = leaf              (2, 1)  value [[0.5], [-0.25]]  grad [[-2], [-4]]
    x                     (1, 2)  value [[1, 2]]
    %2 = matmul(x, w)     (1, 1)  value [[0]]  grad [[-2]]
    %3 = subtract(%2, 1)  (1, 1)  value [[-1]]  grad [[-2]]
    %4 = square(%3)       (1, 1)  value [[1]]  grad [[1]]
    %5 = sum(%4)          ()  value 1  grad 1
    """
    order = recorded(tensor, "graph")
    _refuse_more_than(max_nodes, order)
    g = upstream_of(tensor, upstream, "graph")
    found = {node: g for node, g, *_ in each_step(order, g)} if gradients else {}
    named, boxes = names_of(names), list[Box]()
    of_node: dict[Node, Box] = {}
    of_constant: dict[int, Box] = {}

    def details(value: Any, gradient: Any) -> list[str]:
        lines = [shape_text(value)]
        if not isinstance(value, tuple):
            lines += [f"value {short(value)}"] if values else []
            lines += [f"grad {short(gradient)}"] if gradient is not None else []
        return lines

    def box_of(argument: Any, parent: Node | None) -> Box | None:
        if parent is not None:
            return of_node[parent]
        if not constants or not isinstance(argument, np.ndarray) or argument.ndim == 0:
            return None
        if id(argument) not in of_constant:
            name = named.get(id(argument)) or f"c{len(of_constant) + 1}"
            of_constant[id(argument)] = Box(name, "constant", "constant", argument, None, details(argument, None))
            boxes.append(of_constant[id(argument)])
        return of_constant[id(argument)]

    for number, node in enumerate(order, 1):
        label, gradient = named.get(id(node), f"%{number}"), found.get(node)
        if node.op is None:
            box = Box(label, "leaf", "leaf", node.value, gradient, details(node.value, gradient))
        else:
            inputs = [box_of(a, p) for a, p in zip(node.args, node.parents)]
            labels = [named.get(id(a)) if b is None else b.label for a, b in zip(node.args, inputs)]
            kind = "result" if node is order[-1] else "operation"
            box = Box(label, kind, call_text(node, labels), node.value, gradient, details(node.value, gradient))
            box.inputs = [each for each in inputs if each is not None]
            if rules:
                box.rules = [
                    f"to {to}, as {argument}: {text}"
                    for parent, to, (argument, text) in zip(node.parents, labels, rules_of(node))
                    if parent is not None and text
                ]
                box.rules += [f"by hand, equal to {node.op.reference.__name__}"] if node.op.reference else []
        of_node[node] = box
        boxes.append(box)
    return Graph(boxes)


def _refuse_more_than(max_nodes: int, order: list[Node]) -> None:
    if len(order) > max_nodes:
        kinds = Counter("leaf" if node.op is None else node.op.name for node in order).most_common(3)
        raise ValueError(
            f"graph: {len(order)} nodes were recorded (most: {', '.join(f'{n} {name}' for name, n in kinds)}); at most "
            f"max_nodes={max_nodes} are drawn: compute on fewer steps or samples, draw a tensor from halfway, or pass "
            f"max_nodes={len(order)}"
        )
