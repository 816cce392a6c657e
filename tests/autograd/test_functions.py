"""Every function of the table on shapes, axes, indices and memory layouts that nobody thought of.

For each function there is a strategy that draws a call; each call is then held against NumPy's own (value, shape and
dtype) and against differences, and must leave its inputs alone, share no memory and repeat itself to the bit.
"""

import itertools
import math
import string

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyllm import Tensor, gradcheck, ops
from tinyllm.autograd.cases import CASES, distinct, normal, positive, small
from tinyllm.autograd.gradcheck.subjects import pull
from tinyllm.autograd.tensor import COMPOSITES, TABLE, getitem

few = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
seeds = st.integers(0, 99)
sides = st.integers(0, 3)


def shapes(least=0, most=3, side=0):
    return hnp.array_shapes(min_dims=least, max_dims=most, min_side=side, max_side=3)


def make(shape, seed=0, kind=normal):
    return kind(*shape, seed=seed)


# What a call is drawn from: each strategy gives (f of the arrays, the arrays)

UNARY = {
    **dict.fromkeys(
        [
            np.negative, np.positive, np.square, np.exp, np.exp2, np.expm1, np.sin, np.cos, np.arctan, np.sinh, np.cosh,
            np.tanh, np.arcsinh, ops.sigmoid, ops.softplus, ops.erf, ops.erfc, ops.gelu, ops.silu, np.copy, np.ravel,
        ],
        normal,
    ),
    **dict.fromkeys([np.sqrt, np.cbrt, np.reciprocal, np.log, np.log2, np.log10, np.log1p, ops.rsqrt], positive),
    **dict.fromkeys([np.arcsin, np.arccos, np.arctanh, np.tan], small),
    **dict.fromkeys(
        [
            np.absolute, np.fabs, ops.relu, ops.leaky_relu, ops.elu, ops.selu, ops.hard_sigmoid, ops.softsign,
        ],
        distinct,
    ),
    np.arccosh: lambda *shape, seed=0: 1 + positive(*shape, seed=seed),
}  # fmt: skip


@st.composite
def unary(draw, f):
    return f, [make(draw(shapes()), draw(seeds), UNARY[f])]


BINARY = {
    **dict.fromkeys([np.add, np.subtract, np.multiply, np.hypot, np.logaddexp, np.logaddexp2], normal),
    **dict.fromkeys([np.divide, np.power, np.float_power, np.arctan2], positive),
    **dict.fromkeys([np.maximum, np.minimum, np.fmax, np.fmin], distinct),
}


@st.composite
def binary(draw, f):
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)).input_shapes
    a, b = (make(s, draw(seeds), BINARY[f]) for s in drawn)
    return f, [a, b + 0.1 if BINARY[f] is distinct else b]


@st.composite
def remainder(draw):
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)).input_shapes
    a, b = (make(s, draw(seeds), small) for s in drawn)
    return np.remainder, [a * 0.3 + draw(st.sampled_from([-3.5, 1.5, 5.5])), b * 0.05 + 1]


@st.composite
def choice(draw):
    c, a, b = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=3)).input_shapes
    chosen = make(c, draw(seeds)) > 0
    return lambda a, b: np.where(chosen, a, b), [make(a, draw(seeds)), make(b, draw(seeds))]


@st.composite
def clipped(draw):
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=3)).input_shapes
    x, low, high = (make(s, draw(seeds), distinct) for s in drawn)
    return np.clip, [x, low - 0.1, high + 0.1]


@st.composite
def axes_of(draw, n, least=0):
    """None, one axis, or a tuple of them, counted from either end."""
    one = st.sampled_from(range(-n, n)) if n else st.nothing()
    return draw(st.none() | one | hnp.valid_tuple_axes(n, min_size=min(least, n)))


@st.composite
def reduction(draw, f, kind=normal, side=0):
    shape = draw(shapes(side=side))
    axis, keepdims = draw(axes_of(len(shape))), draw(st.booleans())
    call = draw(
        st.sampled_from(
            [
                lambda x: f(x, axis=axis, keepdims=keepdims),
                lambda x: f(x, axis, keepdims=keepdims),
                *([lambda x: f(x, axis)] if not keepdims else []),
            ]
        )
    )
    return call, [make(shape, draw(seeds), kind)]


@st.composite
def deviation(draw, f):
    shape = draw(shapes(least=1, side=3))
    axis, keepdims = draw(axes_of(len(shape), least=1)), draw(st.booleans())
    ddof = draw(st.sampled_from([0, 1, 1.5]))
    return (
        draw(
            st.sampled_from(
                [
                    lambda x: f(x, axis, None, None, ddof, keepdims),
                    lambda x: f(x, axis=axis, ddof=ddof, keepdims=keepdims),
                    lambda x: f(x, axis=axis, correction=ddof, keepdims=keepdims),
                ]
            )
        ),
        [make(shape, draw(seeds))],
    )


@st.composite
def average(draw):
    shape = draw(shapes(least=1, side=1))
    axis, keepdims = draw(axes_of(len(shape), least=1)), draw(st.booleans())
    places = range(len(shape)) if axis is None else np.atleast_1d(axis).tolist()
    weights = draw(st.sampled_from([shape, tuple(shape[k] for k in places)]) if axis is not None else st.just(shape))
    arrays = [make(shape, draw(seeds)), make(weights, draw(seeds), positive)]
    return lambda a, w: np.average(a, axis, w, keepdims=keepdims), arrays


