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
import string
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinyllm.autograd.functions import (
    clip,
    concatenate,
    contract,
    erf,
    erfc,
    log_softmax,
    logabsdet,
    logsumexp,
    relu,
    rsqrt,
    scatter_add,
    sigmoid,
    softmax,
    softplus,
    solve,
)
from tinyllm.autograd.graph import Op
from tinyllm.autograd.tensor import COMPOSITES, FLAT, TABLE, astype, getitem, signature

__all__ = ["composite", "differentiable", "flat", "rule"]

LN2, LN10, SQRT_PI = math.log(2), math.log(10), math.sqrt(math.pi)


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
            theirs = list(signature(f).parameters)
            while op.positional < min(len(names), len(theirs)) and names[op.positional] == theirs[op.positional]:
                op.positional += 1

    return enter


def composite(f: Callable) -> Callable:
    """Define what f does on Tensors through other functions of the table; what goes wrong there bears f's name."""

    def enter(definition: Callable) -> Callable:
        @wraps(definition)
        def named(*args, **kwargs):
            try:
                return definition(*args, **kwargs)
            except (ValueError, TypeError, IndexError) as error:
                message = str(error)
                if message.startswith(f"{f.__name__}:"):
                    raise
                raise type(error)(f"{f.__name__}: {message}") from error

        COMPOSITES[f] = named
        return named

    return enter


def _only_default(name, **given):
    """TypeError for an argument of NumPy's that has no meaning for a Tensor."""
    for argument, value in given.items():
        if value is not None:
            raise TypeError(f"{name}: {argument}= is not supported on a Tensor")


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
    if axis is None or not x.ndim:
        return np.reshape(g, (1,) * x.ndim)
    return g if keepdims else np.expand_dims(g, axis)


def count(x, axis=None):
    """How many elements a reduction over `axis` takes together."""
    if axis is None:
        return x.size
    return math.prod(x.shape[a] for a in (axis if isinstance(axis, tuple) else (axis,)))


def same(a, b):
    """Where a and b are equal, or both NaN."""
    return np.equal(a, b) | (np.isnan(a) & np.isnan(b))


def tied(x, y, axis=None, keepdims=False):
    """Where x reaches its extreme y along `axis`, as weights that share 1 equally among ties."""
    hit = same(x, spread(y, x, axis, keepdims)).astype(x.dtype)
    return hit / np.sum(hit, axis=axis, keepdims=True)


def share(y, a, b):
    """a's part in the choice y: 1 where y is a, 0 where y is b, 1/2 where it is both."""
    return (1.0 + same(y, a) - same(y, b)) / 2


def one_less(b, a):
    """The exponent b - 1 in the derivative of a ** b; but 1 where a and b are 0, for 0 * 0 ** -1 is meant to be 0."""
    if isinstance(b, int | float):
        return b - 1 if b else 1
    return np.where(np.equal(a, 0) & np.equal(b, 0), 1, b - 1)


def nonzero(y):
    """y, with 1 in place of 0: a denominator whose numerator is 0 there too."""
    return np.where(np.equal(y, 0), 1, y)


def radius(a, b):
    """The length of (a, b), or 1 where it is 0."""
    return nonzero(np.hypot(a, b))


def unless_minus_inf(y, b):
    """b, but 0 where y is -inf: so that a - b is -inf, not NaN, where a and b are -inf too."""
    return np.where(np.equal(y, -np.inf), 0, b)


def weight(x, y):
    """exp(x - y), the weight of x in y = log(sum(exp(x))); 0 where all are -inf."""
    return np.exp(x - unless_minus_inf(y, y))


def root(x, power=0.5):
    """x ** power for x >= 0, with slope 0 at 0."""
    zero = np.equal(x, 0)
    inside = np.where(zero, 1, x)
    return np.where(zero, 0 if power > 0 else np.inf, np.sqrt(inside) if power == 0.5 else inside**power)


def folded(x, axis):
    """x with the axes of a reduction as one axis, in front."""
    if axis is None or not x.ndim:
        return np.ravel(x)
    axes = axis if isinstance(axis, tuple) else (axis,)
    x = np.moveaxis(x, axes, tuple(range(len(axes))))
    return np.reshape(x, (math.prod(x.shape[: len(axes)]), *x.shape[len(axes) :]))


