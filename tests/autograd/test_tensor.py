"""A Tensor is an array to NumPy, and every misuse gets one line that says what to do."""

import copy

import numpy as np
import pytest

from tinyllm import Tensor, ops
from tinyllm.autograd.tensor import as_array, origin


@pytest.fixture
def t():
    return Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


@pytest.fixture
def v():
    return Tensor([1.0, 2.0], requires_grad=True)


# Values


def test_operators_and_methods_compute_what_numpy_computes(t):
    x, w = t.data, np.array([[0.5, 2.0]])
    for got, expected in [
        (t + w, x + w), (w + t, w + x), (t - 1, x - 1), (1 - t, 1 - x), (t * w, x * w), (t / w, x / w), (2 / t, 2 / x),
        (t**2, x**2), (2**t, 2**x), (t @ x, x @ x), (x @ t, x @ x), (w @ t, w @ x), (-t, -x), (+t, x), (abs(-t), x),
        (t % 2, x % 2), (7 % t, 7 % x), (t.T, x.T), (t.sum(0), x.sum(0)), (t.mean(), x.mean()),
        (t.max(axis=1), x.max(1)), (t.min(), x.min()), (t.reshape(4), x.reshape(4)),
        (t.reshape((1, -1)), x.reshape(1, -1)),
        (t.transpose(), x.T), (t.transpose(1, 0), x.T), (t.transpose((0, 1)), x), (t.swapaxes(0, 1), x.T),
        (t.ravel(), x.ravel()), (t.copy(), x), (t.astype(np.float32), x.astype(np.float32)),
        (t[:1].squeeze(), x[0]), (np.float64(2) * t, 2 * x), ([1.0, 1.0] + t, x + 1),  # noqa: RUF005
        (t @ [[1], [2]], x @ [[1], [2]]),
    ]:  # fmt: skip
        assert type(got) is Tensor
        assert got.requires_grad
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.data, expected)


def test_comparisons_and_floor_division_are_plain_arrays(t):
    x = t.data
    for got, expected in [
        (t < 2, x < 2), (t <= 2, x <= 2), (np.float64(2) < t, x > 2), (t >= 2, x >= 2), (t == 2, x == 2),
        (t != x, x != x), (t // 2, x // 2), (7 // t, 7 // x), (t.argmax(), 3), (t.argmin(axis=0), [0, 0]),
    ]:  # fmt: skip
        assert type(got) is not Tensor
        np.testing.assert_array_equal(got, expected)


def test_what_a_tensor_tells_of_itself(t):
    assert (t.shape, t.ndim, t.size, len(t), t.dtype) == ((2, 2), 2, 4, 2, np.float64)
    assert t.tolist() == [[1, 2], [3, 4]]
    assert (float(t[0, 1]), int(t[1, 1]), t[1, 0].item(), bool(t[0, 0])) == (2.0, 4, 3.0, True)
    assert [row.tolist() for row in t] == [[1, 2], [3, 4]]
    assert t.numpy() is t.data
    assert as_array(t) is t.data
    assert (t.is_leaf, (t * 1).is_leaf, t.detach().is_leaf) == (True, False, True)
    assert len({t, t}) == 1


def test_a_tensor_prints_like_an_array(t):
    assert repr(t) == "Tensor([[1., 2.],\n        [3., 4.]], requires_grad=True)"
    assert repr(Tensor(np.float32(1.5))) == "Tensor(1.5, dtype=float32)"
    assert f"{np.sum(t):.2f}" == "10.00"
    assert f"{Tensor([1, 2])}" == "[1 2]"


def test_the_value_is_copied_in():
    x = np.ones(2)
    t = Tensor(x)
    x[0] = 5
    assert t.tolist() == [1, 1]
    assert not np.shares_memory(Tensor(t).data, t.data)


# dtypes


def test_python_numbers_are_weak():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    for y in (
        x + 1,
        1.5 * x,
        x**2,
        2.0**x,
        x / 3,
        np.where([True, False], x, 0.0),
        np.maximum(x, 0.0),
        np.clip(x, 0, 1),
    ):
        assert y.dtype == np.float32
        x.grad = None
        np.sum(y).backward()
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_gradient_has_the_dtype_of_its_leaf_whatever_it_meets(dtype):
    x = Tensor(np.ones(2), requires_grad=True, dtype=dtype)
    y = x * np.ones(2, np.float64) + np.arange(2)
    np.sum(np.exp(y) ** 2).backward()
    assert x.grad.dtype == dtype


def test_astype_brings_the_gradient_back_in_the_first_dtype(v):
    y = v.astype(np.float32)
    assert y.dtype == np.float32
    np.sum(y * y).backward()
    assert v.grad.dtype == np.float64
    np.testing.assert_array_equal(v.grad, [2, 4])


@pytest.mark.parametrize("value", [[1, 2], [True], [1j]])
def test_only_floating_point_values_can_require_a_gradient(value):
    with pytest.raises(TypeError, match="requires_grad: only floating-point values have gradients; found"):
        Tensor(value, requires_grad=True)


@pytest.mark.parametrize("value", ["abc", None, [object()], np.array(["2020-01-01"], "datetime64[D]")])
def test_a_value_that_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="Tensor: a value is made of numbers; found dtype"):
        Tensor(value)