@st.composite
def norm(draw):
    shape = draw(shapes(least=1, side=1))
    n, keepdims = len(shape), draw(st.booleans())
    if n > 1 and draw(st.booleans()):
        axis = draw(hnp.valid_tuple_axes(n, min_size=2, max_size=2))
        order = draw(st.sampled_from([None, "fro", 1, -1, np.inf, -np.inf]))
    else:
        axis, order = (
            draw(st.sampled_from(range(-n, n))),
            draw(st.sampled_from([None, 1, 2, 3, 0.5, -1, np.inf, -np.inf])),
        )
    if n == 1 or (n == 2 and isinstance(axis, tuple) and sorted(k % n for k in axis) == list(axis)):
        axis = draw(st.sampled_from([axis, None]))
    return lambda x: np.linalg.norm(x, order, axis, keepdims), [make(shape, draw(seeds), distinct)]


@st.composite
def scan(draw, f, kind=normal):
    shape = draw(shapes())
    axis = draw(st.none() | st.sampled_from(range(-len(shape), len(shape)))) if shape else None
    return lambda x: f(x, axis=axis), [make(shape, draw(seeds), kind)]


@st.composite
def along(draw, f, several=True):
    shape = draw(shapes(least=1, side=1))
    axis = draw(axes_of(len(shape), least=1) if several else st.sampled_from(range(-len(shape), len(shape))))
    return lambda x: f(x, axis=axis), [make(shape, draw(seeds))]


@st.composite
def differences(draw):
    shape = draw(shapes(least=1))
    axis, n = draw(st.sampled_from(range(-len(shape), len(shape)))), draw(st.integers(0, 4))
    return lambda x: np.diff(x, n, axis), [make(shape, draw(seeds))]


@st.composite
def of_one(draw, arguments, least=0, side=0, kind=normal):
    """x and a call of it whose other arguments depend on the shape of x."""
    shape = draw(shapes(least=least, side=side))
    return arguments(draw, shape), [make(shape, draw(seeds), kind)]


def signed(draw, axis, n):
    return axis - n if draw(st.booleans()) else axis


def one_axis(draw, n):
    return draw(st.sampled_from(range(-n, n)))


def two_axes(draw, n):
    return tuple(signed(draw, k, n) for k in draw(st.permutations(range(n)))[:2])


def transposed(draw, shape):
    axes = tuple(signed(draw, k, len(shape)) for k in draw(st.permutations(range(len(shape)))))
    return draw(st.sampled_from([lambda x: np.transpose(x, axes), lambda x: x.transpose(*axes), lambda x: x.T]))


def moved(draw, shape):
    n = len(shape)
    count = draw(st.integers(0, n))
    source, target = (tuple(signed(draw, k, n) for k in draw(st.permutations(range(n)))[:count]) for _ in range(2))
    return lambda x: np.moveaxis(x, source, target)


def rolled(draw, shape):
    axis = draw(st.none() | st.sampled_from(range(-len(shape), len(shape)))) if shape else None
    if len(shape) > 1 and draw(st.booleans()):
        axis = two_axes(draw, len(shape))
        shift = draw(st.tuples(st.integers(-4, 4), st.integers(-4, 4)) | st.integers(-4, 4))
    else:
        shift = draw(st.integers(-4, 4))
    return lambda x: np.roll(x, shift, axis)


def reshaped(draw, shape):
    split = [side for n in draw(st.permutations(shape)) for side in draw(st.sampled_from([(n,), (1, n), (n, 1)]))]
    if math.prod(shape) and draw(st.booleans()):
        split[draw(st.integers(0, len(split) - 1)) if split else 0 :][:1] = [-1]
    return lambda x: np.reshape(x, split)


def broadcast(draw, shape):
    front = draw(st.lists(st.integers(0, 2), max_size=1))
    wide = (*front, *[draw(st.integers(0, 3)) if n == 1 else n for n in shape])
    return lambda x: np.broadcast_to(x, wide)


def padded(draw, shape):
    if 0 in shape or draw(st.booleans()):
        widths = [draw(st.tuples(sides, sides)) for _ in shape]
        value = draw(st.sampled_from([0, 2.5]))
        return lambda x: np.pad(x, widths, constant_values=value)
    mode = draw(st.sampled_from(["edge", "reflect", "symmetric", "wrap"]))
    width = draw(sides | st.tuples(sides, sides) | st.just([draw(st.tuples(sides, sides)) for _ in shape]))
    return lambda x: np.pad(x, width, mode)


def repeated(draw, shape):
    axis = draw(st.none() | st.sampled_from(range(-len(shape), len(shape))))
    n = math.prod(shape) if axis is None else shape[axis]
    times = draw(sides | st.lists(sides, min_size=n, max_size=n))
    return draw(st.sampled_from([lambda x: np.repeat(x, times, axis), lambda x: x.repeat(times, axis=axis)]))


def taken(draw, shape):
    axis = draw(st.none() | st.sampled_from(range(-len(shape), len(shape))))
    n = math.prod(shape) if axis is None else shape[axis]
    mode = draw(st.sampled_from(["raise", "wrap", "clip"]))
    place = st.integers(-n, n - 1) if mode == "raise" else st.integers(-3 * n, 3 * n)
    which = draw(
        place | st.lists(place, max_size=4) | st.lists(place, min_size=4, max_size=4).map(lambda i: [i[:2], i[2:]])
    )
    return draw(
        st.sampled_from([lambda x: np.take(x, which, axis, mode=mode), lambda x: x.take(which, axis=axis, mode=mode)])
    )


def taken_along(draw, shape, f=np.take_along_axis):
    axis = one_axis(draw, len(shape))
    wanted = [draw(st.sampled_from([n, 1])) for n in shape]
    wanted[axis] = draw(sides)
    which = np.random.default_rng(draw(seeds)).integers(-shape[axis], shape[axis], wanted)
    return lambda x: f(x, which, axis)


