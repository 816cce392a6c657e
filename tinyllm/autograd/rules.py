"""The table of derivatives.

For y = f(a, b, ...) there is one function per argument. It takes g, the gradient of the loss with respect to y, then
y, then f's own arguments, and returns the gradient with respect to its argument. Plain NumPy: the same line runs on
arrays (fast) and on Tensors (so that it can be differentiated again). Broadcasting, dtypes and accumulation are the
walk's business (graph.py), never a rule's.

Three kinds of entry: a `rule` gives derivatives; a `composite` defines a function through others and needs none;
`flat` lists the functions whose derivative is zero almost everywhere, which return plain arrays.

Where a derivative does not exist, these are the conventions (docs/conventions.md): abs and relu at 0: 0; maximum and
minimum at a tie: half each; max and min over ties: shared equally; clip at a bound: 1.
"""

import inspect
import math
from collections.abc import Callable

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinyllm.autograd.graph import Op
from tinyllm.autograd.tensor import COMPOSITES, FLAT, TABLE, astype, function, getitem, signature

__all__ = [
    "composite",
    "differentiable",
    "flat",
    "log_softmax",
    "logsumexp",
    "relu",
    "rule",
    "scatter_add",
    "sigmoid",
    "softmax",
    "softplus",
]


# -- how entries are made -------------------------------------------------------------------------------------------


def rule(f: Callable) -> Callable:
    """rule(f)(d_a, d_b, ...): f's derivative with respect to each argument; None for an argument that has none."""

    def enter(*derivatives: Callable | None, variadic: Callable | None = None) -> None:
        op = TABLE.setdefault(f, Op(f, f.__name__))
        op.derivatives, op.variadic = derivatives, variadic
        example = variadic(0) if variadic else next(d for d in derivatives if d)
        names = [p.name for p in inspect.signature(example).parameters.values() if p.kind is not p.VAR_POSITIONAL][2:]
        op.arity = len(derivatives) if derivatives else 1_000_000  # variadic: every argument is an array
        op.keywords = frozenset(names[0 if variadic else op.arity :])
        op.positional = op.arity
        if not isinstance(f, np.ufunc) and not variadic:  # how far NumPy's positional arguments agree with the rule's
            theirs = [{"newshape": "shape"}.get(n, n) for n in signature(f).parameters]  # newshape: NumPy 2.0
            while op.positional < min(len(names), len(theirs)) and names[op.positional] == theirs[op.positional]:
                op.positional += 1

    return enter


def composite(f: Callable) -> Callable:
    """Define what f does on Tensors through other functions of the table."""

    def enter(definition: Callable) -> Callable:
        COMPOSITES[f] = definition
        return definition

    return enter


def flat(*functions: Callable) -> None:
    """Functions without a useful derivative: on Tensors they return plain arrays."""
    FLAT.update(functions)


def differentiable() -> list[str]:
    """The names of all functions that have a derivative, sorted.

    >>> "tanh" in differentiable()
    True
    """
    return sorted({f.__name__ for f in [*TABLE, *COMPOSITES]})


# -- what the rules below are written with --------------------------------------------------------------------------


def spread(g, x, axis=None, keepdims=False):
    """g, or y, of a reduction of x over `axis`, with the reduced axes back as axes of length 1."""
    if axis is None:
        return np.reshape(g, (1,) * x.ndim)
    return g if keepdims else np.expand_dims(g, axis)


def count(x, axis=None):
    """How many elements a reduction over `axis` takes together."""
    if axis is None:
        return x.size
    return math.prod(x.shape[a] for a in (axis if isinstance(axis, tuple) else (axis,)))


def tied(x, y, axis=None, keepdims=False):
    """Where x reaches its extreme y along `axis`, as weights that share 1 equally among ties."""
    hit = np.equal(x, spread(y, x, axis, keepdims)).astype(x.dtype)
    return hit / np.sum(hit, axis=axis, keepdims=True)


def half(winner, a, b):
    """1 where `winner` holds, 1/2 at a tie of a and b, else 0."""
    return winner + 0.5 * np.equal(a, b)


def one_less(b, a):
    """The exponent b - 1 in the derivative of a ** b; but 1 where a and b are 0, for 0 * 0 ** -1 is meant to be 0."""
    if isinstance(b, int | float):
        return b - 1 if b else 1
    return np.where(np.equal(a, 0) & np.equal(b, 0), 1, b - 1)


def swap(m):
    """A matrix, or a stack of them, transposed."""
    return np.swapaxes(m, -1, -2)


def row(a):
    """The first factor of a matrix product as a matrix."""
    return np.expand_dims(a, 0) if a.ndim == 1 else a


def column(b):
    """The second factor of a matrix product as a matrix."""
    return np.expand_dims(b, 1) if b.ndim == 1 else b


def product(g, a, b):
    """The gradient of a @ b with the axes back that the product drops for vectors."""
    g = np.expand_dims(g, -1) if b.ndim == 1 else g
    return np.expand_dims(g, -2) if a.ndim == 1 else g