def test_a_complex_path_is_refused_and_not_cut_to_its_real_part(t):
    with pytest.raises(TypeError, match=r"backward\(\): the output is complex128"):
        np.sum(t * 1j).backward()
    with pytest.raises(TypeError, match="multiply: a gradient became complex128"):
        np.sum(np.abs(t * 1j)).backward()


# Leaves


def test_a_leaf_takes_another_array_of_its_shape_and_computes_with_it(v):
    other = np.array([5.0, 6.0], np.float32)
    v.data = other
    assert v.data is other
    np.sum(v * v).backward()
    np.testing.assert_array_equal(v.grad, [10, 12])
    assert v.grad.dtype == np.float32
    v.data -= 1
    assert v.tolist() == [4, 5]


def test_a_leaf_takes_no_other_shape_or_kind_and_a_computed_tensor_nothing(v):
    for wrong in (np.ones(3), np.ones(2, int), 1.0):
        with pytest.raises(ValueError, match=r"data: this leaf holds float64 of shape \(2,\); found"):
            v.data = wrong
    with pytest.raises(RuntimeError, match="data: this Tensor was computed by 'multiply'"):
        (v * 2).data = np.ones(2)
    plain = Tensor([1.0])
    plain.data = np.ones((2, 3))
    assert plain.shape == (2, 3)


def test_requires_grad_can_be_switched_on_a_leaf_only(v):
    v.requires_grad = False
    assert not (v * 2).requires_grad
    v.requires_grad = True
    y = v * 2
    with pytest.raises(RuntimeError, match=r"use detach\(\) to leave the graph"):
        y.requires_grad = False
    assert not y.detach().requires_grad
    assert np.shares_memory(y.detach().data, y.data)


def test_a_gradient_of_another_shape_cannot_be_set(v):
    with pytest.raises(ValueError, match=r"grad: this leaf has shape \(2,\); found a gradient of shape \(3,\)"):
        v.grad = np.ones(3)
    v.grad = np.ones(2)
    np.sum(v).backward()
    np.testing.assert_array_equal(v.grad, [2, 2])
    with pytest.raises(RuntimeError, match="grad: only a leaf"):
        Tensor([1.0]).grad = np.ones(1)


def test_a_deep_copy_is_a_leaf_of_its_own(v):
    np.sum(v).backward()
    twin = copy.deepcopy(v)
    np.sum(twin * 3).backward()
    np.testing.assert_array_equal(twin.grad, [4, 4])
    np.testing.assert_array_equal(v.grad, [1, 1])
    twin.data[0] = 9
    assert v.tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="deepcopy: this Tensor was computed"):
        copy.deepcopy(v * 2)


# How arguments may be given


def test_arguments_may_be_given_by_name(t):
    x = t.data
    np.testing.assert_array_equal(np.sum(a=t, axis=0).data, x.sum(0))
    np.testing.assert_array_equal(np.transpose(a=t, axes=(1, 0)).data, x.T)
    np.testing.assert_array_equal(np.sum(t, 0, None, None, True).data, x.sum(0, keepdims=True))
    np.testing.assert_array_equal(ops.softmax(x=t, axis=0).data, ops.softmax(x, 0))
    np.testing.assert_array_equal(ops.scatter_add(t, index=Tensor([1, 1]), shape=(2, 2)).data, [[0, 0], [4, 6]])
    np.testing.assert_array_equal(np.add(t, 1, out=None).data, x + 1)


def test_a_tensor_may_be_an_index_alone_or_in_a_tuple(t):
    assert t[Tensor([1, 0])].tolist() == [[3, 4], [1, 2]]
    assert t[Tensor([1, 0]), Tensor([1, 1])].tolist() == [4, 2]
    assert t[Tensor([True, False])].tolist() == [[1, 2]]
    assert t[[]].shape == (0, 2)
    assert t[..., None, Tensor(0)].shape == (2, 1)


