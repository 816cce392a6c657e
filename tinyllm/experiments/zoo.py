"""The zoo: wrong derivatives, each the mistake of somebody's first backward pass. A gradient checker must reject them all.

    python -m tinyllm.experiments.zoo

Each animal is a NumPy function f, a hand-written gradient(upstream, *inputs) that is wrong, and `mistake`: what the
checker's diagnosis should call it. The right ones, which it must not reject, live in herd.py; the wrong gradients that need
more than a line, in slips.py.
"""

# ruff: noqa: E501  one line, one animal

from collections.abc import Callable

import numpy as np

from tinyllm.autograd import gradcheck
from tinyllm.experiments import pairs
from tinyllm.experiments.herd import right
from tinyllm.experiments.pairs import Animal, Array, Draw, one_hot, sigmoid, softmax
from tinyllm.experiments.slips import (
    attention_diagonal,
    block,
    conv_unflipped,
    counted_once,
    divided_by_count,
    divided_by_itself,
    edited,
    gates_swapped,
    last_row_lost,
    layer_norm_without_epsilon,
    mlp_without_slope,
    naive_sigmoid_slope,
    naive_softmax_gradient,
    norm_terms_lost,
    one_spoiled,
    placed,
    power_by_division,
    reordered,
    rnn_last_step_only,
    scaled,
)

__all__ = ["WRONG", "Animal", "parade", "right"]

WRONG: dict[str, Animal] = {}


def parade() -> list[tuple[str, bool, str]]:
    """Check every wrong animal, print a line for each; rows (name, ok, diagnosis), ok where the checker was deceived."""
    rows = []
    for animal in WRONG.values():
        report = gradcheck(animal.f, *animal.draw(np.random.default_rng(0)), gradient=animal.gradient)
        rows.append((animal.name, report.ok, report.diagnosis))
        print(f"{'MISSED  ' if report.ok else 'rejected'}  {animal.name:<48} {report.diagnosis}")
    return rows


def wrong(name: str, mistake: str | tuple[str, ...], f: Callable, draw: Draw, gradient: Callable) -> None:
    assert name not in WRONG, f"two animals named {name}"
    WRONG[name] = Animal(name, f, gradient, draw, mistake)


def normal(*shapes: tuple[int, ...]) -> Draw:
    return lambda rng: tuple(rng.normal(size=s) for s in shapes)


def positive(*shapes: tuple[int, ...]) -> Draw:
    return lambda rng: tuple(rng.uniform(0.5, 2, size=s) for s in shapes)


def signed(*shapes: tuple[int, ...]) -> Draw:
    """Half of the elements below -0.3, half above 0.3, in any order: no kink at 0 and both sides of it in every array."""

    def one(rng: np.random.Generator, s: tuple[int, ...]) -> Array:
        sign = rng.permutation(np.where(np.arange(np.prod(s)) % 2, 1.0, -1.0)).reshape(s)
        return sign * rng.uniform(0.3, 2, size=s)

    return lambda rng: tuple(one(rng, s) for s in shapes)


def ties(*shape: int) -> Draw:
    """Rows whose largest element stands in the first and in the last column."""

    def draw(rng: np.random.Generator) -> tuple[Array, ...]:
        x = rng.normal(size=shape)
        x[..., 0] = x[..., -1] = 3.0
        return (x,)

    return draw


def tied_pair(rng: np.random.Generator) -> tuple[Array, Array]:
    """Two vectors that are equal at every second place."""
    a = rng.normal(size=6)
    return a, a + (np.arange(6) % 2) * rng.choice([-1.0, 1.0], size=6)


def labelled(rows: int, classes: int) -> Draw:
    return lambda rng: (rng.normal(size=(rows, classes)), rng.integers(0, classes, size=rows))


def with_ids(rows: int, columns: int, ids: list) -> Draw:
    return lambda rng: (rng.normal(size=(rows, columns)), np.array(ids))


def dropout(x):
    return x * KEPT / 0.8


def cube(x):
    return x**3


