"""The herd: right gradients, drawn at the places where a checker is tempted to cry wolf.

Kinks and ties, empty arrays and plain numbers, float32, 1e-200 and 1e200, a large offset, saturation, cancellation,
views that are read-only or not contiguous. A checker that rejects one of them raises a false alarm.
"""

# ruff: noqa: E501  one line, one animal

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.experiments import pairs
from tinyllm.experiments.pairs import Animal, Array, Draw, sum_to

HERD: dict[str, Animal] = {}


def right(rng: np.random.Generator) -> Animal:
    """One function of the herd at random, with its right gradient; animal.draw(rng) then draws inputs for it.

    >>> animal = right(np.random.default_rng(0))
    >>> inputs = animal.draw(np.random.default_rng(0))
    >>> animal.gradient(np.ones_like(animal.f(*inputs)), *inputs) is None
    False
    """
    return list(HERD.values())[rng.integers(len(HERD))]


def member(name: str, f: Callable, gradient: Callable, draw: Draw) -> None:
    HERD[name] = Animal(name, f, gradient, draw)


def shape(rng: np.random.Generator, least: int = 0) -> tuple[int, ...]:
    """Zero (or least) to three axes of 1 to 5 elements."""
    return tuple(int(n) for n in rng.integers(1, 6, size=rng.integers(least, 4)))


def normal(decades: float = 0, offset: float = 0, least: int = 0, scale: float = 1) -> Draw:
    """A normal array of any shape, its scale anywhere between 10^-decades and 10^decades."""
    return lambda rng: (
        np.asarray(rng.normal(size=shape(rng, least)) * scale * 10.0 ** rng.uniform(-decades, decades) + offset),
    )


def positive(decades: float = 0) -> Draw:
    return lambda rng: (np.asarray(rng.uniform(0.5, 2, size=shape(rng)) * 10.0 ** rng.uniform(-decades, decades)),)


def whole(least: int = 0) -> Draw:
    """Floating-point numbers -2, -1, 0, 1, 2: every kink and every tie there is."""
    return lambda rng: (rng.integers(-2, 3, size=shape(rng, least)).astype(float),)


def wholes(rng: np.random.Generator) -> tuple[Array, Array]:
    s = shape(rng)
    return rng.integers(-2, 3, size=s).astype(float), rng.integers(-2, 3, size=s).astype(float)


def broadcast(rng: np.random.Generator) -> tuple[Array, Array]:
    """Two arrays, each of them widened here and there by the other, away from zero."""
    s = shape(rng)
    sizes = [tuple(n if rng.random() < 0.6 else 1 for n in s)[rng.integers(0, len(s) + 1) :] for _ in range(2)]
    return tuple(np.asarray(rng.uniform(0.5, 2, size=t) * rng.choice([-1, 1], size=t)) for t in sizes)  # type: ignore


def sizes(*shapes: str) -> Draw:
    """Normal arrays whose axes are letters, each letter a size between 1 and 5: sizes("bf", "fu", "u")."""

    def draw(rng: np.random.Generator) -> tuple[Array, ...]:
        n = {letter: int(rng.integers(1, 6)) for letter in sorted(set("".join(shapes)))}
        return tuple(rng.normal(size=[int(a) if a.isdigit() else n[a] for a in s]) for s in shapes)

    return draw


def ids_into(rows: int, columns: int) -> Draw:
    """A table and ids into it, more ids than rows, so some are repeated; now and then no id at all."""
    return lambda rng: (
        rng.normal(size=(rows, columns)),
        rng.integers(0, rows, size=[(0,), (2 * rows,), (3, rows)][rng.integers(3)]),
    )


def logits_and_labels(offset: float) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array, Array]:
        rows, classes = rng.integers(1, 7), rng.integers(2, 6)
        return rng.normal(size=(rows, classes)) * 3 + offset, rng.integers(0, classes, size=rows)

    return draw


def changed(draw: Draw, change: Callable[[Array], Any]) -> Draw:
    return lambda rng: tuple(change(a) for a in draw(rng))


def frozen(a: Array) -> Array:
    a.flags.writeable = False
    return a


def lstm_inputs(rng: np.random.Generator) -> tuple[Array, ...]:
    b, t, f, u = (int(n) for n in rng.integers(1, 4, size=4))
    shapes = [(b, t, f), (b, u), (b, u), (f, 4 * u), (u, 4 * u), (4 * u,)]
    return tuple(rng.normal(size=s) for s in shapes)


def share(g: Array, x: Array) -> Array:
    """The gradient of the largest element of each row, shared equally at a tie."""
    tied = x == np.max(x, axis=-1, keepdims=True)
    return np.expand_dims(g, -1) * tied / np.sum(tied, axis=-1, keepdims=True)


