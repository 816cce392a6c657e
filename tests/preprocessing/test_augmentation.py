"""Copies keep what they promise: words move, are never all deleted, labels go along, a seed decides everything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.preprocessing.augmentation import augment, delete, insert, substitute, swap

TEXTS = st.one_of(st.text("ab c,.你好世界。！\t\ufe00", max_size=20), st.text(max_size=20))
RATES = st.floats(0, 1)


def letters(text):
    return sorted("".join(text.split()))


@given(TEXTS, RATES, st.integers(0, 99))
def test_swapping_loses_nothing(text, rate, seed):
    assert letters(swap(text, rate, seed)) == letters(text)


@given(TEXTS, st.integers(0, 99))
def test_a_text_never_becomes_empty(text, seed):
    left = delete(text, 1.0, seed)
    assert bool(left.strip()) == bool(text.strip())


@given(TEXTS)
def test_a_rate_of_0_gives_the_very_text_back(text):
    assert swap(text, 0) == delete(text, 0) == insert(text, ["x"], 0) == substitute(text, {"a": ["b"]}, 0) == text


@given(st.lists(TEXTS, max_size=5), st.integers(0, 99), st.integers(1, 3))
def test_the_seed_decides_everything_and_labels_go_along(texts, seed, copies):
    options = {"swap": 0.3, "delete": 0.3, "insert": 0.3, "vocabulary": ["x", "世"], "seed": seed}
    one, two = (augment(texts, list(range(len(texts))), copies, **options) for _ in range(2))
    assert one == two
    assert one.texts[: len(texts)] == texts and one.labels == one.source
    assert len(one.texts) == len(texts) * (copies + 1)
    assert one.changed == sum(new != texts[i] for new, i in zip(one.texts[len(texts) :], one.source[len(texts) :]))


def test_another_seed_makes_other_copies():
    text = "one two three four five six"
    assert len({swap(text, 0.5, seed) for seed in range(10)}) > 5


def test_chinese_is_characters_and_english_inside_it_is_a_word():
    assert insert("我爱NLP。", ["x"], 1.0) == "x我x爱xNLP。"
    assert insert("我爱 中国", ["x"], 1.0) == "x 我爱 x 中国"


def test_punctuation_stays_where_it_is():
    for seed in range(20):
        assert swap("今天，天气很好。", 1.0, seed)[2::5] == "，。"
        assert delete("今天，天气很好。", 0.9, seed).endswith("。")


def test_each_word_is_touched_as_often_as_the_rate_says():
    text = " ".join("abcdefghij" * 200)
    assert len(delete(text, 0.3).split()) == pytest.approx(1400, abs=80)
    assert len(insert(text, ["x"], 0.3).split()) == pytest.approx(2600, abs=80)


def test_synonyms_keep_capitals_and_punctuation_and_the_longest_word_counts():
    table = {"good": ["fine"], "好": ["棒"], "你好": ["您好"], "NLP": "AI"}
    assert substitute('"Good!" a goodness', table, 1.0) == '"Fine!" a goodness'
    assert substitute("你好，很好", table, 1.0) == "您好，很棒"
    assert substitute("NLP nlp", table, 1.0) == "AI nlp"


def test_labels_of_an_array_stay_an_array():
    made = augment(["a b", "c d"], np.array([[1, 0], [0, 1]]), swap=1.0)
    np.testing.assert_array_equal(made.labels, [[1, 0], [0, 1]] * 2)
    assert str(made) == "2 texts and 2 copies, 2 of them changed"


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), True, "0.1", None])
def test_a_rate_that_is_none_is_named(rate):
    with pytest.raises(ValueError, match="augment: delete is a rate between 0 and 1; found"):
        augment(["a b"], delete=rate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "every rate is 0"),
        ({"insert": 0.1}, "insert needs vocabulary"),
        ({"insert": 0.1, "vocabulary": ["", "a"]}, "insert needs vocabulary"),
        ({"insert": 0.1, "vocabulary": "abc"}, "insert needs vocabulary"),
        ({"synonym": 0.1}, "synonym needs synonyms"),
        ({"synonym": 0.1, "synonyms": {"a": []}}, r"synonyms\['a'\] must be words"),
        ({"swap": 0.1, "copies": 0}, "copies must be a positive whole number; found 0"),
        ({"swap": 0.1, "labels": [1, 2]}, "1 texts and 2 labels"),
    ],
)
def test_settings_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValueError, match=f"augment: {message}"):
        augment(["a b"], **options)


def test_one_text_in_place_of_a_list_and_a_text_that_is_none_are_refused():
    with pytest.raises(TypeError, match="one text goes in a list"):
        augment("a b", swap=0.1)
    with pytest.raises(TypeError, match="expected a str, found int 3"):
        augment(["a", 3], swap=0.1)
