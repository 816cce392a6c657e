"""Wrong gradients that need more than a line: what the zoo shows of layers, and ways to spoil a right gradient."""

from collections.abc import Callable

import numpy as np

from tinyllm.experiments import pairs
from tinyllm.experiments.pairs import Array


def scaled(gradient: Callable, *factors: float) -> Callable:
    """The right gradient, the i-th of its parts multiplied by factors[i]."""
    return lambda g, *inputs: tuple(
        d if d is None else factor * d for factor, d in zip(factors, gradient(g, *inputs), strict=True)
    )


def reordered(gradient: Callable, *order: int) -> Callable:
    """The right gradients in another order."""
    return lambda g, *inputs: tuple(gradient(g, *inputs)[i] for i in order)


def edited(gradient: Callable, **edits: Callable) -> Callable:
    """The right gradients, those named d0, d1, ... passed through a function of the gradient and the upstream."""

    def edit(g, *inputs):
        parts = list(gradient(g, *inputs))
        for name, change in edits.items():
            parts[int(name[1:])] = change(parts[int(name[1:])], g)
        return tuple(parts)

    return edit


def placed(x: Array, *spots: tuple) -> Array:
    """Zeros like x with out[where] = what for each spot (where, what)."""
    out = np.zeros_like(x)
    for where, what in spots:
        out[where] = what
    return out


def counted_once(g: Array, table: Array, ids: Array) -> tuple[Array, None]:
    return placed(table, (ids, g)), None


def divided_by_count(g: Array, table: Array, ids: Array) -> tuple[Array, None]:
    d = pairs.embedding_gradient(g, table, ids)[0]
    return d / np.maximum(np.bincount(ids.ravel(), minlength=len(table)), 1)[:, None], None


def last_row_lost(g: Array, x: Array) -> Array:
    """for i in range(len(x) - 1): ..."""
    return placed(x, (slice(-1), (2 * x * g)[:-1]))


def one_spoiled(g: Array, x: Array) -> Array:
    d = g * (1 - np.tanh(x) ** 2)
    d.flat[617] *= 1.5
    return d


def block(which: int, change: Callable, gates: int = 4) -> Callable:
    """Change the columns of one gate in a gradient (features, gates * units)."""

    def edit(d: Array, g: Array) -> Array:
        n = d.shape[-1] // gates
        d[..., which * n : (which + 1) * n] = change(d[..., which * n : (which + 1) * n])
        return d

    return edit


def gates_swapped(d: Array, g: Array) -> Array:
    i, f, z, o = np.split(d, 4, axis=-1)
    return np.concatenate([f, i, z, o], axis=-1)


def norm_terms_lost(g: Array, x: Array, gamma: Array, beta: Array, *, axis: int, keep_mean: bool) -> tuple[Array, ...]:
    n, scale = pairs.standardize(x, axis)
    inner = g * gamma - (np.mean(g * gamma, axis=axis, keepdims=True) if keep_mean else 0)
    return inner / scale, np.sum(g * n, axis=0), np.sum(g, axis=0)


def layer_norm_without_epsilon(g: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
    n = (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)
    d = g * gamma
    inner = d - d.mean(axis=-1, keepdims=True) - n * np.mean(d * n, axis=-1, keepdims=True)
    return inner / x.std(axis=-1, keepdims=True), np.sum(g * n, axis=0), np.sum(g, axis=0)


def attention_diagonal(g: Array, q: Array, k: Array, v: Array) -> tuple[Array, ...]:
    w = pairs.attention_weights(q, k)
    d = (g @ np.swapaxes(v, -1, -2)) * w * (1 - w) / q.shape[-1] ** 0.5
    return d @ k, np.swapaxes(d, -1, -2) @ q, np.swapaxes(w, -1, -2) @ g


def rnn_last_step_only(g: Array, x: Array, h: Array, kernel: Array, recurrent: Array, bias: Array) -> tuple:
    before = pairs.rnn(x[:, :-1], h, kernel, recurrent, bias)
    dx, _, dk, dr, db = pairs.rnn_gradient(g, x[:, -1:], before, kernel, recurrent, bias)
    return np.concatenate([np.zeros_like(x[:, :-1]), dx], axis=1), np.zeros_like(h), dk, dr, db


def conv_unflipped(g: Array, x: Array, kernel: Array, bias: Array) -> tuple[Array, ...]:
    _, dk, db = pairs.conv1d_gradient(g, x, kernel, bias)
    return pairs.conv1d_gradient(g, x, kernel[::-1], bias)[0], dk, db


def mlp_without_slope(g: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> tuple[Array, ...]:
    d = g @ w2.T
    return pairs.BATCH.T @ d, d.sum(axis=0), np.tanh(pairs.BATCH @ w1 + b1).T @ g, g.sum(axis=0)


def naive_sigmoid_slope(g: Array, x: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return g * np.exp(-x) / (1 + np.exp(-x)) ** 2


def naive_softmax_gradient(g: Array, x: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    return y * (g - np.sum(g * y, axis=-1, keepdims=True))


def divided_by_itself(g: Array, x: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return g * np.prod(x) / x


def power_by_division(g: Array, x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return g * 3 * x**3 / x