def power_int(x, n):
    return x**n


# fmt: off
# Smooth, at every scale
member("a line",               lambda x: 3 * x,          lambda g, x: 3 * g,                      normal(200))
member("a line with offset",   lambda x: 3 * x + 2,      lambda g, x: 3 * g,                      normal(200))
member("negative",             lambda x: -x,             lambda g, x: -g,                         normal(200))
member("square",               np.square,                lambda g, x: 2 * x * g,                  normal(100))
member("cube",                 lambda x: x**3,           lambda g, x: 3 * x * x * g,              normal(60))
member("square root",          np.sqrt,                  lambda g, x: g / (2 * np.sqrt(x)),       positive(200))
member("reciprocal",           lambda x: 1 / x,          lambda g, x: -g / x / x,                 positive(70))
member("log",                  np.log,                   lambda g, x: g / x,                      positive(200))
member("log1p of little",      np.log1p,                 lambda g, x: g / (1 + x),                normal(3, scale=1e-12))
member("exp",                  np.exp,                   lambda g, x: g * np.exp(x),              normal(scale=8))
member("expm1 of little",      np.expm1,                 lambda g, x: g * np.exp(x),              normal(3, scale=1e-12))
member("sine far out",         np.sin,                   lambda g, x: g * np.cos(x),              normal(offset=1e6))
member("sine, fast",           lambda x: np.sin(100 * x), lambda g, x: 100 * g * np.cos(100 * x), normal())
member("arctan",               np.arctan,                lambda g, x: g / (1 + x * x),            normal(5))
member("sigmoid, saturated",   pairs.sigmoid,            lambda g, x: g * pairs.sigmoid(x) * pairs.sigmoid(-x), normal(scale=30))
member("tanh, saturated",      np.tanh,                  lambda g, x: g / np.cosh(x) ** 2,        normal(scale=10))
member("softplus",             lambda x: np.logaddexp(0, x), lambda g, x: g * pairs.sigmoid(x),   normal(1))
member("gelu",                 pairs.gelu,               lambda g, x: g * pairs.gelu_slope(x),    normal(scale=3))
member("swish",                lambda x: x * pairs.sigmoid(x), lambda g, x: g * pairs.sigmoid(x) * (1 + x * pairs.sigmoid(-x)), normal(scale=3))
member("bell",                 lambda x: np.exp(-x * x), lambda g, x: -2 * x * g * np.exp(-x * x), normal(scale=5))

# Two inputs, widened by broadcasting
member("sum of two",           np.add,                   lambda g, a, b: (sum_to(g, a.shape), sum_to(g, b.shape)), broadcast)
member("product",              np.multiply,              lambda g, a, b: (sum_to(g * b, a.shape), sum_to(g * a, b.shape)), broadcast)
member("quotient",             np.divide,                lambda g, a, b: (sum_to(g / b, a.shape), sum_to(-g * a / b**2, b.shape)), broadcast)
member("power",                np.power,                 lambda g, a, b: (sum_to(g * b * a ** (b - 1), a.shape), sum_to(g * np.log(a) * a**b, b.shape)), changed(broadcast, np.abs))
member("hypotenuse",           np.hypot,                 lambda g, a, b: (sum_to(g * a / np.hypot(a, b), a.shape), sum_to(g * b / np.hypot(a, b), b.shape)), broadcast)
member("tiny times huge",      np.multiply,              lambda g, a, b: (g * b, g * a), lambda rng: (1e-150 * rng.normal(size=4), 1e150 * rng.normal(size=4)))

