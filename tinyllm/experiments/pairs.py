"""Functions in plain NumPy with their gradients written by hand: what the herd draws from and the zoo breaks.

f(*inputs) is an array; gradient(upstream, *inputs) is one gradient per input, None for an input of integers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
Draw = Callable[[np.random.Generator], tuple[Any, ...]]


@dataclass(frozen=True)
class Animal:
    """A function, its hand-written gradient and how to draw its inputs.

    f         f(*inputs), an array
    gradient  gradient(upstream, *inputs): one gradient per input, in a tuple; a bare array where there is one input
    draw      draw(rng): the inputs
    mistake   what is wrong with the gradient, in the words of the checker's diagnosis (a tuple: any of these is true);
              "" where no name can be expected, or where nothing is wrong
    """

    name: str
    f: Callable
    gradient: Callable
    draw: Draw
    mistake: str | tuple[str, ...] = ""


def sum_to(g: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: g summed over the axes along which an array of this shape was repeated."""
    g = np.sum(g, axis=tuple(range(np.ndim(g) - len(shape))))
    return np.sum(g, axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.8 * (x + 0.045 * x**3)))  # the tanh form, its constants rounded


def gelu_slope(x):
    t = np.tanh(0.8 * (x + 0.045 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.8 * (1 + 0.135 * x * x)


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax_gradient(g, x):
    y = softmax(x)
    return y * (g - np.sum(g * y, axis=-1, keepdims=True))


def log_softmax(x):
    z = x - np.max(x, axis=-1, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))


def logsumexp(x):
    top = np.max(x, axis=-1, keepdims=True)
    return (top + np.log(np.sum(np.exp(x - top), axis=-1, keepdims=True)))[..., 0]


def cross_entropy(logits, labels):
    return -np.mean(log_softmax(logits)[np.arange(len(labels)), labels])


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def cross_entropy_gradient(g, logits, labels):
    return g * (softmax(logits) - one_hot(labels, logits.shape[-1])) / len(labels), None


def dense(x, kernel, bias):
    return np.tanh(x @ kernel + bias)


def dense_gradient(g, x, kernel, bias):
    g = g * (1 - dense(x, kernel, bias) ** 2)
    return g @ kernel.T, x.T @ g, g.sum(axis=0)


def mlp(w1, b1, w2, b2):
    return np.tanh(BATCH @ w1 + b1) @ w2 + b2


def mlp_gradient(g, w1, b1, w2, b2):
    hidden = np.tanh(BATCH @ w1 + b1)
    d = (g @ w2.T) * (1 - hidden * hidden)
    return BATCH.T @ d, d.sum(axis=0), hidden.T @ g, g.sum(axis=0)


BATCH = np.random.default_rng(7).normal(size=(6, 4))
EPSILON = 1e-3  # Keras's, for both normalisations


def standardize(x, axis):
    scale = np.sqrt(np.var(x, axis=axis, keepdims=True) + EPSILON)
    return (x - np.mean(x, axis=axis, keepdims=True)) / scale, scale


def standardize_gradient(g, x, axis):
    n, scale = standardize(x, axis)
    return (g - np.mean(g, axis=axis, keepdims=True) - n * np.mean(g * n, axis=axis, keepdims=True)) / scale


def layer_norm(x, gamma, beta):
    return standardize(x, -1)[0] * gamma + beta


def layer_norm_gradient(g, x, gamma, beta):
    return standardize_gradient(g * gamma, x, -1), np.sum(g * standardize(x, -1)[0], axis=0), np.sum(g, axis=0)


def batch_norm(x, gamma, beta):
    return standardize(x, 0)[0] * gamma + beta


def batch_norm_gradient(g, x, gamma, beta):
    return standardize_gradient(g * gamma, x, 0), np.sum(g * standardize(x, 0)[0], axis=0), np.sum(g, axis=0)


def embedding(table, ids):
    return table[ids]


def embedding_gradient(g, table, ids):
    d = np.zeros_like(table)
    np.add.at(d, ids, g)
    return d, None


def windows(x, width):
    return np.stack([x[:, i : x.shape[1] - width + 1 + i] for i in range(width)], axis=2)


def conv1d(x, kernel, bias):
    """x (batch, time, features); kernel (width, features, units); y (batch, time - width + 1, units)."""
    return np.einsum("btwf,wfu->btu", windows(x, len(kernel)), kernel) + bias


def conv1d_gradient(g, x, kernel, bias):
    dx = np.zeros_like(x)
    for i, k in enumerate(kernel):
        dx[:, i : i + g.shape[1]] += g @ k.T
    return dx, np.einsum("btwf,btu->wfu", windows(x, len(kernel)), g), g.sum(axis=(0, 1))


def max_pool(x):
    """x (batch, time, features), time even; y the larger of each two neighbours in time."""
    return np.max(np.reshape(x, (x.shape[0], -1, 2, x.shape[2])), axis=2)


def max_pool_gradient(g, x):
    pairs = x.reshape(x.shape[0], -1, 2, x.shape[2])
    return ((pairs == pairs.max(axis=2, keepdims=True)) * g[:, :, None]).reshape(x.shape)


def attention_weights(q, k):
    return softmax(q @ np.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5)


def attention(q, k, v):
    return attention_weights(q, k) @ v


def attention_gradient(g, q, k, v):
    w = attention_weights(q, k)
    dw = g @ np.swapaxes(v, -1, -2)
    d = w * (dw - np.sum(dw * w, axis=-1, keepdims=True)) / q.shape[-1] ** 0.5
    return d @ k, np.swapaxes(d, -1, -2) @ q, np.swapaxes(w, -1, -2) @ g


def rnn(x, h, kernel, recurrent_kernel, bias):
    """x (batch, time, features); h (batch, units); the state after the last step."""
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ kernel + h @ recurrent_kernel + bias)
    return h


