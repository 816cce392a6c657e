"""grad, vjp, jvp, jacobian, hessian, hvp: against closed forms, differences and each other; nested; misused."""

import pathlib
import re
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import tinyllm
from tinyllm import Tensor, grad, hessian, hvp, jacobian, jvp, no_grad, ops, value_and_grad, vjp
from tinyllm.autograd import kernels
from tinyllm.autograd.transforms import _open

DOCS = pathlib.Path(tinyllm.__file__).parents[1] / "docs" / "transforms.md"


def drawn(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).uniform(0.3, 1.2, shape)


def differences(f, x, h=1e-3):
    """The Jacobian of f at x by Richardson-extrapolated central differences; f takes and returns arrays."""
    columns = []
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = 1
        e = e.reshape(x.shape)
        near, far = ((f(x + s * e) - f(x - s * e)) / (2 * s) for s in (h, 2 * h))
        columns.append((4 * near - far) / 3)
    return np.stack(columns, axis=-1).reshape(np.shape(columns[0]) + x.shape)


def mixed(x):
    """Some of everything: products, a matrix product, a broadcast, an index used twice; as many outputs as inputs."""
    flat = np.ravel(x)
    return np.tanh(flat * flat[::-1]) + np.exp(flat / 3) @ np.outer(flat, np.sin(flat)) * flat[0]


def energy(x):
    return np.sum(np.sin(x) * np.cumsum(x * x, axis=0)) + np.prod(x)


# -- first to fourth order against closed forms ---------------------------------------------------------------------

LADDERS = {  # a function and its first four derivatives
    "exp": (np.exp,) * 5,
    "sin": (np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin),
    "log": (np.log, lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3, lambda x: -6 / x**4),
    "x ** 5": (lambda x: x**5, lambda x: 5 * x**4, lambda x: 20 * x**3, lambda x: 60 * x**2, lambda x: 120 * x),
    "1 / x": (lambda x: 1 / x, lambda x: -(x**-2), lambda x: 2 * x**-3, lambda x: -6 * x**-4, lambda x: 24 * x**-5),
    "tanh": (
        np.tanh,
        lambda x: 1 - np.tanh(x) ** 2,
        lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2),
        lambda x: (1 - np.tanh(x) ** 2) * (6 * np.tanh(x) ** 2 - 2),
        lambda x: (1 - np.tanh(x) ** 2) * np.tanh(x) * (16 - 24 * np.tanh(x) ** 2),
    ),
}


@pytest.mark.parametrize("name", LADDERS)
def test_four_orders_of_a_function_of_one_number(name):
    f, *truths = LADDERS[name]
    for truth in truths:
        f = grad(f)
        assert_allclose(f(0.7), truth(0.7), rtol=1e-12)


@pytest.mark.parametrize("name", LADDERS)
def test_four_orders_element_by_element(name):
    f, *truths = LADDERS[name]
    x = drawn(2)
    for order, truth in enumerate(truths, 1):
        f = jacobian(f)
        found = f(x)
        assert found.shape == (2,) * (order + 1)
        assert_allclose(found[tuple([np.arange(2)] * (order + 1))], truth(x), rtol=1e-12)
        assert np.count_nonzero(found) == 2


@pytest.mark.parametrize("name", LADDERS)
def test_forward_over_forward_is_the_second_derivative(name):
    f, _, second, *_ = LADDERS[name]
    assert_allclose(jvp(lambda x: jvp(f, x, 1.0)[1], 0.7, 1.0)[1], second(0.7), rtol=1e-12)


# -- against differences and against each other ---------------------------------------------------------------------

shapes = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)


