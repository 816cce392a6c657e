"""Functions that NumPy lacks (or does in place), each with a line in the table of derivatives like NumPy's own.

On plain arrays they are plain functions; on Tensors they are recorded. Functions that are merely put together from
others stand in network.py and need no line.
"""

import numpy as np

from tinyllm.autograd.tensor import function

__all__ = [
    "clip",
    "concatenate",
    "contract",
    "erf",
    "erfc",
    "log_softmax",
    "logabsdet",
    "logsumexp",
    "relu",
    "rsqrt",
    "scatter_add",
    "sigmoid",
    "softmax",
    "softplus",
    "solve",
]

# erf and erfc by rational approximations on three intervals (W. J. Cody 1969, Math. Comp. 23; coefficients of netlib's
# specfun): highest power first, relative error below 1e-15.
ERF_NEAR = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
ERFC_MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
ERFC_FAR = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


def _ratio(coefficients, x):
    """One polynomial over another."""
    return np.polyval(coefficients[0], x) / np.polyval(coefficients[1], x)


def _erfc_tail(x):
    """erfc(x) for x > 0.46875."""
    x = np.minimum(x, 30.0)  # beyond it erfc is 0 in double precision
    middle = np.minimum(x, 4.0)
    square = 1 / np.square(np.maximum(x, 4.0))
    far = (1 / np.sqrt(np.pi) - square * _ratio(ERFC_FAR, square)) / np.maximum(x, 4.0)
    cut = np.trunc(x * 16) / 16  # exp(-x * x) in two factors: the square of a long x is rounded
    bell = np.exp(-cut * cut) * np.exp(-(x - cut) * (x + cut))
    return bell * np.where(x > 4, far, _ratio(ERFC_MIDDLE, middle))


@function
def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x: the error function.

    >>> erf(np.array([0.0, 1.0, -30.0])).round(6)
    array([ 0.      ,  0.842701, -1.      ])
    """
    x = _real(x)
    near = np.clip(x, -0.46875, 0.46875)
    tail = np.copysign(1 - _erfc_tail(np.maximum(np.abs(x), 0.46875)), x)
    return np.where(np.abs(x) <= 0.46875, near * _ratio(ERF_NEAR, near * near), tail).astype(x.dtype)


@function
def erfc(x):
    """1 - erf(x), to full relative precision where that is tiny.

    >>> f"{float(erfc(10.0)):.12g}"
    '2.08848758376e-45'
    """
    x = _real(x)
    near = np.clip(x, -0.46875, 0.46875)
    tail = _erfc_tail(np.maximum(np.abs(x), 0.46875))
    far = np.where(x > 0, tail, 2 - tail)
    return np.where(np.abs(x) <= 0.46875, 1 - near * _ratio(ERF_NEAR, near * near), far).astype(x.dtype)


@function
def rsqrt(x):
    """1 / sqrt(x).

    >>> float(rsqrt(4.0))
    0.5
    """
    return 1 / np.sqrt(x)


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


@function
def contract(*arrays, subscripts):
    """np.einsum with explicit subscripts, in which no letter occurs twice in one operand or in one operand alone."""
    return np.einsum(subscripts, *arrays, optimize=len(arrays) > 2)


@function
def solve(a, b):
    """np.linalg.solve for matrices on both sides."""
    return np.linalg.solve(a, b)


@function
def logabsdet(a):
    """The logarithm of the absolute value of the determinant of each matrix."""
    return np.linalg.slogdet(a).logabsdet
