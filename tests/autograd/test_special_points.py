"""Points that no difference can check, and arguments that the cases leave out.

Each line is here because a changed derivative passed every other test (tests/mutants.py).
"""

import mpmath
import numpy as np
import pytest

from tinyllm import Tensor, gradcheck
from tinyllm.autograd.functions import concatenate, erf, erfc, log_softmax, logsumexp, rsqrt, softmax
from tinyllm.autograd.kernels import embedding_lookup, lstm, lstm_from_rules
from tinyllm.autograd.recurrent_kernels import gru, gru_from_rules

INF, NAN = np.inf, np.nan

# what: (f, inputs, the gradient of the sum for each)
POINTS = {
    "fmax shares a tie": (np.fmax, [[1.0, 2.0], [1.0, 3.0]], [[0.5, 0], [0.5, 1]]),
    "fmin shares a tie": (np.fmin, [[1.0, 2.0], [1.0, 3.0]], [[0.5, 1], [0.5, 0]]),
    "fmax passes over NaN": (np.fmax, [[NAN, 2.0], [1.0, NAN]], [[0, 1], [1, 0]]),
    "fmin passes over NaN": (np.fmin, [[NAN, 2.0], [1.0, NAN]], [[0, 1], [1, 0]]),
    "fabs at 0, like abs": (np.fabs, [[0.0, -2.0]], [[0, -1]]),
    "hypot at the origin": (np.hypot, [[0.0], [0.0]], [[0], [0]]),
    "arctan2 at the origin": (np.arctan2, [[0.0], [0.0]], [[0], [0]]),
    "float_power of 0, like power": (np.float_power, [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]], [[0, 1, 0], [0, 0, 0]]),
    "the power 0, a number, of 0": (lambda x: x**0, [[0.0, 3.0]], [[0, 0]]),
    "the power 0.0, a number, of 0": (lambda x: x**0.0, [[0.0, 3.0]], [[0, 0]]),
    "logaddexp of nothing": (np.logaddexp, [[-INF, 0.0], [-INF, -INF]], [[0, 1], [0, 0]]),
    "logaddexp2 of nothing": (np.logaddexp2, [[-INF, 0.0], [-INF, -INF]], [[0, 1], [0, 0]]),
    "logaddexp of nothing and something": (np.logaddexp, [[-INF, 1.0], [0.0, -INF]], [[0, 1], [1, 0]]),
    "logaddexp2 of nothing and something": (np.logaddexp2, [[-INF, 1.0], [0.0, -INF]], [[0, 1], [1, 0]]),
    "maximum passes NaN on": (np.maximum, [[NAN, 1.0], [1.0, NAN]], [[1, 0], [0, 1]]),
    "max passes NaN on": (np.max, [[NAN, 1.0]], [[1, 0]]),
    "clip at its lower bound": (np.clip, [[1.0], [1.0], [2.0]], [[1], [0], [0]]),
    "clip at its upper bound": (np.clip, [[2.0], [1.0], [2.0]], [[1], [0], [0]]),
    "clip below equal bounds": (np.clip, [[0.0], [1.0], [1.0]], [[0], [1], [0]]),
    "clip above equal bounds": (np.clip, [[2.0], [1.0], [1.0]], [[0], [0], [1]]),
    "clip between crossed bounds": (np.clip, [[1.0], [2.0], [1.0]], [[0], [0], [1]]),
    "clip with max= only": (lambda x: np.clip(x, max=0.5), [[-1.0, 2.0]], [[1, 0]]),
    "std of equal values": (np.std, [[2.0, 2.0]], [[0, 0]]),
    "norm of zeros": (np.linalg.norm, [[0.0, 0.0]], [[0, 0]]),
    "norm of order 3 of zeros": (lambda x: np.linalg.norm(x, 3), [[0.0, 0.0]], [[0, 0]]),
    "concatenate without axis": (
        lambda x: concatenate(x, x)[1:] * [[2.0], [3.0], [5.0]],
        [[[0.0, 0]] * 2],
        [[[3, 3], [7, 7]]],
    ),
}


