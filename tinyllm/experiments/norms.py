"""How much of the gradient arrives at each layer, weight and gate."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.pictures import COLOURS, INK, Experiment, caption, table

__all__ = ["Norms", "gradient_norms"]

GATES = {"LSTM": ("i input", "f forget", "g candidate", "o output"), "GRU": ("z update", "r reset", "h candidate")}


@dataclass(frozen=True, repr=False, eq=False)
class Norms(Experiment):
    """What gradient_norms() found: Frobenius norms of d loss / d weight.

    layers["lstm"], weights["lstm/kernel"] and gates["lstm/kernel"]["f forget"] are numbers.
    """

    layers: dict[str, float]
    weights: dict[str, float]
    gates: dict[str, dict[str, float]]

    def rows(self) -> list[tuple[int, str, float]]:
        """(level, name, norm): each layer, followed by its weights, and each of these by its gates."""
        rows = []
        for layer, norm in self.layers.items():
            rows.append((0, layer, norm))
            for weight, n in self.weights.items():
                if weight.rpartition("/")[0] == layer:
                    rows.append((1, weight, n))
                    rows += [(2, gate, g) for gate, g in self.gates.get(weight, {}).items()]
        return rows

    def bars(self) -> list[tuple[int, str, float]]:
        """What is drawn: all rows, but of a deep model (more than 40) those of the layers only."""
        rows = self.rows()
        return rows if len(rows) <= 40 else [row for row in rows if row[0] == 0]

    def layout(self):
        return 1, 1, (6.5, 1.0 + 0.24 * len(self.bars()))

    def __str__(self) -> str:
        return table(["gradient of", "norm"], [["  " * level + name, norm] for level, name, norm in self.rows()])

    def draw(self, *axes: Any) -> None:
        (ax,) = axes
        rows = self.bars()
        norms, places = np.array([norm for *_, norm in rows]), np.arange(len(rows))
        levels = np.array([level for level, *_ in rows])
        for level, (what, colour) in enumerate(zip(("layer", "weight", "gate"), (INK, COLOURS[0], COLOURS[5]))):
            if level in levels:
                ax.barh(places[levels == level], norms[levels == level], color=colour, height=0.75, label=what)
        for i, norm in enumerate(norms):
            ax.annotate(f"{norm:.2g}", (norm, i), (3, 0), textcoords="offset points", va="center", fontsize=8)
        ax.set_yticks(places, [name for _, name, _ in rows])
        ax.set(xlabel="norm of the gradient", xlim=(0, max(norms) * 1.15 or 1.0), ylim=(len(rows) - 0.4, -0.6))
        ax.grid(visible=False, axis="y")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        most = max(self.layers, key=lambda name: self.layers[name])
        share = self.layers[most] ** 2 / (sum(n * n for n in self.layers.values()) or 1.0)
        caption(ax, f"The layer '{most}' has {share:.0%} of the squared norm", 56)


def gradient_norms(model: Any, x: Any, y: Any) -> Norms:
    """How large the gradient of a compiled model's loss over (x, y) is in each layer, weight and gate.

    The kernels and biases of an LSTM are cut into its gates i, f, g, o, those of a GRU into z, r, h. The model is left
    as it was, .grad included. Raises RuntimeError if it is not compiled.

    >>> from tinyllm.layers import Dense
    >>> from tinyllm.models import Sequential
    >>> model = Sequential([Dense(1, use_bias=False, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> list(gradient_norms(model, [[0.0, 0.0]], [1.0]).weights.values())
    [0.0]
    """
    if getattr(model, "loss", None) is None:
        raise RuntimeError(
            "gradient_norms: call model.compile(optimizer, loss) first: without a loss nothing has a slope"
        )
    x, y = model.checked_input("gradient_norms", x), np.asarray(as_array(y))
    loss = model.compute_loss(y, model(x))
    before = [w.grad for w in model.weights]
    if not before:
        raise ValueError("gradient_norms: this model has no weights, so there is no gradient to look at")
    try:
        for w in model.weights:
            w.grad = None
        loss.backward()
        gradients = [np.zeros(w.shape) if w.grad is None else w.grad for w in model.weights]
    finally:
        for w, g in zip(model.weights, before):
            w.grad = g
    found = dict(zip(model.named_weights, gradients))
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    gates = {}
    for name, g in found.items():
        names = GATES.get(kinds.get(name.rpartition("/")[0], ""), ())
        if names:
            gates[name] = {gate: _norm(part) for gate, part in zip(names, np.split(g, len(names), axis=-1))}
    layers: dict[str, float] = {}
    for name, g in found.items():
        layer = name.rpartition("/")[0]
        layers[layer] = float(np.hypot(layers.get(layer, 0.0), _norm(g)))
    return Norms(layers, {name: _norm(g) for name, g in found.items()}, gates)


def _norm(a: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(a, np.float64)))
