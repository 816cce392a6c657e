"""Predictions are an array in everything but one: an element is not a distribution to draw words from."""

import copy
import json
import pickle

import numpy as np
import pytest

from tinyllm.layers import Dense
from tinyllm.models import Sequential
from tinyllm.models.predictions import Predictions

PLAIN = np.array([[0.9], [0.25]], "float32")


@pytest.fixture
def p():
    return PLAIN.view(Predictions)


def test_one_sigmoid_output_gives_predictions_and_anything_else_a_plain_array():
    for units, activation, kind in ((1, "sigmoid", Predictions), (2, "sigmoid", np.ndarray), (1, None, np.ndarray)):
        model = Sequential([Dense(units, activation=activation)])
        assert type(model.predict(np.ones((2, 3)))) is kind


@pytest.mark.parametrize("draw", [np.random.choice, np.random.default_rng(0).choice])
def test_drawing_a_word_with_one_number_says_what_is_wrong(p, draw):
    with pytest.raises(TypeError, match=r"one number.*LanguageModel"):
        draw(["a", "b"], p=p[0][0])


def test_the_length_of_an_element_says_so_too(p):
    with pytest.raises(TypeError, match="one number"):
        len(p[0, 0])
    assert (len(p), len(p[0])) == (2, 1)


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r}".format, lambda x: f"{x.tolist()}", lambda x: f"{x}"])
def test_it_prints_like_an_array(p, show):
    assert show(p) == show(PLAIN)


@pytest.mark.parametrize(
    "show",
    [str, "{}".format, "{:.3f}".format, "{:6.1%}".format, lambda x: f"{x:.2f}", float, round, np.round, bool, hash],
)
def test_an_element_is_shown_and_rounded_like_the_number_it_is(p, show):
    assert show(p[0][0]) == show(PLAIN[0][0])
    assert round(p[0, 0], 2) == round(PLAIN[0, 0], 2)


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x[0][0] > 0.5,
        lambda x: x[0][0] == x[0, 0],
        lambda x: 1 - x[0][0],
        lambda x: np.log(x[1, 0]),
        lambda x: max(x[0][0], x[1][0]),
        lambda x: sorted([x[0][0], x[1][0]]),
        lambda x: sum(x[:, 0]),
        lambda x: int(x[0][0] > 0.5),
        lambda x: x.mean(),
        lambda x: x.sum(axis=0),
        lambda x: x.max(),
        lambda x: x.argmax(),
        lambda x: np.where(x > 0.5, 1, 0),
        lambda x: x[x > 0.5],
        lambda x: x @ np.ones((1, 2)),
        lambda x: np.concatenate([x, x]),
        lambda x: x.round(1).astype(int),
        lambda x: x.T.reshape(-1).tolist(),
        lambda x: [float(v) for row in x for v in row],
        lambda x: json.dumps([row[0].item() for row in x]),
        lambda x: np.allclose(x, 0.9),
    ],
)
def test_it_computes_like_an_array(p, compute):
    np.testing.assert_array_equal(compute(p), compute(PLAIN))


def test_what_is_computed_from_it_is_plain():
    p = PLAIN.view(Predictions)
    assert type(p > 0.5) is type(1 - p) is type(np.exp(p)) is np.ndarray
    assert type(p[0][0] > 0.5) is np.bool_ and type(p[0][0] * 2) is np.float32


def test_it_can_be_copied_pickled_and_written_to(p):
    for again in (copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        np.testing.assert_array_equal(again, PLAIN)
    mine = p.copy()
    mine[0] = 0.5
    assert mine[0, 0] == 0.5 and PLAIN[0, 0] == np.float32(0.9)


def test_an_element_is_found_in_a_dictionary(p):
    assert {PLAIN[1, 0]: "here"}[p[1, 0]] == "here"