@pytest.mark.parametrize("what", POINTS)
def test_the_gradient_at_a_special_point(what):
    f, inputs, gradients = POINTS[what]
    tensors = [Tensor(x, requires_grad=True) for x in inputs]
    np.sum(f(*tensors)).backward()
    for t, gradient in zip(tensors, gradients):
        np.testing.assert_array_equal(t.grad, gradient)


def test_the_gradient_of_a_cholesky_factor_is_symmetric_as_its_argument_is():
    a = Tensor([[4.0, 1.0], [1.0, 3.0]], requires_grad=True)
    np.sum(np.linalg.cholesky(a) * np.array([[1.0, 0.0], [2.0, 3.0]])).backward()
    np.testing.assert_array_equal(a.grad, a.grad.T)


# V a vector, M a matrix, S a square one, C a cube: on Tensors a line says what NumPy says, and has its gradient
GIVEN = {
    name: np.random.default_rng(i).permutation(int(np.prod(shape))).reshape(shape) * 0.25 - 0.875
    for i, (name, shape) in enumerate({"V": (8,), "M": (3, 4), "S": (3, 3), "C": (2, 3, 4)}.items())
}
LINES = """
np.var(V, correction=1)   np.std(V, correction=1)   np.linalg.norm(V, 3.5)   np.prod(C, 2)   np.prod(C, (2, 0))
np.prod(C, (2, 0), keepdims=True)   np.prod(C, 1, keepdims=True)   np.prod(V[:0], keepdims=True)
np.prod(C[:, :0], 1)   np.cumprod(M, 1)   np.cumprod(C, 2)   np.cumprod(C, 1)   np.cumprod(V[:4])   np.diff(C, axis=2)
np.diff(C, axis=1)   np.diff(C, 2, 0)   np.diff(M, axis=0)   np.average(M, 0)   np.average(C, 1)
np.average(M, 1, V[:4] + 5)   np.linalg.norm(C)   np.linalg.norm(C, axis=1)   np.linalg.norm(M, 1, keepdims=True)
np.linalg.norm(M, 1, 0, True)   np.linalg.norm(C, np.inf, 1, True)   np.linalg.norm(C, 3, 2, True)
np.linalg.norm(C, -np.inf, 1)   np.linalg.norm(C, 1, (-1, 0))   np.linalg.norm(C, -1, (0, 1))
np.linalg.norm(C, np.inf, (2, 0))   np.linalg.norm(C, -np.inf, (0, 2))   np.linalg.norm(C, 1, (0, 2), True)
np.linalg.norm(C[:, :1], 1, (0, 2))   np.linalg.norm(C[:1], -1, (1, 2))   np.linalg.norm(M, "fro")
np.linalg.norm(V, 1)   np.linalg.norm(V, 2)   np.linalg.norm(C, 1, 2)   np.linalg.norm(V, -np.inf)   np.dot(V, 2.0)
np.dot(2.0, M)   np.dot(M, C[:, [0, 1, 2, 0], :1])   np.dot(V[:4], C.transpose(0, 2, 1))   np.dot(S, C)   np.dot(S, M)
np.dot(M, V[:4])   np.inner(V, 2.0)   np.inner(2.0, M)   np.inner(C, M)   np.inner(V, V)   np.inner(C, V[:4])
np.outer(M, S)   np.outer(V, 2.0)   np.tensordot(M, S, (0, 1))   np.tensordot(C, M, ((1, 2), (0, 1)))
np.tensordot(S, M, np.int64(1))   np.kron(V[:2], M)   np.kron(M, V[:2])   np.kron(S, V[:3])
np.einsum("iij->ij", C[:, :2])   np.einsum("iji->j", C[:, :, :2])   np.einsum("jii->j", C[:, :2, :2])
np.einsum("ijj", C[:, :, :3])   np.einsum("i i j -> j", C[:, :2])   np.einsum("iii->i", C[:, :2, :2])
np.einsum("iij,jk", C[:, :2], M.T)   np.einsum("ijkjl->kli", C[:, :2, None, :2, None] + C[0, 0])
np.einsum("aab,bc->ac", C[:, :2], M.T)   np.einsum("...i,i", C, V[:4])   np.einsum("abcb->ca", C[:, :, None, :3])
np.einsum("ba", M)   np.einsum("ab,cb", M, M)   np.einsum("cab->bca", C)
np.linalg.solve(S + 9 * np.eye(3), C[:, :, :3])   np.linalg.solve(S + 9 * np.eye(3), V[:3])   np.vstack([V[:4], M])
np.hstack([V, V])   np.hstack([C, C])   np.hstack([V[0], V])   np.hstack([V[:1], V[0]])   np.hstack([M, M])
np.column_stack([V[:3], M])   np.vstack([C, C])   np.atleast_2d(V)   np.atleast_2d(C)   np.atleast_2d(M)
np.atleast_1d(V[0])   np.repeat(C, 2)   np.repeat(C, 2, 1)   np.repeat(M, [1, 2, 0], 0)   np.tile(C, 2)
np.tile(M, (2, 1, 2))   np.tile(V, (2, 3))   np.tile(C, (3, 1))   np.pad(M, ((1, 2), (0, 1)))
np.pad(M, 1, constant_values=3.0)   np.pad(C, ((0, 1), (2, 0), (1, 1)), "edge")   np.take(C, 5)
np.take(C, [-1, 0], 1)   np.take(C, [[1, 0], [2, 2]], -2)   np.take(V, [9, -2], mode="clip")
np.take(V, [9, -2], mode="wrap")   np.take(M, [-7, 1, 8], 1, mode="clip")
np.take_along_axis(C, np.array([[[1], [0], [3]]] * 2), 2)   np.take_along_axis(C, np.array([[[1, 0, 2, 1]]] * 2), 1)
np.take_along_axis(C, np.zeros((1, 3, 4), int), 0)   np.sort(C, 1)   np.sort(C, 0)   np.diagonal(M)
np.diagonal(M, 1)   np.diagonal(M, 2)   np.diagonal(M, -1)   np.diagonal(M, -2)   np.diagonal(M, 9)
np.diagonal(M, -9)   np.diagonal(M.T, 1)   np.diagonal(M.T, -1)   np.diagonal(M.T, -2)   np.diagonal(C, 1, 2, 0)
np.diagonal(C, -1, 1, 2)   np.diagonal(M, 3)   np.diagonal(M.T, -3)   np.trace(C, 1, 1, 2)   np.trace(M, -1)
np.diag(V, 1)   np.diag(V, -2)   np.diag(M, 1)   np.diag(M, -1)   np.moveaxis(C, 0, 2)
np.moveaxis(C, (0, 1), (2, 0))   np.moveaxis(C, -1, 0)   np.moveaxis(C, [2, 0], [0, 1])
np.array_split(V, np.int64(3))[1]   np.split(V, np.int64(4))[1]   np.split(C, [1], 2)[1]   np.array_split(C, 3, -1)[0]
np.stack([M, M], 1)   np.concatenate([V, V[:2]])   np.concatenate([C, C], -2)   np.fliplr(C)   np.flipud(C)
np.vdot(M, M)   np.clip(V, None, 0.3)
np.average(M, 1, keepdims=True)   np.average(M, 1, V[:4] + 5, keepdims=True)   np.average(C, 1, V[:3] + 5)
np.average(C, (2, 0), C[:, 0].T + 5)   np.average(C, (0, 2), C[:, 0] + 5)   np.average(C, weights=C + 9)
np.average(C, -1, V[:4] + 5)   np.diagonal(M[:2])   np.diagonal(M[:2], 1)
np.diagonal(M.T[:, :2], -1)   np.diag(M[:2], 1)
np.diag(V[:3])   np.column_stack([V[:3], V[:3]])   np.column_stack([M, M])   np.hstack([V[:2], V[0]])
np.linalg.norm(V, 1.5)   np.linalg.norm(V, -2)   np.linalg.norm(C, -0.5, 1)   np.hstack([V])   np.hstack([M])
"""
LINES = [line for lines in LINES.split("\n") for line in lines.split("  ") if line]
LINES = [line.strip() for line in LINES]


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_numpy_gives_on_tensors_what_it_gives_on_arrays_and_its_gradient(line):
    names = [name for name in GIVEN if name in line]

    def f(*values):
        return eval(line, {"np": np, **dict(zip(names, values))})

    arrays = [GIVEN[name] for name in names]
    got = f(*[Tensor(a, requires_grad=True) for a in arrays])
    np.testing.assert_allclose(got.data, f(*arrays), rtol=1e-13, atol=1e-14)
    report = gradcheck(f, *arrays)
    assert report.ok, str(report)


