"""The whole pipeline in one go: collect, process, train, evaluate, generate, save, serve, ask.

First on the article's three sentences (a classifier, and the language model that its generator would have needed), then
on a text of your own.
"""

import json
import math
import os
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinyllm import datasets
from tinyllm.autograd import gradcheck
from tinyllm.callbacks import Callback
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import LanguageModel, Sequential, load_model
from tinyllm.ops import lstm
from tinyllm.preprocessing.cleaning import clean_texts
from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.process import one_blas_thread

__all__ = ["tour"]

SENTENCES = ["你好，世界！", "今天天气很好。", "我爱中国。"]  # the article's data set
LABELS = np.array([1, 0, 1])
LONGEST_LINE = 80  # characters; longer lines are cut into pieces of this size
BUDGET = 1e11  # multiplications: about six seconds of training on one core


def tour(text: str | Path | None = None, plot: str | Path | None = None, out: str | Path = "tour") -> None:
    """Run the pipeline twice and say at each stage what happened.

    text  a UTF-8 text file for the second half, one sentence a line (default: the corpus that comes along)
    plot  a folder for the loss curves, as PNG files
    out   a folder for the saved models
    """
    started = time.perf_counter()
    if plot is not None:
        _pyplot()  # if it is missing, that shows now and not at the end
    lines = datasets.seasons() if text is None else datasets.load_text(text)
    for folder in (out, plot):  # so does a folder that cannot be written
        if folder is not None:
            _make_folder(Path(folder))
    with one_blas_thread():
        curves = {"classifier": classifier(Path(out)), "sentences": sentences()}
        curves["language_model"] = language_model(
            lines, "the corpus that comes along" if text is None else text, Path(out)
        )
    if plot is not None:
        _plot(Path(plot), curves)
    say("\nWhat next")
    say(f"  tinyllm serve {Path(out) / 'classifier'}      the server again, until you stop it")
    say("  tinyllm tour --text FILE       the second half on a text of yours")
    say("  notebooks/en, notebooks/zh     the lessons: what every number above means")
    say(f"\nDone in {time.perf_counter() - started:.1f} s.")


# -- the article's classifier ---------------------------------------------------------------------------------------


def classifier(out: Path) -> dict[str, list[float]]:
    """The article's program, line by line, up to a served answer."""
    title("The article's program: three sentences, one label each")
    stage("collect", f"{len(SENTENCES)} sentences, labels {LABELS.tolist()}")
    for sentence, label in zip(SENTENCES, LABELS):
        say(f"            {label}  {sentence}")

    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(SENTENCES)
    ids = tokenizer.texts_to_sequences(SENTENCES)
    x = pad_sequences(ids, maxlen=5, padding="post")
    stage("process", f"ids {ids}: Keras splits at spaces, so each sentence is one word")
    say(f"            padded to {x.shape} {x.dtype}: {x.tolist()}")

    model = Sequential()
    model.add(Embedding(input_dim=len(tokenizer.word_index) + 1, output_dim=50, input_length=5))
    model.add(LSTM(units=100, activation="tanh"))
    model.add(Dense(units=1, activation="sigmoid"))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    shapes = ", ".join(f"{name} {w.shape}" for name, w in model.named_weights.items())
    stage("model", f"{model.count_params():,} parameters: {shapes}")

    report = _check_lstm()
    stage("check", f"the LSTM's gradient against differences: worst relative error {report.error:.0e}")

    history = model.fit(x, LABELS, epochs=100, batch_size=1, verbose=0, callbacks=[Milestones(25, "train")]).history

    loss, accuracy = model.evaluate(x, LABELS)
    stage(
        "evaluate",
        f"loss {loss:.6f}, accuracy {accuracy:.2f}, on the sentences it was trained on (there are no others)",
    )
    for sentence, p in zip(SENTENCES, model.predict(x)[:, 0]):
        say(f"            P(label 1) = {float(p):.4f}  {sentence}")

    model.preprocess = TextToIds(tokenizer, maxlen=5, padding="post")
    path = save(model, out / "classifier")
    again = load_model(path)
    same = np.array_equal(again.predict(x), model.predict(x))
    say(f"            loaded again: predictions {'equal to the last bit' if same else 'DIFFER'}")
    ask(again, "/predict", [{"text": sentence} for sentence in SENTENCES])
    return history


