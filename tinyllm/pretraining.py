"""Training a language model on a text: `tinyllm train`. What comes out is a folder:

run/
  metrics.json    settings, seed, losses over time, the loss over the whole validation text, processor seconds
  model/          the model with the lowest validation loss (tinyllm.models.load_model)
  last/           the model at the end: it has learnt more by heart
  checkpoints/    the state of training, from which --resume goes on to bitwise the same end
  curves.png      losses over steps, if matplotlib is there
"""

import hashlib
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tinyllm import datasets
from tinyllm.callbacks import Callback, Checkpoint
from tinyllm.corpus import IGNORED, Blanks, Lines, Split, Streams, Windows, lines_of, split
from tinyllm.losses import SparseCategoricalCrossentropy
from tinyllm.models import CausalLM, NGram
from tinyllm.models.recurrent_lm import CELLS
from tinyllm.optimizers import AdamW, Group
from tinyllm.pictures import figure
from tinyllm.preprocessing.tokenizers import BPETokenizer, CharacterTokenizer
from tinyllm.recipes import MODELS, WINDOWED, Recipe
from tinyllm.saving.files import write_atomically
from tinyllm.schedules import CosineDecay

__all__ = ["best_of", "train"]

SAMPLE = 200  # tokens that are shown at each look


def best_of(path: Any) -> Path:
    """Where the model is: of a run's folder, its best; of anything else, the path itself."""
    inside = Path(path) / "model"
    return inside if inside.is_dir() else Path(path)


def train(
    text: Any, recipe: Recipe, out: Any = "run", seed: int = 0, resume: bool = False, verbose: bool = True
) -> dict[str, Any]:
    """Train on the UTF-8 text file `text` as the recipe says, into the folder `out`; return what metrics.json holds.

    The last tenth of the text is held out (of lines: a tenth, at most 1,000, drawn with the seed). resume: go on where
    a training with the same settings was cut off; without it a folder that holds one is refused. Ctrl-C ends it after
    the step that is running, as if it were done.

    Raises ValueError, in one line, for a text that is too short, empty or no UTF-8 and for settings that do not fit,
    FileExistsError for a folder that holds a run already.
    """
    out = Path(out)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or more; found {seed!r}")
    lines = datasets.load_text(text)
    prepare = _separate_lines if recipe.lines else _running_text
    tokenizer, data, judge = prepare(lines, recipe, seed)
    model_class, fixed = MODELS[recipe.model]
    sizes = fixed | recipe.sizes | ({"context": recipe.window} if recipe.model in WINDOWED else {})
    model = model_class(tokenizer.vocab_size, **sizes, tokenizer=tokenizer, seed=seed)
    sha256 = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    settings = asdict(recipe) | {"seed": seed, "parameters": model.count_params(), "text_sha256": sha256}
    _check_folder(out, settings, resume)
    watch = Watch(data, judge, settings, recipe, out, verbose)
    if isinstance(model, NGram):
        watch.count(model)
        return watch.metrics
    model.accumulate = recipe.accumulate
    model.compile(_optimizer(recipe), SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORED))
    checkpoints = out / "checkpoints"
    model.fit(
        data,
        epochs=math.ceil(recipe.steps / recipe.every),
        shuffle=False,
        verbose=0,
        callbacks=[watch, Checkpoint(checkpoints)],
        resume=checkpoints if resume else None,
    )
    return watch.metrics


