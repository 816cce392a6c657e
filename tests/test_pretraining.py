"""`tinyllm train`: a folder with a model, its numbers and its state, from which training goes on to the same bits."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from tinyllm import datasets
from tinyllm.cli import main
from tinyllm.models import GPT, NGram, load_model
from tinyllm.pretraining import train
from tinyllm.recipes import RECIPES, Recipe, recipe

TEXT = "\n".join(datasets.seasons()[:80]) + "\n"
SMALL = Recipe("gpt", {"depth": 1, "heads": 2, "width": 8}, window=8, batch=4, steps=12, every=4, warmup=2)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_run_leaves_its_numbers_and_the_best_model(text, tmp_path, capsys):
    metrics = train(text, SMALL, tmp_path / "run", seed=3)
    stored = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert stored == metrics
    assert stored["settings"]["seed"] == 3 and stored["settings"]["steps"] == 12
    assert [each["step"] for each in stored["history"]] == [4, 8, 12]
    assert stored["tokens_seen"] == 12 * 4 * 8
    np.testing.assert_allclose(stored["validation_bits"], stored["validation_nats"] / math.log(2), rtol=1e-12)
    model = load_model(tmp_path / "run" / "model")
    assert isinstance(model, GPT)
    ids = np.array(model.encode(TEXT))
    cut = int(round(len(ids) * 0.9, 6))
    np.testing.assert_allclose(model.nats(ids[cut:]), stored["best_validation_nats"], rtol=1e-6)
    last = load_model(tmp_path / "run" / "last")
    np.testing.assert_allclose(last.nats(ids[cut:]), stored["validation_nats"], rtol=1e-6)
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    shown = capsys.readouterr().out
    assert shown.count("tokens/s") == 3 and "step 12/12" in shown and "    | " in shown


@pytest.mark.parametrize("model", sorted(RECIPES))
@pytest.mark.parametrize("lines", [False, True])
def test_every_model_learns_a_text_and_its_lines(model, lines, text, tmp_path):
    if model == "bert" and lines:
        pytest.skip("it reads running text")
    small = {"gpt": {"width": 8}, "bert": {"width": 8}, "mlp": {"width": 8, "embedding": 4}, "bigram": {}, "ngram": {}}
    sizes = small.get(model, {"width": 8, "embedding": 4})
    chosen = recipe(
        model, "small", **sizes, **{} if model == "ngram" else {"steps": 6, "every": 3, "batch": 2, "accumulate": 2}
    )
    chosen = replace(chosen, lines=lines, window=64 if lines else 8)
    metrics = train(text, chosen, tmp_path / "run", verbose=False)
    assert 0 < metrics["best_validation_nats"] < 6
    if model == "ngram":
        assert isinstance(load_model(tmp_path / "run" / "model"), NGram)


def test_byte_pairs_are_learnt_from_the_text_and_a_state_may_be_carried(text, tmp_path):
    chosen = recipe("lstm", "small", steps=4, every=2, batch=2, width=8, embedding=4, carry=True, window=8, tokens=300)
    train(text, chosen, tmp_path / "run", verbose=False)
    model = load_model(tmp_path / "run" / "model")
    assert model.vocab_size == 300 and model.decode(model.encode("spring 春天")) == "spring 春天"


def test_interrupted_and_resumed_the_end_is_the_same_to_the_bit(text, tmp_path, monkeypatch):
    chosen = replace(SMALL, sizes=SMALL.sizes | {"dropout": 0.1})
    unbroken = train(text, chosen, tmp_path / "unbroken", verbose=False)
    original, seen = GPT.train_step, []

    def until(self, *batch):
        seen.append(1)
        if len(seen) == 7:
            raise KeyboardInterrupt
        return original(self, *batch)

    monkeypatch.setattr(GPT, "train_step", until)
    with pytest.raises(KeyboardInterrupt):
        train(text, chosen, tmp_path / "broken", verbose=False)
    monkeypatch.setattr(GPT, "train_step", original)
    resumed = train(text, chosen, tmp_path / "broken", resume=True, verbose=False)
    assert weights_of(tmp_path / "unbroken") == weights_of(tmp_path / "broken")
    for a, b in zip(unbroken["history"], resumed["history"]):
        assert a | {"cpu_seconds": 0} == b | {"cpu_seconds": 0}


def interrupt_at(step, monkeypatch):
    """Ctrl-C while this step is running; a second one would end more than the training."""
    original, seen = GPT.train_step, []

    def until(self, *batch):
        seen.append(1)
        if len(seen) == step:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *batch)

    monkeypatch.setattr(GPT, "train_step", until)


@pytest.mark.skipif(os.name == "nt", reason="os.kill() ends the process there")
@pytest.mark.parametrize("step, looked", [(3, False), (7, True)])
def test_ctrl_c_says_how_to_go_on_and_is_no_success(step, looked, text, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    command = ["train", "--text", str(text), "--steps", "12", "--set", "every=4", "batch=4", "width=8", "window=8"]
    interrupt_at(step, monkeypatch)
    assert main([*command, "--out", str(run)]) == 130
    shown = capsys.readouterr().out
    assert f"stopped after step {step} of 12: resume" in shown
    assert ("the model is in" in shown) == (run / "model").exists() == looked
    assert main([*command, "--out", str(run), "--resume"]) == 0
    assert json.loads((run / "metrics.json").read_text())["tokens_seen"] == 12 * 4 * 8


@pytest.mark.skipif(os.name == "nt", reason="os.kill() ends the process there")
def test_a_run_that_ended_before_its_first_look_is_not_resumed_with_another_text(text, tmp_path, monkeypatch):
    interrupt_at(3, monkeypatch)
    train(text, SMALL, tmp_path / "run", verbose=False)
    text.write_text(TEXT[::-1], encoding="utf-8")  # as long, and with the same characters
    with pytest.raises(ValueError, match=r"the run in .* has text_sha256="):
        train(text, SMALL, tmp_path / "run", resume=True, verbose=False)


def weights_of(run):
    """The weights' files are called after their content."""
    return sorted(each.name for each in (run / "model").glob("weights-*"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_in_the_midst_and_resumed_from_the_command_line_the_end_is_the_same(text, tmp_path):
    command = [sys.executable, "-m", "tinyllm", "train", "--text", str(text), "--steps", "40", "--set", "every=5"]
    command += ["batch=4", "width=16", "window=16", "--out"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "unbroken")], check=True, env=environment, capture_output=True)
    broken = str(tmp_path / "broken")
    process = subprocess.Popen([*command, broken], env=environment, stdout=subprocess.DEVNULL)
    while not (tmp_path / "broken" / "checkpoints").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([*command, broken, "--resume"], check=True, env=environment, capture_output=True)
    assert weights_of(tmp_path / "unbroken") == weights_of(tmp_path / "broken")


