"""The data report counts what is there, in text of any kind, and says it in a table and as JSON."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.preprocessing.report import data_report
from tinyllm.preprocessing.text import Tokenizer


@given(st.lists(st.text(max_size=8), max_size=8))
def test_it_counts_any_texts_and_is_json(texts):
    report = data_report(texts, labels=texts, sources=texts)
    assert report.documents == len(texts)
    assert report.empty == sum(not text.strip() for text in texts)
    assert report.characters == sum(map(len, texts)) and report.vocabulary == len(set("".join(texts)))
    assert report.duplicates <= report.duplicates_cleaned + len(texts)
    assert sum(row["documents"] for row in report.sources.values()) == len(texts)
    json.dumps(report.to_dict(), allow_nan=False)
    assert all(line.isprintable() for line in str(report).split("\n"))


def test_empty_documents_are_no_duplicates_and_cleaning_finds_more():
    report = data_report(["a", "a", "<p>a</p>", "", "", " ", "ａ"])
    assert (report.empty, report.duplicates, report.duplicates_cleaned) == (3, 1, 3)


def test_lengths_are_numpys_percentiles():
    texts = ["x" * n for n in (1, 2, 3, 10)]
    expected = np.percentile([1, 2, 3, 10], [0, 5, 25, 50, 75, 95, 100])
    assert list(data_report(texts).lengths.values()) == pytest.approx(list(expected))
    assert set(data_report([]).lengths.values()) == {0.0}


def test_out_of_vocabulary_is_the_share_of_running_words_without_an_id():
    tokenizer = Tokenizer(oov_token="<OOV>")
    tokenizer.fit_on_texts(["the cat the cat sat"])
    assert data_report(["The dog sat", "dog!"], tokenizer=tokenizer).out_of_vocabulary == 0.5
    tokenizer.num_words = 3  # "the" alone keeps an id
    assert data_report(["the cat"], tokenizer=tokenizer).out_of_vocabulary == 0.5
    characters = Tokenizer(char_level=True)
    characters.fit_on_texts(["你好"])
    report = data_report(["你们"], tokenizer=characters)
    assert (report.out_of_vocabulary, report.words) == (0.5, 2)
    assert data_report([], tokenizer=characters).out_of_vocabulary == 0.0


def test_sources_and_labels_have_their_shares():
    report = data_report(
        ["aaa", "a", "a", "aaa"], labels=np.array([[1], [0], [1], [1]]), sources=["web", "x", "x", "x"]
    )
    assert report.sources["web"] == {"documents": 1, "share": 0.25, "share_of_characters": 0.375}
    assert Counter({k: v["documents"] for k, v in report.labels.items()}) == {"1": 3, "0": 1}
    assert "label 1                         3   75.0%" in str(report)


def test_damage_is_found_with_its_place():
    report = data_report(["fine\tand\nwell\u200d", "caf\ufffd\ufffd", "\x00 \x1b", "\ud800", "\u200b\ufeff"])
    assert report.suspicious == {
        "replacement U+FFFD": {"occurrences": 2, "documents": 1, "first": 1},
        "control character": {"occurrences": 2, "documents": 1, "first": 2},
        "lone surrogate": {"occurrences": 1, "documents": 1, "first": 3},
        "invisible character": {"occurrences": 2, "documents": 1, "first": 4},
    }
    assert "replacement U+FFFD              2 in 1, first in 1" in str(report)


def test_what_is_no_data_set_is_named():
    with pytest.raises(TypeError, match="one text goes in a list"):
        data_report("tea")
    with pytest.raises(TypeError, match=r"texts\[1\] is bytes"):
        data_report(["a", b"b"])
    with pytest.raises(ValueError, match="2 texts and 1 labels; give one per text"):
        data_report(["a", "b"], labels=[1])
    with pytest.raises(ValueError, match="the tokenizer knows no words"):
        data_report(["a"], tokenizer=Tokenizer())
    with pytest.raises(TypeError, match="expected a Tokenizer; found dict"):
        data_report(["a"], tokenizer={})