def rnn_gradient(g, x, h, kernel, recurrent_kernel, bias):
    states = [h]
    for t in range(x.shape[1]):
        states.append(np.tanh(x[:, t] @ kernel + states[-1] @ recurrent_kernel + bias))
    dx, dk, dr, db = np.zeros_like(x), np.zeros_like(kernel), np.zeros_like(recurrent_kernel), np.zeros_like(bias)
    for t in reversed(range(x.shape[1])):
        d = g * (1 - states[t + 1] ** 2)
        dx[:, t], dk, dr, db = d @ kernel.T, dk + x[:, t].T @ d, dr + states[t].T @ d, db + d.sum(axis=0)
        g = d @ recurrent_kernel.T
    return dx, g, dk, dr, db


def lstm(x, h, c, kernel, recurrent_kernel, bias):
    """x (batch, time, features); h, c (batch, units); kernel (features, 4 units): gates i, f, g, o; the last h."""
    for t in range(x.shape[1]):
        i, f, z, o = np.split(x[:, t] @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
        h = sigmoid(o) * np.tanh(c)
    return h


def lstm_gradient(
    g, x, h, c, kernel, recurrent_kernel, bias, *, candidate=lambda z: 1 - z * z, new_cell=False, carry=1.0
):
    """The three last arguments are for the zoo: each of them is a place where a hand slips."""
    steps = []
    for t in range(x.shape[1]):
        a = np.split(x[:, t] @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
        i, f, o, z = sigmoid(a[0]), sigmoid(a[1]), sigmoid(a[3]), np.tanh(a[2])
        steps.append((i, f, z, o, h, c, f * c + i * z))
        c = steps[-1][-1]
        h = o * np.tanh(c)
    dx, dk, dr, db = np.zeros_like(x), np.zeros_like(kernel), np.zeros_like(recurrent_kernel), np.zeros_like(bias)
    dh, dc = g, np.zeros_like(c)
    for t in reversed(range(x.shape[1])):
        i, f, z, o, h, before, c = steps[t]
        dc = dc * carry + dh * o * (1 - np.tanh(c) ** 2)
        forget = dc * (c if new_cell else before) * f * (1 - f)
        output = dh * np.tanh(c) * o * (1 - o)
        d = np.concatenate([dc * z * i * (1 - i), forget, dc * i * candidate(z), output], axis=-1)
        dx[:, t], dk, dr, db = d @ kernel.T, dk + x[:, t].T @ d, dr + h.T @ d, db + d.sum(axis=0)
        dh, dc = d @ recurrent_kernel.T, dc * f
    return dx, dh, dc, dk, dr, db


def gru(x, h, kernel, recurrent_kernel):
    """One step: x (batch, features); kernel (features, 3 units): gates z, r and the candidate; the new state."""
    n = h.shape[-1]
    z = sigmoid(x @ kernel[:, :n] + h @ recurrent_kernel[:, :n])
    r = sigmoid(x @ kernel[:, n : 2 * n] + h @ recurrent_kernel[:, n : 2 * n])
    return z * h + (1 - z) * np.tanh(x @ kernel[:, 2 * n :] + (r * h) @ recurrent_kernel[:, 2 * n :])


def gru_gradient(g, x, h, kernel, recurrent_kernel, *, toward=-1.0):
    """toward is for the zoo: z turns the state away from the candidate, hence -1."""
    n = h.shape[-1]
    kz, kr, kc = np.split(kernel, 3, axis=1)
    uz, ur, uc = np.split(recurrent_kernel, 3, axis=1)
    z, r = sigmoid(x @ kz + h @ uz), sigmoid(x @ kr + h @ ur)
    c = np.tanh(x @ kc + (r * h) @ uc)
    dc = g * (1 - z) * (1 - c * c)
    dz = g * (h + toward * c) * z * (1 - z)
    drh = dc @ uc.T
    dr = drh * h * r * (1 - r)
    d = np.concatenate([dz, dr, dc], axis=1)
    dh = g * z + drh * r + dz @ uz.T + dr @ ur.T
    recurrent = np.concatenate([h.T @ dz, h.T @ dr, (r * h).T @ dc], axis=1)
    return d @ kernel.T, dh, x.T @ d, recurrent.reshape(n, 3 * n)


def norm(x):
    return np.sqrt(np.sum(x * x, axis=-1))


def cosine(a, b):
    return np.sum(a * b, axis=-1) / (norm(a) * norm(b))


def cosine_gradient(g, a, b):
    y, na, nb = (v[..., None] for v in (cosine(a, b), norm(a), norm(b)))
    g = g[..., None]
    return g * (b / nb - y * a / na) / na, g * (a / na - y * b / nb) / nb