@pytest.mark.parametrize(
    "content, options, message",
    [
        (b"", [], "holds no text (0 bytes)"),
        (b"\xff\xfeabc", [], "is UTF-16"),
        (b"ab\xffcd", [], "is not UTF-8: byte 0xFF at offset 2"),
        (b"abc", [], "each needs at least 2: give a longer text"),
        (b"abcdefghijklmnopqrstuvwxyz", [], "is shorter than one window of 32"),
        (None, ["--model", "tcn"], "unknown model 'tcn'; known: bert, bigram, gpt"),
        (None, ["--config", "huge"], "unknown config of the model gpt 'huge'; known: makemore, nanogpt-cpu, small"),
        (None, ["--set", "depth"], "--set takes NAME=VALUE"),
        (None, ["--set", "colour=3"], "the model gpt has no setting 'colour'; known: "),
        (None, ["--set", "width=10", "heads=4"], "width 10 is no multiple of heads 4; width 8 is one"),
        (None, ["--set", "steps=0"], "steps must be a positive whole number; found 0"),
        (None, ["--set", "learning_rate=0"], "learning_rate must be a positive number; found 0"),
        (None, ["--set", "learning_rate=fast"], "learning_rate must be a positive number; found 'fast'"),
        (None, ["--set", "last_rate=nan"], "last_rate must be 0 or a positive number; found nan"),
        (None, ["--set", "lines=5"], "lines must be true or false; found 5"),
        (None, ["--set", "bias=maybe"], "bias must be true or false; found 'maybe'"),
        (None, ["--set", "heads=0"], "heads must be a positive whole number; found 0"),
        (None, ["--set", "context=16"], "the model gpt has no setting 'context'; known: "),
        (None, ["--seed", "-1"], "seed must be a whole number, 0 or more; found -1"),
        (None, ["--model", "lstm", "--set", "carry=true", "accumulate=2", "window=8"], "accumulate: a part of a batch"),
        (None, ["--set", "tokens=100"], "tokens is 'characters', or a number"),
        (None, ["--config", "makemore"], "lines: the longest has"),
        (None, ["--model", "lstm", "--set", "lines=true", "carry=true"], "a state must not be carried from one line"),
        (None, ["--model", "bert", "--set", "lines=true"], "bert reads running text, not lines"),
    ],
)
def test_what_cannot_be_is_one_line_that_says_what_to_change(content, options, message, text, tmp_path, capsys):
    if content is not None:
        text.write_bytes(content)
    assert main(["train", "--text", str(text), "--out", str(tmp_path / "run"), *options]) == 1
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert not (tmp_path / "run" / "model").exists()