def diagonals(draw, shape):
    offset, axes = draw(st.integers(-4, 4)), two_axes(draw, len(shape))
    return draw(
        st.sampled_from(
            [lambda x: np.diagonal(x, offset, *axes), lambda x: x.diagonal(offset, axis1=axes[0], axis2=axes[1])]
        )
    )


def traced(draw, shape):
    offset, axes = draw(st.integers(-4, 4)), two_axes(draw, len(shape))
    return draw(st.sampled_from([lambda x: np.trace(x, offset, *axes), lambda x: x.trace(offset, *axes)]))


def turned(draw, shape):
    k, axes = draw(st.integers(-5, 5)), two_axes(draw, len(shape))
    return lambda x: np.rot90(x, k, axes)


def with_axes(f):
    def arguments(draw, shape):
        axes = two_axes(draw, len(shape))
        return lambda x: f(x, *axes)

    return arguments


def with_number(f):
    def arguments(draw, shape):
        k = draw(st.integers(-3, 3))
        return lambda x: f(x, k)

    return arguments


def plain(f):
    return lambda draw, shape: f


def flipped(draw, shape):
    axis = draw(axes_of(len(shape)))
    return lambda x: np.flip(x, axis)


def tiled(draw, shape):
    times = draw(sides | st.lists(sides, max_size=4))
    return lambda x: np.tile(x, times)


def squeezed(draw, shape):
    ones = [k for k, n in enumerate(shape) if n == 1]
    axis = draw(st.none() | st.just(tuple(ones)) | st.sampled_from(ones or [None]))
    return lambda x: np.squeeze(x, axis)


def expanded(draw, shape):
    n = len(shape)
    axis = draw(st.integers(-n - 1, n) | hnp.valid_tuple_axes(n + 2, min_size=2, max_size=2))
    return lambda x: np.expand_dims(x, axis)


def split(draw, shape):
    axis = one_axis(draw, len(shape))
    parts = draw(st.sampled_from([1, max(shape[axis], 1)]) | st.lists(st.integers(-2, 4), max_size=3))
    return lambda x: np.split(x, parts, axis)


def split_unequally(draw, shape):
    axis, parts = one_axis(draw, len(shape)), draw(st.integers(1, 4))
    return lambda x: np.array_split(x, parts, axis)


def indexed(draw, shape):
    index = draw(
        hnp.basic_indices(shape, allow_newaxis=True)
        | (hnp.integer_array_indices(shape, result_shape=shapes(1, 2, 1)) if shape and 0 not in shape else st.just(()))
        | hnp.arrays(bool, shape)
    )
    return lambda x: x[index]


@st.composite
def joined(draw, f):
    """Arrays that fit together along an axis."""
    shape = draw(shapes(least=1))
    axis = draw(st.sampled_from(range(-len(shape), len(shape))))
    lengths = draw(st.lists(sides, min_size=1, max_size=3))
    arrays = [make(np.insert(np.delete(shape, axis), axis % len(shape), n), draw(seeds)) for n in lengths]
    return lambda *arrays: f(arrays, axis=axis), arrays


@st.composite
def stacked(draw, f):
    shape, count = draw(shapes()), draw(st.integers(1, 3))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    return lambda *arrays: f(arrays, axis), [make(shape, draw(seeds)) for _ in range(count)]


@st.composite
def side_by_side(draw, f):
    n, width = draw(sides), draw(sides)
    alike = {
        np.vstack: [(n,), (width, n), (1, n)],
        np.hstack: draw(st.sampled_from([[(), (n,)], [(n, 1), (n, width)]])),
        np.column_stack: [(n,), (n, width)],
    }[f]
    return lambda *arrays: f(arrays), [
        make(s, draw(seeds)) for s in draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3))
    ]


# Products


@st.composite
def einsums(draw):
    """Any letters, repeated in one operand or not, of size 1 at times; "..." that broadcasts; an output or none."""
    letters = draw(st.permutations("aBcD"))[:3]
    size = {c: draw(st.integers(0, 3)) for c in letters}
    dots = draw(st.booleans())
    inputs, arrays = [], []
    for _ in range(draw(st.integers(1, 3))):
        named = "".join(draw(st.lists(st.sampled_from(letters), max_size=3)))
        narrow = {c for c in named if draw(st.integers(0, 4)) == 0}  # NumPy wants equal sizes within one operand
        front = [draw(st.sampled_from([1, 2])) for _ in range(draw(st.integers(0, 2)))] if dots else []
        at = draw(st.integers(0, len(named)))
        inputs.append(named[:at] + ("..." if dots else "") + named[at:])
        arrays.append(
            make(
                [
                    *[1 if c in narrow else size[c] for c in named[:at]],
                    *front,
                    *[1 if c in narrow else size[c] for c in named[at:]],
                ],
                draw(seeds),
            )
        )
    subscripts = draw(st.sampled_from([",", " , "])).join(inputs)
    if draw(st.booleans()):
        present = [c for c in letters if c in subscripts]
        output = draw(st.permutations([*present[: draw(st.integers(0, 3))], *(["..."] if dots else [])]))
        subscripts += "->" + "".join(output)
    return lambda *arrays: np.einsum(subscripts, *arrays), arrays