def test_std_and_norm_of_zeros_are_0():
    for f in (np.std, np.linalg.norm, lambda x: np.linalg.norm(x, 3)):
        assert float(f(Tensor([0.0, 0.0], requires_grad=True))) == 0
    assert float(np.linalg.norm(Tensor([1.0, 0.0], requires_grad=True))) == 1
    assert float(np.linalg.norm(Tensor([INF, INF], requires_grad=True), -2)) == INF


@pytest.mark.parametrize("how", [{}, {"stable": True}, {"kind": "stable"}])
def test_equal_values_keep_their_order_when_sorted(how):
    x, weights = Tensor(np.zeros(100), requires_grad=True), np.arange(100.0)
    np.sum(np.sort(x, **how) * weights).backward()
    np.testing.assert_array_equal(x.grad, weights)


def test_the_lstm_computes_in_the_widest_of_its_dtypes():
    x, kernel = (  # whole eighths: their product is the same in float32 and float64
        (np.random.default_rng(i).integers(-16, 16, s) / 8).astype(np.float32) for i, s in [(0, (2, 3, 2)), (1, (2, 8))]
    )
    h, c, recurrent = (np.random.default_rng(i).standard_normal(s) for i, s in [(2, (2, 2)), (3, (2, 2)), (4, (2, 8))])
    fused, readable = (f(Tensor(x), h, c, kernel, recurrent, None) for f in (lstm, lstm_from_rules))
    for a, b in zip(fused, readable):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-13)


