"""A model card says what is true of the model, in Markdown that no text can break, written whole or not at all."""

import json

import numpy as np
import pytest

from tinyllm.layers import LSTM, Concatenate, Dense, Embedding, Input
from tinyllm.models import LanguageModel, Model, Sequential
from tinyllm.models.card import latency, model_card, threads
from tinyllm.models.transfer import freeze
from tinyllm.preprocessing.report import data_report

X = np.ones((2, 5), int)


def document_model(**options):
    return Sequential([Embedding(4, 50, input_length=5), LSTM(100), Dense(1, "sigmoid")], **options)


def test_the_documents_model_has_its_60701_parameters_and_four_bytes_each():
    card = model_card(document_model(), X, "Three sentences.", runs=1)
    assert [row[1:] for row in card.layers] == [
        ("Embedding", "(None, 5, 50)", 200),
        ("LSTM", "(None, 100)", 60_400),
        ("Dense", "(None, 1)", 101),
    ]
    assert (card.parameters, card.bytes_in_memory) == (60_701, 4 * 60_701)
    assert 4 * 60_701 < card.bytes_on_disk < 4 * 60_701 + 10_000


def test_the_size_on_disk_is_that_of_what_save_writes(tmp_path):
    model = document_model()
    card = model_card(model, X, "x", runs=1)
    model.save(tmp_path / "m")
    assert card.bytes_on_disk == sum(file.stat().st_size for file in (tmp_path / "m").iterdir())


def test_frozen_weights_are_not_trainable_and_float64_takes_twice_the_memory():
    model = document_model(dtype="float64")
    freeze(model, up_to="lstm")
    card = model_card(model, X, "x", runs=1)
    assert (card.trainable, card.bytes_in_memory) == (101, 8 * 60_701)


def test_making_a_card_leaves_the_weights_as_they_were():
    model = document_model()
    before = model.get_weights()
    model_card(model, X, "x", runs=2)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_a_language_model_has_a_card():
    model = LanguageModel(["abab"], embedding_dim=4, units=5)
    assert model_card(model, [[3, 1]], "x", runs=1).parameters == model.count_params()


def test_the_page_holds_everything_and_the_dict_is_json(tmp_path):
    data = data_report(["tea"], sources=["web"])
    card = model_card(document_model(), X, "Not for **people**.", {"accuracy": 0.75}, data, "group A", runs=3)
    page = card.to_markdown()
    for text in ("60,701", "| accuracy | 0.75 |", "source web", "group A", "Not for **people**.", "(3 runs, "):
        assert text in page
    json.dumps(card.to_dict(), allow_nan=False)
    card.save(tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == page
    assert [file.name for file in tmp_path.iterdir()] == ["card.md"]


def test_names_and_reports_cannot_break_the_page(tmp_path):
    model = document_model(name="a|b\n# c `d`")
    card = model_card(model, X, "\ud800", {"x|y\n": 1}, data="```\n# not a title\n````", runs=1)
    page = card.to_markdown()
    assert "# Model card: a\\|b # c \\`d\\`\n" in page and "| x\\|y | 1 |" in page
    assert "`````text\n```\n# not a title\n````\n`````" in page
    card.save(tmp_path / "card.md")
    assert "\\ud800" in (tmp_path / "card.md").read_text(encoding="utf-8")


def test_the_median_is_over_the_runs_and_threads_are_counted():
    measured = latency(document_model(), X, runs=4)
    assert 0 < measured.minimum <= measured.median and measured.runs == 4
    assert measured.threads == threads() >= 1


def test_what_makes_no_card_is_named(tmp_path):
    for limitations in ("", " \n", None):
        with pytest.raises(ValueError, match="limitations is empty; every model has some"):
            model_card(document_model(), X, limitations)
    with pytest.raises(ValueError, match="the metric 'accuracy' must be a number; found 'high'"):
        model_card(document_model(), X, "x", {"accuracy": "high"})
    with pytest.raises(ValueError, match="runs must be a positive whole number; found 0"):
        latency(document_model(), X, runs=0)
    card = model_card(document_model(), X, "x", runs=1)
    with pytest.raises(ValueError, match="is a folder; give the path of a file"):
        card.save(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        card.save(tmp_path / "none" / "card.md")


def test_a_model_of_several_inputs_has_a_card():
    a, b = Input((3,)), Input((2,))
    model = Model([a, b], Dense(1)(Concatenate()([a, b])))
    card = model_card(model, [np.ones((4, 3)), np.ones((4, 2))], "A toy.", runs=1)
    assert (card.parameters, [kind for _, kind, *_ in card.layers][-1]) == (6, "Dense")