def clip(x):
    return np.clip(x, -1.0, 1.0)


def where(a, b):
    return np.where(CHOSEN, a, b)


def affine(x, kernel, bias):
    return x @ kernel + bias


def dense_parts(g, x, kernel, bias):
    return g @ kernel.T, x.T @ g, g.sum(axis=0)


def mse(prediction, target):
    return np.mean((prediction - target) ** 2)


def mse_gradient(g, prediction, target):
    d = 2 * g * (prediction - target) / prediction.size
    return d, -d


KEPT = np.array([1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1]).reshape(3, 4)
IDS = np.array([2, 0, 2, 2])
LSTM = normal((2, 1, 3), (2, 5), (2, 5), (3, 20), (5, 20), (20,))
LSTM_IN_TIME = normal((2, 3, 3), (2, 2), (2, 2), (3, 8), (2, 8), (8,))
RNN = normal((2, 4, 3), (2, 5), (3, 5), (5, 5), (5,))
GRU = normal((3, 4), (3, 5), (4, 15), (5, 15))
NORM = normal((6, 5), (5,), (5,))
DENSE = normal((6, 4), (4, 3), (3,))
CONV = normal((2, 7, 3), (3, 3, 4), (4,))
ATTENTION = normal((2, 4, 3), (2, 4, 3), (2, 4, 3))
MLP = normal((4, 4), (4,), (4, 3), (3,))
FACTOR, UPSTREAM, LOCAL, UNSUMMED = (
    "constant factor",
    "missing upstream gradient",
    "local derivative",
    "missing sum over a broadcast axis",
)
AVERAGED, UNDIVIDED, NONLINEAR = "mean instead of the sum over a broadcast axis", "missing mean's 1/n", "not linear"
CHOSEN = np.array([True, False, True, True, False])