def test_the_gru_computes_in_the_widest_of_its_dtypes():
    x, kernel = (
        (np.random.default_rng(i).integers(-16, 16, s) / 8).astype(np.float32) for i, s in [(0, (2, 3, 2)), (1, (2, 6))]
    )
    h, recurrent = (np.random.default_rng(i).standard_normal(s) for i, s in [(2, (2, 2)), (3, (2, 6))])
    fused, readable = (f(Tensor(x), h, kernel, recurrent, None) for f in (gru, gru_from_rules))
    for a, b in zip(fused, readable):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-13)


def test_split_refuses_8_in_3_parts_of_which_two_are_equal():
    for sections in (3, np.int64(3)):
        with pytest.raises(ValueError, match="does not divide"):
            np.split(Tensor(np.arange(8.0), requires_grad=True), sections)


def test_rows_far_apart_do_not_disturb_one_another():
    x = np.array([[0.0, 0.0], [-1000.0, -1000.0]])
    np.testing.assert_array_equal(softmax(x), 0.5)
    np.testing.assert_allclose(log_softmax(x), -np.log(2), rtol=1e-15)
    np.testing.assert_allclose(logsumexp(x, axis=1), [np.log(2), np.log(2) - 1000], rtol=1e-15)


def test_erf_and_erfc_are_exact_to_rounding_on_each_of_their_intervals():
    x = np.concatenate(
        [np.linspace(-6.0, 26.0, 321), [0.0, 0.46875, -0.46875, 0.47, 1e-9, 3.99, 4.0, 4.01, 26.5, -40, 40]]
    )
    with mpmath.workdps(40):
        for f, exact in ((erf, mpmath.erf), (erfc, mpmath.erfc)):
            expected = np.array([float(exact(mpmath.mpf(float(v)))) for v in x])
            np.testing.assert_allclose(f(x), expected, rtol=1.5e-15, atol=1e-310)
    for f in (erf, erfc):
        assert f(1).dtype == np.float64 and f(np.float32(1)).dtype == np.float32
        assert np.isfinite(f(np.array([1e200, -1e200, INF, -INF]))).all()


def test_rsqrt_is_one_over_the_square_root():
    np.testing.assert_array_equal(rsqrt(np.array([4.0, 0.25])), [0.5, 2.0])


def test_the_last_row_of_a_table_of_one_row_is_its_first():
    table = Tensor([[1.0, 2.0]], requires_grad=True)
    np.sum(embedding_lookup(table, [-1, 0])).backward()
    np.testing.assert_array_equal(table.grad, [[2, 2]])
