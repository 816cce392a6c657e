"""What a check says with compares what it should, and tells what differs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.lessons.grading import Lost, close, expect, laboratory, same
from tinyllm.lessons.grading.helpers import one_line


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (1, 1),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (2.0, 2.0),
        ("a", "a"),
        (True, np.bool_(True)),
        (None, None),
        ((2, 3), (2, 3)),
        ([np.ones(2), np.ones(3)], [np.ones(2), np.ones(3)]),
        ({"a": [1]}, {"a": [1]}),
        ({1, 2}, {1, 2}),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
        (np.array(["a", "bc"]), ["a", "bc"]),
        (10**30, 10**30),
        (b"a", b"a"),
    ],
    ids=str,
)
def test_same_values_are_the_same(found, expected):
    same(found, expected, "f()")


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (1.0, 1, "expected 1 .a whole number.; found 1.0 .a real number"),
        (True, 1, "found True .True or False"),
        (None, 1, "expected 1; found None"),
        (1, None, "expected None"),
        ("1", 1, "a whole number.*; found '1' .text"),
        ([2, 3], (2, 3), "expected a tuple"),
        ((2, 3, 4), (2, 3), "expected 2 values; found 3"),
        ({"a": 1}, {"b": 1}, "keys"),
        ({1}, {1, 2}, "expected {1, 2}; found {1}"),
        (np.ones(3), np.ones((3, 1)), r"expected the shape \(3, 1\); found \(3,\)"),
        (np.array([1.0, 2.0]), np.array([1.0, 2.5]), r"f\(\)\[1\]: expected 2.5; found 2.0"),
        (1 + 1e-15, 1.0, "expected 1.0; found 1.000000000000001"),
        (np.nan, 1.0, "found nan"),
        (10**30, 10**30 + 1, "expected 1000000000000000000000000000001"),
        (object(), 1, "found <object"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_differs_is_said(found, expected, message):
    with pytest.raises(Lost, match=message):
        same(found, expected, "f()")


def test_close_allows_rounding_and_nothing_more():
    close(0.1 + 0.2, 0.3, "f()")
    close(3, 3.0, "f()")
    close([1.0, (2.0, 3.0)], (1.0, [2.0, 3.0]), "f()")
    for found in (0.3001, np.nan, np.inf, [0.3], "0.3", None, True, np.array([0.3]), np.array(None), {}):
        with pytest.raises(Lost, match=r"f\(\)"):
            close(found, 0.3, "f()")


def test_expect_takes_true_for_true_and_nothing_else():
    expect(True, "m")
    for found in (False, 1, "yes", np.ones(1), [0], None):
        with pytest.raises(Lost, match=r"^m"):
            expect(found, "m")


def test_the_laboratory_names_the_mistake_in_one_line():
    x = np.array([0.5, -1.0])
    laboratory(lambda g, x: g * np.cos(x), np.sin, x)
    with pytest.raises(Lost, match=r"the gradient of .* must be .*; found .* \(.*the sign is wrong"):
        laboratory(lambda g, x: -g * np.cos(x), np.sin, x)
    with pytest.raises(Lost, match="shape"):
        laboratory(lambda g, x: np.ones(3), np.sin, x)


@given(st.text())
def test_feedback_is_one_printable_line(text):
    line = one_line(text)
    assert line.isprintable() and len(line) <= 300
    line.encode("utf-8")
