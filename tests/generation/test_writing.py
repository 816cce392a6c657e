"""generate and stream: what is written follows from step() and the settings, row by row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.small import Conditional, Letters, Parts, Scripted, scripted
from tinyllm.generation import Sampling, generate, stream
from tinyllm.models import GPT, MLPLM, Bigram, RecurrentLM

GREEDY = Sampling(greedy=True)
MODELS = {
    "bigram": lambda: Bigram(7),
    "mlp": lambda: MLPLM(7, context=3, embedding=4, width=8),
    "gru": lambda: RecurrentLM(7, "gru", 5, 6, depth=2),
    "gpt": lambda: GPT(7, context=6, depth=2, heads=2, width=8),
}


def shaken(model):
    """The model with weights large enough that what it read makes a difference."""
    model.ensure_ready()
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.data[...] = rng.normal(0, 0.7, weight.shape)
    return model


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    return shaken(MODELS[request.param]())


# -- one row --------------------------------------------------------------------------------------------------------


def test_greedy_writes_the_most_probable_token_after_all_that_was_read(model):
    found = generate(model, [3, 1], max_tokens=20, sampling=GREEDY)
    ids = [3, 1]
    for _ in range(20):
        seen = ids if model.context is None else ids[-model.context :]
        ids.append(int(model.scores(np.array([seen]))[0, -1].argmax()))
    assert found.ids == ids[2:]
    assert found.prompt == [3, 1]
    assert found.reason == "length"


def test_a_prompt_longer_than_the_context_counts_with_its_last_tokens(model):
    long = [int(i) for i in np.random.default_rng(0).integers(0, 7, 40)]
    written = generate(model, long, 10, seed=4).ids
    assert model.context is None or generate(model, long[-model.context :], 10, seed=4).ids == written
    assert len(written) == 10


def test_the_same_seed_writes_the_same_and_another_seed_something_else(model):
    texts = [generate(model, [0], 30, seed=seed).ids for seed in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2]


def test_the_repetition_penalty_is_for_the_prompts_tokens_too():
    model = Conditional(
        np.tile([0.25, 0.2, 0.3, 0.25], (4, 1))
    )  # the logits are negative: a penalty makes them more so
    found = generate(model, [0, 2], 2, Sampling(greedy=True, repetition_penalty=3))
    assert found.ids == [3, 1]


def test_no_token_is_read_whose_successor_nobody_asked_for():
    model = Scripted(3, [1, 2, 1, 2])
    assert generate(model, [0], max_tokens=2, sampling=GREEDY).ids == [1, 2]
    assert model.reads == 2


# -- several rows ---------------------------------------------------------------------------------------------------


@given(prompts=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=9), min_size=1, max_size=4))
def test_a_row_does_not_depend_on_the_rows_beside_it(model, prompts):
    together = generate(model, prompts, 12, Sampling(temperature=0.9, repetition_penalty=1.2), stop=2, seed=8)
    for row, found in enumerate(together):
        others = [[0]] * row + [prompts[row]]  # the same place, other neighbours
        alone = generate(model, others, 12, Sampling(temperature=0.9, repetition_penalty=1.2), stop=2, seed=8)[row]
        assert found == alone


def test_equal_prompts_in_two_rows_draw_different_texts(model):
    first, second = generate(model, [[0], [0]], 30)
    assert first.ids != second.ids


def test_a_row_that_has_ended_is_read_no_more():
    model = Conditional([[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
    shapes = []
    step = model.step
    model.step = lambda ids, state: shapes.append(ids.shape) or step(ids, state)
    found = generate(model, [[0], [2]], 4, stop=3)
    assert [(row.ids, row.reason) for row in found] == [([1, 1, 1, 1], "length"), ([], "stop")]
    assert shapes == [(2, 1), (1, 1), (1, 1), (1, 1)]


# -- where it ends --------------------------------------------------------------------------------------------------


def test_a_stop_id_ends_the_text_and_is_not_part_of_it():
    found = generate(Scripted(4, [1, 2, 3, 1]), [0], 10, GREEDY, stop=3)
    assert (found.ids, found.reason) == ([1, 2], "stop")


@pytest.mark.parametrize("parts", [[b"ab", b"\nEN", b"D", b"x"], [b"ab\nENDx"], [b"a", b"b\n", b"E", b"ND", b"x"]])
def test_nothing_from_a_stop_string_on_is_returned_or_streamed(parts):
    model = scripted("ab\nENDx", parts)
    found = generate(model, [0], len(parts), GREEDY, stop=["never", "\nEND"])
    assert (found.text, found.reason) == ("ab", "stop")
    assert "".join(stream(model, [0], len(parts), GREEDY, stop="\nEND")) == "ab"
    assert "ab".startswith(model.decode(found.ids))


def test_what_looked_like_a_stop_string_comes_after_all():
    model = scripted("ab\nEN", [b"ab", b"\nEN"])
    assert list(stream(model, [0], 2, GREEDY, stop="\nEND")) == ["ab", "\nEN"]


def test_ids_and_strings_may_both_stop():
    model = scripted("abc", [b"a", b"b", b"c"])
    assert generate(model, [0], 3, GREEDY, stop=[3, "bc"]).text == "ab"
    assert generate(model, [0], 3, GREEDY, stop=["bc"]).text == "a"


# -- streaming ------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000))
def test_the_pieces_of_a_stream_are_the_text_that_generate_returns(seed):
    parts = [bytes([b]) for b in "\n\u00e9\U0001f600a".encode()]
    model = Conditional(np.full((len(parts),) * 2, 1 / len(parts)), Parts(parts))
    pieces = list(stream(model, [0], 20, stop="a\n", seed=seed))
    found = generate(model, [0], 20, stop="a\n", seed=seed)
    assert "".join(pieces) == found.text
    assert "" not in pieces
    if found.reason == "length":
        assert found.text == model.decode(found.ids)


def test_a_piece_comes_before_the_next_token_is_computed_and_closing_ends_the_work():
    model = scripted("abc", [b"a", b"b", b"c"])
    pieces = stream(model, [0], 3, GREEDY)
    assert model.reads == 0
    assert next(pieces) == "a"
    assert model.reads == 1
    pieces.close()
    assert list(pieces) == []
    assert model.reads == 1


def test_a_character_of_several_tokens_comes_as_one_piece():
    model = scripted("a\U0001f600", [bytes([b]) for b in "a\U0001f600".encode()])
    assert list(stream(model, [0], 5, GREEDY)) == ["a", "\U0001f600"]


# -- a model's own methods ------------------------------------------------------------------------------------------


def test_a_models_generate_returns_the_prompt_and_what_follows():
    model = Conditional([[0, 1, 0], [0, 0, 1], [1, 0, 0]], Letters("abc"))
    assert model.generate("ab", 4, greedy=True) == "abcabc"
    assert model.generate(["ab", "c"], 2, greedy=True) == ["abca", "cab"]
    assert "".join(model.stream("ab", 4, top_k=1)) == "cabc"
    assert model.decode(model.encode("cab")) == "cab"


# -- what cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": "a", "max_tokens": 0}, "max_tokens must be a whole number of at least 1; found 0"),
        ({"prompts": "a", "max_tokens": -3}, "max_tokens must be a whole number of at least 1; found -3"),
        ({"prompts": "a", "max_tokens": 2.0}, "max_tokens must be a whole number"),
        ({"prompts": "a", "seed": -1}, "seed must be a whole number, 0 or more; found -1"),
        ({"prompts": "a", "sampling": Sampling(top_k=4)}, r"top_k must be in 1\.\.3, the size of the vocabulary"),
        ({"prompts": "a", "stop": ""}, "stop: '' is everywhere"),
        ({"prompts": ""}, "the prompt is empty"),
        ({"prompts": "aX"}, "vocabulary lacks 'X'"),
        ({"prompts": [0, 3]}, "a prompt has the id 3"),
    ],
)
def test_what_cannot_be_asked_for_is_told_at_once_and_in_one_line(arguments, message):
    model = Conditional(np.full((3, 3), 1 / 3), Letters("abc"))
    streamed = {"prompt" if name == "prompts" else name: value for name, value in arguments.items()}
    for ask in (lambda: generate(model, **arguments), lambda: stream(model, **streamed)):
        with pytest.raises(ValueError, match=message) as error:
            ask()
        assert "\n" not in str(error.value)


def test_a_stream_is_of_one_text():
    with pytest.raises(ValueError, match="stream: one prompt at a time; found 2"):
        stream(Conditional(np.eye(2), Letters("ab")), ["a", "b"])
    with pytest.raises(ValueError, match="has no tokenizer, so there is no text"):
        stream(Conditional(np.eye(2)), [0])


def test_weights_that_are_not_finite_are_told():
    model = Bigram(3)
    model.ensure_ready()
    model.weights[0].data[1] = np.nan
    with pytest.raises(ValueError, match="the largest logit is nan; are the model's weights finite"):
        generate(model, [1], 2)