# fmt: off
# The slope of an elementwise function
wrong("square, the 2 forgotten", FACTOR, np.square, normal((3, 4)), lambda g, x: g * x)
wrong("square, the 2 twice", FACTOR, np.square, normal((7,)), lambda g, x: 4 * g * x)
wrong("square, upstream forgotten", UPSTREAM, np.square, normal((3, 4)), lambda g, x: 2 * x)
wrong("square, 0.1 added", "added", np.square, normal((2, 3, 4)), lambda g, x: 2 * g * x + 0.1)
wrong("square, last row lost", ("row", "zero"), np.square, normal((50, 8)), last_row_lost)
wrong("square, returned as integers", NONLINEAR, np.square, normal((4, 3)), lambda g, x: np.trunc(2 * g * x))
wrong("square, gradient clipped", ("clipped", NONLINEAR), np.square, lambda rng: (3 * rng.normal(size=(5, 4)),), lambda g, x: np.clip(2 * g * x, -1, 1))
wrong("cube, the power not lowered", LOCAL, cube, normal((3, 4)), lambda g, x: 3 * g * x**3)
wrong("cube, right only for x > 0", ("sign", LOCAL), cube, signed((4, 4)), lambda g, x: 3 * g * x * np.abs(x))
wrong("cube, 0/0 at zero", "not a number", cube, lambda rng: (rng.permutation(np.arange(-3.0, 4.0)),), power_by_division)
wrong("tanh, slope taken of x", LOCAL, np.tanh, normal((3, 4)), lambda g, x: g * (1 - x * x))
wrong("tanh, y not squared", LOCAL, np.tanh, normal((6,)), lambda g, x: g * (1 - np.tanh(x)))
wrong("tanh, upstream forgotten", UPSTREAM, np.tanh, normal((2, 3, 2)), lambda g, x: 1 - np.tanh(x) ** 2)
wrong("tanh, one element of 1000", "one element", np.tanh, normal((10, 100)), one_spoiled)
wrong("tanh, never written", "zero", np.tanh, normal((4, 2)), lambda g, x: np.zeros_like(x))
wrong("tanh, upstream squared", ("upstream", NONLINEAR), np.tanh, normal((4, 3)), lambda g, x: g * g * (1 - np.tanh(x) ** 2))
wrong("tanh, kept in float16", "", np.tanh, normal((8, 8)), lambda g, x: (g * (1 - np.tanh(x) ** 2)).astype(np.float16).astype(float))
wrong("sigmoid, 1 + y", LOCAL, sigmoid, normal((3, 5)), lambda g, x: g * sigmoid(x) * (1 + sigmoid(x)))
wrong("sigmoid of a sigmoid", LOCAL, sigmoid, normal((3, 5)), lambda g, x: g * sigmoid(sigmoid(x)) * (1 - sigmoid(sigmoid(x))))
wrong("sigmoid, overflow far out", "not a number", sigmoid, lambda rng: (rng.normal(size=6) - 800 * (np.arange(6) == 3),), naive_sigmoid_slope)
wrong("exp as a power", LOCAL, np.exp, normal((3, 4)), lambda g, x: g * x * np.exp(x - 1))
wrong("exp, off by 1e-5", FACTOR, np.exp, normal((3, 4)), lambda g, x: g * np.exp(x) * (1 + 1e-5))
wrong("exp, |upstream|", ("sign", "upstream", NONLINEAR), np.exp, normal((5, 3)), lambda g, x: np.abs(g) * np.exp(x))
wrong("exp, upstream averaged", "upstream", np.exp, normal((5, 3)), lambda g, x: g.mean() * np.exp(x))
wrong("exp, first row of upstream only", "upstream", np.exp, normal((5, 3)), lambda g, x: g[:1] * np.exp(x))
wrong("exp, upstream normalised", ("upstream", NONLINEAR, FACTOR), np.exp, normal((5, 3)), lambda g, x: g / np.linalg.norm(g) * np.exp(x))
wrong("log, x for 1/x", LOCAL, np.log, positive((3, 4)), lambda g, x: g * x)
wrong("log, sign", "sign", np.log, positive((3, 4)), lambda g, x: -g / x)
wrong("square root, not inverted", LOCAL, np.sqrt, positive((5,)), lambda g, x: 0.5 * g * np.sqrt(x))
wrong("cosine, sign", "sign", np.cos, normal((3, 1, 4)), lambda g, x: g * np.sin(x))
wrong("relu, passes everything", LOCAL, lambda x: np.maximum(x, 0.0), signed((4, 4)), lambda g, x: g)
wrong("relu, asks the upstream", NONLINEAR, lambda x: np.maximum(x, 0.0), signed((4, 4)), lambda g, x: g * (g > 0))
wrong("relu, the other side", LOCAL, lambda x: np.maximum(x, 0.0), signed((3, 4)), lambda g, x: g * (x < 0))
wrong("abs, slope 1 everywhere", ("sign", LOCAL), np.abs, signed((3, 4)), lambda g, x: g)
wrong("gelu, product rule half done", LOCAL, pairs.gelu, normal((4, 4)), lambda g, x: g * 0.5 * (1 + np.tanh(0.8 * (x + 0.045 * x**3))))
wrong("gelu, the cubic's 3 forgotten", LOCAL, pairs.gelu, normal((4, 4)), lambda g, x: g * (pairs.gelu_slope(x) - 0.036 * x**3 * (1 - np.tanh(0.8 * (x + 0.045 * x**3)) ** 2)))
wrong("softplus, the mirrored sigmoid", LOCAL, lambda x: np.logaddexp(0, x), normal((3, 4)), lambda g, x: g * sigmoid(-x))
wrong("clip, passes everything", LOCAL, clip, lambda rng: (rng.permutation(np.linspace(-2.1, 2.2, 12)),), lambda g, x: g)
wrong("clip, passes nothing", "zero", clip, lambda rng: (rng.permutation(np.linspace(-2.1, 2.2, 12)),), lambda g, x: 0 * g)
wrong("dropout, scale forgotten", FACTOR, dropout, normal((3, 4)), lambda g, x: g * KEPT)
wrong("dropout, mask forgotten", LOCAL, dropout, normal((3, 4)), lambda g, x: g / 0.8)
wrong("dropout, a new mask", LOCAL, dropout, normal((3, 4)), lambda g, x: g * KEPT[:, ::-1] / 0.8)