def test_lists_and_tuples_stand_for_arrays(t, v):
    np.sum(np.concatenate([[[9.0, 9.0]], t, [[1, 1]]]) * np.arange(4.0)[:, None]).backward()
    np.testing.assert_array_equal(t.grad, [[1, 1], [2, 2]])
    t.grad = None
    np.sum(((1.0, 2.0), (3.0, 4.0)) @ t).backward()
    np.testing.assert_array_equal(t.grad, [[4, 4], [6, 6]])
    assert np.stack([v, v * 2])[1].tolist() == [2, 4]


def test_clip_differentiates_its_bounds_too(v):
    x, low, high = Tensor([-2.0, 0.5, 3.0], requires_grad=True), Tensor(-1.0, requires_grad=True), v
    np.sum(np.clip(x, low, high[1]) * np.array([1.0, 10.0, 100.0])).backward()
    assert (x.grad.tolist(), float(low.grad), high.grad.tolist()) == ([0, 10, 0], 1.0, [0, 100])


def test_where_with_one_argument_is_for_conditions(t):
    assert np.where(t > 1)[0].tolist() == [0, 1, 1]
    with pytest.raises(TypeError, match=r"where: (3 arrays are needed|missing a required argument)"):
        np.where(t)


# Writing in place

IN_PLACE = {
    "t[0] = 1": "a Tensor cannot be written to in place",
    "t += 1": r"\+= would change a Tensor in place",
    "t @= t": "@= would change a Tensor in place",
    "array += t": "add: out= writes in place",
    "np.add(t, t, out=array)": "add: out= writes in place",
    "np.add(t, t, array)": "add: out= writes in place",
    "np.sum(t, out=array)": "sum: out= writes in place",
    "np.clip(t, 0, 1, out=array)": "clip: out= writes in place",
    "np.concatenate([t, t], out=array)": "concatenate: out= writes in place",
    "np.add.at(t, [0], 1)": "np.add.at has no derivative rule; use the function instead",
    "np.add.at(array, [0], t)": "np.add.at has no derivative rule; use the function instead",
    "np.add.reduce(t)": r"np.add.reduce has no derivative rule.*np.sum",
    "np.copyto(t, 1)": "np.copyto has no derivative rule",
    "np.fill_diagonal(t, 1)": "np.fill_diagonal has no derivative rule",
}


@pytest.mark.parametrize("line", IN_PLACE)
def test_nothing_writes_into_a_tensor(t, line):
    before, array = t.data.copy(), np.ones((2, 2))
    with pytest.raises(TypeError, match=IN_PLACE[line]):
        exec(line, {"np": np, "t": t, "array": array})
    np.testing.assert_array_equal(t.data, before)
    np.testing.assert_array_equal(array, 1)


# Leaving the graph unnoticed


@pytest.mark.parametrize("leave", [np.array, np.asarray, lambda t: np.array([t]), Tensor, lambda t: Tensor([t, t])])
def test_a_tensor_on_the_graph_does_not_become_an_array_unnoticed(t, leave):
    with pytest.raises(TypeError, match=r"cannot become an array unnoticed.*\.data.*np\.stack"):
        leave(t)


def test_a_tensor_off_the_graph_may_become_an_array():
    np.testing.assert_array_equal(np.array([Tensor([1.0])]), [[1.0]])
    assert np.asarray(Tensor([1.0]), dtype=np.float32).dtype == np.float32


# Errors: what was asked, what was found, what to do

