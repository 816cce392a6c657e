"""What a model did with a text: the weight of each token in the answer, and the gates of its first LSTM."""

from typing import Any

import numpy as np

from tinyllm.autograd import no_grad
from tinyllm.autograd.tensor import as_array
from tinyllm.layers import LSTM
from tinyllm.layers.base import mask_of
from tinyllm.models import RecurrentLM, Sequential

__all__ = ["gates", "lstm_gates", "saliency"]

GATES = ("input", "forget", "candidate", "output")  # Keras's order of the columns
MOST_UNITS, MOST_STEPS = 24, 100  # that are shown


def saliency(probability: Any, ids: np.ndarray) -> list[float]:
    """How much each token of ids (1, time) adds to the answer: p(text) - p(text with this token made padding).

    probability: ids (n, time) -> p (n,), of the class that was answered. An effect that was measured, not a gradient:
    a token without which p would be smaller has a positive one. Padding has none.
    """
    time = ids.shape[1]
    without = np.repeat(ids, time + 1, axis=0)
    without[np.arange(time), np.arange(time)] = 0
    p = np.asarray(probability(without), float)
    return (p[-1] - p[:-1]).tolist()


def gates(model: Any, ids: np.ndarray) -> dict[str, Any] | None:
    """The gates of the model's first LSTM while it reads ids (1, time); None if it has none that can be looked into.

    {"layer": its name, "units": how many it has, "names": the gates, "values": (gate, unit, step)}, of at most
    24 units and 100 steps.
    """
    if isinstance(model, RecurrentLM):
        if model.cell != "lstm":
            return None
        model.ensure_ready()
        before, layers = [model.table], list(model.cells)
    elif isinstance(model, Sequential):
        before, layers = [], list(model.layers)
    else:
        return None
    with no_grad():
        x: Any = np.asarray(ids)[:, :MOST_STEPS]
        for layer in before:
            x = layer(x)
        for layer in layers:
            if isinstance(layer, LSTM):
                if layer.go_backwards:
                    return None
                values = lstm_gates(layer, as_array(x), mask_of(x))[0, :, :, :MOST_UNITS]
                shown = values.transpose(0, 2, 1).round(4).tolist()
                return {"layer": layer.name, "units": layer.units, "names": list(GATES), "values": shown}
            x = layer(x)
    return None


def lstm_gates(layer: LSTM, x: np.ndarray, mask: Any = None) -> np.ndarray:
    """i, f, g, o at every step, (batch, gate, time, units), for x (batch, time, features): the layer's equations.

    mask (batch, time): the state passes over a step that does not count.
    """
    kernel, recurrent, *bias = (as_array(w) for w in layer.weights)
    gate, squash = layer.recurrent_activation, layer.activation
    h = c = np.zeros((len(x), layer.units), x.dtype)
    steps = []
    for t in range(x.shape[1]):
        z = np.split(x[:, t] @ kernel + h @ recurrent + (bias[0] if bias else 0), 4, axis=-1)
        i, f, g, o = (as_array(a(part)) for a, part in zip((gate, gate, squash, gate), z))
        before = h, c
        c = f * c + i * g
        h = o * as_array(squash(c))
        if mask is not None:
            h, c = (np.where(as_array(mask)[:, t, None], new, old) for new, old in zip((h, c), before))
        steps.append(np.stack([i, f, g, o], axis=1))
    return np.stack(steps, axis=2)