@given(shape=shapes, seed=seeds)
def test_all_first_order_transforms_agree_with_differences(shape, seed):
    x, v = drawn(*shape, seed=seed), drawn(*shape, seed=seed + 1)
    truth = differences(mixed, x)
    u = drawn(*truth.shape[:1], seed=seed + 2)
    found = jacobian(mixed)(x)
    assert found.shape == (x.size, *shape)
    assert_allclose(found, truth, rtol=1e-7, atol=1e-9)
    y, dy = jvp(mixed, x, v)
    assert_array_equal(y, mixed(x))
    assert_allclose(dy, np.sum(found * v, axis=tuple(range(1, found.ndim))), rtol=1e-11, atol=1e-13)
    y, pull = vjp(mixed, x)
    assert_array_equal(y, mixed(x))
    assert_allclose(pull(u)[0], np.tensordot(u, found, 1), rtol=1e-11, atol=1e-13)
    y, g = value_and_grad(lambda x: mixed(x) @ u)(x)
    assert y == mixed(x) @ u
    assert_array_equal(g, pull(u)[0])


@given(shape=shapes, seed=seeds)
def test_the_hessian_is_symmetric_and_hvp_is_its_product(shape, seed):
    x, v = drawn(*shape, seed=seed), drawn(*shape, seed=seed + 1)
    h = hessian(energy)(x)
    assert h.shape == shape + shape
    matrix = h.reshape(x.size, x.size)
    assert_allclose(matrix, matrix.T, rtol=1e-11, atol=1e-12)
    assert_allclose(h, differences(grad(energy), x), rtol=1e-7, atol=1e-8)
    assert_allclose(hvp(energy, x, v).ravel(), matrix @ v.ravel(), rtol=1e-11, atol=1e-12)
    assert_allclose(jvp(grad(energy), x, v)[1], hvp(energy, x, v), rtol=1e-11, atol=1e-12)


def test_the_hessian_over_several_arguments_has_the_mixed_blocks():
    a, b = drawn(2), drawn(3)
    h = hessian(lambda a, b: np.sum(np.outer(a * a, np.sin(b))), (0, 1))(a, b)
    assert_allclose(h[0][0], np.diag(2 * np.sin(b).sum().repeat(2)), rtol=1e-12)
    assert_allclose(h[0][1], np.outer(2 * a, np.cos(b)), rtol=1e-12)
    assert_allclose(h[1][0], h[0][1].T, rtol=1e-12)
    assert_allclose(h[1][1], np.diag(-np.sum(a * a) * np.sin(b)), rtol=1e-12)
    only = hessian(lambda a, b: np.sum(np.outer(a * a, np.sin(b))), 1)(a, b)
    assert_array_equal(only, h[1][1])


def test_hvp_over_several_primals_takes_the_mixed_blocks_too():
    a, b, u, v = drawn(2), drawn(3), drawn(2, seed=1), drawn(3, seed=1)

    def f(a, b):
        return np.sum(np.outer(a * a, np.sin(b)))

    h = hessian(f, (0, 1))(a, b)
    found = hvp(f, (a, b), (u, v))
    assert_allclose(found[0], h[0][0] @ u + h[0][1] @ v, rtol=1e-12)
    assert_allclose(found[1], h[1][0] @ u + h[1][1] @ v, rtol=1e-12)
    assert_array_equal(hvp(f, (a, b), [u, v])[0], found[0])
    assert_array_equal(hvp(lambda a: f(a, b), (a,), (u,)), hvp(lambda a: f(a, b), a, u))


def test_several_outputs():
    x, y = drawn(2), drawn(3)

    def f(x, y):
        return np.outer(x, y), np.sin(x), 7.0

    values, pull = vjp(f, x, y)
    assert_array_equal(values[1], np.sin(x))
    assert [v.shape for v in values] == [(2, 3), (2,), ()]
    u = (drawn(2, 3), drawn(2, seed=3), 5.0)
    dx, dy = pull(u)
    assert_allclose(dx, u[0] @ y + u[1] * np.cos(x), rtol=1e-12)
    assert_allclose(dy, x @ u[0], rtol=1e-12)
    tangents = drawn(2, seed=4), drawn(3, seed=5)
    moved = jvp(f, (x, y), tangents)[1]
    assert_allclose(moved[0], np.outer(tangents[0], y) + np.outer(x, tangents[1]), rtol=1e-12)
    assert_allclose(moved[1], np.cos(x) * tangents[0], rtol=1e-12)
    assert moved[2] == 0
    rows = jacobian(f, (0, 1))(x, y)
    assert [[b.shape for b in row] for row in rows] == [[(2, 3, 2), (2, 3, 3)], [(2, 2), (2, 3)], [(2,), (3,)]]
    assert_allclose(rows[0][1], np.einsum("i,jk->ijk", x, np.eye(3)), rtol=1e-12)
    assert not rows[1][1].any()
    assert not rows[2][0].any()