@st.composite
def tensordots(draw):
    common = draw(st.lists(sides, max_size=2))
    left, right = (draw(st.lists(sides, max_size=2)) for _ in range(2))
    if draw(st.booleans()):
        n = len(common)
        return lambda a, b: np.tensordot(a, b, n), [make([*left, *common], 1), make([*common, *right], 2)]
    a_axes = draw(st.permutations(range(len(left) + len(common))))[: len(common)]
    b_axes = draw(st.permutations(range(len(right) + len(common))))[: len(common)]
    a, b = list(left), list(right)
    for axes, shape in ((a_axes, a), (b_axes, b)):
        for k, n in sorted(zip(axes, common)):
            shape.insert(k, n)
    axes = [signed(draw, k, len(a)) for k in a_axes], [signed(draw, k, len(b)) for k in b_axes]
    if len(common) == 1 and draw(st.booleans()):
        axes = axes[0][0], axes[1][0]
    return lambda a, b: np.tensordot(a, b, axes), [make(a, draw(seeds)), make(b, draw(seeds))]


@st.composite
def products(draw, f):
    n = draw(sides)
    row, column = (draw(st.lists(sides, max_size=2)) for _ in range(2))
    a, b = {
        np.dot: ([*row, n], draw(st.sampled_from([[n], [*column, n, 2]]))),
        np.inner: ([*row, n], [*column, n]),
        np.vdot: draw(st.sampled_from([([n, 2], [n, 2]), ([n, 2], [2 * n]), ([], [])])),
        np.outer: (row, column),
        np.kron: (row, column),
    }[f]
    if f in (np.dot, np.inner) and draw(st.integers(0, 4)) == 0:
        a = []
    return f, [make(a, draw(seeds)), make(b, draw(seeds))]


@st.composite
def matmuls(draw):
    drawn = draw(
        hnp.mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)", min_side=0, max_side=3, max_dims=2)
    )
    return np.matmul, [make(s, draw(seeds)) for s in drawn.input_shapes]


def well(a):
    """Matrices far from singular."""
    return a + 4 * np.eye(a.shape[-1])


@st.composite
def matrices(draw, f):
    n, stack = draw(sides), draw(st.lists(st.integers(0, 2), max_size=2))
    return lambda a: f(well(a)), [make([*stack, n, n], draw(seeds))]


@st.composite
def positive_matrices(draw):
    n, stack = draw(sides), draw(st.lists(st.integers(0, 2), max_size=1))
    return lambda a: np.linalg.cholesky(well(a @ np.swapaxes(a, -1, -2))), [make([*stack, n, n], draw(seeds))]


@st.composite
def systems(draw):
    n, columns = draw(st.integers(1, 3)), draw(sides)
    stacks = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=2, max_dims=1)).input_shapes
    b = draw(st.sampled_from([(n,), (*stacks[1], n, columns)]))
    return lambda a, b: np.linalg.solve(well(a), b), [make([*stacks[0], n, n], 1), make(b, 2)]


DRAWN = {
    **{f: unary(f) for f in UNARY},
    **{f: binary(f) for f in BINARY},
    np.remainder: remainder(),
    np.where: choice(),
    np.clip: clipped(),
    np.sum: reduction(np.sum),
    **{f: reduction(f, side=1) for f in (np.mean, ops.logsumexp)},
    **{f: reduction(f, distinct, side=1) for f in (np.max, np.min)},
    np.prod: reduction(np.prod),
    **{f: deviation(f) for f in (np.var, np.std)},
    np.average: average(),
    np.linalg.norm: norm(),
    **{f: scan(f) for f in (np.cumsum, np.cumprod)},
    np.sort: along(np.sort, several=False),
    np.diff: differences(),
    **{f: along(f) for f in (ops.softmax, ops.log_softmax)},
    np.transpose: of_one(transposed),
    np.moveaxis: of_one(moved),
    np.swapaxes: of_one(with_axes(np.swapaxes), least=2),
    np.roll: of_one(rolled),
    np.flip: of_one(flipped),
    np.fliplr: of_one(plain(np.fliplr), least=2),
    np.flipud: of_one(plain(np.flipud), least=1),
    np.rot90: of_one(turned, least=2),
    np.reshape: of_one(reshaped),
    np.squeeze: of_one(squeezed),
    np.expand_dims: of_one(expanded),
    np.atleast_1d: of_one(plain(np.atleast_1d)),
    np.atleast_2d: of_one(plain(np.atleast_2d)),
    np.broadcast_to: of_one(broadcast),
    np.pad: of_one(padded, least=1),
    np.tile: of_one(tiled),
    np.repeat: of_one(repeated, least=1),
    np.take: of_one(taken, least=1, side=1),
    np.take_along_axis: of_one(taken_along, least=1, side=1),
    ops.gather: of_one(lambda draw, shape: taken_along(draw, shape, ops.gather), least=1, side=1),
    np.diagonal: of_one(diagonals, least=2),
    np.trace: of_one(traced, least=2),
    np.tril: of_one(with_number(np.tril), least=1),
    np.triu: of_one(with_number(np.triu), least=1),
    np.split: of_one(split, least=1),
    np.array_split: of_one(split_unequally, least=1),
    getitem: of_one(indexed),
    np.concatenate: joined(np.concatenate),
    np.stack: stacked(np.stack),
    **{f: side_by_side(f) for f in (np.vstack, np.hstack, np.column_stack)},
    np.einsum: einsums(),
    np.tensordot: tensordots(),
    **{f: products(f) for f in (np.dot, np.inner, np.vdot, np.outer, np.kron)},
    np.matmul: matmuls(),
    **{f: matrices(f) for f in (np.linalg.inv, np.linalg.det)},
    np.linalg.slogdet: matrices(lambda a: np.linalg.slogdet(a)[1]),
    np.linalg.cholesky: positive_matrices(),
    np.linalg.solve: systems(),
    np.diag: st.sampled_from([(3,), (0,), (2, 3), (3, 2), (0, 2)]).flatmap(
        lambda s: st.integers(-3, 3).map(lambda k: (lambda x: np.diag(x, k), [make(s)]))
    ),
}  # fmt: skip


