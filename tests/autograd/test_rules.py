"""Every line of the table is right: to first and second order, in shape, in dtype, and at its special points."""

import re
from pathlib import Path

import numpy as np
import pytest

from tinyllm import Tensor, gradcheck, ops
from tinyllm.autograd.cases import CASES, MASK, distinct, normal
from tinyllm.autograd.rules import (
    composite,
    differentiable,
    logsumexp,
    relu,
    rule,
    scatter_add,
)
from tinyllm.autograd.tensor import COMPOSITES, FLAT, TABLE


def name(f):
    return f.__name__ if f in TABLE else f"np.{f.__name__}"


every_case = pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{name(f)}-{i}") for f, cases in CASES.items() for i, case in enumerate(cases)]
)


def test_every_entry_of_the_table_has_a_case():
    assert {name(f) for f in [*TABLE, *COMPOSITES]} == {name(f) for f in CASES}


@every_case
def test_the_gradient_and_the_gradient_of_the_gradient_agree_with_differences(case):
    f, *arrays = case
    report = gradcheck(f, *arrays, order=2)
    assert report.ok, str(report)
    assert report.order == 2


def as_list(ys):
    return list(ys) if isinstance(ys, tuple | list) else [ys]


def gradients(f, arrays):
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    ys = as_list(f(*tensors))
    rng = np.random.default_rng(7)
    sum(np.sum(y * rng.standard_normal(y.shape).astype(y.dtype)) for y in ys).backward()
    return [y.data for y in ys], [t.grad for t in tensors]


@every_case
def test_float32_stays_float32_and_says_what_float64_says(case):
    f, *arrays = case
    single = [a.astype(np.float32) for a in arrays]
    values, grads = gradients(f, single)
    exact_values, exact_grads = gradients(f, arrays)
    assert [v.dtype for v in values] == [np.asarray(y).dtype for y in as_list(f(*single))]  # what NumPy makes of it
    assert {g.dtype for g in grads} == {np.dtype(np.float32)}
    for got, exact in [*zip(values, exact_values), *zip(grads, exact_grads)]:
        np.testing.assert_allclose(got, exact, rtol=2e-4, atol=2e-5)


@every_case
def test_a_gradient_has_the_shape_of_its_argument_and_arguments_are_not_changed(case):
    f, *arrays = case
    before = [a.copy() for a in arrays]
    _, grads = gradients(f, arrays)
    for a, kept, g in zip(arrays, before, grads):
        np.testing.assert_array_equal(a, kept)
        assert g.shape == a.shape


@every_case
def test_a_tensor_off_the_graph_gives_the_value_that_an_array_gives(case):
    f, *arrays = case
    values, _ = gradients(f, arrays)
    for y, value in zip(as_list(f(*[Tensor(a) for a in arrays])), values):
        assert not y.requires_grad
        np.testing.assert_array_equal(y.data, value)


def test_a_view_with_odd_strides_is_an_argument_like_any_other():
    x = normal(4, 6)[::-2, 1::2].T
    assert gradcheck(lambda x: np.tanh(x) @ x.T, x, order=2).ok


# Conventions: every line of docs/conventions.md, by the words of its first column

INF, NAN = np.inf, np.nan
TWO = np.array([[2.0, 0.0], [0.0, 0.0]])
LOOK = np.array([[True, False], [False, False]])