@pytest.mark.parametrize("name", ["lstm", "cross_entropy"])
def test_kernels_are_differentiated_to_third_order(name):
    if name == "lstm":
        x, h, c = drawn(1, 2, 2), drawn(1, 1), drawn(1, 1, seed=1)
        w, r, b = drawn(2, 4), drawn(1, 4), drawn(4)

        def f(lstm, w):
            out, h1, c1 = lstm(x, h, c, w, r, b)
            return np.sum(out * out) + np.sum(h1 * c1)

        fused, plain, at = kernels.lstm, kernels.lstm_from_rules, w
    else:

        def f(entropy, z):
            return np.sum(entropy(z, np.array([1, 0])) ** 2)

        fused, plain, at = kernels.cross_entropy_with_logits, kernels.cross_entropy_from_rules, drawn(2, 3)
    v = drawn(*at.shape, seed=9)
    assert_allclose(grad(lambda x: f(fused, x))(at), grad(lambda x: f(plain, x))(at), rtol=1e-12)
    assert_allclose(hessian(lambda x: f(fused, x))(at), hessian(lambda x: f(plain, x))(at), rtol=1e-11, atol=1e-14)
    assert_allclose(
        grad(lambda x: np.sum(v * hvp(lambda x: f(fused, x), x, v)))(at),
        grad(lambda x: np.sum(v * hvp(lambda x: f(plain, x), x, v)))(at),
        rtol=1e-10,
        atol=1e-13,
    )
    assert_allclose(
        hessian(lambda x: f(fused, x))(at), differences(grad(lambda x: f(fused, x)), at), rtol=1e-6, atol=1e-9
    )


def test_one_output_of_a_kernel_with_several():
    z = drawn(1, 2, 2)
    zeros, w, r = np.zeros((1, 1)), drawn(2, 4), drawn(1, 4)

    def last(lstm, x):
        return lstm(x, zeros, zeros, w, r, None)[2]

    found = jacobian(lambda x: last(kernels.lstm, x))(z)
    assert_allclose(found, jacobian(lambda x: last(kernels.lstm_from_rules, x))(z), rtol=1e-12)


# -- nesting --------------------------------------------------------------------------------------------------------


def test_an_inner_gradient_takes_the_outer_variable_as_a_constant_and_is_still_a_function_of_it():
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0) == 6  # d/dx x^2
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(3.0) == 1  # the classic: a confused engine says 2
    assert grad(lambda x: x * grad(lambda y: x * y * y)(x))(3.0) == 54  # d/dx x * 2 x^2
    assert grad(lambda x: grad(lambda y: grad(lambda z: x * y * z)(1.0) * y)(2.0))(5.0) == 4  # d/dx d/dy x y^2


def test_an_inner_function_of_something_computed_from_the_outer_variable():
    def f(x):
        square = x * x  # constant for the inner variable, though both are x
        return grad(lambda y: square * y * y * y)(x)  # 3 x^2 x^2

    assert f(2.0) == 48
    assert grad(f)(2.0) == 12 * 8
    assert grad(grad(f))(2.0) == 36 * 4