def per_matrix(g):
    """One number per matrix, shaped to multiply the matrices."""
    return np.expand_dims(g, (-2, -1))


def lower_half(m):
    """The lower triangle with half of the diagonal."""
    return (np.tril(m) + np.tril(m, -1)) / 2


def symmetric(m):
    """The mean of a matrix and its transpose."""
    return (m + swap(m)) / 2


def contracted(g, i, arrays, subscripts):
    """The gradient of an einsum for its i-th array: the same sum with the output in that array's place."""
    inputs, _, output = subscripts.partition("->")
    letters = inputs.split(",")
    others = [(c, x) for k, (c, x) in enumerate(zip(letters, arrays)) if k != i]
    d = contract(g, *[x for _, x in others], subscripts=",".join([output, *[c for c, _ in others]]) + "->" + letters[i])
    return np.broadcast_to(d, np.broadcast_shapes(d.shape, arrays[i].shape))  # a letter that others have with size 1


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
    return None if axes is None else tuple(np.argsort(np.atleast_1d(np.mod(axes, n))))


def part(g, i, arrays, axis):
    """The piece of g that came from the i-th of the arrays joined along `axis`."""
    axis %= g.ndim
    start = sum(a.shape[axis] for a in arrays[:i])
    return g[(slice(None),) * axis + (slice(start, start + arrays[i].shape[axis]),)]


# -- the table ------------------------------------------------------------------------------------------------------
# fmt: off

rule(np.add)          (lambda g, y, a, b: g,                  lambda g, y, a, b: g)
rule(np.subtract)     (lambda g, y, a, b: g,                  lambda g, y, a, b: -g)
rule(np.multiply)     (lambda g, y, a, b: g * b,              lambda g, y, a, b: g * a)
rule(np.divide)       (lambda g, y, a, b: g / b,              lambda g, y, a, b: -g * y / b)
rule(np.power)        (lambda g, y, a, b: g * b * a ** one_less(b, a),
                       lambda g, y, a, b: g * y * np.log(np.where(np.equal(a, 0), 1, a)))
rule(np.float_power)  (lambda g, y, a, b: g * b * np.float_power(a, one_less(b, a)),
                       lambda g, y, a, b: g * y * np.log(np.where(np.equal(a, 0), 1, a)))
rule(np.remainder)    (lambda g, y, a, b: g,                  lambda g, y, a, b: -g * np.floor_divide(a, b))
rule(np.maximum)      (lambda g, y, a, b: g * share(y, a, b),  lambda g, y, a, b: g * share(y, b, a))
rule(np.minimum)      (lambda g, y, a, b: g * share(y, a, b),  lambda g, y, a, b: g * share(y, b, a))
rule(np.fmax)         (lambda g, y, a, b: g * share(y, a, b),  lambda g, y, a, b: g * share(y, b, a))
rule(np.fmin)         (lambda g, y, a, b: g * share(y, a, b),  lambda g, y, a, b: g * share(y, b, a))
rule(np.hypot)        (lambda g, y, a, b: g * a / nonzero(y),  lambda g, y, a, b: g * b / nonzero(y))
rule(np.arctan2)      (lambda g, y, a, b: g * (b / radius(a, b)) / radius(a, b),  lambda g, y, a, b: -g * (a / radius(a, b)) / radius(a, b))
rule(np.logaddexp)    (lambda g, y, a, b: g * sigmoid(a - unless_minus_inf(y, b)),  lambda g, y, a, b: g * sigmoid(b - unless_minus_inf(y, a)))
rule(np.logaddexp2)   (lambda g, y, a, b: g * sigmoid(LN2 * (a - unless_minus_inf(y, b))),  lambda g, y, a, b: g * sigmoid(LN2 * (b - unless_minus_inf(y, a))))

