"""The checker is checked: it accepts what is right, and rejects every animal of the zoo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyllm import Tensor, gradcheck, vjp
from tinyllm.autograd.rules import rule, scatter_add
from tinyllm.autograd.tensor import TABLE, as_array, function


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


IDS = np.array([1, 1, 0])
X, B, CUBE, POSITIVE = normal(2, 3), normal(3, seed=1), normal(3, 3, 3), np.abs(normal(4)) + 0.5

# what is wrong: (the function, its wrong derivatives, where)
ZOO = {
    "g is forgotten": (lambda x: x * x, [lambda g, y, x: 2 * x], [X]),
    "a constant factor": (lambda x: x * x, [lambda g, y, x: g * x], [X]),
    "the sign": (lambda x: 1 / x, [lambda g, y, x: g * y * y], [POSITIVE]),
    "one part in 100,000": (lambda x: x * x, [lambda g, y, x: g * 2 * x * (1 + 1e-5)], [X]),
    "one part in 100,000 of one element of 1000": (
        lambda x: x * 2,
        [lambda g, y, x: g * 2 * (1 + 1e-5 * (np.arange(1000) == 537))],
        [normal(1000)],
    ),
    "a constant term": (np.exp, [lambda g, y, x: g * y + 1e-4], [X]),
    "the sum over a broadcast axis": (lambda a, b: a + b, [lambda g, y, a, b: g, lambda g, y, a, b: g[0]], [X, B]),
    "the mean instead of that sum": (
        lambda a, b: a + b,
        [lambda g, y, a, b: g, lambda g, y, a, b: np.mean(g, axis=0)],
        [X, B],
    ),
    "repeated ids overwrite": (
        lambda table: table[IDS],
        [lambda g, y, table: np.stack([g[2], g[1], 0 * g[0]])],
        [normal(3, 2)],
    ),
    "ids shifted by one": (
        lambda table: table[IDS],
        [lambda g, y, table: scatter_add(g, IDS + 1, table.shape)],
        [normal(3, 2)],
    ),
    "the permutation instead of its inverse": (
        lambda x: x.transpose(1, 2, 0),
        [lambda g, y, x: np.transpose(g, (1, 2, 0))],
        [CUBE],
    ),
    "a matrix not transposed": (
        lambda a, b: a @ b,
        [lambda g, y, a, b: g @ b, lambda g, y, a, b: a.T @ g],
        [normal(3, 3), normal(3, 3, seed=1)],
    ),
    "the arguments swapped": (
        lambda a, b: a * b,
        [lambda g, y, a, b: g * a, lambda g, y, a, b: g * b],
        [X, normal(2, 3, seed=1)],
    ),
    "softmax without its sum: 0 to an all-ones gradient": (softmax, [lambda g, y, x: 0 * g], [X]),
    "softmax with its diagonal only": (softmax, [lambda g, y, x: g * y * (1 - y)], [X]),
    "the wrong count in a mean": (
        lambda x: x.mean(axis=0),
        [lambda g, y, x: np.broadcast_to(g / x.shape[1], x.shape)],
        [X],
    ),
    "reversed without reversing back": (lambda x: x[::-1], [lambda g, y, x: g], [X]),
    "the output where the input belongs": (np.tanh, [lambda g, y, x: g * (1 - x * x)], [X]),
    "one argument has no gradient": (lambda a, b: a * b, [lambda g, y, a, b: g * b, None], [X, B]),
    "not a number": (lambda x: x * 2, [lambda g, y, x: g * np.nan], [X]),
    "nothing at all": (lambda x: x * 2, [lambda g, y, x: g * 0], [X]),
}


@pytest.fixture
def enter():
    """Puts a function with a (wrong) line into the table for the time of one test."""
    entered = []

    def make(forward, *derivatives):
        f = function(forward)
        rule(f)(*derivatives)
        entered.append(f)
        return f

    yield make
    for f in entered:
        del TABLE[f]


@pytest.mark.parametrize("animal", ZOO)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_checker_rejects(enter, animal, seed):
    forward, derivatives, inputs = ZOO[animal]
    report = gradcheck(enter(forward, *derivatives), *inputs, seed=seed)
    assert not report.ok
    assert report.error > 5e-6
    assert report.grade.upper() in str(report)


def test_a_derivative_that_is_right_but_not_recorded_is_rejected_at_second_order(enter):
    f = enter(lambda x: x**3, lambda g, y, x: g * 3 * as_array(x) ** 2)
    assert gradcheck(f, X).ok
    report = gradcheck(f, X, order=2)
    assert not report.ok
    assert report.order == 2


def test_a_gradient_lost_on_the_way_is_rejected():
    assert not gradcheck(lambda x: x * x.detach(), X).ok
    assert not gradcheck(lambda x: Tensor(np.exp(x.data)), X).ok


@pytest.mark.parametrize(
    "f, inputs",
    [
        (np.multiply, [X, B]),
        (lambda x: np.split(x, 3, axis=1), [X]),
        (lambda x, ids: x[ids], [X, np.array([1, 1])]),
        (lambda x, n, name: x * n if name == "double" else x, [X, 2, "double"]),
        (lambda x: x * 0.0 + np.ones(3), [X]),
        (lambda x: x * 1e-200, [X]),
        (lambda x: x * 1e200, [X]),
        (lambda x: x + 1e6, [X]),
        (lambda x: x[::-1], [X.T]),
        (np.sum, [np.zeros((0, 2))]),
        (np.exp, [0.5]),
        (np.tanh, [Tensor([0.1, 0.2], dtype=np.float32)]),
    ],
)
def test_the_checker_accepts_what_is_right(f, inputs):
    for order in (1, 2):
        report = gradcheck(f, *inputs, order=order)
        assert report.ok, str(report)


def test_the_inputs_are_as_they_were():
    x = X.copy()
    t = Tensor(X, requires_grad=True)
    gradcheck(np.square, x, order=2)
    gradcheck(np.square, t)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(t.data, X)
    assert t.grad is None


def test_the_report_points_at_the_worst_element(enter):
    def derivative(g, y, a, b):
        off = np.zeros((2, 3))
        off[1, 2] = 0.5
        return g * (1 + off)

    report = gradcheck(enter(lambda a, b: b + a, derivative, lambda g, y, a, b: g), X, B)
    wrong, right = report.arguments
    assert (wrong.position, wrong.shape, wrong.index) == (0, (2, 3), (1, 2))
    assert wrong.analytic == pytest.approx(1.5 * wrong.numeric, rel=1e-8)
    assert wrong.error == pytest.approx(1 / 3, rel=1e-6)
    assert right.error < 1e-9
    assert not report
    assert "one element wrong, at [1, 2]" in report.diagnosis
    assert "(2, 3)  WRONG    3.3e-01  [1, 2]" in str(report)


def test_a_looser_tolerance_can_be_asked_for(enter):
    f = enter(lambda x: x * x, lambda g, y, x: g * 2 * x * (1 + 1e-5))
    assert not gradcheck(f, X).ok
    assert gradcheck(f, X, rtol=1e-4).ok


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match="order must be 1 or 2; found 3"):
        gradcheck(np.exp, X, order=3)
    with pytest.raises(TypeError, match="no input is a floating-point array"):
        gradcheck(np.add, 1, [2, 3])
    with pytest.raises(TypeError, match="f must return real numbers; found complex128"):
        gradcheck(lambda x: x * 1j, X)


# -- what it promises ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["forward", "central", "richardson", "complex"])
def test_every_method_accepts_the_right_gradient_and_rejects_a_wrong_one(method):
    assert gradcheck(np.tanh, X, method=method, gradient=lambda g, x: g * (1 - np.tanh(x) ** 2)).ok
    assert not gradcheck(np.tanh, X, method=method, gradient=lambda g, x: g * (1 - np.tanh(x))).ok


def test_the_complex_step_falls_back_where_f_is_not_analytic():
    report = gradcheck(np.abs, X, method="complex")
    assert report.ok and report.method == "richardson"
    assert "not analytic in x" in " ".join(report.notes)


@pytest.mark.parametrize("elements, said", [("all", "every element"), (2, "2 elements"), ("directions", "directions")])
def test_elements_can_be_chosen(elements, said):
    assert said in gradcheck(np.tanh, X, elements=elements).elements
    assert not gradcheck(np.tanh, X, elements=elements, gradient=lambda g, x: g).ok


@pytest.mark.parametrize("size, said", [(4096, "every element"), (4097, "drawn at random"), (100_001, "directions")])
def test_the_size_chooses_the_elements_and_the_report_says_so(size, said):
    report = gradcheck(np.square, np.linspace(0.5, 1, size))
    assert report.ok and said in report.elements
    assert ("chosen because" in report.elements) == (size > 4096)


@pytest.mark.parametrize("size", [5000, 120_000])
def test_one_wrong_element_of_a_large_argument_is_found_and_named(size):
    off = np.where(np.arange(size) == 1234, 1.5, 1.0)
    report = gradcheck(lambda x: 3 * x, normal(size), gradient=lambda g, x: 3 * g * off)
    assert not report.ok and "[1234]" in report.diagnosis


def test_the_same_seed_gives_the_same_report_and_another_seed_another():
    def run(seed):
        return gradcheck(np.exp, X, seed=seed, elements=2, gradient=lambda g, x: g * np.sin(x)).to_json()

    assert run(3) == run(3) != run(4)


def test_several_outputs_come_with_several_upstream_gradients():
    def f(x):
        return x * x, np.sum(x)

    assert gradcheck(f, X).ok
    assert gradcheck(f, X, gradient=lambda g, x: 2 * x * g[0] + g[1]).ok
    assert not gradcheck(f, X, gradient=lambda g, x: 2 * x * g[0]).ok


@pytest.mark.parametrize(
    "x",
    [
        2.0, [2.0, 3.0], [[2.0], [3.0]], np.array(2.0), np.zeros((0, 3)), normal(4, 6)[::2, ::3], np.asfortranarray(X),
        np.broadcast_to(B, (2, 3)), X.astype(np.float16), X.astype(np.float32), X.astype(np.longdouble),
    ],
    ids=str,
)  # fmt: skip
def test_inputs_of_every_kind_are_taken(x):
    assert gradcheck(np.square, x).ok
    assert gradcheck(np.square, x, gradient=lambda g, x: 2 * g * x).ok


def test_a_read_only_input_is_taken():
    x = X.copy()
    x.flags.writeable = False
    assert gradcheck(np.square, x, gradient=lambda g, x: 2 * g * x).ok


def test_a_gradient_that_writes_into_its_arguments_does_no_harm():
    def gradient(g, x):
        x *= 2 * g
        g[:] = np.nan
        return x

    x = X.copy()
    assert gradcheck(np.square, x, gradient=gradient).ok
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize(
    "gradient, message",
    [
        (lambda g, x, y: (g, g, g), "returned 3 gradients for 2 inputs"),
        (lambda g, x, y: g, "returned 1 gradients for 2 inputs"),
        (lambda g, x, y: (2j * g, g), "gradient of a must be real numbers; found complex128"),
        (lambda g, x, y: (g.astype(object), g), "gradient of a must be real numbers; found object"),
        (lambda g, x, y: (d for d in (g, g)), "returned 1 gradients for 2 inputs"),
    ],
)
def test_what_is_no_gradient_is_refused(gradient, message):
    with pytest.raises((TypeError, ValueError), match=message):
        gradcheck(lambda a, b: a + b, X, X, gradient=gradient)


@pytest.mark.parametrize("y", [None, "text", {"y": 1.0}, 1j, np.array([1, None], object), (), []], ids=repr)
def test_an_output_that_is_no_real_array_is_refused(y):
    with pytest.raises(TypeError, match=r"gradcheck: f (must return real numbers|returned no output)"):
        gradcheck(lambda x: y, X, gradient=lambda g, x: x)


def test_what_f_raises_passes_through():
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda x: 1 / 0, X)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "x"}, "unknown method 'x'"),
        ({"method": ["central"]}, "unknown method"),
        ({"order": 2.0}, "order must be 1 or 2; found 2.0"),
        ({"order": np.ones(2)}, "order must be 1 or 2"),
        ({"order": 2, "gradient": lambda g, x: g}, "one written by hand is plain"),
        ({"elements": 0}, "positive number; found 0"),
        ({"elements": np.ones(2)}, "positive number; found array"),
        ({"argnums": []}, "name inputs by their places"),
        ({"argnums": 1.0}, "name inputs by their places"),
        ({"argnums": 5}, "name inputs by their places, 0 to 0"),
        ({"seed": None}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"rtol": -1}, "must lie between 0 and 1"),
        ({"rtol": np.nan}, "must lie between 0 and 1"),
        ({"rtol": "a"}, "must lie between 0 and 1"),
        ({"step": True}, "step must be a positive number"),
        ({"step": 0}, "step must be a positive number"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gradcheck(np.exp, X, **options)


def test_whole_numbers_of_numpy_will_do():
    assert gradcheck(np.exp, X, elements=np.int64(2), seed=np.int64(1), order=np.int64(1)).ok


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="rows differ in length"):
        gradcheck(np.exp, [[1.0, 2.0], [3.0]])


OPERATIONS = [
    np.sin,
    np.tanh,
    np.exp,
    np.abs,
    lambda x: x * x,
    lambda x: np.maximum(x, 0.3),
    lambda x: x[::-1],
    np.cumsum,
]


@settings(max_examples=25)
@given(st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=3), st.integers(1, 6), st.integers(0, 10**6))
def test_the_engines_gradient_of_a_random_function_is_accepted_and_rejected_when_perturbed(chain, size, seed):
    rng = np.random.default_rng(seed)
    x, at = rng.uniform(-1, 1, size), rng.integers(size)

    def f(x):
        for operation in chain:
            x = operation(x)
        return x

    def right(g, x):
        return vjp(f, x)[1](g)[0]

    def wrong(g, x):
        d = right(g, x).copy()
        d[at] += 1e-3 * np.max(np.abs(d), initial=1e-3)
        return d

    assert gradcheck(f, x, gradient=right, seed=seed).ok
    assert not gradcheck(f, x, gradient=wrong, seed=seed).ok
