"""Computations to draw: chosen ones and random ones."""

import numpy as np
from hypothesis import strategies as st

from tinyllm import Tensor, layers, losses, models, ops


def leaf(*shape, dtype=float):
    return Tensor(np.random.default_rng(len(shape)).standard_normal(shape), requires_grad=True, dtype=dtype)


def perceptron():
    """A loss, and its two weights."""
    x, w, b = np.random.default_rng(0).standard_normal((4, 3)), leaf(3, 2), leaf(2)
    return np.sum(np.square(np.tanh(x @ w + b) - 1.0)), {"w": w, "b": b}


def shared():
    """One node used three times."""
    v = leaf()
    h = np.tanh(v)
    return (h * h + np.exp(h)) * v, {"v": v}


def classifier():
    """The loss of an LSTM classifier, and its weights."""
    embedding = layers.Embedding(10, 4, input_length=5)
    model = models.Sequential([embedding, layers.LSTM(3), layers.Dense(1, activation="sigmoid")])
    loss = losses.BinaryCrossentropy()(np.ones((2, 1), np.float32), model(np.arange(10).reshape(2, 5)))
    return loss, dict(model.named_weights)


def all_outputs():
    """An LSTM all three outputs of which are used, one of them twice, from rules and a kernel in two dtypes."""
    x, kernel, recurrent = leaf(2, 3, 4, dtype=np.float32), leaf(4, 8), leaf(2, 8)
    h = leaf(2, 2)
    y, last, cell = ops.lstm(x, h, h, kernel, recurrent, None)
    return np.sum(y) + np.sum(last * cell) + np.mean(last), {"x": x, "kernel": kernel, "r": recurrent, "h": h}


def normalised():
    x, gain, bias = leaf(2, 4), leaf(4), leaf(4)
    return ops.layer_norm(x, gain, bias), {"x": x, "gain": gain, "bias": bias}


def chain(n):
    x = y = leaf()
    for i in range(n):
        y = np.sin(y) if i % 2 else y + 1.0
    return y, {"x": x}


CHOSEN = {
    "perceptron": perceptron,
    "shared": shared,
    "classifier": classifier,
    "all outputs": all_outputs,
    "normalised": normalised,
    "chain": lambda: chain(60),
}

UNARY = [np.tanh, np.exp, np.square, lambda a: a[0], lambda a: np.mean(a, axis=0), lambda a: a.astype(np.float32)]
BINARY = [np.add, np.multiply, np.maximum, lambda a, b: np.where(a.data > 0, a, b), lambda a, b: a * 0.5 - b]


@st.composite
def programs(draw):
    """A random computation of a few operations that broadcast, share and change dtypes; and its leaves."""
    pool = [leaf(2, 3), leaf(3), leaf(dtype=np.float32)]
    leaves = list(pool)
    for _ in range(draw(st.integers(1, 9))):
        a, b = (pool[draw(st.integers(0, len(pool) - 1))] for _ in range(2))
        f = draw(st.sampled_from(UNARY if draw(st.booleans()) and a.ndim else BINARY))
        with np.errstate(all="ignore"):  # a square of squares overflows: that is drawn, too
            pool.append(f(a) if f in UNARY else f(a, b))
    return pool[-1], leaves