# Kinks, at them and near them: relu and abs 0, clip 1 at a bound, a tie shared equally
member("relu at the kink",     lambda x: np.maximum(x, 0.0), lambda g, x: g * (x > 0),            whole())
member("relu near the kink",   lambda x: np.maximum(x, 0.0), lambda g, x: g * (x > 0),            normal(3, scale=1e-7))
member("leaky relu",           lambda x: np.where(x > 0, x, 0.1 * x), lambda g, x: g * np.where(x > 0, 1, 0.1), whole())
member("abs at the kink",      np.abs,                   lambda g, x: g * np.sign(x),             whole())
member("abs near the kink",    np.abs,                   lambda g, x: g * np.sign(x),             normal(3, scale=1e-7))
member("clip at a bound",      lambda x: np.clip(x, -1.0, 1.0), lambda g, x: g * (np.abs(x) <= 1), whole())
member("maximum with ties",    np.maximum,               lambda g, a, b: (g * ((a > b) + 0.5 * (a == b)), g * ((b > a) + 0.5 * (a == b))), wholes)
member("minimum with ties",    np.minimum,               lambda g, a, b: (g * ((a < b) + 0.5 * (a == b)), g * ((b < a) + 0.5 * (a == b))), wholes)
member("max with ties",        lambda x: np.max(x, axis=-1), share,                               whole(1))
member("max",                  lambda x: np.max(x, axis=-1), share,                               normal(5, least=1))
member("huber",                lambda x: np.where(np.abs(x) < 1, 0.5 * x * x, np.abs(x) - 0.5), lambda g, x: g * np.clip(x, -1, 1), whole())
member("hard sigmoid",         lambda x: np.clip(x / 6 + 0.5, 0.0, 1.0), lambda g, x: g * (np.abs(x) < 3) / 6, normal(scale=3))
member("two pieces",           lambda x: np.where(x > 0, x * x, np.sin(x)), lambda g, x: g * np.where(x > 0, 2 * x, np.cos(x)), normal())
member("saw",                  lambda x: x - np.floor(x), lambda g, x: 1.0 * g,                    normal(scale=3))
member("max pool",             pairs.max_pool,           pairs.max_pool_gradient,                 lambda rng: (rng.normal(size=(2, 6, 3)),))

# Flat: a gradient of zero is right
member("a constant",           lambda x: 3 * np.ones_like(x), lambda g, x: np.zeros_like(x),      normal(100))
member("sign",                 np.sign,                  lambda g, x: 0.0 * g,                    normal())
member("round",                np.round,                 lambda g, x: 0.0 * g,                    normal(scale=5))
member("an unused input",      lambda a, b: np.tanh(a),  lambda g, a, b: (g / np.cosh(a) ** 2, np.zeros_like(b)), sizes("ab", "c"))
member("x - x",                lambda x: x - x,          lambda g, x: 0.0 * g,                    normal(5))

# Reductions
member("sum",                  lambda x: np.sum(x, axis=0), lambda g, x: np.broadcast_to(g, x.shape), normal(100, least=1))
member("mean",                 np.mean,                  lambda g, x: np.full_like(x, g / x.size), normal(5))
member("variance far out",     np.var,                   lambda g, x: 2 * g * (x - np.mean(x)) / x.size, normal(offset=1e6))
member("standard deviation",   lambda x: np.std(x, axis=-1), lambda g, x: g[..., None] * (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) * x.shape[-1]), lambda rng: (rng.normal(size=(3, 5)),))
member("product of all",       np.prod,                  lambda g, x: g * np.array([np.prod(np.delete(x, i)) for i in range(x.size)]), lambda rng: (rng.integers(-1, 3, size=5).astype(float),))
member("running sum",          np.cumsum,                lambda g, x: np.cumsum(g[::-1])[::-1],   lambda rng: (rng.normal(size=rng.integers(1, 9)),))
member("softmax, offset",      pairs.softmax,            pairs.softmax_gradient,                  normal(offset=1e4, least=1))
member("softmax, saturated",   pairs.softmax,            pairs.softmax_gradient,                  normal(scale=50, least=1))
member("log-softmax",          pairs.log_softmax,        lambda g, x: g - pairs.softmax(x) * g.sum(axis=-1, keepdims=True), normal(scale=20, least=1))
member("logsumexp",            pairs.logsumexp,          lambda g, x: g[..., None] * pairs.softmax(x), normal(offset=1e5, least=1))
member("cross-entropy",        pairs.cross_entropy,      pairs.cross_entropy_gradient,            logits_and_labels(0))
member("cross-entropy, offset", pairs.cross_entropy,     pairs.cross_entropy_gradient,            logits_and_labels(1e4))
member("mean squared error",   lambda a, b: np.mean((a - b) ** 2), lambda g, a, b: (2 * g * (a - b) / a.size, 2 * g * (b - a) / a.size), sizes("ab", "ab"))
member("norm",                 pairs.norm,               lambda g, x: g[..., None] * x / pairs.norm(x)[..., None], normal(100, least=1))
member("cosine similarity",    pairs.cosine,             pairs.cosine_gradient,                   sizes("b4", "b4"))