# Two inputs, broadcasting
wrong("multiply, factors exchanged", "swapped", np.multiply, normal((3, 4), (3, 4)), lambda g, a, b: (g * a, g * b))
wrong("divide, minus forgotten", "sign", np.divide, positive((3, 4), (3, 4)), lambda g, a, b: (g / b, g * a / b**2))
wrong("divide, b not squared", LOCAL, np.divide, positive((6,), (6,)), lambda g, a, b: (g / b, -g * a / b))
wrong("divide, gradients exchanged", "swapped", np.divide, positive((2, 5), (2, 5)), lambda g, a, b: (-g * a / b**2, g / b))
wrong("power, the logarithm forgotten", LOCAL, np.power, positive((3, 4), (3, 4)), lambda g, a, b: (g * b * a ** (b - 1), g * a**b))
wrong("maximum, ties counted twice", "kink", np.maximum, tied_pair, lambda g, a, b: (g * (a >= b), g * (b >= a)))
wrong("where, branches exchanged", "swapped", where, normal((3, 5), (3, 5)), lambda g, a, b: (g * ~CHOSEN, g * CHOSEN))
wrong("where, both get everything", LOCAL, where, normal((3, 5), (3, 5)), lambda g, a, b: (g, g))
wrong("bias add, batch not summed", (UNSUMMED, "shape"), np.add, normal((5, 3), (3,)), lambda g, x, bias: (g, g))
wrong("bias add, batch averaged", AVERAGED, np.add, normal((5, 3), (3,)), lambda g, x, bias: (g, g.mean(axis=0)))
wrong("bias add, first row only", (UNSUMMED, "upstream"), np.add, normal((5, 3), (3,)), lambda g, x, bias: (g, g[0]))
wrong("bias add, the other axis summed", "", np.add, normal((4, 4), (4,)), lambda g, x, bias: (g, g.sum(axis=1)))
wrong("bias add, gradient forgotten", ("zero", "bias"), np.add, normal((5, 3), (3,)), lambda g, x, bias: (g, 0 * bias))
wrong("column times row, keepdims forgotten", "shape", np.multiply, normal((3, 1), (1, 4)), lambda g, a, b: ((g * b).sum(axis=1), (g * a).sum(axis=0, keepdims=True)))
wrong("column times row, first column only", UNSUMMED, np.multiply, normal((3, 1), (1, 4)), lambda g, a, b: ((g * b)[:, :1], (g * a).sum(axis=0, keepdims=True)))
wrong("number times matrix, averaged", AVERAGED, np.multiply, normal((), (3, 4)), lambda g, s, x: (np.mean(g * x), g * s))
wrong("number times matrix, not summed", (UNSUMMED, "shape"), np.multiply, normal((), (3, 4)), lambda g, s, x: (g * x, g * s))
wrong("3-D plus column, one axis summed", UNSUMMED, np.add, normal((5, 3, 4), (3, 1)), lambda g, x, b: (g, g.sum(axis=0)[:, :1]))
wrong("3-D times middle 1, averaged", AVERAGED, np.multiply, normal((2, 3, 4), (2, 1, 4)), lambda g, x, b: (g * b, (g * x).mean(axis=1, keepdims=True)))
wrong("vector minus matrix, sign", "sign", np.subtract, normal((4,), (3, 4)), lambda g, a, b: (g.sum(axis=0), g))