def test_every_function_of_numpys_in_the_table_is_drawn():
    numpys = {f for f in [*TABLE, *COMPOSITES] if isinstance(f, np.ufunc) or f.__module__.startswith("numpy")}
    assert numpys - set(DRAWN) == set()
    elementwise = {f for f in CASES if f in DRAWN and f in UNARY}
    assert elementwise | {np.copy, np.ravel} == set(UNARY)


@st.composite
def layouts(draw, arrays):
    """The same numbers in another order of memory: as they are, transposed, every second one, backwards."""
    found = []
    for a in map(np.asarray, arrays):
        kind = draw(st.sampled_from(["C", "F", "strided", "backwards"]))
        if kind == "F":
            a = a.copy(order="F")
        elif kind == "strided" and a.ndim:
            wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), np.nan)
            wide[..., ::2] = a
            a = wide[..., ::2]
        elif kind == "backwards" and a.ndim:
            a = np.ascontiguousarray(a[::-1])[::-1]
        found.append(a)
    return found


def leaf(a):
    """A leaf that holds this very array, strides and all."""
    t = Tensor(a, requires_grad=True)
    t.data = a
    return t


def listed(y):
    return list(y) if isinstance(y, tuple | list) else [y]


@pytest.mark.parametrize("f", [pytest.param(f, id=f.__name__) for f in DRAWN])
@few
@given(data=st.data())
def test_any_call_is_numpys_and_its_gradient_is_right(f, data):
    call, arrays = data.draw(DRAWN[f])
    arrays = data.draw(layouts(arrays))
    kept = [a.copy() for a in arrays]
    for dtype in (np.float64, np.float32):
        theirs = listed(call(*[a.astype(dtype, order="K") for a in arrays]))
        ours = listed(call(*[Tensor(a, dtype=dtype) for a in arrays]))
        digits = {"rtol": 1e-11, "atol": 1e-13} if dtype is np.float64 else {"rtol": 3e-5, "atol": 3e-5}
        assert len(theirs) == len(ours)
        for expected, y in zip(theirs, ours):
            assert type(y) is Tensor
            assert (y.shape, y.dtype) == (np.shape(expected), np.asarray(expected).dtype)
            np.testing.assert_allclose(y.data, expected, **digits)

    leaves = [leaf(a) for a in arrays]
    ys = [y for y in listed(call(*leaves)) if y.requires_grad]
    upstream = [np.random.default_rng(3).standard_normal(y.shape) for y in ys]
    runs = []
    for _ in range(2):
        for t in leaves:
            t.grad = None
        for y, u in zip(ys, upstream):
            y.backward(u, retain_graph=True)
        runs.append([t.grad for t in leaves])
    for t, a, before, first, again in zip(leaves, arrays, kept, *runs):
        assert t.data is a
        assert a.tobytes() == before.tobytes()
        if ys:  # an output may be an empty list of parts
            assert (first.shape, first.dtype) == (a.shape, a.dtype)
            assert first.tobytes() == again.tobytes()
    everything = [*arrays, *upstream, *[g for g in runs[0] if g is not None], *[g for g in runs[1] if g is not None]]
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(everything, 2))

    report = gradcheck(call, *arrays, seed=data.draw(seeds))
    assert report.ok, str(report)


# Third order


ELEMENTWISE = [f for f in CASES if f in UNARY and f not in (np.copy, np.ravel)] + [
    np.multiply, np.divide, np.power, np.float_power, np.hypot, np.arctan2, np.logaddexp, np.logaddexp2,
]  # fmt: skip


@pytest.mark.parametrize("f", [pytest.param(f, id=f.__name__) for f in ELEMENTWISE])
def test_the_third_derivative_of_an_elementwise_function(f):
    kinds = [UNARY[f]] if f in UNARY else 2 * [BINARY[f]]
    arrays = [kind(3, seed=i) for i, kind in enumerate(kinds)]

    def slope(*args):
        return pull(f, args, range(len(args)), [np.array([0.7, -1.3, 2.1])])

    report = gradcheck(slope, *arrays, order=2)
    assert report.ok, str(report)


# To the last digits


EPS = np.finfo(float).eps
POINTS = [s * x for x in (1e-8, 1.0, 30.0, 90.0, 700.0) for s in (1, -1)]


def m_gelu(x):
    return x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def m_gelu_tanh(x):
    return x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf(0.044715) * x**3)))