rule(np.negative)     (lambda g, y, x: -g)
rule(np.positive)     (lambda g, y, x: g)
rule(np.absolute)     (lambda g, y, x: g * np.sign(x))
rule(np.fabs)         (lambda g, y, x: g * np.sign(x))
rule(np.square)       (lambda g, y, x: g * 2 * x)
rule(np.sqrt)         (lambda g, y, x: g / (2 * y))
rule(np.cbrt)         (lambda g, y, x: g / (3 * y * y))
rule(rsqrt)           (lambda g, y, x: -g * y * y * y / 2)
rule(np.reciprocal)   (lambda g, y, x: -g * y * y)
rule(np.exp)          (lambda g, y, x: g * y)
rule(np.exp2)         (lambda g, y, x: g * y * LN2)
rule(np.expm1)        (lambda g, y, x: g * np.exp(x))
rule(np.log)          (lambda g, y, x: g / x)
rule(np.log2)         (lambda g, y, x: g / (x * LN2))
rule(np.log10)        (lambda g, y, x: g / (x * LN10))
rule(np.log1p)        (lambda g, y, x: g / (1 + x))
rule(np.sin)          (lambda g, y, x: g * np.cos(x))
rule(np.cos)          (lambda g, y, x: -g * np.sin(x))
rule(np.tan)          (lambda g, y, x: g * (1 + y * y))
rule(np.arcsin)       (lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)))
rule(np.arccos)       (lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)))
rule(np.arctan)       (lambda g, y, x: g / (1 + x * x))
rule(np.sinh)         (lambda g, y, x: g * np.cosh(x))
rule(np.cosh)         (lambda g, y, x: g * np.sinh(x))
rule(np.tanh)         (lambda g, y, x: g * (1 - y * y))
rule(np.arcsinh)      (lambda g, y, x: g / np.hypot(x, 1))
rule(np.arccosh)      (lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
rule(np.arctanh)      (lambda g, y, x: g / ((1 - x) * (1 + x)))
rule(erf)             (lambda g, y, x: g * 2 / SQRT_PI * np.exp(-x * x))
rule(erfc)            (lambda g, y, x: -g * 2 / SQRT_PI * np.exp(-x * x))
rule(sigmoid)         (lambda g, y, x: g * y * (1 - y))
rule(softplus)        (lambda g, y, x: g * sigmoid(x))
rule(relu)            (lambda g, y, x: g * np.greater(x, 0))

rule(softmax)         (lambda g, y, x, axis=-1: y * (g - np.sum(g * y, axis=axis, keepdims=True)))
rule(log_softmax)     (lambda g, y, x, axis=-1: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True))
rule(logsumexp)       (lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims) * weight(x, spread(y, x, axis, keepdims)))

rule(np.sum)          (lambda g, y, x, axis=None, keepdims=False: np.broadcast_to(spread(g, x, axis, keepdims), x.shape))
rule(np.mean)         (lambda g, y, x, axis=None, keepdims=False: np.broadcast_to(spread(g, x, axis, keepdims) / count(x, axis), x.shape))
rule(np.max)          (lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims) * tied(x, y, axis, keepdims))
rule(np.min)          (lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims) * tied(x, y, axis, keepdims))
rule(np.cumsum)       (lambda g, y, x, axis=None: np.reshape(np.flip(np.cumsum(np.flip(g, axis), axis), axis), x.shape))

rule(np.matmul)       (lambda g, y, a, b: product(g, a, b) @ swap(column(b)),  matmul_b)
rule(contract)        (variadic=lambda i: lambda g, y, *arrays, subscripts: contracted(g, i, arrays, subscripts))
rule(np.tril)         (lambda g, y, x, k=0: np.tril(g, k))
rule(np.triu)         (lambda g, y, x, k=0: np.triu(g, k))
rule(np.linalg.inv)   (lambda g, y, a: -swap(y) @ g @ swap(y))
rule(solve)           (lambda g, y, a, b: -solve(swap(a), g) @ swap(y),  lambda g, y, a, b: solve(swap(a), g))
rule(np.linalg.det)   (lambda g, y, a: per_matrix(g * y) * swap(np.linalg.inv(a)))
rule(logabsdet)       (lambda g, y, a: per_matrix(g) * swap(np.linalg.inv(a)))
rule(np.linalg.cholesky) (lambda g, y, a: symmetric(solve(swap(y), swap(solve(swap(y), lower_half(swap(y) @ g))))))