# the words of the page: (f, the inputs, the gradient of the sum of f for each)
CONVENTIONS = {
    "`relu(x)` at 0": (relu, [0.0], [0.0]),
    "`leaky_relu(x)` at 0": (ops.leaky_relu, [0.0], [0.01]),
    "`elu(x)`, `selu(x)` at 0": (lambda x: np.stack([ops.elu(x, 2.0), ops.selu(x)]), [0.0], [2 + 1.7580993408473766]),
    "`hard_sigmoid(x)` at its two corners": (ops.hard_sigmoid, [-2.5, 2.5], [0.2, 0.2]),
    "`np.abs(x)`, `np.fabs(x)` at 0": (lambda x: np.abs(x) + np.fabs(x), [0.0], [0.0]),
    "`np.hypot(a, b)` at (0, 0)": (np.hypot, [0.0], [0.0], [0.0], [0.0]),
    "`np.arctan2(a, b)` at (0, 0)": (np.arctan2, [0.0], [0.0], [0.0], [0.0]),
    "`np.linalg.norm(x)` at 0": (np.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
    "`np.linalg.norm(x, p)` where an element is 0": (
        lambda x: np.stack([np.linalg.norm(x, p) for p in (1, 3, 1.5, 0.5, -1)]),
        [0.0, 2.0],
        [0.0, 4.0],
    ),
    "`np.linalg.norm(x, inf)` at a tie": (lambda x: np.linalg.norm(x, INF), [2.0, -2.0], [0.5, -0.5]),
    "`np.std(x)` of equal values": (np.std, [0.1, 0.1, 0.1], [0.0, 0.0, 0.0]),
    "`np.prod(x)` with one 0": (np.prod, [2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
    "`np.prod(x)` with two": (np.prod, [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    "`np.cumprod(x)` with zeros": (np.cumprod, [2.0, 0.0, 3.0, 0.0, 1.0], [1.0, 8.0, 0.0, 0.0, 0.0]),
    "`np.maximum(a, b)` at a tie": (np.maximum, [1.0], [1.0], [0.5], [0.5]),
    "`np.minimum(a, b)` at a tie": (np.minimum, [1.0], [1.0], [0.5], [0.5]),
    "`np.maximum(a, b)`, `np.minimum(a, b)` with NaN": (
        lambda a, b: np.stack([np.maximum(a, b), np.minimum(a, b)]),
        [NAN, 1.0, NAN],
        [1.0, NAN, NAN],
        [2.0, 0.0, 1.0],
        [0.0, 2.0, 1.0],
    ),
    "`np.fmax(a, b)`, `np.fmin(a, b)` at a tie": (
        lambda a, b: np.stack([np.fmax(a, b), np.fmin(a, b)]), [1.0], [1.0], [1.0], [1.0],
    ),
    "`np.fmax(a, b)`, `np.fmin(a, b)` with NaN": (
        lambda a, b: np.stack([np.fmax(a, b), np.fmin(a, b)]),
        [NAN, 1.0, NAN],
        [1.0, NAN, NAN],
        [0.0, 2.0, 1.0],
        [2.0, 0.0, 1.0],
    ),
    "`np.max(x)` with ties": (np.max, [3.0, 1.0, 3.0, 3.0], [1 / 3, 0, 1 / 3, 1 / 3]),
    "`np.min(x)` with ties": (np.min, [3.0, 1.0, 1.0, 3.0], [0, 0.5, 0.5, 0]),
    "`np.max(x)`, `np.min(x)` with NaN": (lambda x: np.max(x) + np.min(x), [3.0, NAN, 1.0], [0.0, 2.0, 0.0]),
    "`np.sort(x)` with ties": (lambda x: np.sort(x) * np.arange(4.0), [2.0, 1.0, 2.0, 1.0], [2.0, 0.0, 3.0, 1.0]),
    "`np.clip(x, low, high)` at a bound": (lambda x: np.clip(x, -1, 1), [-2.0, -1, 0, 1, 2], [0.0, 1, 1, 1, 0]),
    "`np.clip(x, low, high)` at a bound that is a Tensor": (np.clip, [1.0], [1.0], [1.0], [1.0], [0.0], [0.0]),
    "`logsumexp(x)` where all are -inf": (logsumexp, [-INF, -INF], [0.0, 0.0]),
    "`np.logaddexp(a, b)` where both are -inf": (np.logaddexp, [-INF, 0.0], [-INF, -INF], [0.0, 1.0], [0.0, 0.0]),
    "`softmax(x)` where one is -inf": (lambda x: ops.softmax(x) * [5.0, 1.0, 1.0], [-INF, 0.0, 0.0], [0.0, 0.0, 0.0]),
    "`softmax(x)` where all are -inf": (ops.softmax, [-INF, -INF], [NAN, NAN]),
    "`scaled_dot_product_attention` for a query that may look nowhere": (
        lambda q, k, v: ops.scaled_dot_product_attention(q, k, v, LOOK),
        *[TWO, TWO, TWO],
        *[0 * TWO, 0 * TWO, [[1.0, 1.0], [0.0, 0.0]]],
    ),
    "`np.sqrt(x)`, `x ** 0.5` at 0": (lambda x: np.stack([np.sqrt(x), x**0.5]), [0.0], [INF]),
    "`np.log(x)`, `np.cbrt(x)`, `rsqrt(x)` at 0": (
        lambda x: np.stack([np.log(x), np.cbrt(x), -ops.rsqrt(x)]), [0.0], [INF],
    ),
    "`a ** b` for b, where a is 0": (lambda b: np.zeros(2) ** b, [0.0, 2.0], [0.0, 0.0]),
    "`a ** b` for a, where a and b are 0": (lambda a: a ** np.zeros(1), [0.0], [0.0]),
    "`a ** b` for b, where a is negative": (lambda b: np.full(1, -2.0) ** b, [2.0], [NAN]),
    "`a % b` where a is a multiple of b": (np.remainder, [6.0], [3.0], [1.0], [-2.0]),
    "`np.sum(x)` of nothing": (np.sum, np.zeros((0, 2)), np.zeros((0, 2))),
    "`np.prod(x)` of nothing": (np.prod, np.zeros((0, 2)), np.zeros((0, 2))),
    "`np.where(c, a, b)` where c is false, for a": (lambda a: np.where([True, False], a, 0), [INF, NAN], [1.0, 0.0]),
}  # fmt: skip


@pytest.mark.parametrize("line", CONVENTIONS)
def test_a_convention_holds(line):
    f, *inputs_and_gradients = CONVENTIONS[line]
    half = len(inputs_and_gradients) // 2
    tensors = [Tensor(x, requires_grad=True) for x in inputs_and_gradients[:half]]
    with np.errstate(all="ignore"):
        np.sum(f(*tensors)).backward()
    for t, gradient in zip(tensors, inputs_and_gradients[half:]):
        np.testing.assert_allclose(t.grad, gradient, rtol=1e-15)


def test_the_documented_conventions_are_the_tested_ones():
    page = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (`.*?) +\|", page, flags=re.M)
    assert lines == list(CONVENTIONS)


def test_max_shares_equally_along_each_axis_by_itself():
    x = Tensor([[2.0, 2.0], [1.0, 2.0]], requires_grad=True)
    np.sum(np.max(x, axis=1) * np.array([1.0, 10.0])).backward()
    np.testing.assert_array_equal(x.grad, [[0.5, 0.5], [0, 10]])


def test_a_singular_matrix_has_a_determinant_but_no_derivative_of_it_here():
    a = Tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    determinant = np.linalg.det(a)
    assert determinant.item() == 0
    with pytest.raises(ValueError, match="Singular matrix"):
        determinant.backward()


def test_the_branch_that_where_did_not_choose_spoils_the_gradient():
    x = Tensor([0.0, 4.0], requires_grad=True)
    with np.errstate(all="ignore"):
        np.sum(np.where(x > 0, np.sqrt(x), 0.0)).backward()
    np.testing.assert_array_equal(x.grad, [np.nan, 0.25])


def test_nothing_overflows_in_the_branch_that_where_did_not_choose_when_it_is_made_safe():
    x = Tensor([0.0, 4.0], requires_grad=True)
    safe = np.where(x > 0, x, 1.0)
    np.sum(np.where(x > 0, np.sqrt(safe), 0.0)).backward()
    np.testing.assert_array_equal(x.grad, [0, 0.25])


def test_the_slope_of_a_power_is_right_where_the_exponent_is_zero():
    a, b = Tensor(2.0, requires_grad=True), Tensor(0.0, requires_grad=True)
    (a**b).backward(create_graph=True)
    slope, b.grad = a.grad, None
    slope.backward()
    assert float(b.grad) == 0.5  # d/db of b a^(b-1) at a = 2, b = 0


# Repeated elements


def test_a_repeated_token_id_collects_every_gradient():
    table = Tensor(np.zeros((4, 2)), requires_grad=True)
    np.sum(table[[1, 1, 3]]).backward()
    np.testing.assert_array_equal(table.grad, [[0, 0], [2, 2], [0, 0], [1, 1]])


def test_scatter_add_undoes_an_index_even_a_repeated_one():
    x = normal(3, 2)
    np.testing.assert_array_equal(scatter_add(x, [1, 1, 0], (2, 2)), [x[2], x[0] + x[1]])


# What went wrong in other engines (each was live in one of them when this was written)


def test_a_cube_transposed_by_negative_axes_brings_each_gradient_home():
    x = Tensor(np.arange(27.0).reshape(3, 3, 3), requires_grad=True)
    np.sum(np.transpose(x, (-1, 0, -2)) * x.data).backward()
    np.testing.assert_array_equal(np.transpose(x.grad, (-1, 0, -2)), x.data)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.where(MASK, x, 0.0),
        lambda x: np.einsum("ij,ij->i", x, np.ones((2, 3))),
        lambda x: np.einsum("...,...", x, np.ones(3)),
        lambda x: np.diag(np.broadcast_to(x, (2, 3)), 1),
    ],
)
def test_a_gradient_has_its_arguments_shape_where_where_einsum_or_diag_broadcast(f):
    x = Tensor(np.ones((2, 1)), requires_grad=True)
    np.sum(f(x)).backward()
    assert x.grad.shape == (2, 1)
    assert gradcheck(f, normal(2, 1), order=2).ok


@pytest.mark.parametrize("f", [np.mean, np.max, np.min, np.std, np.var, np.prod, np.linalg.norm, np.average])
def test_a_statistic_of_float32_has_a_float32_gradient(f):
    x = Tensor(np.float32([1, 2, 4]), requires_grad=True)
    f(np.where([True, True, False], x, 0.5)).backward()
    assert x.grad.dtype == np.float32


def test_the_product_rule_holds_at_zeros_to_second_order():
    for zeros in ([2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]):
        for f in (np.prod, np.cumprod):
            assert gradcheck(f, zeros, order=2).ok


# The table itself


def test_flat_functions_return_plain_arrays_with_numpys_values():
    x = distinct(3, 2)
    t = Tensor(x, requires_grad=True)
    for f in (np.sign, np.floor, np.ceil, np.round, np.isnan, np.argmax, np.argsort, np.zeros_like, np.signbit):
        assert type(f(t)) is not Tensor
        np.testing.assert_array_equal(f(t), f(x))


def test_no_function_is_both_flat_and_differentiable():
    assert not FLAT & {*TABLE, *COMPOSITES}
    assert not TABLE.keys() & COMPOSITES.keys()


def test_differentiable_names_the_table():
    assert {"tanh", "matmul", "split", "lstm"} <= set(differentiable())
    assert "floor" not in differentiable()


def test_a_new_rule_is_one_line():
    assert np.deg2rad not in TABLE
    rule(np.deg2rad)(lambda g, y, x: g * np.pi / 180)
    try:
        assert gradcheck(np.deg2rad, normal(3), order=2).ok
    finally:
        del TABLE[np.deg2rad]


def test_a_new_composite_needs_no_derivative():
    assert np.rad2deg not in COMPOSITES
    composite(np.rad2deg)(lambda x: x * (180 / np.pi))
    try:
        assert gradcheck(np.rad2deg, normal(3), order=2).ok
    finally:
        del COMPOSITES[np.rad2deg]


def test_split_refuses_unequal_parts_and_array_split_does_not():
    x = Tensor(np.arange(5.0), requires_grad=True)
    with pytest.raises(ValueError, match=r"split: axis 0 of shape \(5,\) does not divide into 2 equal parts"):
        np.split(x, 2)
    assert [part.shape for part in np.array_split(x, 2)] == [(3,), (2,)]
    with pytest.raises(ValueError, match="at least 1"):
        np.array_split(x, 0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x, axis=0),
        lambda x: np.prod(x, axis=-1),
        lambda x: np.max(x, axis=0),
        lambda x: np.cumprod(x, axis=0),
        lambda x: np.column_stack([x, x * x]),
    ],
)
def test_a_number_is_reduced_along_an_axis_as_numpy_does(f):
    x = np.array(1.5)
    np.testing.assert_array_equal(f(Tensor(x)).data, f(x))
    assert f(Tensor(x)).shape == np.shape(f(x))
    assert gradcheck(f, x, order=2).ok
