"""Every mistake of the table has an example here, and the examples are told by name."""

import sys

import numpy as np
import pytest

from tinyllm import gradcheck
from tinyllm.autograd.gradcheck.mistakes import MISTAKES, diagnose


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


def center(x):
    return x**3 - np.mean(x**3, axis=-1, keepdims=True)


def off(index, shape=(4, 3), factor=1.5):
    factors = np.ones(shape)
    factors[index] = factor
    return factors


def ranks(x):
    return np.argsort(x)


def convolve(x, k):
    return np.convolve(x, k, mode="valid")


X, Y, W, B, S = normal(4, 3), normal(4, 3, seed=1), normal(3, 3, seed=2), normal(3, seed=3), normal(4, 4, seed=4)
V, K = normal(6, seed=5), normal(3, seed=6)


def relu(x):
    return np.maximum(x, 0)


# the function of the table: (f, inputs, a wrong gradient, what the diagnosis says)
EXAMPLES = {
    "not_a_number": [(np.exp, [X], lambda g, x: g * np.nan, "not a number: 12 of 12")],
    "rounded": [(np.exp, [X], lambda g, x: (g * np.exp(x)).astype(np.float16).astype(float), "rounded to float16")],
    "shape": [
        (lambda x, b: x + b, [X, B], lambda g, x, b: (g, g), "missing sum over a broadcast axis"),
        (np.exp, [X], lambda g, x: (g * np.exp(x)).T, "transposed"),
        (np.exp, [X], lambda g, x: (g * np.exp(x)).ravel(), "wrong shape, right numbers"),
        (np.exp, [X], lambda g, x: np.ones((2, 5)), "wrong shape"),
    ],
    "zero": [(np.exp, [X], lambda g, x: None, "zero: no gradient arrives here")],
    "upstream_ignored": [(np.exp, [X], lambda g, x: np.exp(x), "missing upstream gradient")],
    "sign": [(np.exp, [X], lambda g, x: -g * np.exp(x), "the sign is wrong")],
    "constant_factor": [
        (np.square, [X], lambda g, x: g * x, "constant factor 0.5"),
        (lambda x: np.mean(x * x), [X], lambda g, x: 2 * g * x, "missing mean's 1/N: constant factor 12"),
        (lambda x, b: x + b, [X, B], lambda g, x, b: (g, g.mean(0)), "mean instead of the sum over a broadcast axis"),
    ],
    "swapped": [(lambda a, b: a * b, [X, Y], lambda g, a, b: (g * a, g * b), "swapped: this is the gradient of b")],
    "wrong_place": [
        (lambda x: x[::-1], [V], lambda g, x: g, "right numbers in the wrong place: reversed"),
        (np.exp, [S], lambda g, x: (g * np.exp(x)).T, "transposed"),
        (
            np.exp,
            [normal(8)],
            lambda g, x: np.roll((g * np.exp(x)).reshape(4, 2), 2, 0).ravel(),
            "gate blocks in the wrong",
        ),
    ],
    "clipped": [(np.exp, [V], lambda g, x: np.clip(g * np.exp(x), -0.2, 0.2), "clipped at 0.2")],
    "added": [
        (np.exp, [V], lambda g, x: g * np.exp(x) + 0.1, "a constant is added: 0.1"),
        (np.exp, [V], lambda g, x: g * np.exp(x) + 0.01 * x, "added: 0.01 times the argument"),
    ],
    "factor_not_transposed": [
        (lambda x, w: x @ w, [W + 1, W], lambda g, x, w: (g @ w, x.T @ g), "upstream @ w where upstream @ w.T belongs"),
    ],
    "jacobian_transposed": [
        (lambda x: W @ x, [B], lambda g, x: W @ g, "transposed: the Jacobian times the upstream gradient"),
    ],
    "diagonal_only": [
        (softmax, [X], lambda g, x: g * softmax(x) * (1 - softmax(x)), "only the Jacobian's diagonal is used"),
    ],
    "one_slice_of_upstream": [
        (lambda x, b: x + b, [X, B], lambda g, x, b: (g, g[0]), "missing sum over a broadcast axis: only index [0]"),
    ],
    "upstream_misused": [(np.exp, [X], lambda g, x: g * g * np.exp(x), "upstream gradient squared")],
    "not_linear": [
        (np.exp, [X], lambda g, x: g * np.exp(x) + np.cos(x) * x, "does not vanish with the upstream gradient"),
        (np.exp, [X], lambda g, x: np.tanh(g) * np.exp(x), "not linear in the upstream gradient"),
    ],
    "factor_that_is_an_array": [
        (lambda x: x**3, [X], lambda g, x: 3 * g * x, "divided by the argument once too often")
    ],
    "another_argument_changed": [
        (
            convolve,
            [V, K],
            lambda g, x, k: (np.convolve(g, k), np.convolve(x, g[::-1], mode="valid")[::-1]),
            "reversed",
        ),
    ],
    "mask_forgotten": [(relu, [X], lambda g, x: g, "a mask is forgotten")],
    "wrong_in_a_part": [
        (np.exp, [X], lambda g, x: g * np.exp(x) * off((2, 1)), "one element wrong, at [2, 1], 1.5 times"),
        (np.exp, [X], lambda g, x: g * np.exp(x) * off(1), "one row wrong: row 1"),
    ],
    "local_derivative": [
        (np.tanh, [X], lambda g, x: g * (1 - x * x), "wrong local derivative: f works element by element")
    ],
    "factor_along_an_axis": [
        (
            center,
            [X],
            lambda g, x: 3 * x * x * (g - g.mean(-1, keepdims=True)) * np.arange(2, 6)[:, None],
            "a factor of its own",
        ),
    ],
    "cross_terms": [
        (
            lambda x: x - np.mean(x, axis=-1, keepdims=True) + x**2,
            [normal(3, 5)],
            lambda g, x: g + 2 * g * x,
            "cross terms are missing",
        ),
    ],
    "wrong_in_a_run": [
        (
            center,
            [normal(1, 9)],
            lambda g, x: 3 * x * x * (g - g.mean()) * off((0, slice(2, 5)), (1, 9)) + 0 * g,
            "wrong from 2 to 4 along axis 1",
        )
    ],
    "small": [
        (
            center,
            [normal(2, 5)],
            lambda g, x: 3 * x * x * (g - g.mean(-1, keepdims=True)) + 1e-3 * np.sin(9 * x) * np.roll(g, 1),
            "nearly right",
        )
    ],
    "scattered": [
        (
            center,
            [normal(3, 5)],
            lambda g, x: (
                3
                * x
                * x
                * (g - g.mean(-1, keepdims=True))
                * off(([0, 1, 1, 2], [1, 0, 4, 3]), (3, 5), np.array([2, 3, -4, 5]))
            ),
            "4 of 15 elements wrong",
        )
    ],
}