rule(np.reshape)      (lambda g, y, x, shape: np.reshape(g, x.shape))
rule(np.ravel)        (lambda g, y, x: np.reshape(g, x.shape))
rule(np.squeeze)      (lambda g, y, x, axis=None: np.reshape(g, x.shape))
rule(np.expand_dims)  (lambda g, y, x, axis: np.reshape(g, x.shape))
rule(np.transpose)    (lambda g, y, x, axes=None: np.transpose(g, inverse(axes, x.ndim)))
rule(np.swapaxes)     (lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2))
rule(np.flip)         (lambda g, y, x, axis=None: np.flip(g, axis))
rule(np.roll)         (lambda g, y, x, shift, axis=None: np.roll(g, np.negative(shift), axis))
rule(np.rot90)        (lambda g, y, x, k=1, axes=(0, 1): np.rot90(g, -k, axes))
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


@composite(np.clip)
def _clip(a, a_min=None, a_max=None, *, min=None, max=None):
    if (a_min is not None or a_max is not None) and (min is not None or max is not None):
        raise TypeError("clip: give the bounds as a_min and a_max or as min and max, not as both")
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return clip(a, -np.inf if low is None else low, np.inf if high is None else high)


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
def _array_split(ary, indices_or_sections, axis=0):
    x, sections = ary, indices_or_sections
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
def _split(ary, indices_or_sections, axis=0):
    parts = _array_split(ary, indices_or_sections, axis)
    if isinstance(indices_or_sections, int | np.integer) and parts[0].shape != parts[-1].shape:
        shape, sections = ary.shape, indices_or_sections
        raise ValueError(f"split: axis {axis} of shape {shape} does not divide into {sections} equal parts")
    return parts


# -- composites: statistics -----------------------------------------------------------------------------------------


@composite(np.var)
def _var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, correction=None):
    _only_default("var", dtype=dtype, out=out)
    deviation = a - np.mean(a, axis=axis, keepdims=True)
    degrees = count(a, axis) - (ddof if correction is None else correction)
    return np.sum(deviation * deviation, axis=axis, keepdims=keepdims) / degrees


@composite(np.std)
def _std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, correction=None):
    _only_default("std", dtype=dtype, out=out)
    return root(np.var(a, axis=axis, ddof=ddof if correction is None else correction, keepdims=keepdims))


@composite(np.prod)
def _prod(a, axis=None, dtype=None, out=None, keepdims=False):
    """Products of pairs, of pairs of pairs, ...: no division, so a factor 0 is like any other."""
    _only_default("prod", dtype=dtype, out=out)
    x = folded(a, axis)
    while x.shape[0] > 1:
        n = x.shape[0] // 2
        x = np.concatenate([x[:n] * x[n : 2 * n], x[2 * n :]])
    if x.shape[0] == 0:
        x = np.concatenate([x, np.ones((1, *x.shape[1:]), x.dtype)])
    return x[0] if not keepdims else np.reshape(x[0], np.sum(a.data, axis=axis, keepdims=True).shape)


@composite(np.cumprod)
def _cumprod(a, axis=None, dtype=None, out=None):
    """Each product times the one that ends where it begins: log2(n) rounds, no division."""
    _only_default("cumprod", dtype=dtype, out=out)
    flat = axis is None or not a.ndim
    x = np.ravel(a) if flat else np.moveaxis(a, axis, 0)
    step = 1
    while step < x.shape[0]:
        x = np.concatenate([x[:step], x[step:] * x[:-step]])
        step *= 2
    return x if flat else np.moveaxis(x, 0, axis)


@composite(np.diff)
def _diff(a, n=1, axis=-1):
    if n < 0:
        raise ValueError(f"diff: n must be at least 0; found {n}")
    x = np.moveaxis(a, axis, 0)
    for _ in range(n):
        x = x[1:] - x[:-1]
    return np.moveaxis(x, 0, axis)


