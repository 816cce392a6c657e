"""Shapes read from the command line, and random arrays that have them."""

import argparse

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm import losses
from tinyllm.cli.inputs import Input, draw, input_, labels, refuse_enormous


def options(**given):
    return argparse.Namespace(**({"positive": None, "low": None, "high": None, "seed": 0} | given))


@given(st.lists(st.integers(0, 9), max_size=5), st.booleans(), st.one_of(st.none(), st.integers(1, 99)))
def test_a_shape_is_read_with_and_without_brackets_and_marks(sizes, brackets, below):
    text = ",".join(map(str, sizes))
    text = f"({text})" if brackets else text
    assert input_(text if below is None else f"{text}:int{below}") == Input(tuple(sizes), below)


@pytest.mark.parametrize("text", ["3", "3,", "(3,)", " ( 3 , ) "])
def test_one_size_is_a_vector_with_a_comma_or_without(text):
    assert input_(text) == Input((3,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (",", "is no shape"),
        ("3,,4", "is no shape"),
        ("3x4", "is no shape"),
        ("3.0", "is no shape"),
        ("(3", "is no shape"),
        ("9" * 5000, "is no shape"),
        ("3,-4", "a size cannot be negative"),
        ("3:float", "after the colon stands intN"),
        ("3:int0", "after the colon stands intN"),
        ("my.py:loss", "MODULE:FUNCTION goes before --shapes"),
        ("1," * 40, "40 axes; at most 32"),
    ],
)
def test_what_is_no_shape_is_refused(text, said):
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        input_(text)


def test_the_same_seed_draws_the_same_numbers():
    first, again, other = (draw([Input((3, 4))], options(seed=seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("chosen", "low", "high"),
    [
        ({"positive": True}, 0, np.inf),
        ({"low": -1.0}, -1, np.inf),
        ({"high": -2.0}, -np.inf, -2),
        ({"low": 1.0, "high": 2.0}, 1, 2),
        ({"positive": True, "high": 2.0}, 0, 2),
    ],
)
def test_numbers_lie_where_they_are_asked_to(chosen, low, high):
    (x,) = draw([Input((100,))], options(**chosen))
    assert (x > low).all() and (x < high).all() and x.std() > 0


def test_whole_numbers_stay_below_their_mark():
    (ids,) = draw([Input((200,), 3)], options())
    assert ids.dtype.kind == "i" and set(ids) == {0, 1, 2}


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"low": 2.0, "high": 1.0}, "nothing to draw between 2 and 1"),
        ({"low": -1e308, "high": 1e308}, "nothing to draw between"),
        ({"positive": True, "low": -1.0}, "contradict each other"),
        ({"positive": True, "high": -1.0}, "nothing to draw between 0 and -1"),
    ],
)
def test_an_empty_domain_is_refused(chosen, said):
    with pytest.raises(ValueError, match=said):
        draw([Input((2,))], options(**chosen))


def test_enormous_inputs_are_refused_with_their_size_before_memory_is_taken():
    with pytest.raises(ValueError, match=r"10,000,000,000 numbers are 80 GB; a check takes at most 10,000,000"):
        draw([Input((100_000, 100_000))], options())
    with pytest.raises(ValueError, match="EB; a check takes"):
        refuse_enormous("--shapes", 10**36)
    refuse_enormous("--shapes", 10**7)


@pytest.mark.parametrize("name", sorted(name for name in losses.__all__ if name[0].isupper() and name != "Loss"))
def test_every_loss_takes_the_labels_drawn_for_it(name):
    loss = getattr(losses, name)()
    prediction = np.full((4, 3), 1 / 3)
    assert np.isfinite(loss(labels(loss, prediction.shape, 0), prediction).data)