# ours, the truth, how many of its own digits the value and the slope may lose (in eps), what is lost in absolute terms
EXACT = {
    "erf": (ops.erf, mpmath.erf, lambda x: 4, lambda x: 4 + 2 * x * x, 0),
    "erfc": (ops.erfc, mpmath.erfc, lambda x: 8, lambda x: 4 + 2 * x * x, 0),
    "gelu": (ops.gelu, m_gelu, lambda x: 8 + 2 * x * x, lambda x: 8 + 4 * x * x, 0),
    "gelu tanh": (lambda x: ops.gelu(x, approximate=True), m_gelu_tanh, lambda x: 4, lambda x: 8, 4),
    "silu": (ops.silu, lambda x: x / (1 + mpmath.exp(-x)), lambda x: 6, lambda x: 8 + abs(x), 0),
    "softplus": (ops.softplus, lambda x: mpmath.log1p(mpmath.exp(x)), lambda x: 4, lambda x: 4, 0),
    "elu": (ops.elu, lambda x: x if x > 0 else mpmath.expm1(x), lambda x: 2, lambda x: 2, 0),
    "expm1": (np.expm1, mpmath.expm1, lambda x: 4, lambda x: 4, 0),
    "log1p": (np.log1p, mpmath.log1p, lambda x: 4, lambda x: 4, 0),
    "logaddexp": (
        lambda x: np.logaddexp(x, 0.3),
        lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(mpmath.mpf(0.3))),
        lambda x: 4,
        lambda x: 4 + abs(x),
        0,
    ),
    "logaddexp2": (
        lambda x: np.logaddexp2(x, 0.3),
        lambda x: mpmath.log(mpmath.mpf(2) ** x + mpmath.mpf(2) ** mpmath.mpf(0.3), 2),
        lambda x: 4,
        lambda x: 4 + 2 * abs(x),
        0,
    ),
    "sinh": (np.sinh, mpmath.sinh, lambda x: 4, lambda x: 4, 0),
    "cosh": (np.cosh, mpmath.cosh, lambda x: 4, lambda x: 4, 0),
    "arcsinh": (np.arcsinh, mpmath.asinh, lambda x: 4, lambda x: 4, 0),
    "arctan": (np.arctan, mpmath.atan, lambda x: 4, lambda x: 4, 0),
    "softsign": (ops.softsign, lambda x: x / (1 + abs(x)), lambda x: 4, lambda x: 8, 8),
    "rsqrt": (ops.rsqrt, lambda x: 1 / mpmath.sqrt(x), lambda x: 4, lambda x: 8, 0),
    "cbrt": (np.cbrt, mpmath.cbrt, lambda x: 4, lambda x: 8, 0),
}
DOMAIN = {"log1p": lambda x: x > -1, "rsqrt": lambda x: x > 0, "cbrt": lambda x: x > 0}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("x", POINTS)
def test_a_value_and_its_slope_are_exact_to_their_own_last_digits(name, x):
    f, truth, value_eps, slope_eps, absolute = EXACT[name]
    if not DOMAIN.get(name, lambda x: True)(x):
        pytest.skip("outside the domain")
    with mpmath.workdps(700):
        value = truth(mpmath.mpf(x))
        step = mpmath.mpf(10) ** -200
        slope = (truth(mpmath.mpf(x) + step) - truth(mpmath.mpf(x) - step)) / (2 * step)
        t = Tensor([x], requires_grad=True)
        y = f(t)
        np.sum(y).backward()
        for got, expected, digits in ((y.data[0], value, value_eps(x)), (t.grad[0], slope, slope_eps(x))):
            assert np.isfinite(got)
            floor = 1e-300 + absolute * EPS * (1 + abs(x) if absolute else 0)
            assert abs(mpmath.mpf(float(got)) - expected) <= digits * EPS * abs(expected) + floor


def test_tiny_and_huge_arguments_of_two_variables():
    for scale in (1e-200, 1e200):
        a, b = Tensor([3 * scale], requires_grad=True), Tensor([4 * scale], requires_grad=True)
        np.sum(np.hypot(a, b)).backward()
        np.testing.assert_allclose([*a.grad, *b.grad], [0.6, 0.8], rtol=1e-14)
        a.grad = b.grad = None
        np.sum(np.arctan2(a, b)).backward()
        np.testing.assert_allclose([*(a.grad * scale), *(b.grad * scale)], [4 / 25, -3 / 25], rtol=1e-14)
    x = Tensor([1e200], requires_grad=True)
    np.sum(np.arccosh(x)).backward()
    np.testing.assert_allclose(x.grad, [1e-200])


# Every way to say it

x, v, c = normal(2, 3), distinct(3), normal(3, 3, 3)
SAYINGS = """
np.var(x, 0, None, None, 1); np.var(x, 0, None, None, 1, True); np.std(x, 1, None, None, 1)
np.sum(x, 0, None, None, True); np.mean(x, 0, None, None, True); np.prod(x, 0, None, None, True); np.max(x, 0, None, True)
np.clip(x, min=-0.5); np.clip(x, max=0.5); np.clip(x, None, 0.5); np.clip(x, [0, 0, 0], 0.5); np.clip(a=x, a_min=-1, a_max=0)
np.linalg.norm(x); np.linalg.norm(x, axis=1, keepdims=True); np.linalg.norm(x, "fro", keepdims=True)
np.linalg.norm(v, np.int64(3)); np.linalg.norm(v, np.float64(3)); np.linalg.norm(x, None, 1, True)
np.average(x, 0, [1, 2]); np.average(c, axis=(1, 0), weights=np.arange(9.0).reshape(3, 3)); np.average(x, 0, keepdims=True)
np.take(x, []); np.take(x, True); np.take(x, [True, False]); np.take(x, indices=[0], axis=0); np.sort(x, kind="heapsort")
np.sort(x, axis=0, stable=True); np.pad(x, (1, 2)); np.pad(x, ((1,), (2,))); np.pad(x, pad_width=1, mode="edge")
np.pad(x, 1, constant_values=((1, 2), (3, 4))); np.roll(x, shift=1, axis=-1); np.repeat(a=x, repeats=2, axis=0)
np.tile(A=x, reps=2); np.trace(c, axis1=2, axis2=1); np.diag(v=v, k=1); np.moveaxis(c, source=0, destination=2)
np.concatenate((v, v), axis=None); np.stack(arrays=[x, x]); np.array_split(ary=v, indices_or_sections=2)
np.einsum("ij,j", x, v); np.einsum("ij,jk,kl", x, c[0], c[1], optimize=True); np.tensordot(c, c, axes=([0, 1], [1, 0]))
x.var(); x.std(0, ddof=1, keepdims=True); x.prod(0); x.cumsum(axis=0); x.cumprod(1); x.take([1, 2]); x.repeat(2); x.mT
v.transpose(0); x.clip(min=0); x.clip(max=0); x.clip(-1, 1); x.dot(v); x.diagonal(1); x.flatten(); x.squeeze(); c.trace(0, 1, 2)
""".replace("\n", ";")  # noqa: E501


