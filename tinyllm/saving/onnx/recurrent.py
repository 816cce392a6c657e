"""SimpleRNN, GRU, LSTM and Bidirectional in ONNX.

Where it can, by ONNX's operator of the same kind. Its gates lie in another order: our LSTM has i, f, g, o side by side,
ONNX stacks i, o, f, c; the GRU's z, r, n are ONNX's z, r, h. Matrices are turned round, (1, gates units, features).

Those operators cannot skip a step in the middle, and take few activations. A layer that a mask reaches, or with unusual
activations, is written out instead, one step as a graph of its own (Scan), as autograd's over_time has it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm import activations, layers
from tinyllm.saving.onnx.builder import Builder, Value
from tinyllm.saving.onnx.layers import activated
from tinyllm.saving.onnx.registry import exports, refused

OPERATOR = {layers.LSTM: "LSTM", layers.GRU: "GRU", layers.SimpleRNN: "RNN"}


@exports(*OPERATOR, options=("initial_state",))
def recurrent(b, layer, x, initial_state=None):
    states = initial_state if isinstance(initial_state, list) or initial_state is None else [initial_state]
    y, last = _read(b, layer, x, states)
    return [y, *last] if layer.return_state else y


@exports(layers.Bidirectional, options=("initial_state",))
def bidirectional(b, layer, x, initial_state=None):
    half = None if initial_state is None else len(initial_state) // 2
    starts = (None, None) if half is None else (initial_state[:half], initial_state[half:])
    found = [_read(b, each, x, start) for each, start in zip((layer.layer, layer.backward_layer), starts)]
    (forward, forward_states), (backward, backward_states) = found
    if layer.return_sequences:
        backward = _reversed(b, backward)
    op = {"concat": "Concat", "sum": "Add", "mul": "Mul", "ave": "Mean", None: None}[layer.merge_mode]
    how = {"axis": -1} if op == "Concat" else {}
    outputs = [forward, backward] if op is None else [b.add(op, forward, backward, **how)]
    if layer.return_state:
        return [*outputs, *forward_states, *backward_states]
    return outputs if op is None else outputs[0]


def _read(b: Builder, layer: Any, x: Value, states: list | None) -> tuple[str, list[str]]:
    """(the output, in the order in which it is made, the last states) of a layer that reads in one direction."""
    if layer.stateful:
        raise refused(layer, "stateful=True")
    mask, steps = x.mask, b.add("Transpose", x, perm=[1, 0, 2])
    if layer.go_backwards:
        steps = _reversed(b, steps, axis=0)
        mask = mask and Value(_reversed(b, mask), mask.shape, bool)
    states = None if states is None else [b.cast(each, layer.dtype).name for each in states]
    usual = layer.activation is activations.tanh
    usual &= getattr(layer, "recurrent_activation", activations.sigmoid) is activations.sigmoid
    if usual and mask is None:
        outputs, *last = _by_operator(b, layer, steps, states)
    else:
        outputs, *last = _step_by_step(b, layer, steps, states or _zeros(b, layer, x), mask, x)
    if mask is not None and layer.zero_output_for_mask:
        outputs = b.add("Where", b.add("Unsqueeze", mask, [2]), outputs, b.constant(0, layer.dtype))
    if layer.return_sequences:
        return outputs, last
    if mask is None:
        return last[0], last
    return b.add("Gather", outputs, b.constant(-1, np.int64), axis=1), last


def _by_operator(b: Builder, layer: Any, steps: str, states: list | None) -> list[str]:
    """The outputs (batch, time, units) and the last states, by ONNX's operator. steps (time, batch, features)."""
    inputs: list[Any] = [steps, b.constant(_stacked(layer, layer.kernel.data))]
    inputs.append(b.constant(_stacked(layer, layer.recurrent_kernel.data)))
    if layer.bias is not None:
        both = layer.bias.data if layer.bias.ndim == 2 else np.stack([layer.bias.data, np.zeros_like(layer.bias.data)])
        inputs.append(b.constant(np.concatenate([_stacked(layer, each[None])[..., 0] for each in both], axis=-1)))
    if states is not None:
        inputs += [""] * (5 - len(inputs)) + [b.add("Unsqueeze", each, [0]) for each in states]
    reset = {"linear_before_reset": int(layer.reset_after)} if isinstance(layer, layers.GRU) else {}
    count = 1 + len(layer.state_names)
    y, *last = b.add(OPERATOR[type(layer)], *inputs, outputs=count, hidden_size=layer.units, **reset)
    outputs = b.add("Transpose", b.add("Squeeze", y, [1]), perm=[1, 0, 2])
    return [outputs, *(b.add("Squeeze", each, [0]) for each in last)]