ERRORS = {
    "np.ones((3, 4)) @ Tensor(np.ones((5, 2)))": (ValueError, "matmul: (3, 4) @ (5, 2): inner sizes 4 and 5 differ"),
    "t @ np.ones(3)": (ValueError, "matmul: (2, 2) @ (3,): inner sizes 2 and 3 differ"),
    "t @ 2": (
        ValueError,
        "matmul: (2, 2) @ (): a matrix product needs an axis on both sides; * multiplies by a number",
    ),
    "t + np.ones(3)": (ValueError, "add: shapes (2, 2), (3,): operands could not be broadcast together"),
    "t + 'a'": (TypeError, "add: shapes (2, 2): "),
    "t + None": (TypeError, "add: shapes (2, 2): "),
    "t[5]": (IndexError, "getitem: shapes (2, 2): index 5 is out of bounds for axis 0 with size 2"),
    "t[0.5]": (IndexError, "getitem: shapes (2, 2): only integers, slices"),
    "t[0, 0, 0]": (IndexError, "getitem: shapes (2, 2): too many indices"),
    "t.sum(axis=5)": (ValueError, "sum: shapes (2, 2): axis 5 is out of bounds"),
    "t.sum(None, True)": (TypeError, "sum: dtype= is not supported on a Tensor; supported keywords: axis, keepdims"),
    "np.sum(t, where=t > 1)": (
        TypeError,
        "sum: where= is not supported on a Tensor; supported keywords: axis, keepdims",
    ),
    "np.mean(t, dtype=float)": (TypeError, "mean: dtype= is not supported on a Tensor; supported keywords: axis, keep"),
    "np.add(t, t, where=[True, False])": (
        TypeError,
        "add: where= is not supported on a Tensor; supported keywords: none",
    ),
    "np.reshape(t, (3,))": (ValueError, "reshape: shapes (2, 2): cannot reshape array of size 4 into shape (3,)"),
    "np.reshape(t, 4, order='F')": (
        TypeError,
        "reshape: order= is not supported on a Tensor; supported keywords: shape",
    ),
    "np.concatenate([t, t[0]])": (ValueError, "concatenate: shapes (2, 2), (2,): all the input array"),
    "np.concatenate([t, t], dtype=float)": (TypeError, "concatenate: got an unexpected keyword argument 'dtype'"),
    "np.stack([t, t[0]])": (ValueError, "stack: all arrays must have one shape; found (2, 2), (2,)"),
    "np.split(t, 2, axis=5)": (ValueError, "axis 5 is out of bounds for array of dimension 2"),
    "ops.softmax(t, bogus=1)": (TypeError, "softmax: got an unexpected keyword argument 'bogus': softmax(x, axis=-1)"),
    "np.unwrap(t)": (TypeError, "np.unwrap has no derivative rule; rules exist for "),
    "np.linalg.svd(t)": (TypeError, "np.linalg.svd has no derivative rule; rules exist for "),
    "np.frexp(t)": (TypeError, "np.frexp has no derivative rule; rules exist for "),
    "np.multiply.outer(t, t)": (TypeError, "np.multiply.outer has no derivative rule"),
    "t.astype(int)": (TypeError, "astype: shapes (2, 2): int64 has no gradients; use .data.astype(int64)"),
    "t.backward()": (
        RuntimeError,
        "backward(): the output has shape (2, 2); reduce it to one number (np.sum, np.mean)",
    ),
    "Tensor(1.0).backward()": (RuntimeError, "backward(): nothing to differentiate: no input of this Tensor was made"),
    "iter(Tensor(1.0))": (TypeError, "a Tensor without axes cannot be iterated over"),
    "np.max(Tensor(np.zeros((0, 2))))": (ValueError, "max: shapes (0, 2): zero-size array"),
}


@pytest.mark.parametrize("line", ERRORS)
def test_an_error_teaches_in_one_line(t, line):
    kind, words = ERRORS[line]
    with pytest.raises(kind) as caught:
        eval(line, {"np": np, "t": t, "ops": ops, "Tensor": Tensor})
    message = str(caught.value)
    assert words in message
    assert "\n" not in message


def test_a_refused_call_leaves_no_trace(t):
    with pytest.raises(ValueError):
        t @ np.ones(3)
    np.sum(t).backward()
    np.testing.assert_array_equal(t.grad, np.ones((2, 2)))


# What a loss asks


def test_origin_finds_the_logits_under_a_sigmoid(v):
    logits = v * 3
    p = ops.sigmoid(logits)
    found = origin(p, ops.sigmoid)
    np.testing.assert_array_equal(found.data, logits.data)
    np.sum(found).backward()
    np.testing.assert_array_equal(v.grad, [3, 3])
    assert origin(p, ops.softmax) is None
    assert origin(p.data, ops.sigmoid) is None
    assert origin(p * 1, ops.sigmoid) is None


def test_no_two_leaves_and_no_upstream_gradient_share_an_array():
    a, b, c = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    upstream = np.array([1.0, 1.0])
    (a + b).backward(upstream)
    np.sum((a * 1.0 + c) * 3.0).backward()
    arrays = [a.grad, b.grad, c.grad, upstream]
    for i, x in enumerate(arrays):
        assert x.flags.writeable
        assert not any(np.shares_memory(x, y) for y in arrays[:i])


def test_leaves_that_are_added_get_gradients_of_their_own():
    a, b = (Tensor(np.ones((2, 2)), requires_grad=True) for _ in range(2))
    ((a + b) @ np.ones((2, 1))).backward(np.ones((2, 1)))
    a.grad *= 2
    np.testing.assert_array_equal(b.grad, 1)