# Reductions
wrong("sum, left as a number", "shape", np.sum, normal((3, 4)), lambda g, x: g)
wrong("sum of rows, upstream forgotten", UPSTREAM, lambda x: x.sum(axis=1), normal((4, 3)), lambda g, x: np.ones_like(x))
wrong("mean, 1/n forgotten", (UNDIVIDED, FACTOR), np.mean, normal((3, 5)), lambda g, x: np.full_like(x, g))
wrong("mean of columns, the other size", FACTOR, lambda x: x.mean(axis=0), normal((3, 5)), lambda g, x: np.broadcast_to(g / 5, x.shape))
wrong("mean, divided twice", FACTOR, np.mean, normal((12,)), lambda g, x: np.full_like(x, g / 144))
wrong("max, to the smallest", "wrong place", lambda x: x.max(axis=1), normal((3, 5)), lambda g, x: g[:, None] * (x == x.min(axis=1, keepdims=True)))
wrong("max, to all", "", lambda x: x.max(axis=1), normal((3, 5)), lambda g, x: g[:, None] * np.ones_like(x))
wrong("max, a tie counted twice", "kink", lambda x: x.max(axis=1), ties(3, 4), lambda g, x: g[:, None] * (x == x.max(axis=1, keepdims=True)))
wrong("variance, the 2 forgotten", FACTOR, np.var, normal((3, 4)), lambda g, x: g * (x - x.mean()) / x.size)
wrong("variance, n - 1", FACTOR, np.var, normal((9,)), lambda g, x: 2 * g * (x - x.mean()) / (x.size - 1))
wrong("variance, mean not subtracted", "added", np.var, lambda rng: (1 + rng.normal(size=8),), lambda g, x: 2 * g * x / x.size)
wrong("product, not divided by x", "", np.prod, positive((5,)), lambda g, x: g * np.prod(x) * np.ones_like(x))
wrong("product, divided by zero", "not a number", np.prod, lambda rng: (np.append(rng.normal(size=4), 0.0),), divided_by_itself)
wrong("running sum, upstream passed on", "cross terms", np.cumsum, normal((6,)), lambda g, x: g)
wrong("running sum, summed forward", "", np.cumsum, normal((6,)), lambda g, x: np.cumsum(g))
wrong("logsumexp, not normalised", FACTOR, pairs.logsumexp, normal((7,)), lambda g, x: g * np.exp(x))
wrong("logsumexp of rows, not normalised", "row", pairs.logsumexp, normal((4, 5)), lambda g, x: g[:, None] * np.exp(x))
wrong("norm, not normalised", FACTOR, pairs.norm, normal((5,)), lambda g, x: g * x)
wrong("norm of rows, not normalised", "row", pairs.norm, normal((4, 5)), lambda g, x: g[:, None] * x)
wrong("cosine similarity, no projection", "", pairs.cosine, normal((3, 4), (3, 4)), lambda g, a, b: tuple(g[:, None] * v / (pairs.norm(a) * pairs.norm(b))[:, None] for v in (b, a)))
wrong("cosine similarity, exchanged", "swapped", pairs.cosine, normal((3, 4), (3, 4)), reordered(pairs.cosine_gradient, 1, 0))

