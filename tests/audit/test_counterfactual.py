"""Words are exchanged whole, at once and in both directions, and the change of the score is what is reported."""

import json

import numpy as np
import pytest

from tinyllm.audit import counterfactual, swap_words
from tinyllm.layers import Dense, Embedding, GlobalAveragePooling1D
from tinyllm.models import Sequential
from tinyllm.preprocessing.text import TextToIds, Tokenizer


@pytest.mark.parametrize(
    ("text", "swaps", "expected"),
    [
        ("he met her", {"he": "she", "his": "her"}, "she met his"),
        ("the hero is here", {"he": "she"}, "the hero is here"),
        ("HE, He; he!", {"he": "she"}, "SHE, She; she!"),
        ("Alice told Bob", {"Alice": "Bob"}, "Bob told Alice"),
        ("他爱她", {"他": "她"}, "她爱他"),
        ("这是he的书", {"he": "she"}, "这是she的书"),
        ("他们和其他人", {"他": "她", "其他": "其他"}, "她们和其他人"),
        ("\U00020bb7he\u91ce", {"he": "she"}, "\U00020bb7she\u91ce"),  # a rare Chinese character, beyond 16 bits
        ("he\u0301 he", {"he": "she"}, "he\u0301 she"),  # an e and its accent
        ("a.b and axb", {"a.b": "c"}, "c and axb"),
        ("one two", {"one": "two", "two": "three"}, "two three"),
    ],
)
def test_words_are_exchanged_whole_and_at_once(text, swaps, expected):
    assert swap_words(text, swaps) == expected


def test_exchanging_twice_gives_the_text_back():
    swaps = {"he": "she", "man": "woman", "他": "她"}
    for text in ("He is a man; SHE is a woman.", "他们和她们", ""):
        assert swap_words(swap_words(text, swaps), swaps) == text


def test_the_change_is_after_minus_before_and_untouched_texts_do_not_dilute_it():
    scores = {"he": 0.5, "she": 0.75, "her dog": 0.5, "his dog": 0.0}
    found = counterfactual(
        lambda texts: [scores[t] for t in texts], ["he", "x", "her dog"], {"he": "she", "his": "her"}
    )
    assert (found.positions, found.changes, found.untouched) == ([0, 2], [0.25, -0.5], 1)
    assert (found.mean, found.max, found.bias) == (0.375, 0.5, -0.125)
    json.dumps(found.to_dict(), allow_nan=False)
    assert "untouched texts: 1" in str(found)


def test_a_model_that_reads_texts_is_asked_itself():
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["he she runs"])
    model = Sequential([Embedding(4, 2), GlobalAveragePooling1D(), Dense(1, "sigmoid")])
    with pytest.raises(ValueError, match=r"this model reads no texts; set model\.preprocess"):
        counterfactual(model, ["he runs"], {"he": "she"})
    model.preprocess = TextToIds(tokenizer, maxlen=2)
    found = counterfactual(model, ["he runs"], {"he": "she"})
    p = np.asarray(model.predict(model.preprocess(["he runs", "she runs"])), float).ravel()
    np.testing.assert_array_equal([found.before[0], found.after[0]], p)


def test_what_cannot_be_compared_is_named():
    def ask(scores, texts=("he",), swaps=None):
        return counterfactual(lambda _: scores, texts, {"he": "she"} if swaps is None else swaps)

    with pytest.raises(ValueError, match="none of the 1 texts holds a word of the table"):
        ask([0.5], ["they"])
    with pytest.raises(ValueError, match=r"1 texts need as many scores; found \(1, 3\): for one class of several"):
        ask([[0.1, 0.2, 0.7]])
    with pytest.raises(ValueError, match="a score is NaN or infinite"):
        ask([np.nan])
    with pytest.raises(TypeError, match="expected a list of texts, found str"):
        ask([0.5], "he")
    with pytest.raises(TypeError, match=r"texts\[1\] is int"):
        ask([0.5], ["he", 3])
    for swaps in ({}, {"he": ""}, {" ": "x"}, {"he": 1}, ["he"]):
        with pytest.raises(ValueError, match="swap table: "):
            ask([0.5], swaps=swaps)
