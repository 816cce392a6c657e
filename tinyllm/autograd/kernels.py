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

    sigmoid(a) = (1 + tanh(a / 2)) / 2, so one tanh serves all four gates (NumPy's float32 tanh is fast). Inside, time
    comes first and the batch last: the recurrent product is faster from that side (benchmarks/lstm.py).
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
    dtype = np.result_type(*(a for a in (x, h, c, kernel, recurrent_kernel, bias) if a is not None))
    lay = np.asarray if batch == 1 else np.ascontiguousarray  # a transposed view makes a product slower
    xs = lay(x.transpose(1, 2, 0))
    gates = (lay(kernel.T) @ xs).astype(dtype, copy=False)
    recurrent = lay(recurrent_kernel.T)
    if bias is not None:
        gates += bias[:, None]
    scale = np.full((4 * units, 1), 0.5, dtype)  # z is halved for the three sigmoids, not for the candidate g
    scale[2 * units : 3 * units] = 1
    hs, cs = np.empty((2, steps + 1, units, batch), dtype)
    tanh_c = np.empty((steps, units, batch), dtype)
    hs[0], cs[0] = h.T, c.T
    i, f, g, o = (gates[:, k * units : (k + 1) * units] for k in range(4))
    seen = None if mask is None else np.asarray(mask, bool).T[:, None]
    product, part = np.empty_like(gates[0]), np.empty_like(hs[0])
    shift = 1 - scale
    for t in range(steps):
        a = gates[t]
        a += np.matmul(recurrent, hs[t], out=product)
        a *= scale
        np.tanh(a, out=a)
        a *= scale
        a += shift  # now sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        np.multiply(f[t], cs[t], out=cs[t + 1])
        cs[t + 1] += np.multiply(i[t], g[t], out=part)
        np.tanh(cs[t + 1], out=tanh_c[t])
        np.multiply(o[t], tanh_c[t], out=hs[t + 1])
        if seen is not None:
            np.copyto(hs[t + 1], hs[t], where=~seen[t])
            np.copyto(cs[t + 1], cs[t], where=~seen[t])
    outputs = hs[1:]
    if seen is not None:  # before the first seen step the output is zero, not the initial state
        outputs = np.where(np.logical_or.accumulate(seen, axis=0), outputs, 0)

    def backward(d_outputs, d_h, d_c):
        d = np.empty((steps, 4, units, batch), dtype)  # first each gate's share in c or h, for all steps at once,
        np.multiply(g, i * (1 - i), out=d[:, 0])
        np.multiply(cs[:-1], f * (1 - f), out=d[:, 1])
        np.multiply(i, 1 - g * g, out=d[:, 2])
        np.multiply(tanh_c, o * (1 - o), out=d[:, 3])
        through = o * (1 - tanh_c * tanh_c)  # d h / d c
        d_h = np.zeros((units, batch), dtype) if d_h is None else d_h.T
        d_c = np.zeros((units, batch), dtype) if d_c is None else d_c.T
        d_outputs = None if d_outputs is None else d_outputs.transpose(1, 2, 0)
        d_output: Any = 0
        for t in reversed(range(steps)):  # then, times what comes back through time, its gradient
            if d_outputs is not None:
                d_output = d_output + d_outputs[t]
            d_now = d_h + d_output if seen is None else np.where(seen[t], d_h + d_output, 0)
            cell = d_now * through[t] + (d_c if seen is None else np.where(seen[t], d_c, 0))
            d[t, :3] *= cell
            d[t, 3] *= d_now
            back_h, back_c = recurrent_kernel @ d[t].reshape(4 * units, batch), cell * f[t]
            if seen is None:
                d_h, d_c, d_output = back_h, back_c, 0
            else:
                d_h, d_c = np.where(seen[t], back_h, d_h), np.where(seen[t], back_c, d_c)
                d_output = np.where(seen[t], 0, d_output)

        def rows(a):  # a step of a sample becomes a row, for the three products over all of them
            return np.ascontiguousarray(a.transpose(0, 2, 1)).reshape(steps * batch, a.shape[1])

        flat = rows(d.reshape(steps, 4 * units, batch))
        d_x = (flat @ kernel.T).reshape(steps, batch, features).transpose(1, 0, 2)
        d_bias = None if bias is None else flat.sum(axis=0)
        return d_x, d_h.T, d_c.T, rows(xs).T @ flat, rows(hs[:-1]).T @ flat, d_bias, None

    return (outputs.transpose(2, 0, 1), hs[-1].T, cs[-1].T), backward


def references() -> dict[str, tuple[Any, Any]]:
    """Every kernel by name, with its reference."""
    return {fused.__name__: (fused, reference) for fused, reference in KERNELS.items()}