# Softmax and losses
wrong("softmax, the diagonal only", "cross terms", softmax, normal((3, 4)), lambda g, x: g * softmax(x) * (1 - softmax(x)))
wrong("softmax, upstream not weighted", "", softmax, normal((3, 4)), lambda g, x: softmax(x) * (g - g.sum(axis=-1, keepdims=True)))
wrong("softmax, upstream forgotten", UPSTREAM, softmax, normal((4,)), lambda g, x: softmax(x) * (1 - softmax(x)))
wrong("softmax, overflow", "not a number", softmax, lambda rng: (rng.normal(size=(3, 4)) + 800,), naive_softmax_gradient)
wrong("log-softmax, the diagonal only", "cross terms", pairs.log_softmax, normal((3, 4)), lambda g, x: g * (1 - softmax(x)))
wrong("log-softmax, upstream not summed", ("upstream", NONLINEAR), pairs.log_softmax, normal((3, 4)), lambda g, x: g - softmax(x))
wrong("cross-entropy, 1/n forgotten", (UNDIVIDED, FACTOR), pairs.cross_entropy, labelled(5, 4), scaled(pairs.cross_entropy_gradient, 5, 1))
wrong("cross-entropy, sign", "sign", pairs.cross_entropy, labelled(5, 4), scaled(pairs.cross_entropy_gradient, -1, 1))
wrong("cross-entropy, labels not subtracted", "", pairs.cross_entropy, labelled(5, 4), lambda g, z, labels: (g * softmax(z) / 5, None))
wrong("cross-entropy, upstream forgotten", UPSTREAM, pairs.cross_entropy, labelled(6, 3), lambda g, z, labels: ((softmax(z) - one_hot(labels, 3)) / 6, None))
wrong("cross-entropy, upstream twice", ("upstream", NONLINEAR), pairs.cross_entropy, labelled(6, 3), lambda g, z, labels: (g * g * (softmax(z) - one_hot(labels, 3)) / 6, None))
wrong("mean squared error, the 2 forgotten", FACTOR, mse, normal((6, 2), (6, 2)), scaled(mse_gradient, 0.5, 0.5))
wrong("mean squared error, 1/n forgotten", (UNDIVIDED, FACTOR), mse, normal((7,), (7,)), scaled(mse_gradient, 7, 7))
wrong("mean squared error, target's sign", ("sign", "swapped"), mse, normal((3, 4), (3, 4)), scaled(mse_gradient, 1, -1))