def matmul_b(g, y, a, b):
    """The gradient of a @ b for b: one product even where a is a stack of matrices and b is shared by all."""
    if a.ndim > 2 and b.ndim == 2:
        rows = math.prod(a.shape[:-1])
        return np.reshape(a, (rows, a.shape[-1])).T @ np.reshape(g, (rows, g.shape[-1]))
    d = swap(row(a)) @ product(g, a, b)
    return np.squeeze(d, -1) if b.ndim == 1 else d


def inverse(axes, n):
    """The permutation that undoes `axes` (None: the axes reversed)."""
    return None if axes is None else tuple(np.argsort([a % n for a in axes]))


def part(g, i, arrays, axis):
    """The piece of g that came from the i-th of the arrays joined along `axis`."""
    axis %= g.ndim
    start = sum(a.shape[axis] for a in arrays[:i])
    return g[(slice(None),) * axis + (slice(start, start + arrays[i].shape[axis]),)]


# -- functions that NumPy lacks -------------------------------------------------------------------------------------


@function
def sigmoid(x):
    """1 / (1 + exp(-x)), to full relative precision on both sides, without overflow.

    >>> float(sigmoid(0.0)), float(sigmoid(-1000.0))
    (0.5, 0.0)
    """
    e = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), 1, e) / (1 + e)


@function
def softplus(x):
    """log(1 + exp(x)) without overflow.

    >>> float(softplus(1000.0))
    1000.0
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@function
def relu(x):
    """max(x, 0); its derivative at 0 is 0.

    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return np.maximum(x, 0)


def _real(x):
    """x as a floating-point array."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(float)


def _peak(x, axis):
    """The largest value along `axis`, to subtract before exp; 0 where it is infinite or there is none."""
    m = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(m), m, np.zeros((), x.dtype))


@function
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along `axis`, shifted so that nothing overflows.

    >>> softmax(np.array([0.0, 0.0, -1000.0]))
    array([0.5, 0.5, 0. ])
    """
    x = _real(x)
    e = np.exp(x - _peak(x, axis))
    return e / np.sum(e, axis=axis, keepdims=True)


@function
def log_softmax(x, axis=-1):
    """log(softmax(x)) along `axis`, computed without taking the log of a small number.

    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    x = _real(x)
    z = x - _peak(x, axis)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


@function
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) over `axis`, without overflow; -inf (with derivative 0) where everything is -inf.

    >>> float(logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    """
    x = _real(x)
    peak = _peak(x, axis)
    with np.errstate(divide="ignore"):
        y = np.log(np.sum(np.exp(x - peak), axis=axis, keepdims=True)) + peak
    return y if keepdims else np.squeeze(y, axis)


@function
def scatter_add(x, index, shape):
    """Zeros of this shape with x added at `index`; what stands at a repeated index adds up. Undoes x[index].

    >>> scatter_add(np.array([1.0, 2.0, 4.0]), [0, 2, 2], (3,))
    array([1., 0., 6.])
    """
    out = np.zeros(shape, x.dtype)
    if _is_basic(index):
        out[index] = x
    else:
        np.add.at(out, index, x)
    return out