def test_perturbations_are_not_confused_in_forward_mode():
    assert jvp(lambda x: x * jvp(lambda y: x + y, 1.0, 1.0)[1], 1.0, 1.0)[1] == 1  # Siskind & Pearlmutter 2005
    assert jvp(lambda x: x * grad(lambda y: x * y)(2.0), 3.0, 1.0)[1] == 6
    assert grad(lambda x: x * jvp(lambda y: x * y, 2.0, 1.0)[1])(3.0) == 6
    assert grad(lambda x: vjp(lambda y: x * y, 2.0)[1](x)[0])(3.0) == 6


def test_every_transform_inside_every_other():
    x = drawn(2)

    def f(x):
        return x * x * x

    inner = {  # each is, as a function of one vector, 3 x^2 (or 6 x)
        "vjp": lambda x: vjp(f, x)[1](np.ones(2))[0],
        "jvp": lambda x: jvp(f, x, np.ones(2))[1],
        "grad": grad(lambda x: np.sum(f(x))),
        "value_and_grad": lambda x: value_and_grad(lambda x: np.sum(f(x)))(x)[1],
        "jacobian": lambda x: np.sum(jacobian(f)(x), axis=0),
        "hvp": lambda x: hvp(lambda x: np.sum(f(x)), x, np.ones(2)),
        "hessian": lambda x: np.sum(hessian(lambda x: np.sum(f(x)))(x), axis=0),
    }
    for name, g in inner.items():
        second = 6 * x if name not in ("hvp", "hessian") else np.full(2, 6.0)
        third = np.full(2, 6.0) if name not in ("hvp", "hessian") else np.zeros(2)
        assert_allclose(vjp(g, x)[1](np.ones(2))[0], second, rtol=1e-12, err_msg=name)
        assert_allclose(jvp(g, x, np.ones(2))[1], second, rtol=1e-12, err_msg=name)
        assert_allclose(jacobian(g)(x), np.diag(second), rtol=1e-12, err_msg=name)
        assert_allclose(grad(lambda x, g=g: np.sum(g(x)))(x), second, rtol=1e-12, err_msg=name)
        assert_allclose(hessian(lambda x, g=g: np.sum(g(x)))(x), np.diag(third), rtol=1e-12, atol=1e-13, err_msg=name)
        assert_allclose(hvp(lambda x, g=g: np.sum(g(x)), x, x), third * x, rtol=1e-12, atol=1e-13, err_msg=name)


def test_gradient_descent_inside_a_gradient():
    def after_three_steps(rate):
        w = 1.0
        for _ in range(3):
            w = w - rate * grad(lambda w: w * w)(w)  # w (1 - 2 rate)
        return w

    assert_allclose(grad(after_three_steps)(0.1), -6 * 0.8**2, rtol=1e-12)


def test_threads_see_the_outer_variable():
    def f(x):
        found = []
        thread = threading.Thread(target=lambda: found.append(grad(lambda y: x * y)(2.0)))
        thread.start()
        thread.join()
        return x * found[0]

    assert grad(f)(3.0) == 6