# Matrices and layers
wrong("matmul, transposed gradient", "transposed", np.matmul, normal((4, 4), (4, 4)), lambda g, a, b: (g @ b.T, g.T @ a))
wrong("matmul, transposed, not square", ("transposed", "shape"), np.matmul, normal((3, 4), (4, 2)), lambda g, a, b: (g @ b.T, g.T @ a))
wrong("matmul, b for its transpose", "", np.matmul, normal((4, 4), (4, 4)), lambda g, a, b: (g @ b, a.T @ g))
wrong("matmul, upstream forgotten", UPSTREAM, np.matmul, normal((3, 4), (4, 2)), lambda g, a, b: (np.ones_like(g) @ b.T, a.T @ np.ones_like(g)))
wrong("dense, bias averaged", AVERAGED, affine, DENSE, lambda g, x, kernel, bias: (g @ kernel.T, x.T @ g, g.mean(axis=0)))
wrong("dense, kernel divided by the batch", FACTOR, affine, DENSE, scaled(dense_parts, 1, 1 / 6, 1))
wrong("dense, bias without the activation", ("bias", "upstream"), pairs.dense, DENSE, edited(pairs.dense_gradient, d2=lambda d, g: g.sum(axis=0)))
wrong("dense, transposed square kernel", "transposed", pairs.dense, normal((6, 4), (4, 4), (4,)), edited(pairs.dense_gradient, d1=lambda d, g: d.T))
wrong("network, first kernel transposed", "transposed", pairs.mlp, MLP, edited(pairs.mlp_gradient, d0=lambda d, g: d.T))
wrong("network, first bias averaged", (AVERAGED, FACTOR), pairs.mlp, MLP, scaled(pairs.mlp_gradient, 1, 1 / 6, 1, 1))
wrong("network, last bias not summed", (UNSUMMED, "shape"), pairs.mlp, MLP, edited(pairs.mlp_gradient, d3=lambda d, g: g))
wrong("network, ascends", "sign", pairs.mlp, MLP, scaled(pairs.mlp_gradient, -1, -1, -1, -1))
wrong("network, tanh not differentiated", "", pairs.mlp, MLP, mlp_without_slope)
wrong("layer norm, epsilon forgotten", "", pairs.layer_norm, NORM, layer_norm_without_epsilon)
wrong("layer norm, mean and scale held constant", "cross terms", pairs.layer_norm, NORM, lambda *a: norm_terms_lost(*a, axis=-1, keep_mean=False))
wrong("layer norm, scale held constant", "", pairs.layer_norm, NORM, lambda *a: norm_terms_lost(*a, axis=-1, keep_mean=True))
wrong("layer norm, gamma and beta exchanged", "swapped", pairs.layer_norm, NORM, reordered(pairs.layer_norm_gradient, 0, 2, 1))
wrong("layer norm, gamma averaged", AVERAGED, pairs.layer_norm, NORM, scaled(pairs.layer_norm_gradient, 1, 1 / 6, 1))
wrong("batch norm, statistics held constant", "cross terms", pairs.batch_norm, NORM, lambda *a: norm_terms_lost(*a, axis=0, keep_mean=False))
wrong("embedding, the last id wins", "repeated indices", pairs.embedding, with_ids(5, 3, [1, 3, 1, 0]), counted_once)
wrong("embedding, ids in rows, the last wins", "repeated indices", pairs.embedding, with_ids(4, 2, [[1, 3, 1], [1, 1, 2]]), counted_once)
wrong("embedding, ids hidden, the last wins", "repeated indices", lambda table: table[IDS], normal((4, 3)), lambda g, table: placed(table, (IDS, g)))
wrong("embedding, divided by the count", ("repeated indices", "row"), pairs.embedding, with_ids(5, 3, [1, 3, 1, 0]), divided_by_count)
wrong("embedding, ids off by one", "wrong place", pairs.embedding, with_ids(5, 3, [1, 3, 2]), lambda g, table, ids: pairs.embedding_gradient(g, table, ids + 1))
wrong("embedding, row 0 masked", ("row", "zero"), pairs.embedding, with_ids(5, 3, [1, 0, 2, 4]), edited(pairs.embedding_gradient, d0=lambda d, g: d * (np.arange(5) > 0)[:, None]))
wrong("slice, padded at the other end", "wrong place", lambda x: x[1:], normal((6,)), lambda g, x: np.append(g, 0.0))
wrong("every second, side by side", "wrong place", lambda x: x[::2], normal((6, 2)), lambda g, x: placed(x, (slice(3), g)))
wrong("picked elements, of the output's shape", "shape", lambda x: x[[0, 2]], normal((5,)), lambda g, x: g)
wrong("transpose, not transposed back", "transposed", np.transpose, normal((4, 4)), lambda g, x: g)
wrong("permute, the same again", ("wrong place", "transposed"), lambda x: np.transpose(x, (1, 2, 0)), normal((3, 3, 3)), lambda g, x: np.transpose(g, (1, 2, 0)))
wrong("reshape, by columns", "wrong place", lambda x: np.reshape(x, (4, 3)), normal((2, 6)), lambda g, x: np.reshape(g, x.shape, order="F"))
wrong("concatenate, parts exchanged", "swapped", lambda a, b: np.concatenate([a, b]), normal((2, 3), (2, 3)), lambda g, a, b: (g[2:], g[:2]))
wrong("stack, second forgotten", "zero", lambda a, b: np.stack([a, b]), normal((4,), (4,)), lambda g, a, b: (g[0], 0 * g[1]))
wrong("roll, not rolled back", "wrong place", lambda x: np.roll(x, 2), normal((7,)), lambda g, x: np.roll(g, 2))
wrong("reverse, not reversed back", "wrong place", lambda x: x[::-1], normal((5, 2)), lambda g, x: g)
wrong("einsum, rows averaged", AVERAGED, lambda s, x: np.einsum("i,ij->ij", s, x), normal((3,), (3, 4)), lambda g, s, x: (np.mean(g * x, axis=1), g * s[:, None]))
wrong("einsum of all, exchanged", "swapped", lambda a, b: np.einsum("ij,ij->", a, b), normal((3, 4), (3, 4)), lambda g, a, b: (g * a, g * b))
wrong("convolution, kernel flipped", "wrong place", pairs.conv1d, CONV, edited(pairs.conv1d_gradient, d1=lambda d, g: d[::-1]))
wrong("convolution, input meets a flipped kernel", "", pairs.conv1d, CONV, conv_unflipped)
wrong("convolution, bias of the first step only", (UNSUMMED, "bias"), pairs.conv1d, CONV, edited(pairs.conv1d_gradient, d2=lambda d, g: g[:, 0].sum(axis=0)))
wrong("average pool, not divided", (FACTOR, UNDIVIDED), lambda x: x.reshape(2, -1, 2, 3).mean(axis=2), normal((2, 6, 3)), lambda g, x: np.repeat(g, 2, axis=1))
wrong("max pool, to both", "", pairs.max_pool, normal((2, 6, 3)), lambda g, x: np.repeat(g, 2, axis=1))
wrong("max pool, to the first", "wrong place", pairs.max_pool, normal((2, 6, 3)), lambda g, x: placed(x, ((slice(None), slice(0, None, 2)), g)))

