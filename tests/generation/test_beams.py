"""Beam search against all there is, and against greedy choice."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.small import Conditional, Letters, scripted
from tests.generation.test_writing import shaken
from tinyllm.generation import Sampling, beam_search, generate
from tinyllm.models import GPT, RecurrentLM
from tinyllm.ops import log_softmax


def log_probability(model, prompt, ids):
    """Of these tokens behind the prompt, read all at once."""
    scores = log_softmax(model.scores(np.array([[*prompt, *ids]])).astype(float))[0, len(prompt) - 1 : -1]
    return float(scores[range(len(ids)), ids].sum())


def everything(model, prompt, length, stop, penalty):
    """Every text of at most so many tokens, with its score; the best first."""
    found = []
    for n in range(1, length + 1):
        for ids in itertools.product(range(model.vocab_size), repeat=n):
            if stop not in ids[:-1] and (n == length or ids[-1] == stop):
                text = list(ids[:-1] if ids[-1] == stop else ids)
                found.append((log_probability(model, prompt, ids) / n**penalty, text))
    return sorted(found, key=lambda each: -each[0])


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
@pytest.mark.parametrize(
    "model", [GPT(3, context=8, depth=1, heads=1, width=4), RecurrentLM(3, "lstm", 4, 5, depth=2)], ids=["gpt", "lstm"]
)
def test_with_enough_beams_it_is_exhaustive_search(model, penalty):
    shaken(model)
    beams = beam_search(model, [0, 1], max_tokens=4, beams=200, length_penalty=penalty, stop=2)
    expected = everything(model, [0, 1], 4, 2, penalty)
    assert len(beams) == len(expected) == 31  # 1 + 2 + 4 + 8 that stop, and 16 that are cut
    assert [beam.ids for beam in beams] == [ids for _, ids in expected]
    np.testing.assert_allclose([beam.score for beam in beams], [score for score, _ in expected], rtol=1e-5)


@given(seed=st.integers(0, 10_000), stop=st.sampled_from([(), (2,)]))
def test_one_beam_is_greedy_choice(seed, stop):
    table = np.random.default_rng(seed).dirichlet(np.ones(4), 4)
    model = Conditional(table)
    (beam,) = beam_search(model, [0], 8, beams=1, stop=stop)
    assert beam.ids == generate(model, [0], 8, Sampling(greedy=True), stop=stop).ids


@given(seed=st.integers(0, 10_000), beams=st.integers(1, 5))
def test_the_log_probability_is_that_of_the_text(seed, beams):
    model = Conditional(np.random.default_rng(seed).dirichlet(np.ones(3), 3))
    found = beam_search(model, [0], 5, beams)
    assert len(found) == beams
    for beam in found:
        assert beam.log_probability == beam.score == pytest.approx(log_probability(model, [0], beam.ids))
    assert [beam.score for beam in found] == sorted((beam.score for beam in found), reverse=True)
    assert len({tuple(beam.ids) for beam in found}) == beams


def test_two_beams_find_what_greedy_choice_misses():
    """The document's example: greedy takes a, then x (0.2); b, then x has 0.36."""
    golden = json.loads((Path(__file__).parents[1] / "golden" / "generation.json").read_text())["beam_vs_greedy"]
    names = "^abcxyz"
    table = np.zeros((7, 7))
    for name, p in golden["step1"].items():
        table[0, names.index(name)] = p
        for after, q in golden["step2"][name].items():
            table[names.index(name), names.index(after)] = q
    model = Conditional(table, Letters(names))
    for beams, expected in ((1, golden["greedy"]), (2, golden["beam2"]), (50, golden["exhaustive_best"])):
        best = beam_search(model, "^", max_tokens=2, beams=beams)[0]
        assert [*best.text, pytest.approx(np.exp(best.log_probability))] == expected
    two = [beam_search(model, "^", 2, beams)[0].log_probability for beams in (1, 2)]
    np.testing.assert_allclose(two, golden["log_probs"], rtol=1e-12)


def test_a_token_that_cannot_come_is_in_no_beam():
    beams = beam_search(Conditional([[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]), [0], 2, beams=9)
    assert [beam.ids for beam in beams] == [[1, 1], [0, 0], [0, 1]]


def test_a_stop_string_ends_a_beam_before_it():
    model = scripted("ab;;c", [b"ab;", b";c"])
    best = beam_search(model, [0], 2, beams=2, stop=";;")[0]
    assert (best.text, best.ids, best.ended) == ("ab", [], True)  # the first token is half before the stop, half in it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beams": 0}, "beams must be a whole number of at least 1; found 0"),
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1"),
        ({"length_penalty": float("nan")}, "length_penalty must be a finite number; found nan"),
        ({"prompt": ["a", "b"]}, "beam_search: one prompt at a time; found 2"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"stop": ""}, "stop: '' is everywhere"),
    ],
)
def test_what_cannot_be_asked_for_is_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        beam_search(Conditional(np.full((2, 2), 0.5), Letters("ab")), **{"prompt": "a", **arguments})