# Layers
member("matmul",               np.matmul,                lambda g, a, b: (g @ b.T, a.T @ g),      sizes("ik", "kj"))
member("dense",                pairs.dense,              pairs.dense_gradient,                    sizes("bf", "fu", "u"))
member("two-layer network",    pairs.mlp,                pairs.mlp_gradient,                      sizes("4h", "h", "hu", "u"))
member("layer norm",           pairs.layer_norm,         pairs.layer_norm_gradient,               sizes("bf", "f", "f"))
member("batch norm",           pairs.batch_norm,         pairs.batch_norm_gradient,               sizes("5f", "f", "f"))
member("embedding",            pairs.embedding,          pairs.embedding_gradient,                ids_into(4, 3))
member("one convolution",      pairs.conv1d,             pairs.conv1d_gradient,                   sizes("b5f", "3fu", "u"))
member("attention",            pairs.attention,          pairs.attention_gradient,                sizes("btd", "bsd", "bsu"))
member("rnn",                  pairs.rnn,                pairs.rnn_gradient,                      sizes("btf", "bu", "fu", "uu", "u"))
member("lstm",                 pairs.lstm,               pairs.lstm_gradient,                     lstm_inputs)
member("gru",                  pairs.gru,                pairs.gru_gradient,                      lambda rng: tuple(rng.normal(size=s) for s in [(2, 3), (2, 4), (3, 12), (4, 12)]))
member("integer power",        power_int,                lambda g, x, n: (g * n * x ** (n - 1), None), lambda rng: (rng.normal(size=6), np.arange(1, 7)))
member("a mask",               lambda x, mask: np.where(mask, x, 0.0), lambda g, x, mask: (g * mask, None), lambda rng: (rng.normal(size=(3, 4)), rng.random((3, 4)) < 0.5))
member("transpose",            np.transpose,             lambda g, x: np.transpose(g),            normal(5))
member("last axis first",      lambda x: np.moveaxis(x, -1, 0), lambda g, x: np.moveaxis(g, 0, -1), normal(least=2))
member("a picked row, twice",  lambda x: x[[0, 0]],      lambda g, x: np.concatenate([g.sum(axis=0)[None], 0 * x[1:]]), normal(least=1))

# Unusual arrays
member("0-size",               np.tanh,                 lambda g, x: g / np.cosh(x) ** 2,        lambda rng: (np.zeros((3, 0, 2)),))
member("0-size, summed",       np.sum,                   lambda g, x: np.broadcast_to(g, x.shape), lambda rng: (np.zeros((0, 2)),))
member("0-d",                  np.sin,                   lambda g, x: g * np.cos(x),              lambda rng: (np.asarray(rng.normal()),))
member("a plain float",        lambda x, y: x * np.sin(y), lambda g, x, y: (g * np.sin(y), g * x * np.cos(y)), lambda rng: (float(rng.normal()), float(rng.normal())))
member("float32 input",        np.tanh,                  lambda g, x: g / np.cosh(x) ** 2,        changed(normal(), np.float32))
member("float32 dense",        pairs.dense,              pairs.dense_gradient,                    changed(sizes("bf", "fu", "u"), np.float32))
member("float32 inside",       lambda x: np.tanh(x.astype(np.float32)), lambda g, x: g / np.cosh(x.astype(np.float32)) ** 2, normal())
member("float32 inside, summed", lambda x: np.sum(x.astype(np.float32) ** 2), lambda g, x: 2 * g * x.astype(np.float32), normal(2))
member("strided",              np.square,                lambda g, x: 2 * g * x,                  lambda rng: (rng.normal(size=(6, 8))[::2, ::-2].T,))
member("column order",         lambda x: x @ x,          lambda g, x: g @ x.T + x.T @ g,          lambda rng: (np.asfortranarray(rng.normal(size=(4, 4))),))
member("read-only",            np.exp,                   lambda g, x: g * np.exp(x),              changed(normal(), frozen))
member("one number, repeated", np.square,                lambda g, x: 2 * g * x,                  lambda rng: (np.broadcast_to(rng.normal(size=4), (3, 4)),))
member("a view of the input",  lambda x: x[::-1],        lambda g, x: g[::-1],                    normal(least=1))
member("1000 elements",        lambda x: np.sum(np.sin(x)), lambda g, x: g * np.cos(x),           lambda rng: (rng.normal(size=1000),))

# Cancellation
member("offset, taken away",   lambda x: (x + 1e8) - 1e8, lambda g, x: 1.0 * g,                    normal())
member("1 - cos, little",      lambda x: 1 - np.cos(x),  lambda g, x: g * np.sin(x),              normal(scale=1e-3))
member("difference of squares", lambda a, b: a * a - b * b, lambda g, a, b: (2 * g * a, -2 * g * b), lambda rng: (1e4 + rng.normal(size=3), 1e4 + rng.normal(size=3)))
member("log of exp",           lambda x: np.log(np.exp(x)), lambda g, x: 1.0 * g,                  normal(scale=20))
member("large and small",      lambda x: x * np.array([1e-12, 1.0, 1e12]), lambda g, x: g * np.array([1e-12, 1.0, 1e12]), lambda rng: (rng.normal(size=3),))
# fmt: on