# Attention and recurrence
wrong("attention, 1/sqrt(d) forgotten", FACTOR, pairs.attention, ATTENTION, scaled(pairs.attention_gradient, 3**0.5, 3**0.5, 1))
wrong("attention, query and key exchanged", "swapped", pairs.attention, ATTENTION, reordered(pairs.attention_gradient, 1, 0, 2))
wrong("attention, softmax's diagonal only", "", pairs.attention, ATTENTION, attention_diagonal)
wrong("rnn, gradient stops after one step", "", pairs.rnn, RNN, rnn_last_step_only)
wrong("rnn, recurrent kernel transposed", "transposed", pairs.rnn, RNN, edited(pairs.rnn_gradient, d3=lambda d, g: d.T))
wrong("rnn, first state forgotten", "zero", pairs.rnn, RNN, scaled(pairs.rnn_gradient, 1, 0, 1, 1, 1))
wrong("rnn, time reversed in x", "wrong place", pairs.rnn, RNN, edited(pairs.rnn_gradient, d0=lambda d, g: d[:, ::-1]))
wrong("lstm step, gates i and f exchanged", "gate block", pairs.lstm, LSTM, edited(pairs.lstm_gradient, d3=gates_swapped, d4=gates_swapped, d5=gates_swapped))
wrong("lstm step, candidate with a sigmoid's slope", "gate block", pairs.lstm, LSTM, lambda *a: (pairs.lstm_gradient(*a)[:3] + pairs.lstm_gradient(*a, candidate=lambda z: z * (1 - z))[3:]))
wrong("lstm step, forget gate sees the new cell", "gate block", pairs.lstm, LSTM, lambda *a: (pairs.lstm_gradient(*a)[:3] + pairs.lstm_gradient(*a, new_cell=True)[3:]))
wrong("lstm step, output gate of the kernel lost", ("gate block", "zero"), pairs.lstm, LSTM, edited(pairs.lstm_gradient, d3=block(3, np.zeros_like)))
wrong("lstm step, hidden and cell exchanged", "swapped", pairs.lstm, LSTM, reordered(pairs.lstm_gradient, 0, 2, 1, 3, 4, 5))
wrong("lstm, cell not carried back in time", "", pairs.lstm, LSTM_IN_TIME, lambda *a: pairs.lstm_gradient(*a, carry=0.0))
wrong("lstm, forget gate's bias doubled", "gate block", pairs.lstm, LSTM_IN_TIME, edited(pairs.lstm_gradient, d5=block(1, lambda d: 2 * d)))
wrong("lstm, gates i and f of the kernel exchanged", "gate block", pairs.lstm, LSTM_IN_TIME, edited(pairs.lstm_gradient, d3=gates_swapped))
wrong("gru, update gate's sign", "gate block", pairs.gru, GRU, lambda *a: (pairs.gru_gradient(*a)[:2] + pairs.gru_gradient(*a, toward=1.0)[2:]))
wrong("gru, candidate of the kernel negative", ("gate block", "sign"), pairs.gru, GRU, edited(pairs.gru_gradient, d2=block(2, np.negative, gates=3)))
wrong("gru, state only through the gates", "", pairs.gru, GRU, edited(pairs.gru_gradient, d1=lambda d, g: d - g))
# fmt: on

if __name__ == "__main__":
    parade()
