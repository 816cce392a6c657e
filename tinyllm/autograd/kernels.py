"""Fused operations: forward and backward written by hand for speed, each with a witness.

A kernel returns its value and a closure that turns the gradient of the value into the gradients of its arguments (None
for an argument that has none). Its decorator names its reference: the same function composed from the table of
derivatives. The tests hold the two equal to 1e-12, and under create_graph=True the reference is what is recorded, so
speed never costs order or trust.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

from tinyllm.autograd.functions import log_softmax, sigmoid, softplus
from tinyllm.autograd.recurrence import (
    batch_last,
    first_rows,
    input_gradient,
    output_gradients,
    shown,
    step_product,
    steps_seen,
    weight_gradients,
)
from tinyllm.autograd.tensor import TABLE, function

__all__ = [
    "KERNELS",
    "binary_cross_entropy_with_logits",
    "cross_entropy_with_logits",
    "embedding_lookup",
    "kernel",
    "lstm",
    "lstm_from_rules",
    "lstm_step",
]

KERNELS: dict[Callable, Callable] = {}  # kernel -> its reference


def kernel(reference: Callable) -> Callable:
    """Make a fused function that answers for `reference`: same arguments, same value, same gradients."""

    def enter(forward: Callable) -> Callable:
        fused = function(forward)
        op = TABLE[fused]
        op.reference = reference
        op.arity = op.positional = len(signature(forward).parameters)
        KERNELS[fused] = reference
        return fused

    return enter


# -- cross-entropies over logits ------------------------------------------------------------------------------------


def binary_cross_entropy_from_rules(logits, labels):
    """softplus(z) - y z, which is -[y log p + (1 - y) log(1 - p)] with p = sigmoid(z)."""
    return softplus(logits) - labels * logits


@kernel(reference=binary_cross_entropy_from_rules)
def binary_cross_entropy_with_logits(logits, labels):
    """-[y log p + (1 - y) log(1 - p)], p = sigmoid(logits), element by element; exact for any logit.

    logits, labels (...), labels between 0 and 1; the result has the same shape. The gradient is p - y.

    >>> binary_cross_entropy_with_logits(np.array([0.0, 1000.0]), np.array([1.0, 1.0]))
    array([0.69314718, 0.        ])
    """
    e = np.exp(-np.abs(logits))
    loss = np.maximum(logits, 0) - labels * logits + np.log1p(e)

    def backward(g):
        p = np.where(logits >= 0, 1, e) / (1 + e)
        return g * (p - labels), -g * logits

    return loss, backward


def cross_entropy_from_rules(logits, labels):
    """-log softmax(logits) at the label of each row."""
    rows = np.arange(np.size(labels))
    flat = np.reshape(logits, (-1, logits.shape[-1]))
    return np.reshape(-log_softmax(flat)[rows, np.ravel(labels)], np.shape(labels))


@kernel(reference=cross_entropy_from_rules)
def cross_entropy_with_logits(logits, labels):
    """-log softmax(logits)[label], row by row.   logits (..., classes); labels (...) integers; result (...).

    The gradient is softmax - one_hot: no logarithm, nothing to overflow.

    >>> cross_entropy_with_logits(np.array([[0.0, 0.0], [1000.0, -1000.0]]), np.array([0, 1]))
    array([6.93147181e-01, 2.00000000e+03])
    """
    classes = logits.shape[-1]
    index = np.ravel(labels)
    rows = np.arange(index.size)
    z = np.reshape(logits, (-1, classes))
    z = z - z.max(axis=-1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=-1, keepdims=True)
    loss = np.log(total[:, 0]) - z[rows, index]

    def backward(g):
        d = e / total
        d[rows, index] -= 1
        d *= np.reshape(g, (-1, 1))
        return d.reshape(logits.shape), None

    return loss.reshape(np.shape(labels)), backward


# -- embedding ------------------------------------------------------------------------------------------------------


def embedding_from_rules(table, ids):
    """Row ids[i] of the table for each i."""
    return table[ids]


@kernel(reference=embedding_from_rules)
def embedding_lookup(table, ids):
    """table[ids]: rows of a table.   table (vocabulary, features); ids (...) integers; result (..., features).

    An id that occurs more than once collects every gradient. One flat bincount adds them up several times faster than
    np.add.at.

    >>> embedding_lookup(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([1, 1, 0]))
    array([[2., 3.],
           [2., 3.],
           [0., 1.]])
    """

    ids = np.asarray(ids)
    if table.ndim != 2 or (ids.dtype.kind not in "iu" and ids.size):
        raise TypeError(f"a table (vocabulary, features) and integer ids are needed; found {table.shape}, {ids.dtype}")
    ids = ids.astype(np.intp)

    def backward(g):
        rows, width = table.shape
        cells = (ids.reshape(-1, 1) % max(rows, 1)) * width + np.arange(width)
        d = np.bincount(cells.ravel(), weights=g.ravel(), minlength=table.size)
        return d.reshape(table.shape).astype(table.dtype), None

    return table[ids], backward


# -- LSTM -----------------------------------------------------------------------------------------------------------


def gated_product(x, kernel, keep=None):
    """x @ kernel; with dropout each gate sees x through a mask of its own, keep (gates, batch, features)."""
    if keep is None:
        return x @ kernel
    return np.concatenate([(x * k) @ part for k, part in zip(keep, np.split(kernel, len(keep), axis=1))], axis=-1)


def over_time(step, z, states, mask=None):
    """A recurrence, one readable step after another: states = step(z[:, t], *states), the first of which is the output.

    z (batch, time, ...). Where mask (batch, time) is 0 the step is skipped: the states stay, and the output repeats
    (zero before the first step). Returns the outputs (batch, time, units) and the last states.
    """
    output: Any = 0.0
    outputs = []
    for t in range(z.shape[1]):
        new = step(z[:, t], *states)
        if mask is None:
            states, output = new, new[0]
        else:
            seen = mask[:, t, None]
            states = [np.where(seen, after, before) for after, before in zip(new, states)]
            output = np.where(seen, new[0], output)
        outputs.append(output)
    return np.stack(outputs, axis=1), *states


def lstm_step(z, h, c, recurrent_kernel, activation=np.tanh, recurrent_activation=sigmoid, keep=None):
    """One step of an LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000). Gates in Keras's order.

    z (batch, 4 units) is the input's share, x @ kernel + bias; h, c (batch, units) are the hidden and the cell state.
    """
    i, f, g, o = np.split(z + gated_product(h, recurrent_kernel, keep), 4, axis=-1)
    c = recurrent_activation(f) * c + recurrent_activation(i) * activation(g)
    return recurrent_activation(o) * activation(c), c


def lstm_from_rules(
    x,
    h,
    c,
    kernel,
    recurrent_kernel,
    bias,
    mask=None,
    *,
    activation=np.tanh,
    recurrent_activation=sigmoid,
    keep=(None, None),
):
    """The LSTM over time, one readable step after another: the reference of `lstm`, same arguments and results.

    keep: masks of dropout for the input (4, batch, 1, features) and the state (4, batch, units), or None.
    """
    z = gated_product(x, kernel, keep[0])
    z = z if bias is None else z + bias

    def step(z, h, c):
        return lstm_step(z, h, c, recurrent_kernel, activation, recurrent_activation, keep[1])

    return over_time(step, z, (h, c), mask)


@kernel(reference=lstm_from_rules)
def lstm(x, h, c, kernel, recurrent_kernel, bias, mask=None):
    """An LSTM over a whole sequence, all gates of a step in one product.

    x (batch, time, features); h, c (batch, units) the initial states; kernel (features, 4 units);
    recurrent_kernel (units, 4 units); bias (4 units,) or None; mask (batch, time) booleans or None.
    Returns the outputs (batch, time, units) and the last h and c. Gates in the order i, f, g, o.

    sigmoid(a) = (1 + tanh(a / 2)) / 2, so one tanh serves all four gates (NumPy's float32 tanh is fast). What a step
    works on has the batch last: then a gate is one piece of memory, and the products are faster from that side. All of
    it is written where it belongs, with out=, and stays in the processor's cache (benchmarks/lstm.py).
    """
    batch, steps, features = x.shape if x.ndim == 3 else (0, 0, 0)
    units = recurrent_kernel.shape[0]
    if (
        x.ndim != 3
        or not h.shape == c.shape == (batch, units)
        or kernel.shape != (features, 4 * units)
        or recurrent_kernel.shape != (units, 4 * units)
    ):
        raise ValueError(
            "x is (batch, time, features), h and c (batch, units), kernel (features, 4 units), "
            "recurrent_kernel (units, 4 units), bias (4 units,) or None"
        )
    weights = [recurrent_kernel, kernel] if bias is None else [recurrent_kernel, kernel, bias[None]]
    dtype = np.result_type(x, h, c, *weights)
    rows = first_rows(x, h, weights, dtype)
    hs = rows[:, :, :units]
    gates = np.empty((steps, 4, units, batch), dtype)
    cs, tanh_c = np.empty((steps + 1, units, batch), dtype), np.empty((steps, units, batch), dtype)
    cs[0] = c.T
    part = np.empty_like(cs[0])
    seen = steps_seen(mask)
    halves = np.full((4, units, batch), 0.5, dtype)
    halves[2] = 1
    rest = 1 - halves
    product = step_product(weights, rows, np.repeat(np.array([0.5, 0.5, 1, 0.5], dtype), units))
    for t in range(steps):
        i, f, g, o = a = gates[t]
        product(t, a.reshape(4 * units, batch))
        np.tanh(a, out=a)
        a *= halves
        a += rest
        np.multiply(f, cs[t], out=cs[t + 1])
        cs[t + 1] += np.multiply(i, g, out=part)
        np.tanh(cs[t + 1], out=tanh_c[t])
        np.multiply(o, tanh_c[t], out=part)
        if seen is not None:
            np.copyto(part, hs[t].T, where=~seen[t])
            np.copyto(cs[t + 1], cs[t], where=~seen[t])
        hs[t + 1] = part.T

    def backward(d_outputs, d_h, d_c):
        flat = np.empty((steps, batch, 4 * units), dtype)
        d = np.empty((4, units, batch), dtype)
        part, d_h, d_c = np.empty_like(d[0]), batch_last(d_h, d[0]), batch_last(d_c, d[0])
        d_outputs = output_gradients(d_outputs, seen)
        for t in reversed(range(steps)):
            now = True if seen is None else seen[t]  # a skipped step leaves d_h and d_c as they are
            if d_outputs is not None:
                d_h += d_outputs[t].T
            i, f, g, o = a = gates[t]
            np.multiply(tanh_c[t], tanh_c[t], out=part)
            np.subtract(1, part, out=part)
            part *= o
            part *= d_h
            np.add(d_c, part, out=d_c, where=now)  # c is also felt through h
            np.multiply(a, a, out=d)  # d becomes the slopes, s - s^2 of a sigmoid and 1 - g^2 of the tanh,
            np.subtract(a[:2], d[:2], out=d[:2])
            np.subtract(1, d[2], out=d[2])
            np.subtract(o, d[3], out=d[3])
            for slope, factor in zip(d, (g, cs[t], i, tanh_c[t])):  # then each gate's share in c or h,
                slope *= factor
            d[:3] *= d_c  # then its gradient
            d[3] *= d_h
            if seen is not None:
                np.copyto(d, 0, where=~now)
            flat[t] = d.reshape(4 * units, batch).T
            np.multiply(d_c, f, out=d_c, where=now)
            np.matmul(recurrent_kernel, d.reshape(4 * units, batch), out=d_h if seen is None else part)
            if seen is not None:
                np.copyto(d_h, part, where=now)
        d_recurrent, d_kernel, *of_bias = weight_gradients(weights, rows, flat)
        d_bias = of_bias[0][0] if of_bias else None
        return input_gradient(kernel, flat), d_h.T, d_c.T, d_kernel, d_recurrent, d_bias, None

    return (shown(hs, seen), hs[-1], cs[-1].T), backward


def references() -> dict[str, tuple[Any, Any]]:
    """Every kernel by name, with its reference."""
    return {fused.__name__: (fused, reference) for fused, reference in KERNELS.items()}