@composite(np.average)
def _average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    _only_default("average", returned=returned or None)
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    n, shape, weights_shape = np.ndim(a), np.shape(a), np.shape(weights)
    if weights_shape != shape:  # one weight for each place along `axis`
        axes = () if axis is None else normalize_axis_tuple(axis, n)
        if weights_shape != tuple(shape[k] for k in axes):
            raise ValueError(f"average: weights of shape {weights_shape} for an array of shape {shape}, axis={axis}")
        weights = np.transpose(weights, np.argsort(axes))
        weights = np.expand_dims(weights, tuple(k for k in range(n) if k not in axes))
    total = np.sum(np.broadcast_to(weights, shape), axis=axis, keepdims=keepdims)
    if np.any(np.equal(total, 0)):
        raise ZeroDivisionError("average: the weights sum to 0")
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / total


@composite(np.linalg.norm)
def _norm(x, ord=None, axis=None, keepdims=False):
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) not in (1, 2) and (axis is not None or ord is not None):
        raise ValueError(f"norm: of vectors along one axis or of matrices along two; found {len(axes)} axes")
    matrix = len(axes) == 2
    if ord is None or (ord == "fro" if matrix else ord == 2):
        return root(np.sum(x * x, axis=axes, keepdims=keepdims))
    magnitude = np.absolute(x)
    if ord in ((1, -1, np.inf, -np.inf) if matrix else (np.inf, -np.inf)):
        if matrix:  # 1: the largest sum along the first axis, inf: along the second
            magnitude = np.sum(magnitude, axis=axes[abs(ord) != 1], keepdims=True)
        return (np.max if ord > 0 else np.min)(magnitude, axis=axes, keepdims=keepdims)
    if matrix or ord == 0 or not isinstance(ord, int | float | np.integer | np.floating):
        known = "'fro', 1, -1, inf, -inf" if matrix else "numbers other than 0, inf, -inf"
        raise ValueError(f"norm: ord={ord!r} has no derivative here along {len(axes)} axes; known: {known}")
    if ord == 1:
        return np.sum(magnitude, axis=axes, keepdims=keepdims)
    return root(np.sum(root(magnitude, float(ord)), axis=axes, keepdims=keepdims), 1 / float(ord))


@composite(np.trace)
def _trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    _only_default("trace", dtype=dtype, out=out)
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)


# -- composites: products -------------------------------------------------------------------------------------------


@composite(np.dot)
def _dot(a, b, out=None):
    _only_default("dot", out=out)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    return a @ b if np.ndim(b) <= 2 else np.tensordot(a, b, (-1, -2))


@composite(np.vdot)
def _vdot(a, b, /):
    return np.ravel(a) @ np.ravel(b)


@composite(np.inner)
def _inner(a, b, /):
    return a * b if np.ndim(a) == 0 or np.ndim(b) == 0 else np.tensordot(a, b, (-1, -1))


@composite(np.outer)
def _outer(a, b, out=None):
    _only_default("outer", out=out)
    return np.expand_dims(np.ravel(a), 1) * np.expand_dims(np.ravel(b), 0)


@composite(np.tensordot)
def _tensordot(a, b, axes=2):
    n, m = np.ndim(a), np.ndim(b)
    shape_a, shape_b = np.shape(a), np.shape(b)
    if isinstance(axes, int | np.integer):
        if axes > min(n, m):
            raise ValueError(f"tensordot: {shape_a} and {shape_b} do not both have {axes} axes")
        axes = (range(n - axes, n), range(axes))
    left, right = (list(normalize_axis_tuple(k, d)) for k, d in zip(axes, (n, m)))
    kept_left, kept_right = [k for k in range(n) if k not in left], [k for k in range(m) if k not in right]
    if [shape_a[k] for k in left] != [shape_b[k] for k in right]:
        raise ValueError(f"tensordot: {shape_a} and {shape_b} do not agree along axes {left} and {right}")
    inner = math.prod(shape_a[k] for k in left)
    rows, columns = [shape_a[k] for k in kept_left], [shape_b[k] for k in kept_right]
    matrix_a = np.reshape(np.transpose(a, kept_left + left), (math.prod(rows), inner))
    matrix_b = np.reshape(np.transpose(b, right + kept_right), (inner, math.prod(columns)))
    return np.reshape(matrix_a @ matrix_b, (*rows, *columns))


