"""Every line of the table is right: to first and second order, in shape, in dtype, and at its special points."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyllm import Tensor, gradcheck
from tinyllm.autograd.cases import CASES, distinct, normal, positive
from tinyllm.autograd.rules import (
    composite,
    differentiable,
    logsumexp,
    relu,
    rule,
    scatter_add,
)
from tinyllm.autograd.tensor import COMPOSITES, FLAT, TABLE

some = settings(max_examples=100, deadline=None, derandomize=True, database=None)


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


# Shapes nobody thought of


@some
@given(
    shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3),
    f=st.sampled_from([np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum]),
    seed=st.integers(0, 99),
)
def test_a_broadcast_gradient_is_summed_back(shapes, f, seed):
    a, b = (positive(*s, seed=seed + i) for i, s in enumerate(shapes.input_shapes))
    report = gradcheck(f, a, b, seed=seed)
    assert report.ok, str(report)


@some
@given(
    shapes=hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=3), seed=st.integers(0, 99)
)
def test_where_broadcasts_all_three(shapes, seed):
    c, a, b = (normal(*s, seed=seed + i) for i, s in enumerate(shapes.input_shapes))
    assert gradcheck(lambda a, b: np.where(c > 0, a, b), a, b, seed=seed).ok


@st.composite
def reductions(draw):
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3))
    axis = draw(
        st.none() | hnp.valid_tuple_axes(len(shape)) | st.sampled_from(range(-len(shape), len(shape)) or [None])
    )
    return shape, axis, draw(st.booleans())


@some
@given(
    case=reductions(),
    f=st.sampled_from([np.sum, np.mean, np.max, np.min, logsumexp]),
    seed=st.integers(0, 99),
)
def test_a_reduction_over_any_axes_gives_its_gradient_back_to_them(case, f, seed):
    shape, axis, keepdims = case
    report = gradcheck(lambda x: f(x, axis=axis, keepdims=keepdims), distinct(*shape, seed=seed), seed=seed)
    assert report.ok, str(report)


@some
@given(
    shapes=hnp.mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)", min_side=0, max_side=3, max_dims=2),
    seed=st.integers(0, 99),
)
def test_matmul_of_vectors_matrices_stacks_and_empty_ones(shapes, seed):
    a, b = (normal(*s, seed=seed + i) for i, s in enumerate(shapes.input_shapes))
    report = gradcheck(np.matmul, a, b, seed=seed)
    assert report.ok, str(report)


@some
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
def test_any_basic_index_and_any_list_of_integers(data, shape):
    index = data.draw(
        hnp.basic_indices(shape, allow_newaxis=True)
        | hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3))
    )
    assert gradcheck(lambda x: x[index], normal(*shape)).ok


@some
@given(shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3), data=st.data())
def test_transpose_by_any_permutation_even_of_negative_axes(shape, data):
    axes = data.draw(st.permutations(range(len(shape))))
    negative = data.draw(st.lists(st.booleans(), min_size=len(axes), max_size=len(axes)))
    axes = tuple(a - len(axes) if n else a for a, n in zip(axes, negative))
    assert gradcheck(lambda x: np.transpose(x, axes), normal(*shape)).ok


def test_a_view_with_odd_strides_is_an_argument_like_any_other():
    x = normal(4, 6)[::-2, 1::2].T
    assert gradcheck(lambda x: np.tanh(x) @ x.T, x, order=2).ok


# Conventions: every line of docs/conventions.md, by the words of its first column

INF = np.inf
CONVENTIONS = {
    "`relu(x)` at 0": (relu, [0.0], [0.0]),
    "`np.abs(x)` at 0": (np.abs, [0.0], [0.0]),
    "`np.maximum(a, b)` at a tie": (np.maximum, [1.0], [1.0], [0.5], [0.5]),
    "`np.minimum(a, b)` at a tie": (np.minimum, [1.0], [1.0], [0.5], [0.5]),
    "`np.max(x)` with ties": (np.max, [3.0, 1.0, 3.0, 3.0], [1 / 3, 0, 1 / 3, 1 / 3]),
    "`np.min(x)` with ties": (np.min, [3.0, 1.0, 1.0, 3.0], [0, 0.5, 0.5, 0]),
    "`np.clip(x, low, high)` at a bound": (lambda x: np.clip(x, -1, 1), [-2.0, -1, 0, 1, 2], [0.0, 1, 1, 1, 0]),
    "`logsumexp(x)` where all are -inf": (logsumexp, [-INF, -INF], [0.0, 0.0]),
    "`a ** b` for b, where a is 0": (lambda b: np.zeros(2) ** b, [0.0, 2.0], [0.0, 0.0]),
    "`a ** b` for a, where a and b are 0": (lambda a: a ** np.zeros(1), [0.0], [0.0]),
    "`a % b` where a is a multiple of b": (np.remainder, [6.0], [3.0], [1.0], [-2.0]),
    "`np.sum(x)` of nothing": (np.sum, np.zeros((0, 2)), np.zeros((0, 2))),
    "`np.where(c, a, b)` where c is false, for a": (lambda a: np.where([True, False], a, 0), [INF, np.nan], [1.0, 0.0]),
}


@pytest.mark.parametrize("line", CONVENTIONS)
def test_a_convention_holds(line):
    f, *inputs_and_gradients = CONVENTIONS[line]
    half = len(inputs_and_gradients) // 2
    tensors = [Tensor(x, requires_grad=True) for x in inputs_and_gradients[:half]]
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
