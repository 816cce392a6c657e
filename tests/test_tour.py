"""The tour runs to its end, on the corpus that comes along and on texts that are anything but."""

import contextlib
import re

import numpy as np
import pytest

from tinyllm import tour as tour_module
from tinyllm.models import LanguageModel, load_model
from tinyllm.tour import pieces, tour, within_budget


@pytest.fixture(autouse=True)
def little_time(monkeypatch):
    monkeypatch.setattr(tour_module, "BUDGET", 2e8)


def test_it_says_every_stage_of_the_pipeline_and_leaves_models_that_load(tmp_path, capsys):
    tour(plot=tmp_path / "plots", out=tmp_path / "out")
    said = capsys.readouterr().out
    stages = re.findall(r"^(\w+) {2,}", said, re.MULTILINE)
    for stage in ("collect", "process", "model", "check", "train", "evaluate", "generate", "save", "serve", "ask"):
        assert stage in stages
    assert "60,701 parameters" in said
    assert "padded to (3, 5) int32: [[1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [3, 0, 0, 0, 0]]" in said
    assert re.findall(r'-> \{"result": \[(\d)\]', said) == ["1", "0", "1"]
    assert "3 of 3 sentences reproduced" in said
    assert float(re.search(r"evaluate +([\d.]+) nats per character; the floor", said)[1]) <= 0.158
    assert "equal to the last bit" in said and "DIFFER" not in said
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == [
        "classifier.png",
        "language_model.png",
        "sentences.png",
    ]
    assert load_model(tmp_path / "out" / "classifier").preprocess(["我爱中国。"]).tolist() == [[3, 0, 0, 0, 0]]
    assert isinstance(load_model(tmp_path / "out" / "language_model"), LanguageModel)


def test_it_can_be_run_again_over_its_own_output(tmp_path, capsys):
    for _ in range(2):
        tour_module.classifier(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        ["a b", "c d"],
        ["x" * 1000, "y" * 3],
        ["你好。", "再见。", "", "你好。", "<p>再见。</p>"],
        [f"line {i} of many, each a little different" for i in range(3000)],
        ["".join(chr(0x4E00 + (i * 37 + j) % 5000) for j in range(12)) for i in range(500)],
    ],
    ids=["two short lines", "one very long line", "duplicates and markup", "many lines", "thousands of characters"],
)
def test_any_text_of_two_lines_will_do(lines, tmp_path, capsys):
    with contextlib.chdir(tmp_path):
        tour_module.language_model(lines, "a text", tmp_path)
    said = capsys.readouterr().out
    assert "nats per character" in said and "POST /generate" in said


@pytest.mark.parametrize("lines", [[], ["only one"], ["same", "same"], ["<p></p>", " "]])
def test_a_text_of_less_than_two_usable_lines_is_refused(lines, tmp_path):
    with pytest.raises(ValueError, match="needs at least two"):
        tour_module.language_model(lines, "a text", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_long_lines_are_cut_without_losing_a_character():
    assert "".join(pieces("ab" * 100)) == "ab" * 100
    assert all(0 < len(piece) <= tour_module.LONGEST_LINE for piece in pieces("ab" * 100))
    assert pieces("") == []


def test_the_budget_shortens_a_text_before_it_makes_training_long(monkeypatch):
    model = LanguageModel(["abc"], units=128)
    many, epochs = within_budget(["abcdefgh"] * 100_000, model)
    assert 16 <= len(many) < 100_000 and epochs == 1
    monkeypatch.setattr(tour_module, "BUDGET", 1e12)
    assert within_budget(["abc"] * 20, model) == (["abc"] * 20, 60)


def test_every_question_is_answered_by_a_server_that_is_gone_afterwards(tmp_path, capsys):
    tour_module.classifier(tmp_path)
    url = re.search(r"http://127.0.0.1:\d+", capsys.readouterr().out)[0]
    with pytest.raises(OSError, match="refused"):
        import urllib.request

        urllib.request.urlopen(url, timeout=2)


def test_the_article_s_labels_are_learnt(tmp_path, capsys):
    history = tour_module.classifier(tmp_path)
    assert history["accuracy"][-1] == 1 and history["loss"][-1] < 1e-3
    assert np.isfinite(history["loss"]).all()