class Watch(Callback):
    """At each look: the validation loss, a line on the screen, a sample, metrics.json, and the best model so far."""

    kept = ("metrics", "best", "spent")

    def __init__(self, data: Any, judge: Any, settings: dict[str, Any], recipe: Recipe, out: Path, verbose: bool):
        self.data, self.judge, self.recipe, self.out, self.verbose = data, judge, recipe, out, verbose
        self.metrics: dict[str, Any] = {"settings": settings, "history": []}
        self.best = math.inf
        self.spent = 0.0  # processor seconds before this process
        self.line = verbose and sys.stdout.isatty()

    def on_train_begin(self, logs=None):
        self.began, self.looked, self.fresh = time.process_time(), 0.0, 0
        self.metrics["steps"] = 0
        self.started, self.tokens_before = time.perf_counter(), self.data.tokens

    def set_state(self, state):
        _check_settings(self.out, state["metrics"]["settings"], self.metrics["settings"])
        super().set_state(state)
        self.tokens_before = self.data.tokens

    def on_train_batch_end(self, batch, logs=None):
        self.fresh += 1
        if self.model.progress.step >= self.recipe.steps:
            self.model.stop_training = True
        if self.line:
            step = self.model.progress.step
            left = self._speed()[1] * (self.recipe.steps - step)
            print(f"\rstep {step}/{self.recipe.steps}, {_minutes(left)} left\x1b[K", end="", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        step = self.model.progress.step
        tokens_per_second, per_step = self._speed()
        before = time.perf_counter()
        loss = self.judge(self.model)
        seconds = self._seconds()
        self.metrics["history"].append(
            {"step": step, "training_loss": logs["loss"], "validation_loss": loss, "cpu_seconds": round(seconds, 2)}
        )
        if loss < self.best:
            self.best = loss
            self.model.save(self.out / "model")
        self.metrics |= {
            "validation_nats": loss,
            "validation_bits": loss / math.log(2),
            "best_validation_nats": self.best,
            "steps": step,
            "tokens_seen": self.data.tokens,
            "cpu_seconds": round(seconds, 2),
            "tokens_per_second": round(tokens_per_second),
        }
        self._write()
        if self.verbose:
            left, start = _minutes(per_step * (self.recipe.steps - step)), "\r" if self.line else ""
            print(
                f"{start}step {step}/{self.recipe.steps}: training {logs['loss']:.4f}, "
                f"validation {loss:.4f} nats, {tokens_per_second:,.0f} tokens/s, {left} left",
                flush=True,
            )
            if isinstance(self.model, CausalLM):
                print(_sample(self.model, seed=epoch), flush=True)
        self.looked += time.perf_counter() - before

    def on_train_end(self, logs=None):
        self._seconds()
        step = self.model.progress.step
        if self.verbose and step < self.recipe.steps:
            print(f"\nstopped after step {step} of {self.recipe.steps}: resume, and it goes on from there")
        if not self.metrics["history"]:
            return
        self.model.save(self.out / "last")
        try:
            plot(self.metrics["history"], self.out / "curves.png")
        except ImportError as error:
            if self.verbose:
                print(f"no curves.png: {error}")

    def count(self, model: NGram) -> None:
        """Instead of training: count, judge, and leave the same folder."""
        data, began = self.data, time.process_time()
        model.count(data.ids) if isinstance(data, Windows) else model.count_lines(data.x, data.y)
        loss = self.judge(model)
        self.metrics |= {
            "validation_nats": loss,
            "validation_bits": loss / math.log(2),
            "best_validation_nats": loss,
            "cpu_seconds": round(time.process_time() - began, 2),
        }
        model.save(self.out / "model")
        self._write()
        if self.verbose:
            print(f"counted: validation {loss:.4f} nats\n{_sample(model, seed=0)}")

    def _speed(self) -> tuple[float, float]:
        """(tokens a second, seconds a step) of training alone."""
        seconds = time.perf_counter() - self.started - self.looked
        return (self.data.tokens - self.tokens_before) / seconds, seconds / max(self.fresh, 1)

    def _seconds(self) -> float:
        """Processor seconds so far, those before this process included."""
        now = time.process_time()
        self.spent, self.began = self.spent + now - self.began, now
        return self.spent

    def _write(self) -> None:
        write_atomically(str(self.out / "metrics.json"), json.dumps(self.metrics, indent=1).encode())


def plot(history: list[dict[str, Any]], path: Path) -> None:
    """The losses over steps, as a picture."""
    drawing, (axes,) = figure()
    steps = [each["step"] for each in history]
    axes.plot(steps, [each["training_loss"] for each in history], ".-", label="training, mean since the last look")
    axes.plot(steps, [each["validation_loss"] for each in history], ".-", label="validation, all of it")
    axes.set(title=f"validation: {history[-1]['validation_loss']:.4f} nats a token", xlabel="steps", ylabel="nats")
    axes.legend()
    drawing.savefig(path, dpi=150)


def _running_text(lines: list[str], recipe: Recipe, seed: int) -> tuple[Any, Any, Any]:
    """(tokenizer, batches, judge) for a text that is read as one."""
    text = "\n".join(lines) + "\n"
    cut = len(split(np.arange(len(text))).train)
    tokenizer = _tokenizer(text, text[:cut], recipe)
    parts = Split(*(np.array(tokenizer.encode(part)) for part in (text[:cut], text[cut:])))
    size = recipe.batch * recipe.accumulate
    if recipe.sizes.get("carry"):
        data: Any = Streams(parts.train, size, recipe.window, recipe.every)
    elif recipe.model == "bert":
        data = Blanks(parts.train, size, recipe.window, recipe.every, blank=tokenizer.vocab_size, seed=seed)
    else:
        data = Windows(parts.train, size, recipe.window, recipe.every, seed)
    recurrent = recipe.model in CELLS and not recipe.sizes.get("carry")
    window = recipe.window if recurrent else None  # a state that training never carried so far is not carried here
    return tokenizer, data, lambda model: model.nats(parts.validation, window)


def _separate_lines(lines: list[str], recipe: Recipe, seed: int) -> tuple[Any, Any, Any]:
    """(tokenizer, batches, judge) for lines that are texts of their own; a line feed is the boundary."""
    if recipe.sizes.get("carry"):
        raise ValueError("lines: a state must not be carried from one line to another; leave out carry, or lines")
    if recipe.model == "bert":
        raise ValueError("lines: bert reads running text, not lines; leave out lines")
    lines = [line for line in lines if line]
    held_out = min(1000, len(lines) // 10)
    if not held_out:
        raise ValueError(f"lines: {len(lines)} lines are too few, a tenth of them is held out; give at least 10")
    order = np.random.default_rng(seed).permutation(len(lines))
    unseen, known = ([lines[i] for i in part] for part in (order[:held_out], order[held_out:]))
    tokenizer = _tokenizer("\n".join([*lines, ""]), "\n".join([*known, ""]), recipe)
    (boundary,) = tokenizer.encode("\n")
    test, (x, y) = (lines_of([tokenizer.encode(line) for line in part], boundary) for part in (unseen, known))
    longest = max(x.shape[1], test[0].shape[1])
    if recipe.model == "gpt" and longest > recipe.window:
        raise ValueError(f"lines: the longest has {longest} tokens with its boundary; window={longest} holds it")
    data = Lines(x, y, recipe.batch * recipe.accumulate, recipe.every, seed)
    return tokenizer, data, lambda model: model.nats_of_lines(*test)


def _tokenizer(text: str, known: str, recipe: Recipe) -> Any:
    """Every character of the text has an id; byte pairs are learnt from its known part, and fit any text."""
    if recipe.tokens == "characters":
        return CharacterTokenizer(text)
    return BPETokenizer.train(known, int(recipe.tokens))


def _optimizer(recipe: Recipe) -> AdamW:
    rate: Any = recipe.learning_rate
    if recipe.warmup or recipe.last_rate != recipe.learning_rate:
        alpha = recipe.last_rate / recipe.learning_rate
        warm = {"warmup_target": recipe.learning_rate, "warmup_steps": recipe.warmup}
        rate = CosineDecay(0.0, recipe.steps - recipe.warmup, alpha, **warm)
    others = Group(_is_vector, weight_decay=0.0)
    return AdamW(
        rate,
        beta_2=recipe.beta_2,
        epsilon=1e-8,
        weight_decay=recipe.weight_decay,
        global_clipnorm=recipe.clip,
        groups=[others],
    )


def _is_vector(w: Any) -> bool:
    return w.ndim < 2


def _check_folder(out: Path, settings: dict[str, Any], resume: bool) -> None:
    """FileExistsError where the folder holds a run that is not resumed, ValueError where that had other settings."""
    path = out / "metrics.json"
    if not path.exists():
        return
    if not resume:
        raise FileExistsError(f"'{out}' holds a run already; resume it, or choose another folder")
    try:
        before = dict(json.loads(path.read_bytes())["settings"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"'{path}' was not written by train, or is damaged; choose another folder") from None
    _check_settings(out, before, settings)


def _check_settings(out: Path, before: dict[str, Any], settings: dict[str, Any]) -> None:
    """ValueError where the run in this folder had other settings."""
    for name, value in json.loads(json.dumps(settings)).items():
        if before.get(name) != value:
            raise ValueError(f"the run in '{out}' has {name}={before.get(name)!r:.60}, not {value!r:.60}")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


def _sample(model: CausalLM, seed: int) -> str:
    """What the model writes behind a new line, which every text has."""
    text = str(model.generate("\n", SAMPLE, temperature=0.8, seed=seed)).lstrip()
    return "\n".join(f"    | {line}" for line in text.split("\n"))