@composite(np.kron)
def _kron(a, b):
    n = max(np.ndim(a), np.ndim(b))
    shape_a, shape_b = ((1,) * (n - np.ndim(x)) + np.shape(x) for x in (a, b))
    left = np.reshape(a, [size for k in shape_a for size in (k, 1)])
    right = np.reshape(b, [size for k in shape_b for size in (1, k)])
    return np.reshape(left * right, [i * j for i, j in zip(shape_a, shape_b)])


@composite(np.einsum)
def _einsum(subscripts, *operands, out=None, optimize=False):
    _only_default("einsum", out=out)
    if not isinstance(subscripts, str):
        raise TypeError("einsum: on Tensors give the subscripts as a string, for example 'ij,jk->ik'")
    inputs, output = spelled_out(subscripts, [np.ndim(x) for x in operands])
    ready: list[tuple[str, Any]] = []
    for letters, x in zip(inputs, operands):
        while twice := next((c for c in letters if letters.count(c) > 1), None):  # "ii": the diagonal, once
            i = letters.index(twice)
            j = letters.index(twice, i + 1)
            if np.shape(x)[i] != np.shape(x)[j]:
                raise ValueError(f"einsum: '{twice}' stands for axes of sizes {np.shape(x)[i]} and {np.shape(x)[j]}")
            x, letters = np.diagonal(x, 0, i, j), letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + twice
        elsewhere = output + "".join(other for k, other in enumerate(inputs) if k != len(ready))
        alone = tuple(i for i, c in enumerate(letters) if c not in elsewhere)
        if alone:  # a letter of this operand only: summed at once
            x, letters = np.sum(x, axis=alone), "".join(c for c in letters if c in elsewhere)
        ready.append((letters, x))
    return contract(*[x for _, x in ready], subscripts=",".join(letters for letters, _ in ready) + "->" + output)


def spelled_out(subscripts, ndims):
    """einsum's subscripts with "..." replaced by letters and the output given: ("ab", "bc"), "ac"."""
    given, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = given.split(",")
    if len(inputs) != len(ndims):
        raise ValueError(f"einsum: '{subscripts}' has {len(inputs)} operands, found {len(ndims)} arrays")
    free = [c for c in string.ascii_letters if c not in subscripts]
    most = max([n - len(i) + 3 for i, n in zip(inputs, ndims) if "..." in i], default=0)
    rest = "".join(free[:most])
    for k, (letters, n) in enumerate(zip(inputs, ndims)):
        if "..." in letters:
            inputs[k] = letters.replace("...", rest[most - (n - len(letters) + 3) :])
        if len(inputs[k]) != n or not set(inputs[k]) <= set(string.ascii_letters):
            raise ValueError(f"einsum: '{letters}' does not fit an array with {n} axes")
    if not arrow:
        named = sorted(c for c in set(given) if c.isalpha() and given.count(c) == 1)
        return inputs, rest + "".join(named)
    return inputs, output.replace("...", rest)


@composite(np.linalg.solve)
def _solve(a, b):
    if np.ndim(b) == 1:
        return np.squeeze(solve(a, np.expand_dims(b, -1)), -1)
    return solve(a, b)


@composite(np.linalg.slogdet)
def _slogdet(a):
    magnitude, plain = logabsdet(a), np.linalg.slogdet(a.data)
    return type(plain)(plain.sign, magnitude)


# -- composites: shape and index ------------------------------------------------------------------------------------


@composite(np.moveaxis)
def _moveaxis(a, source, destination):
    sources, targets = (normalize_axis_tuple(axes, a.ndim) for axes in (source, destination))
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis: {len(sources)} axes to {len(targets)} places")
    order = [k for k in range(a.ndim) if k not in sources]
    for target, moved in sorted(zip(targets, sources)):
        order.insert(target, moved)
    return np.transpose(a, order)


@composite(np.vstack)
def _vstack(tup):
    return np.concatenate([np.atleast_2d(x) for x in tup], axis=0)


@composite(np.hstack)
def _hstack(tup):
    return np.concatenate([np.atleast_1d(x) for x in tup], axis=0 if np.ndim(tup[0]) <= 1 else 1)


@composite(np.column_stack)
def _column_stack(tup):
    return np.concatenate([np.reshape(x, (-1, 1)) if np.ndim(x) < 2 else x for x in tup], axis=1)