def sentences() -> dict[str, list[float]]:
    """What the article's generator meant: a language model of the three sentences."""
    title("What the article's generator meant: a language model of the same sentences")
    model = LanguageModel(SENTENCES, units=32)
    x, y = model.arrays(SENTENCES)
    stage(
        "process", f"one id per character, {model.vocab_size} ids with padding, BOS and EOS; x {x.shape}, y {y.shape}"
    )
    history = model.fit_texts(
        SENTENCES, epochs=250, learning_rate=0.02, verbose=0, callbacks=[Milestones(50, "train")]
    ).history
    floor = 3 * math.log(3) / int((y > 0).sum())
    stage("evaluate", f"{model.nats(SENTENCES):.6f} nats per character; the floor is {floor:.6f}:")
    say("            which sentence begins cannot be known, everything after its first character can")
    texts = [model.generate(sentence[0], greedy=True) for sentence in SENTENCES]
    stage("generate", f"greedy, from each first character: {'  '.join(texts)}")
    say(f"            {sum(a == b for a, b in zip(texts, SENTENCES))} of {len(SENTENCES)} sentences reproduced")
    return history


def _check_lstm() -> Any:
    rng = np.random.default_rng(0)
    shapes = [(2, 3, 2), (2, 3), (2, 3), (2, 12), (3, 12), (12,)]
    return gradcheck(lambda *arrays: lstm(*arrays)[0], *[rng.normal(size=shape) for shape in shapes])


# -- a text of one's own --------------------------------------------------------------------------------------------