def _is_basic(index):
    """Whether an index is made of integers, slices, None and ... only, so that no element is taken twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is ... or isinstance(p, slice | int | np.integer) for p in parts)


@function
def clip(x, low, high):
    """np.clip with both bounds given."""
    return np.clip(x, low, high)


@function
def concatenate(*arrays, axis=0):
    """np.concatenate with the arrays as arguments."""
    return np.concatenate(arrays, axis=axis)


# -- the table ------------------------------------------------------------------------------------------------------
# fmt: off

rule(np.add)          (lambda g, y, a, b: g,                  lambda g, y, a, b: g)
rule(np.subtract)     (lambda g, y, a, b: g,                  lambda g, y, a, b: -g)
rule(np.multiply)     (lambda g, y, a, b: g * b,              lambda g, y, a, b: g * a)
rule(np.divide)       (lambda g, y, a, b: g / b,              lambda g, y, a, b: -g * y / b)
rule(np.power)        (lambda g, y, a, b: g * b * a ** one_less(b, a),
                       lambda g, y, a, b: g * y * np.log(np.where(np.equal(a, 0), 1, a)))
rule(np.remainder)    (lambda g, y, a, b: g,                  lambda g, y, a, b: -g * np.floor_divide(a, b))
rule(np.maximum)      (lambda g, y, a, b: g * half(np.greater(a, b), a, b),  lambda g, y, a, b: g * half(np.greater(b, a), a, b))
rule(np.minimum)      (lambda g, y, a, b: g * half(np.less(a, b), a, b),     lambda g, y, a, b: g * half(np.less(b, a), a, b))

rule(np.negative)     (lambda g, y, x: -g)
rule(np.absolute)     (lambda g, y, x: g * np.sign(x))
rule(np.square)       (lambda g, y, x: g * 2 * x)
rule(np.sqrt)         (lambda g, y, x: g / (2 * y))
rule(np.exp)          (lambda g, y, x: g * y)
rule(np.expm1)        (lambda g, y, x: g * (y + 1))
rule(np.log)          (lambda g, y, x: g / x)
rule(np.log1p)        (lambda g, y, x: g / (1 + x))
rule(np.tanh)         (lambda g, y, x: g * (1 - y * y))
rule(sigmoid)         (lambda g, y, x: g * y * (1 - y))
rule(softplus)        (lambda g, y, x: g * sigmoid(x))
rule(relu)            (lambda g, y, x: g * np.greater(x, 0))

rule(softmax)         (lambda g, y, x, axis=-1: y * (g - np.sum(g * y, axis=axis, keepdims=True)))
rule(log_softmax)     (lambda g, y, x, axis=-1: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True))
rule(logsumexp)       (lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims) * weights(y, x, axis, keepdims))

rule(np.sum)          (lambda g, y, x, axis=None, keepdims=False: np.broadcast_to(spread(g, x, axis, keepdims), x.shape))
rule(np.mean)         (lambda g, y, x, axis=None, keepdims=False: np.broadcast_to(spread(g, x, axis, keepdims) / count(x, axis), x.shape))
rule(np.max)          (lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims) * tied(x, y, axis, keepdims))
rule(np.min)          (lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims) * tied(x, y, axis, keepdims))

rule(np.matmul)       (lambda g, y, a, b: product(g, a, b) @ swap(column(b)),  matmul_b)

rule(np.reshape)      (lambda g, y, x, shape: np.reshape(g, x.shape))
rule(np.ravel)        (lambda g, y, x: np.reshape(g, x.shape))
rule(np.squeeze)      (lambda g, y, x, axis=None: np.reshape(g, x.shape))
rule(np.expand_dims)  (lambda g, y, x, axis: np.reshape(g, x.shape))
rule(np.transpose)    (lambda g, y, x, axes=None: np.transpose(g, inverse(axes, x.ndim)))
rule(np.swapaxes)     (lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2))
rule(np.broadcast_to) (lambda g, y, x, shape: g)
rule(np.copy)         (lambda g, y, x: g)
rule(astype)          (lambda g, y, x, dtype: g)
rule(getitem)         (lambda g, y, x, index: scatter_add(g, index, x.shape))
rule(scatter_add)     (lambda g, y, x, index, shape: g[index])
rule(concatenate)     (variadic=lambda i: lambda g, y, *arrays, axis=0: part(g, i, arrays, axis))

rule(np.where)        (None, lambda g, y, c, a, b: np.where(c, g, 0), lambda g, y, c, a, b: np.where(c, 0, g))
rule(clip)            (lambda g, y, x, low, high: g * (np.greater_equal(x, low) & np.less_equal(x, high)),
                       lambda g, y, x, low, high: g * (np.less(x, low) & np.less_equal(low, high)),
                       lambda g, y, x, low, high: g * (np.greater(x, high) | np.greater(low, high)))

# fmt: on


def weights(y, x, axis, keepdims):
    """exp(x - logsumexp(x)): the softmax, with 0 where everything is -inf."""
    total = spread(y, x, axis, keepdims)
    return np.exp(x - np.where(np.equal(total, -np.inf), 0, total))


@composite(np.clip)
def _clip(x, a_min=None, a_max=None, *, min=None, max=None):
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return clip(x, -np.inf if low is None else low, np.inf if high is None else high)


@composite(np.concatenate)
def _concatenate(arrays, axis=0):
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    return concatenate(*arrays, axis=axis)


@composite(np.stack)
def _stack(arrays, axis=0):
    if len({np.shape(a) for a in arrays}) > 1:
        raise ValueError(f"stack: all arrays must have one shape; found {', '.join(str(np.shape(a)) for a in arrays)}")
    return concatenate(*[np.expand_dims(a, axis) for a in arrays], axis=axis)


@composite(np.array_split)
def _array_split(x, sections, axis=0):
    axis = normalize_axis_index(axis, x.ndim)
    n = x.shape[axis]
    if isinstance(sections, int | np.integer):
        if sections < 1:
            raise ValueError(f"array_split: {sections} parts; at least 1 is needed")
        size, longer = divmod(n, sections)
        cuts = np.cumsum([size + 1] * longer + [size] * (sections - longer))[:-1].tolist()
    else:
        cuts = list(sections)
    before = (slice(None),) * axis
    return [x[(*before, slice(i, j))] for i, j in zip([0, *cuts], [*cuts, n])]


@composite(np.split)
def _split(x, sections, axis=0):
    parts = _array_split(x, sections, axis)
    if isinstance(sections, int | np.integer) and parts[0].shape != parts[-1].shape:
        raise ValueError(f"split: axis {axis} of shape {x.shape} does not divide into {sections} equal parts")
    return parts


flat(
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.logical_and, np.logical_or, np.logical_not, np.logical_xor,
    np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round, np.floor_divide,
    np.isnan, np.isinf, np.isfinite, np.signbit,
    np.argmax, np.argmin, np.argsort, np.nonzero, np.flatnonzero, np.count_nonzero, np.searchsorted,
    np.any, np.all, np.isclose, np.allclose, np.array_equal,
    np.shape, np.ndim, np.size, np.result_type,
    np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.iscomplexobj, np.isrealobj,
)  # fmt: skip