@composite(np.atleast_1d)
def _atleast_1d(ary):
    return np.reshape(ary, (1,)) if np.ndim(ary) == 0 else ary


@composite(np.atleast_2d)
def _atleast_2d(ary):
    return np.reshape(ary, (1,) * (2 - np.ndim(ary)) + np.shape(ary)) if np.ndim(ary) < 2 else ary


@composite(np.fliplr)
def _fliplr(m):
    return np.flip(m, 1)


@composite(np.flipud)
def _flipud(m):
    return np.flip(m, 0)


@composite(np.repeat)
def _repeat(a, repeats, axis=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    n = a.shape[normalize_axis_index(axis, a.ndim)]
    return np.take(a, np.repeat(np.arange(n), repeats), axis)


@composite(np.tile)
def _tile(A, reps):
    reps = tuple(np.atleast_1d(reps).tolist())
    n = max(A.ndim, len(reps))
    reps, shape = (1,) * (n - len(reps)) + reps, (1,) * (n - A.ndim) + A.shape
    paired = np.reshape(A, [size for k in shape for size in (1, k)])
    paired = np.broadcast_to(paired, [size for r, k in zip(reps, shape) for size in (r, k)])
    return np.reshape(paired, [r * k for r, k in zip(reps, shape)])


@composite(np.pad)
def _pad(array, pad_width, mode="constant", *, constant_values=0):
    width = np.broadcast_to(pad_width, (array.ndim, 2))
    if width.dtype.kind != "i":
        raise TypeError(f"pad: pad_width is a whole number, or a pair of them per axis; found {pad_width!r}")
    if mode == "constant":
        shape = tuple(n + before + after for n, (before, after) in zip(array.shape, width))
        inside = tuple(slice(before, before + n) for n, (before, _) in zip(array.shape, width))
        border = np.pad(np.zeros_like(array.data), width, constant_values=constant_values)
        return scatter_add(array, inside, shape) + border
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"pad: mode {mode!r} has no derivative here; known: constant, edge, reflect, symmetric, wrap")
    for axis, both in enumerate(width):
        array = np.take(array, np.pad(np.arange(array.shape[axis]), both, mode), axis)
    return array


@composite(np.take)
def _take(a, indices, axis=None, out=None, mode="raise"):
    _only_default("take", out=out)
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axis_index(axis, a.ndim)
    n, indices = a.shape[axis], np.asarray(indices, np.intp)
    if mode == "wrap":
        indices = indices % n
    elif mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    elif mode != "raise":
        raise ValueError(f"take: unknown mode {mode!r}; known: raise, wrap, clip")
    return a[(slice(None),) * axis + (indices,)]


@composite(np.take_along_axis)
def _take_along_axis(arr, indices, axis=-1):
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis, indices = normalize_axis_index(axis, arr.ndim), np.asarray(indices)
    if indices.ndim != arr.ndim or indices.dtype.kind not in "iu":
        raise ValueError(
            f"take_along_axis: the indices must be integers and have {arr.ndim} axes; found {indices.dtype} of shape "
            f"{indices.shape}"
        )
    index = [
        np.arange(n).reshape((1,) * k + (-1,) + (1,) * (arr.ndim - k - 1)) if k != axis else indices
        for k, n in enumerate(arr.shape)
    ]
    return arr[tuple(index)]


@composite(np.sort)
def _sort(a, axis=-1, kind=None, order=None, *, stable=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    kind = "stable" if kind is None and stable is None else kind
    return np.take_along_axis(a, np.argsort(a.data, axis=axis, kind=kind, order=order, stable=stable), axis)


@composite(np.diagonal)
def _diagonal(a, offset=0, axis1=0, axis2=1):
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = a.shape[-2:]
    i = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
    return a[..., i - min(offset, 0), i + max(offset, 0)]


@composite(np.diag)
def _diag(v, k=0):
    if v.ndim == 2:
        return np.diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"diag: a vector or a matrix is needed; found shape {v.shape}")
    i, n = np.arange(v.shape[0]), v.shape[0] + abs(k)
    return scatter_add(v, (i - min(k, 0), i + max(k, 0)), (n, n))


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