def language_model(lines: Iterable[str], source: Any, out: Path) -> dict[str, list[float]]:
    """A language model of any text, one sentence a line."""
    title(f"A language model of {source}")
    lines = list(lines)
    stage("collect", f"{len(lines):,} lines")
    for row in str(datasets.report(lines)).splitlines():
        say(f"            {row}")

    texts = [piece for line in clean_texts(lines, form="NFC") for piece in pieces(line)]
    if len(texts) < 2:
        raise ValueError(f"usable lines in {source}: {len(texts)}; a language model needs at least two")
    train, held_out = datasets.split(texts)
    model = LanguageModel(texts, units=128)
    train, epochs = within_budget(train, model)
    held_out = held_out[:500]
    x, y = model.arrays(train)
    stage("process", f"cleaned: {len(texts):,} lines; {len(train):,} to learn from, {len(held_out):,} held out")
    say(f"            {model.vocab_size} ids with padding, BOS and EOS; x {x.shape}, y {y.shape} {x.dtype}")
    stage("model", f"{model.count_params():,} parameters")

    before = model.nats(held_out)
    every = max(1, epochs // 6)
    history = model.fit_texts(
        train, epochs=epochs, learning_rate=0.01, batch_size=16, verbose=0, callbacks=[Milestones(every, "train")]
    ).history
    after = model.nats(held_out)
    stage("evaluate", f"held-out lines: {before:.3f} nats per character before, {after:.3f} after training")
    say(
        f"            (guessing evenly: {math.log(model.vocab_size - 2):.3f}; lines it learnt: {model.nats(train):.3f})"
    )

    stage("generate", "temperature 0.5, six seeds:")
    for seed in range(6):
        say(f"            {model.generate(temperature=0.5, seed=seed)}")
    prompt = held_out[0][:2]
    say(f"            greedy, from {prompt!r}: {model.generate(prompt, greedy=True)}")

    path = save(model, out / "language_model")
    ask(load_model(path), "/generate", [{"prompt": prompt, "greedy": True}])
    return history


def pieces(line: str) -> list[str]:
    """A line, cut where it is longer than the tour's model reads."""
    return [line[i : i + LONGEST_LINE] for i in range(0, len(line), LONGEST_LINE)]


def within_budget(train: list[str], model: LanguageModel) -> tuple[list[str], int]:
    """As many of the lines, and as many rounds through them, as the tour has time for."""
    units, features = model.units, model.embedding_dim
    per_character = 3 * units * (4 * (units + features) + model.vocab_size)  # forward, and twice that backward
    affordable = int(BUDGET / per_character)
    length = 1 + int(np.quantile([len(line) for line in train], 15 / 16))  # about the longest of a batch of 16
    lines = train[: max(affordable // length, 16)]
    return lines, max(1, min(60, affordable // (length * len(lines))))


# -- saying, saving, asking -----------------------------------------------------------------------------------------


class Milestones(Callback):
    """A plain line with the numbers at the first epoch and at every so many."""

    def __init__(self, every: int, name: str):
        self.every, self.name = every, name

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0 or (epoch + 1) % self.every == 0:
            numbers = ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
            stage(self.name if epoch == 0 else "", f"epoch {epoch + 1:>4}: {numbers}")


def say(text: str) -> None:
    print(text, flush=True)


def title(text: str) -> None:
    say(f"\n{text}\n{'-' * len(text)}")


def stage(name: str, text: str) -> None:
    say(f"{name:<11} {text}")


def save(model: Sequential, path: Path) -> Path:
    """Save a model and say which files that made."""
    model.save(path)
    stage("save", f"{path}{'/' if path.is_dir() else ''}")
    for file in sorted(path.iterdir()):
        say(f"            {file.stat().st_size:>9,} bytes  {file.name}")
    return path


def ask(model: Sequential, route: str, questions: list[dict]) -> None:
    """Serve the model on this machine, put the questions to it over HTTP, and say what it answered."""
    from tinyllm.serving import running_server

    try:
        server = running_server(model)
    except ImportError as error:
        stage("serve", f"left out: {error}")
        return
    with server as url:
        stage("serve", f"{url} (this machine only)")
        for question in questions:
            body = json.dumps(question, ensure_ascii=False)
            request = urllib.request.Request(url + route, body.encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as response:
                answer = response.read().decode().strip()
            stage("ask", f"POST {route} {body} -> {answer}")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if path.is_file() else error.strerror
        raise OSError(f"'{path}' cannot be a folder for results: {why}; choose another") from None
    if not os.access(path, os.W_OK):
        raise PermissionError(f"'{path}': no permission to write there; choose another folder")


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise ImportError("plots need matplotlib: pip install matplotlib") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _plot(folder: Path, curves: dict[str, dict[str, list[float]]]) -> None:
    plt = _pyplot()
    learnt = 1 + max(i for i, a in enumerate([0.0, *curves["classifier"]["accuracy"]]) if a < 1)
    text = curves["language_model"]["loss"]
    titles = {
        "classifier": f"The article's classifier knows its three sentences from epoch {learnt} on",
        "sentences": "The language model stops at the floor: the first character cannot be known",
        "language_model": f"The text's language model comes to {text[-1]:.2f} nats per character in epoch {len(text)}",
    }
    for name, history in curves.items():
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        epochs = range(1, len(history["loss"]) + 1)
        marker = "o" if len(epochs) < 10 else None  # a line of one point shows nothing
        axes.plot(epochs, history["loss"], marker=marker, label="loss (nats)")
        if "accuracy" in history:
            axes.plot(epochs, history["accuracy"], label="accuracy")
        if name == "sentences":
            axes.axhline(math.log(3) / 7, color="gray", linestyle="--", label="floor: 3 ln 3 / 21")
        axes.set(title=titles[name], xlabel="epoch", ylabel="value" if "accuracy" in history else "nats per character")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"{name}.png", dpi=120)
        plt.close(figure)
    stage("plot", ", ".join(str(folder / f"{name}.png") for name in curves))
