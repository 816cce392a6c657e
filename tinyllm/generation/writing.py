"""generate and stream: texts written by a model, one token after another."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.generation.explaining import Step, explained
from tinyllm.generation.sampling import Sampling, sample
from tinyllm.generation.text import Pieces, prompts_of, split_stop

__all__ = ["Generated", "Stream", "check_count", "generate", "stream"]


@dataclass(frozen=True)
class Generated:
    """What was written behind a prompt. str() gives the text.

    prompt, ids  token ids: those of the prompt, and those that came after it, without what stopped them
    text         that of ids; "" if the model has no tokenizer
    reason       "stop" or "length": why it ended
    steps        one Step a token, if an explanation was asked for
    """

    prompt: list[int]
    ids: list[int]
    text: str
    reason: str
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return self.text


def generate(
    model: Any,
    prompts: Any,
    max_tokens: int = 100,
    sampling: Sampling | None = None,
    *,
    stop: Any = (),
    seed: int = 0,
    explain: bool = False,
) -> Any:
    """Go on from a prompt, or from each of several: Generated for one prompt, a list for a list of prompts.

    model       a CausalLM: step(ids, state) gives the logits of the next token and the new state
    prompts     texts, or rows of ids; they may differ in length
    max_tokens  end after so many new tokens
    sampling    how a token is chosen; by default drawn as probable as it is
    stop        what ends a text: an id, a string, or several; it is not part of the result
    seed        row r draws from default_rng((seed, r)), so what is in the other rows changes nothing
    explain     keep what could have come at each step

    A model with a context sees the last `context` tokens of what there is. Raises ValueError for an empty prompt, for
    characters and ids outside the vocabulary, and for settings out of range.

    >>> from tinyllm.models import Bigram
    >>> model = Bigram(vocab_size=4)
    >>> generate(model, [0, 3], max_tokens=3, sampling=Sampling(greedy=True)).ids
    [0, 0, 0]
    >>> [len(row.ids) for row in generate(model, [[1], [2, 3]], max_tokens=3)]
    [3, 3]
    """
    rows, one = _rows(model, prompts, max_tokens, sampling, stop, seed, explain)
    for _ in _write(model, rows):
        pass
    found = [row.result() for row in rows]
    return found[0] if one else found


def stream(
    model: Any,
    prompt: Any,
    max_tokens: int = 100,
    sampling: Sampling | None = None,
    *,
    stop: Any = (),
    seed: int = 0,
    explain: bool = False,
) -> "Stream":
    """The text that generate(model, prompt, ...) would write, in pieces, as soon as each is certain.

    Nothing is computed before the next piece is asked for; close() ends the work. Wrong arguments are found at once.
    """
    rows, one = _rows(model, prompt, max_tokens, sampling, stop, seed, explain)
    if not one:
        raise ValueError(f"stream: one prompt at a time; found {len(rows)}: use generate for several")
    if model.tokenizer is None:
        raise ValueError(f"stream: {type(model).__name__} has no tokenizer, so there is no text; set model.tokenizer")
    return Stream(model, rows[0])


class Stream(Iterator[str]):
    """The pieces of a text that is being written, none of them empty.

    tokens() goes on token by token instead, with "" where a token made nothing certain; result() is what there is.
    """

    def __init__(self, model: Any, row: "Row"):
        self._row, self._pieces = row, _write(model, [row])

    def __next__(self) -> str:
        return next(piece for piece in self._pieces if piece)

    def tokens(self) -> Iterator[str]:
        return self._pieces

    def close(self) -> None:
        self._pieces.close()

    def result(self) -> Generated:
        return self._row.result()


class Row:
    """A text in the making."""

    def __init__(
        self, model: Any, prompt: list[int], max_tokens: int, sampling: Sampling, stop: Any, rng: Any, explain: bool
    ):
        self.prompt, self.max_tokens = prompt, max_tokens
        self.ids: list[int] = []
        self.unread = prompt if model.context is None else prompt[-model.context :]
        self.sampling, self.rng = sampling, rng
        self.stop_ids, strings = stop
        self.tokenizer = model.tokenizer
        self.pieces = None if self.tokenizer is None else Pieces(self.tokenizer, strings)
        self.text: list[str] = []
        self.reason = ""
        self.steps: list[Step] | None = [] if explain else None

    def read(self, n: int) -> list[int]:
        """The next n tokens that the model has not seen."""
        now, self.unread = self.unread[:n], self.unread[n:]
        return now

    def write(self, logits: np.ndarray) -> str:
        """Choose a token: the text that became certain by it."""
        p = self.sampling.probabilities(logits, self.seen)
        token = sample(p, self.rng)
        if self.steps is not None:
            self.steps.append(explained(self.tokenizer, logits, p, token))
        if token in self.stop_ids:
            return self.end("stop")
        self.ids.append(token)
        self.unread = [token]
        piece = "" if self.pieces is None else self.pieces.add(token)
        self.text.append(piece)
        if self.pieces is not None and self.pieces.stopped:
            return piece + self.end("stop")
        return piece + self.end("length") if len(self.ids) == self.max_tokens else piece

    @property
    def seen(self) -> list[int]:
        return self.prompt + self.ids if self.sampling.repetition_penalty != 1 else []

    def end(self, reason: str) -> str:
        self.reason = reason
        self.text.append("" if self.pieces is None else self.pieces.finish())
        return self.text[-1]

    def result(self) -> Generated:
        whole = len(self.ids) if self.pieces is None or not self.pieces.stopped else self.pieces.whole
        return Generated(self.prompt, self.ids[:whole], "".join(self.text), self.reason, tuple(self.steps or ()))


def _rows(
    model: Any, prompts: Any, max_tokens: int, sampling: Sampling | None, stop: Any, seed: int, explain: bool
) -> tuple[list[Row], bool]:
    """The rows to write, checked, and whether one prompt was given rather than a list."""
    check_count("max_tokens", max_tokens)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or more; found {seed!r}")
    sampling = Sampling() if sampling is None else sampling
    sampling.check(model.vocab_size)
    ends = split_stop(model, stop)
    found, one = prompts_of(model, prompts)
    rngs = [np.random.default_rng((seed, r)) for r in range(len(found))]
    return [Row(model, ids, max_tokens, sampling, ends, rng, explain) for ids, rng in zip(found, rngs)], one


def _write(model: Any, rows: list[Row]) -> Generator[str, None, None]:
    """Write all rows to their ends; the pieces of text as they come.

    All rows are read in step, so that any model's state will do: as many tokens at a time as every row has left to
    read. A row whose prompt is at its end goes on with what it writes, while a longer prompt is still being read.
    """
    state = None
    while rows:
        n = min(len(row.unread) for row in rows)
        logits, state = model.step(np.array([row.read(n) for row in rows]), state)
        for row, scores in zip(rows, logits):
            if not row.unread:
                yield row.write(scores)
        going = [i for i, row in enumerate(rows) if not row.reason]
        if going and len(going) < len(rows):
            state = model.select(state, np.array(going))
        rows = [rows[i] for i in going]


def check_count(name: str, value: Any) -> None:
    """ValueError unless value is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1; found {value!r}")