@pytest.mark.parametrize("line", [s.strip() for s in SAYINGS.split(";") if s.strip()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_call_means_what_it_means_in_numpy(line, dtype):
    arrays = {"x": x.astype(dtype), "v": v.astype(dtype), "c": c.astype(dtype)}
    tensors = {k: Tensor(a, requires_grad=True) for k, a in arrays.items()}
    for expected, y in zip(listed(eval(line, {"np": np, **arrays})), listed(eval(line, {"np": np, **tensors}))):
        assert y.requires_grad
        assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(y.data, expected, rtol=1e-5 if dtype is np.float32 else 1e-12, atol=1e-6)


# Errors: a line each, naming the function

ERRORS = {
    "np.average(x, weights=[1, 2, 3])": (ValueError, "average: weights of shape (3,) for an array of shape (2, 3)"),
    "np.average(x, 0, [0, 0])": (ZeroDivisionError, "average: the weights sum to 0"),
    "np.average(x, 0, [1, 2], returned=True)": (TypeError, "average: returned= is not supported"),
    "np.var(x, dtype=float)": (TypeError, "var: dtype= is not supported"),
    "np.std(x, where=x > 0)": (TypeError, "std: got an unexpected keyword argument 'where'"),
    "np.prod(x, initial=2)": (TypeError, "prod: got an unexpected keyword argument 'initial'"),
    "np.max(x, initial=0)": (TypeError, "max: initial= is not supported"),
    "np.exp(x, dtype=float)": (TypeError, "exp: dtype= is not supported"),
    "np.cumsum(x, out=np.zeros(6))": (TypeError, "cumsum: out= writes in place"),
    "np.prod(x, 5)": (ValueError, "prod: "),
    "np.cumprod(x, 2)": (ValueError, "cumprod: moveaxis: axis 2 is out of bounds for array of dimension 2"),
    "np.clip(x, 0, 1, min=0)": (TypeError, "clip: give the bounds as a_min and a_max or as min and max, not as both"),
    "np.linalg.norm(x, 2)": (ValueError, "norm: ord=2 has no derivative here along 2 axes; known: 'fro', 1, -1, inf"),
    "np.linalg.norm(v, 'fro')": (ValueError, "norm: ord='fro' has no derivative here along 1 axes; known: numbers"),
    "np.linalg.norm(c, 1)": (ValueError, "norm: of vectors along one axis or of matrices along two; found 3 axes"),
    "np.linalg.norm(x, 'bogus')": (ValueError, "norm: ord='bogus'"),
    "np.diff(x, -1)": (ValueError, "diff: n must be at least 0; found -1"),
    "np.take(x, 9)": (IndexError, "take: getitem: shapes (6,): index 9 is out of bounds"),
    "np.take(x, 0, 7)": (ValueError, "take: axis 7 is out of bounds for array of dimension 2"),
    "np.take(x, 0, mode='bogus')": (ValueError, "take: unknown mode 'bogus'; known: raise, wrap, clip"),
    "np.take(x, v)": (TypeError, "take: a Tensor on the graph cannot become an array unnoticed"),
    "np.take_along_axis(x, np.array([0, 1]), 1)": (ValueError, "take_along_axis: the indices must be integers"),
    "np.take_along_axis(x, x > 0, 1)": (ValueError, "take_along_axis: the indices must be integers"),
    "np.repeat(x, [1, 2, 3], 0)": (ValueError, "repeat: "),
    "np.repeat(x, -1)": (ValueError, "repeat: "),
    "np.tile(x, -1)": (ValueError, "tile: "),
    "np.pad(x, 1.5)": (TypeError, "pad: pad_width is a whole number, or a pair of them per axis; found 1.5"),
    "np.pad(x, -1)": (ValueError, "pad: "),
    "np.pad(x, 1, 'mean')": (ValueError, "pad: mode 'mean' has no derivative here; known: constant, edge"),
    "np.diag(c)": (ValueError, "diag: a vector or a matrix is needed; found shape (3, 3, 3)"),
    "np.diagonal(v)": (ValueError, "diagonal: moveaxis: axis 1 is out of bounds"),
    "np.sort(x, kind='bogus')": (ValueError, "sort: sort kind must be one of"),
    "np.sort(x, 4)": (ValueError, "sort: axis 4 is out of bounds"),
    "np.dot(x, x)": (ValueError, "dot: matmul: (2, 3) @ (2, 3): inner sizes 3 and 2 differ"),
    "np.vdot(x, v)": (ValueError, "vdot: matmul: (6,) @ (3,): inner sizes 6 and 3 differ"),
    "np.vdot(v, [1.0])": (ValueError, "vdot: matmul: (3,) @ (1,): inner sizes 3 and 1 differ"),
    "np.inner(v, [1, 2])": (ValueError, "inner: tensordot: (3,) and (2,) do not agree"),
    "np.tensordot(c, c, 4)": (ValueError, "tensordot: (3, 3, 3) and (3, 3, 3) do not both have 4 axes"),
    "np.tensordot(c, c, ([0, 5], [1, 0]))": (ValueError, "tensordot: axis 5 is out of bounds"),
    "np.tensordot(c, c, ([0, 0], [1, 2]))": (ValueError, "tensordot: repeated axis"),
    "np.tensordot(c, c, ([0, 1], [1]))": (ValueError, "tensordot: (3, 3, 3) and (3, 3, 3) do not agree"),
    "np.einsum(x, [0, 1])": (TypeError, "einsum: on Tensors give the subscripts as a string"),
    "np.einsum('ii', x)": (ValueError, "einsum: 'i' stands for axes of sizes 2 and 3"),
    "np.einsum('i1', x)": (ValueError, "einsum: 'i1' does not fit an array with 2 axes"),
    "np.einsum('i..', x)": (ValueError, "einsum: 'i..' does not fit an array with 2 axes"),
    "np.einsum('ij', v)": (ValueError, "einsum: 'ij' does not fit an array with 1 axes"),
    "np.einsum('i,j', v)": (ValueError, "einsum: 'i,j' has 2 operands, found 1 arrays"),
    "np.einsum('i->ij', v)": (ValueError, "einsum: contract: shapes (3,): einstein sum subscripts string included"),
    "np.einsum('i->ii', v)": (ValueError, "einsum: contract: shapes (3,): einstein sum subscripts string includes"),
    "np.einsum('i,i', v, [1.0, 2.0])": (ValueError, "einsum: contract: shapes (3,), (2,): operands could not be"),
    "np.linalg.inv(x)": (ValueError, "inv: shapes (2, 3): Last 2 dimensions of the array must be square"),
    "np.linalg.inv(c * 0)": (ValueError, "inv: shapes (3, 3, 3): Singular matrix"),
    "np.linalg.det(v)": (ValueError, "det: shapes (3,): 1-dimensional array given"),
    "np.linalg.slogdet(x)": (ValueError, "slogdet: logabsdet: shapes (2, 3): Last 2 dimensions"),
    "np.linalg.solve(c[0] * 0, v)": (ValueError, "solve: shapes (3, 3), (3, 1): Singular matrix"),
    "np.linalg.solve(c[0], [1.0, 2.0])": (ValueError, "solve: shapes (3, 3), (2, 1): "),
    "np.linalg.cholesky(-c[0] @ c[0].T)": (ValueError, "cholesky: shapes (3, 3): Matrix is not positive definite"),
    "np.linalg.cholesky(c, upper=True)": (TypeError, "cholesky: upper= is not supported"),
    "np.hstack([v, x])": (ValueError, "hstack: concatenate: shapes (3,), (2, 3): all the input arrays"),
    "np.stack([x, x], axis=5)": (ValueError, "stack: expand_dims: shapes (2, 3): axis 5 is out of bounds"),
    "np.split(v, 2.5)": (TypeError, "split: array_split: 'float' object is not iterable"),
    "np.moveaxis(c, [0, 0], [1, 2])": (ValueError, "moveaxis: repeated axis"),
    "np.reshape(x, x)": (TypeError, "reshape: shapes (2, 3)"),
    "v + np.array([1, None, 'a'], dtype=object)": (TypeError, "add: shapes (3,), (3,): unsupported operand"),
    "np.sum(v * np.array([1, 2, 3], dtype=object)).backward()": (TypeError, "only real floating-point values"),
    "np.array([x])": (TypeError, "np.stack([...])"),
    "x.__setitem__(0, 1)": (TypeError, "a Tensor cannot be written to in place"),
    "np.add(v, np.array(['a'] * 3))": (TypeError, "add: shapes (3,), (3,): "),
    **{
        f"np.{name}": (TypeError, f"np.{name.partition('(')[0]} has no derivative rule; rules exist for")
        for name in (
            "unwrap(v)", "fft.fft(v)", "linalg.svd(x)", "linalg.eigh(c)", "median(v)", "percentile(v, 50)", "nansum(v)",
            "interp(v, [0, 1], [0, 1])", "convolve(v, v)", "correlate(v, v)", "gradient(v)", "cov(x)", "histogram(v)",
            "unique(v)", "insert(v, 0, 1)", "delete(v, 0)", "append(v, 1)", "cross(v, v)", "put(v, 0, 1)", "i0(v)",
            "place(v, [True], 1)", "polyfit(v, v, 1)", "modf(v)", "copysign(v, 1)", "linalg.pinv(x)", "linalg.qr(x)",
            "partition(v, 1)", "meshgrid(v, v)", "select([[True]], [v])", "nan_to_num(v)", "quantile(v, 0.5)",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("line", ERRORS)
def test_a_wrong_call_gets_one_line_that_names_the_function(line):
    kind, words = ERRORS[line]
    tensors = {k: Tensor(a, requires_grad=True) for k, a in {"x": x, "v": v, "c": c}.items()}
    with pytest.raises(kind) as caught:
        eval(line, {"np": np, **tensors})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    for t, a in zip(tensors.values(), (x, v, c)):
        np.testing.assert_array_equal(t.data, a)


def test_a_tensor_of_integers_is_an_index_for_every_function_that_takes_one():
    t, i = Tensor(x, requires_grad=True), Tensor([1, 0])
    np.testing.assert_array_equal(np.take(t, i, 1).data, x[:, [1, 0]])
    np.testing.assert_array_equal(np.take_along_axis(t, Tensor([[0], [2]]), 1).data, [[x[0, 0]], [x[1, 2]]])
    np.testing.assert_array_equal(ops.gather(t, Tensor([[0], [2]])).data, [[x[0, 0]], [x[1, 2]]])
    np.testing.assert_array_equal(np.repeat(t, Tensor([2, 1]), 0).data, x[[0, 0, 1]])


def test_twenty_six_letters_are_enough_for_einsum():
    letters = string.ascii_letters[:26]
    t = Tensor(np.ones((1,) * 26), requires_grad=True)
    assert np.einsum(letters + "->" + letters[::-1], t).shape == (1,) * 26
