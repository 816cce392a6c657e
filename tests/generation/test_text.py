"""Text that comes in pieces, however it was cut into tokens."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.small import Conditional, Letters, Parts
from tinyllm.generation.text import Pieces, check_ids, encode, prompts_of, split_stop


@st.composite
def cut_texts(draw):
    """A text, its bytes cut anywhere, and stop strings."""
    text = draw(st.text("abc\u00e9\u4e2d\U0001f600", max_size=12))
    data = text.encode()
    cuts = sorted(draw(st.sets(st.integers(0, len(data)))) | {0, len(data)})
    parts = [data[a:b] for a, b in itertools.pairwise(cuts)]
    return text, parts, draw(st.lists(st.text("abc\u00e9\u4e2d", min_size=1, max_size=4), max_size=3))


def before_stop(text, stop):
    """What the definition says: read letter by letter, until one of the stop strings is complete."""
    for n in range(len(text) + 1):
        begun = [n - len(each) for each in stop if text[:n].endswith(each)]
        if begun:
            return text[: min(begun)]
    return None


@given(cut_texts())
def test_the_pieces_are_the_text_before_the_first_stop_string_however_it_is_cut(case):
    text, parts, stop = case
    pieces, found = Pieces(Parts(parts), stop), []
    for i in range(len(parts)):
        found.append(pieces.add(i))
        if pieces.stopped:
            break
    found.append(pieces.finish())
    expected = before_stop(text, stop)
    assert pieces.stopped == (expected is not None)
    assert "".join(found) == (text if expected is None else expected)
    assert "\ufffd" not in "".join(found)  # never half a character
    assert "".join(found).encode().startswith(b"".join(parts[: pieces.whole]))


@given(cut_texts())
def test_what_was_given_out_is_never_taken_back(case):
    text, parts, stop = case
    pieces, sofar = Pieces(Parts(parts), stop), ""
    whole = text if before_stop(text, stop) is None else before_stop(text, stop)
    for i in range(len(parts)):
        sofar += pieces.add(i)
        assert whole.startswith(sofar)
        if pieces.stopped:
            break


def test_what_may_become_a_stop_string_waits_until_it_cannot():
    pieces = Pieces(Letters("abcd"), ["abd"])
    assert [pieces.add(i) for i in (2, 0, 1, 0, 1, 2)] == ["c", "", "", "ab", "", "abc"]
    pieces = Pieces(Letters("abcd"), ["abd"])
    assert [pieces.add(0), pieces.add(1), pieces.finish()] == ["", "", "ab"]


def test_a_character_cut_in_half_at_the_end_is_a_replacement_character():
    pieces = Pieces(Parts([b"a", b"\xc3"]), [])
    assert [pieces.add(0), pieces.add(1), pieces.finish()] == ["a", "", "\ufffd"]


@pytest.mark.parametrize("data", [b"\xff", b"\xc3a", b"\xe4\xb8a\xad"])
def test_bytes_that_are_no_text_are_replaced_as_decode_replaces_them(data):
    pieces = Pieces(Parts([bytes([b]) for b in data]), [])
    assert "".join(pieces.add(i) for i in range(len(data))) + pieces.finish() == data.decode(errors="replace")


def test_the_ids_that_were_given_out_whole_are_counted():
    pieces = Pieces(Parts([b"x", b"yST", b"OP"]), ["STOP"])
    for i in range(3):
        pieces.add(i)
    assert pieces.stopped
    assert pieces.whole == 1  # the second token is half before the stop, half in it


def model(tokenizer=None):
    return Conditional([[0.5, 0.5], [0.5, 0.5]], tokenizer)


def test_one_prompt_and_a_list_of_prompts_are_told_apart():
    known = model(Letters("ab"))
    assert prompts_of(known, "ab") == ([[0, 1]], True)
    assert prompts_of(known, [0, 1]) == ([[0, 1]], True)
    assert prompts_of(known, ["ab", [1]]) == ([[0, 1], [1]], False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: encode(model(), "a"), "Conditional has no tokenizer: give ids instead of text"),
        (lambda: encode(model(Letters("ab")), "abxay\u00e9"), r"vocabulary lacks 'x', 'y', '\\xe9': leave out"),
        (lambda: prompts_of(model(Letters("a\n")), ""), r"the prompt is empty.*begin with a new line"),
        (lambda: prompts_of(model(Letters("ab")), ["a", ""]), "prompt 1 is empty.*begin with a token, such as 'a'"),
        (lambda: prompts_of(model(), []), r"the prompt is empty.*an id, such as \[0\]"),
        (lambda: prompts_of(model(), [0, 2]), r"a prompt has the id 2; the model's ids are 0\.\.1"),
        (lambda: prompts_of(model(), [-1]), "a prompt has the id -1"),
        (lambda: check_ids(model(), [0, 7], "stop"), r"stop has the id 7; the model's ids are 0\.\.1"),
        (lambda: split_stop(model(Letters("ab")), ["a", ""]), "stop: '' is everywhere"),
        (lambda: split_stop(model(), "a"), "has no tokenizer"),
    ],
)
def test_wrong_text_and_ids_are_named_in_one_line(wrong, message):
    with pytest.raises(ValueError, match=message) as error:
        wrong()
    assert "\n" not in str(error.value)


def test_ids_are_whole_numbers():
    with pytest.raises(TypeError, match="a prompt is a str or a row of whole numbers"):
        prompts_of(model(), [0.5, 1.0])
    with pytest.raises(TypeError, match="expected a str; found bytes"):
        encode(model(Letters("ab")), b"a")