PAIRS = [(name, *example) for name, examples in EXAMPLES.items() for example in examples]
BY_OPTION = {"coarse_differences"}  # only a fixed step brings it up: test_comparison.py


def test_every_mistake_of_the_table_has_an_example():
    assert {recognise.__name__ for recognise in MISTAKES} == EXAMPLES.keys() | BY_OPTION


@pytest.mark.parametrize("name, f, inputs, gradient, said", PAIRS)
def test_the_mistake_is_told_by_name_and_by_its_own_line_of_the_table(name, f, inputs, gradient, said, monkeypatch):
    told = []

    def watched(recognise):
        def ask(e):
            answer = recognise(e)
            told.extend([recognise.__name__] if answer else [])
            return answer

        return ask

    monkeypatch.setattr(sys.modules[diagnose.__module__], "MISTAKES", [watched(recognise) for recognise in MISTAKES])
    report = gradcheck(f, *inputs, gradient=gradient)
    assert not report.ok and said in report.diagnosis
    assert name in told


def test_a_gradient_that_nothing_explains_is_called_so():
    report = gradcheck(softmax, normal(5), gradient=lambda g, x: np.cos(7 * g) * g + np.roll(g, 2) * x)
    assert not report.ok and report.diagnosis


def test_two_wrong_arguments_have_a_diagnosis_each():
    report = gradcheck(lambda a, b: a * b, X, Y, gradient=lambda g, a, b: (-g * b, 3 * g * a))
    assert report.diagnosis.startswith("a: the sign is wrong; b: constant factor 3")


def test_only_the_bias_is_wrong():
    def dense(x, w, b):
        return x @ w + b

    report = gradcheck(dense, X, W, B, gradient=lambda g, x, w, b: (g @ w.T, x.T @ g, 2 * g.sum(0)))
    assert report.diagnosis.startswith("only the bias is wrong: b: constant factor 2")


def test_a_forgotten_factor_of_a_sum_is_not_called_a_broadcast():
    report = gradcheck(lambda x: np.sum(x * x), [0.3, -0.7], gradient=lambda g, x: g * x)
    assert "constant factor 0.5" in report.diagnosis and "broadcast" not in report.diagnosis


def test_a_constant_beside_a_slope_of_zero_is_no_factor_of_ten_trillions():
    f = gradcheck(
        lambda x: np.sum((x - x.mean()) ** 2), np.ones(3), gradient=lambda g, x: 2 * g * (x - x.mean()) + 1e-3
    )
    assert not f.ok and "factor" not in f.diagnosis