def _stacked(layer: Any, w: np.ndarray) -> np.ndarray:
    """(features, gates units), the gates in our order, as (1, gates units, features), the gates in ONNX's order."""
    gates = np.split(w.T, layer.gates)
    if isinstance(layer, layers.LSTM):
        i, f, g, o = gates
        gates = [i, o, f, g]
    return np.concatenate(gates)[None]


def _step_by_step(b: Builder, layer: Any, steps: str, states: list, mask: Value | None, x: Value) -> list[str]:
    """The same, one step after another: where the mask is False the states stay, and the output repeats."""
    bias = layer.bias if layer.bias is None or layer.bias.ndim == 1 else layer.bias[0]
    share = b.add("MatMul", steps, b.constant(layer.kernel.data))
    share = share if bias is None else b.add("Add", share, b.constant(bias.data))

    def step(before: list[str], now: list[str]) -> list[str]:
        _, *old = before
        new = STEPS[type(layer)](b, layer, now[0], *old)
        after = [new[0], *new]
        return after if mask is None else [b.add("Where", now[1], *each) for each in zip(after, before)]

    seen = [] if mask is None else [b.add("Unsqueeze", b.add("Transpose", mask, perm=[1, 0]), [2])]
    output = _zeros(b, layer, x)[0]  # before the first step that counts
    dtypes = [layer.dtype] * (2 + len(states)) + [bool] * len(seen)
    outputs, last = b.scan(step, [output, *states], [share, *seen], dtypes)
    return [b.add("Transpose", outputs, perm=[1, 0, 2]), *last[1:]]


def _lstm_step(b: Builder, layer: Any, share: str, h: str, c: str) -> list[str]:
    total = b.add("Add", share, b.add("MatMul", h, b.constant(layer.recurrent_kernel.data)))
    i, f, g, o = b.add("Split", total, axis=-1, outputs=4)
    i, f, o = (activated(b, layer, gate, layer.recurrent_activation) for gate in (i, f, o))
    kept, written = b.add("Mul", f, c), b.add("Mul", i, activated(b, layer, g, layer.activation))
    c = b.add("Add", kept, written)
    return [b.add("Mul", o, activated(b, layer, c, layer.activation)), c]


def _gru_step(b: Builder, layer: Any, share: str, h: str) -> list[str]:
    kernel, units = layer.recurrent_kernel.data, layer.units
    x_z, x_r, x_n = b.add("Split", share, axis=-1, outputs=3)
    if layer.reset_after:
        heard = b.add("MatMul", h, b.constant(kernel))
        heard = heard if layer.bias is None else b.add("Add", heard, b.constant(layer.bias.data[1]))
        h_z, h_r, h_n = b.add("Split", heard, axis=-1, outputs=3)
    else:
        heard = b.add("MatMul", h, b.constant(kernel[:, : 2 * units]))
        h_z, h_r = b.add("Split", heard, axis=-1, outputs=2)
    z = activated(b, layer, b.add("Add", x_z, h_z), layer.recurrent_activation)
    r = activated(b, layer, b.add("Add", x_r, h_r), layer.recurrent_activation)
    if layer.reset_after:
        state = b.add("Mul", r, h_n)
    else:
        state = b.add("MatMul", b.add("Mul", r, h), b.constant(kernel[:, 2 * units :]))
    n = activated(b, layer, b.add("Add", x_n, state), layer.activation)
    rest = b.add("Sub", b.constant(1, layer.dtype), z)
    return [b.add("Add", b.add("Mul", z, h), b.add("Mul", rest, n))]


def _simple_step(b: Builder, layer: Any, share: str, h: str) -> list[str]:
    total = b.add("Add", share, b.add("MatMul", h, b.constant(layer.recurrent_kernel.data)))
    return [activated(b, layer, total, layer.activation)]


STEPS: dict[type, Callable] = {layers.LSTM: _lstm_step, layers.GRU: _gru_step, layers.SimpleRNN: _simple_step}


def _zeros(b: Builder, layer: Any, x: Value) -> list[str]:
    return [b.zeros(layer.dtype, x, layer.units) for _ in layer.state_names]


def _reversed(b: Builder, x: Any, axis: int = 1) -> str:
    """x with time running backwards."""
    return b.add("Slice", x, [-1], [np.iinfo(np.int64).min], [axis], [-1])
