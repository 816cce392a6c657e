"""Words for arrays, arguments and rules."""

import dis
import inspect

import numpy as np
import pytest

from tinyllm import Tensor
from tinyllm.autograd.rules import contract, matmul_b
from tinyllm.autograd.tensor import TABLE
from tinyllm.visualize.describe import rule_text, rules_of, short

RULES = [d for op in TABLE.values() if op.reference is None for d in op.derivatives if d is not None]


@pytest.mark.parametrize(
    "value, text",
    [
        (np.float32(0.1), "0.1"),
        (-0.0, "0"),
        (np.zeros((0, 3)), "empty"),
        ([1.0, np.inf], "[1, inf]"),
        (np.full(100, 0.5), "all 0.5"),
        (np.linspace(0, 1, 101), "0 .. 1, mean 0.5"),
        (np.r_[np.nan, np.zeros(99)], "1 of 100 are nan"),
        (np.r_[np.inf, np.zeros(99)], "0 .. inf, mean inf"),
        (np.r_[-np.inf, np.inf, np.zeros(98)], "-inf .. inf, mean nan"),
        ([True, False], "[True, False]"),
        (np.arange(100) % 2 == 0, "False .. True, mean 0.5"),
        (np.full(100, 1j), "100 of complex128"),
    ],
)
def test_an_array_in_few_words(value, text):
    assert short(value) == text


def instructions(function):
    """What a function computes, told by its operators, arguments, numbers and names, in order."""
    telling = ("BINARY_OP", "UNARY_NEGATIVE", "LOAD_FAST", "LOAD_CONST", "LOAD_DEREF")
    found = [(each.opname, each.argrepr) for each in dis.get_instructions(function) if each.opname in telling]
    return found, function.__code__.co_names


@pytest.mark.parametrize("derivative", RULES, ids=lambda d: d.__qualname__)
def test_every_rule_of_the_table_is_found_in_its_source(derivative):
    text = rule_text(derivative)
    if derivative.__name__ == "<lambda>":
        parameters = list(inspect.signature(derivative).parameters)
        again = eval(f"lambda {', '.join(parameters)}: {text}", derivative.__globals__)
        assert instructions(again) == instructions(derivative)
    else:
        assert text == f"{derivative.__name__}({', '.join(inspect.signature(derivative).parameters)})"


def test_a_function_in_the_table_is_named_and_an_open_number_of_arguments_numbered():
    assert rule_text(matmul_b) == "matmul_b(g, y, a, b)"
    assert rule_text(TABLE[contract].variadic(0)) == "contracted(g, i, arrays, subscripts)"
    x = Tensor([1.0], requires_grad=True)
    assert rules_of(np.concatenate([x, x]).node) == [(f"arrays[{i}]", "part(g, i, arrays, axis)") for i in range(2)]


def test_a_rule_without_a_source_file_is_said_to_have_none():
    assert rule_text(eval("lambda g, y, x: g * 2")) == "(source not found)"