def test_a_variable_is_closed_even_when_f_fails():
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: x * (1 // 0))(1.0)
    assert not _open


# -- arrays for arrays, Tensors for Tensors -------------------------------------------------------------------------


def kinds(x):
    """All transforms at x, whatever they return, in one list."""
    y, pull = vjp(np.sin, x)
    value, g = value_and_grad(lambda x: np.sum(x**3))(x)
    return [
        y, *pull(np.ones(x.shape)), value, g, *jvp(np.sin, x, np.ones(x.shape)), jacobian(np.sin)(x),
        hessian(lambda x: np.sum(x**3))(x), hvp(lambda x: np.sum(x**3), x, np.ones(x.shape)), grad(lambda x: 1.0)(x),
    ]  # fmt: skip


def test_arrays_for_arrays_and_tensors_for_tensors():
    x = drawn(2)
    arrays = kinds(x)
    assert all(type(a) is np.ndarray for a in arrays)
    for tensor in (Tensor(x), Tensor(x, requires_grad=True)):
        for a, t in zip(arrays, kinds(tensor)):
            assert isinstance(t, Tensor)
            assert_array_equal(a, t.data)
    assert not any(t.requires_grad for t in kinds(Tensor(x)))


def test_the_gradient_of_a_tensor_can_go_backward():
    x = Tensor(drawn(3), requires_grad=True)
    g = grad(lambda x: np.sum(np.sin(x)))(x)
    assert x.grad is None
    np.sum(g * g).backward()
    assert_allclose(x.grad, -2 * np.cos(x.data) * np.sin(x.data), rtol=1e-12)


def test_a_gradient_penalty_reaches_the_weights():
    w, x = Tensor(drawn(3), requires_grad=True), Tensor(drawn(3, seed=1))
    g = grad(lambda x: np.sum(w * x * x))(x)  # 2 w x
    np.sum(g).backward()
    assert_allclose(w.grad, 2 * x.data, rtol=1e-12)


def test_weights_that_f_uses_are_left_alone():
    w = Tensor(drawn(3), requires_grad=True)
    np.sum(w * 1.0).backward()
    before = w.grad.copy()
    for result in (
        grad(lambda x: np.sum(w * x))(drawn(3)),
        jvp(lambda x: w * x, drawn(3), drawn(3))[1],
        vjp(lambda x: w * x, drawn(3))[0],
        jacobian(lambda x: w * x)(drawn(3)),
        hvp(lambda x: np.sum(w * x * x), drawn(3), drawn(3)),
    ):
        assert type(result) is np.ndarray
    assert_array_equal(w.grad, before)


def test_an_argument_is_not_the_leaf_of_the_same_name():
    w = Tensor(2.0, requires_grad=True)
    assert float(grad(lambda x: x * w)(w)) == 2  # w itself is a constant
    assert [float(g) for g in grad(lambda a, b: a * a * b, (0, 1))(w, w)] == [8.0, 4.0]
    assert w.grad is None


def test_a_closed_over_graph_is_neither_walked_nor_freed():
    w = Tensor(drawn(3), requires_grad=True)
    h = np.exp(w)
    assert_array_equal(grad(lambda x: np.sum(h * x))(np.ones(3)), h.data)
    np.sum(h).backward()  # still there
    assert_array_equal(w.grad, h.data)
    assert_array_equal(grad(lambda x: np.sum(h * x))(np.ones(3)), h.data)  # freed by now: a constant all the same
    assert_array_equal(grad(lambda x: np.sum(h))(np.ones(3)), np.zeros(3))


def test_results_have_memory_of_their_own():
    x, v = drawn(3), drawn(3)
    y, pull = vjp(np.exp, x)
    first = pull(v)[0].copy()
    y *= 0
    x *= 0
    assert_array_equal(pull(v)[0], first)
    y, pull = vjp(lambda x: x, x)
    for a in (y, pull(v)[0], grad(np.sum)(x), jvp(lambda x: x, x, v)[1]):
        assert not np.shares_memory(a, v)
        assert not np.shares_memory(a, x)
        a += 1  # writable


def test_under_no_grad_a_gradient_is_still_a_gradient_but_a_constant():
    x = Tensor(3.0, requires_grad=True)
    with no_grad():
        g = grad(lambda x: x * x)(x)
        assert grad(grad(lambda x: x**3))(2.0) == 12
        assert jvp(np.sin, 0.0, 1.0)[1] == 1
    assert float(g) == 6
    assert not g.requires_grad

    def half_hidden(x):
        with no_grad():
            slope = grad(lambda y: y * y * x)(x)
        return slope * x

    assert grad(half_hidden)(3.0) == 18


def test_no_grad_and_detach_inside_f_are_constants():
    def f(x):
        with no_grad():
            a = x * x
        return a * x * x.detach()

    assert grad(f)(2.0) == 8


# -- shapes and dtypes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_stay(dtype):
    x = drawn(3).astype(dtype)
    for result in kinds(x) + [t.data for t in kinds(Tensor(x))]:
        assert result.dtype == dtype
    assert grad(lambda x: np.sum(x.astype(np.float64)))(x).dtype == dtype
    assert vjp(np.sin, x)[1](np.ones(3, np.float64))[0].dtype == dtype
    assert jvp(np.sin, x, np.ones(3, int))[1].dtype == dtype


def test_0_d_and_0_size():
    assert grad(np.sin)(np.array(0.0)).shape == ()
    assert hessian(np.sin)(0.0).shape == ()
    empty = np.zeros((0, 2))
    assert grad(np.sum)(empty).shape == (0, 2)
    assert jacobian(np.sin)(empty).shape == (0, 2, 0, 2)
    assert jacobian(lambda x: np.zeros((0, 3)) + np.sum(x))(np.ones(2)).shape == (0, 3, 2)
    assert hessian(np.sum)(empty).shape == (0, 2, 0, 2)
    assert jvp(np.sin, empty, empty)[1].shape == (0, 2)
    assert isinstance(jacobian(np.sin)(Tensor(empty)), Tensor)


def test_what_does_not_depend_on_x_has_gradient_zero():
    x, t = drawn(2), Tensor(3.0)
    for f in (lambda x: 1.0, lambda x: 1, lambda x: np.float32(2), lambda x: t, np.argmax):
        assert_array_equal(grad(f)(x), np.zeros(2))
        assert_array_equal(hessian(f)(x), np.zeros((2, 2)))
        assert_array_equal(jacobian(f)(x), np.zeros(2))
        assert jvp(f, x, x)[1] == 0
        assert_array_equal(hvp(f, x, x), np.zeros(2))
    assert_array_equal(vjp(lambda x: np.arange(3), x)[1](Tensor(np.ones(3)))[0].data, np.zeros(2))
    assert_array_equal(jacobian(lambda x: x > 0)(x), np.zeros((2, 2)))
    assert_array_equal(grad(lambda x, y: np.sum(y), (0, 1))(x, drawn(3))[0], np.zeros(2))


def test_other_arguments_are_passed_through_as_they_are():
    table, ids, seen = drawn(4, 2), np.array([1, 1, 3]), []

    def f(table, ids, mode, *, scale):
        seen.append((ids is given_ids, mode))
        return scale * np.sum(kernels.embedding_lookup(table, ids))

    given_ids = ids
    assert_array_equal(grad(f)(table, ids, "mode", scale=2)[:, 0], [0, 4, 0, 2])
    assert_array_equal(jacobian(f, 0)(table, ids, "mode", scale=2)[:, 0], [0, 4, 0, 2])
    assert seen == [(True, "mode")] * 2


def test_argnums():
    def f(a, b, c):
        return a * b * b * c

    assert grad(f)(2.0, 3.0, 5.0) == 45
    assert grad(f, 1)(2.0, 3.0, 5.0) == 60
    assert grad(f, -1)(2.0, 3.0, 5.0) == 18
    assert grad(f, np.int64(1))(2.0, 3.0, 5.0) == 60
    assert grad(f, (2, 0))(2.0, 3.0, 5.0) == (18, 45)
    assert grad(f, [1])(2.0, 3.0, 5.0) == (60,)
    assert jacobian(f, (-1,))(2.0, 3.0, 5.0) == (18,)


# -- misuse ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [3, np.arange(2), True, 1j, "text", None])
def test_only_floating_point_arguments_are_differentiated(x):
    kind = re.escape(str(np.asarray(x).dtype))
    for name, use in {
        "grad": lambda: grad(np.sum)(x),
        "vjp": lambda: vjp(np.sum, x),
        "jacobian": lambda: jacobian(np.sum)(x),
    }.items():
        with pytest.raises(TypeError, match=f"{name}: argument 0 is {kind}; only floating-point .* write 2.0 for 2"):
            use()
    with pytest.raises(TypeError, match=f"argument 1 is {kind}"):
        grad(lambda a, b: a, (0, 1))(1.0, x)


def test_jvp_and_hvp_name_what_cannot_be_differentiated():
    with pytest.raises(TypeError, match="jvp: argument 0 is int64"):
        jvp(np.sin, 3, 1.0)
    with pytest.raises(TypeError, match="hvp: argument 0 is int64"):
        hvp(np.sin, 3, 1.0)


def test_grad_needs_one_number():
    for f, found in (
        (np.sin, r"shape \(2,\)"),
        (lambda x: x[:1], r"shape \(1,\)"),
        (lambda x: np.ones((2, 3)), r"shape \(2, 3\)"),
        (lambda x: (x[0], x[1]), "a tuple of 2"),
        (lambda x: [], "a tuple of 0"),
    ):
        with pytest.raises(ValueError, match=f"one number.*found {found}: .*np.sum.*vjp.*jacobian"):
            grad(f)(np.ones(2))


@pytest.mark.parametrize("y", [None, "text", {}, 1j, (1.0, None)])
def test_what_f_must_not_return(y):
    with pytest.raises(TypeError, match="vjp: f must return real numbers, or a tuple of arrays of them; found"):
        vjp(lambda x: y, 1.0)


@pytest.mark.parametrize("argnums", [2, -3, (0, 2), (0, 0), (0, -2), ()])
def test_argnums_that_name_no_argument_or_one_twice(argnums):
    for transform in (grad, value_and_grad, jacobian, hessian):
        with pytest.raises(ValueError, match=r"argnums=.* for 2 positional arguments: .* 0 to 1, each once"):
            transform(lambda a, b: a * b, argnums)(1.0, 2.0)


def test_arguments_by_keyword_cannot_be_named_by_place():
    with pytest.raises(ValueError, match="grad: argnums=0 for 0 positional arguments"):
        grad(lambda x: x)(x=1.0)


@pytest.mark.parametrize("argnums", [1.5, "x", None, (0, "x")])
def test_argnums_of_a_wrong_type(argnums):
    with pytest.raises(TypeError, match="grad: argnums is an integer or a tuple of integers; found"):
        grad(lambda a, b: a, argnums)(1.0, 2.0)


@pytest.mark.parametrize("v", [1.0, np.ones(3), np.ones((2, 1)), 1j * np.ones(2), None, (np.ones(2), np.ones(2))])
def test_a_vector_that_does_not_fit(v):
    x = np.ones(2)
    with pytest.raises(ValueError, match=r"vjp: real numbers are needed for each output, of its shape, \(2,\); found"):
        vjp(np.sin, x)[1](v)
    with pytest.raises(ValueError, match=r"jvp: real numbers are needed for each primal, of its shape, \(2,\); found"):
        jvp(np.sin, x, v)
    with pytest.raises(ValueError, match=r"hvp: real numbers are needed for each primal, of its shape, \(2,\); found"):
        hvp(energy, x, v)


def test_a_pull_for_several_outputs_takes_one_for_each():
    pull = vjp(lambda x: (x, x * x), 3.0)[1]
    assert pull((1.0, 1.0)) == (7,)
    with pytest.raises(ValueError, match=r"each output, of its shape, \(\), \(\); found float64 \(\)$"):
        pull((1.0,))


def test_ops_without_a_rule_still_say_so():
    with pytest.raises(TypeError, match="has no derivative rule"):
        grad(lambda x: np.sum(np.unwrap(x)))(np.ones(2))
    assert "transforms" not in ops.differentiable()


# -- the page -------------------------------------------------------------------------------------------------------


def test_the_examples_on_the_page_run():
    import doctest

    examples = doctest.DocTestParser().get_doctest(DOCS.read_text("utf-8"), {}, "transforms.md", str(DOCS), 0)
    assert len(examples.examples) >= 15
    assert doctest.DocTestRunner().run(examples).failed == 0