def test_a_folder_with_a_run_is_not_written_over_and_other_settings_are_not_resumed(text, tmp_path):
    train(text, SMALL, tmp_path / "run", verbose=False)
    with pytest.raises(FileExistsError, match="holds a run already; resume it"):
        train(text, SMALL, tmp_path / "run", verbose=False)
    with pytest.raises(ValueError, match=r"has learning_rate=0\.001, not 0\.1"):
        train(text, replace(SMALL, learning_rate=0.1), tmp_path / "run", resume=True, verbose=False)


def test_a_metrics_json_of_another_program_is_no_run_to_resume(text, tmp_path):
    for content in ("{}", "[1]", "not JSON"):
        (tmp_path / "metrics.json").write_text(content)
        with pytest.raises(ValueError, match=r"metrics\.json' was not written by train, or is damaged"):
            train(text, SMALL, tmp_path, resume=True, verbose=False)


def test_of_lines_only_the_tokens_and_no_padding_are_counted(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("ab\n" * 19 + "a" * 40 + "\n")
    chosen = recipe("lstm", "small", steps=5, every=5, batch=4, width=4, embedding=4, lines=True)
    found = {train(path, chosen, tmp_path / str(seed), seed, verbose=False)["tokens_seen"] for seed in range(3)}
    assert found <= {5 * 4 * 3 + 38 * long for long in range(20)}  # a line and its end: 3 tokens, or 41


def test_byte_pairs_are_not_learnt_from_what_is_held_out(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ab " * 300 + "xy " * 34)
    chosen = recipe("lstm", "small", steps=1, every=1, batch=1, width=4, embedding=4, window=8, tokens=258)
    train(path, chosen, tmp_path / "run", verbose=False)
    model = load_model(tmp_path / "run" / "model")
    assert len(model.encode("ab")) == 1 and len(model.encode("xy")) == 2


def test_a_stream_of_byte_pairs_never_shows_half_a_character(tmp_path, capsys):
    path, run = tmp_path / "text.txt", str(tmp_path / "run")
    path.write_text("春天的河水是绿色的。\n" * 40, encoding="utf-8")
    options = ["--model", "ngram", "--set", "tokens=260", "order=6"]  # most characters are still three tokens
    assert main(["train", "--text", str(path), "--out", run, *options]) == 0
    capsys.readouterr()
    pieces = list(load_model(f"{run}/model").stream("春", 60, greedy=True))
    assert len(pieces) > 20 and "".join(pieces).startswith("天的河水是绿色的。\n春天的")
    assert not any("\ufffd" in piece for piece in pieces[:-1])  # the last one may be cut off by max_tokens
    assert main(["generate", run, "--prompt", "春", "--max-tokens", "60", "--greedy"]) == 0
    assert capsys.readouterr().out == "春" + "".join(pieces) + "\n"


def test_the_command_line_lists_trains_and_writes(text, tmp_path, capsys):
    assert main(["train", "--list"]) == 0
    assert "--model gpt --config nanogpt-cpu: 2000 steps" in capsys.readouterr().out
    run = str(tmp_path / "run")
    options = ["--model", "ngram", "--text", str(text), "--out", run]
    assert main(["train", *options]) == 0
    assert f"tinyllm generate {run}" in capsys.readouterr().out
    assert main(["generate", run, "--prompt", "In spring", "--max-tokens", "20", "--greedy"]) == 0
    written = capsys.readouterr().out
    assert written.startswith("In spring") and len(written) == len("In spring") + 21
    assert main(["generate", run, "--prompt", "\x00"]) == 1
    shown = capsys.readouterr()
    assert "the model's vocabulary lacks '\\x00'" in shown.err and not shown.out
    assert main(["generate", run, "--temperature", "0"]) == 1
    assert "temperature must be positive" in capsys.readouterr().err


def test_a_recipe_that_is_no_recipe_is_refused():
    with pytest.raises(ValueError, match="unknown model 'x'; known: bert"):
        recipe("x")
    with pytest.raises(ValueError, match="batch must be a positive whole number; found True"):
        recipe("gpt", batch=True)
    assert recipe("gpt", steps=50).warmup == 5
