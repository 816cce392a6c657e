"""Between text and ids: prompts, what ends a text, and text that comes piece by piece.

A tokenizer has encode(text) -> ids and decode(ids) -> text. If its tokens are bytes, of which several may make up one
character, it has decode_bytes(ids) -> bytes, too; otherwise each id is a text of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyllm.preprocessing.tokenizers import StreamDecoder

__all__ = ["Pieces", "check_ids", "encode", "prompts_of", "split_stop", "text_of"]


def encode(model: Any, text: str) -> list[int]:
    """The ids of a text. ValueError if the model has no tokenizer, or its vocabulary lacks a character, naming it."""
    if not isinstance(text, str):
        raise TypeError(f"encode: expected a str; found {type(text).__name__} {text!r:.40}")
    tokenizer = tokenizer_of(model)
    try:
        return [int(i) for i in tokenizer.encode(text)]
    except (KeyError, ValueError):
        missing = [c for c in dict.fromkeys(text) if not _knows(tokenizer, c)]
        if not missing:
            raise
        shown = ", ".join(map(ascii, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise ValueError(f"the model's vocabulary lacks {shown}: leave out or replace what it never saw") from None


def _knows(tokenizer: Any, character: str) -> bool:
    try:
        return len(tokenizer.encode(character)) > 0
    except (KeyError, ValueError):
        return False


def tokenizer_of(model: Any) -> Any:
    """The model's tokenizer. ValueError if there is none."""
    if model.tokenizer is None:
        raise ValueError(f"{type(model).__name__} has no tokenizer: give ids instead of text, or set model.tokenizer")
    return model.tokenizer


def text_of(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of ids; of bytes that are no UTF-8, the replacement character."""
    if hasattr(tokenizer, "decode_bytes"):
        return tokenizer.decode_bytes(list(ids)).decode("utf-8", errors="replace")
    return tokenizer.decode(list(ids))


def prompts_of(model: Any, prompts: Any) -> tuple[list[list[int]], bool]:
    """The ids of each prompt, and whether there was only one: a str or a row of ids, not a list of those."""
    one = isinstance(prompts, str) or (
        np.ndim(prompts[0]) == 0 and not isinstance(prompts[0], str) if len(prompts) else True
    )
    rows = [prompts] if one else list(prompts)
    found = [encode(model, row) if isinstance(row, str) else check_ids(model, row, "a prompt") for row in rows]
    for i, ids in enumerate(found):
        if not ids:
            which = "the prompt is empty" if one else f"prompt {i} is empty"
            raise ValueError(f"{which}, and the model needs a token to go on from; begin with {_beginning(model)}")
    return found, one


def _beginning(model: Any) -> str:
    """What an empty prompt could be instead: a new line, as if a text began, or any token."""
    if model.tokenizer is None:
        return "an id, such as [0]"
    if _knows(model.tokenizer, "\n"):
        return "a new line, '\\n'"
    return f"a token, such as {text_of(model.tokenizer, [0])!a}"


def check_ids(model: Any, ids: Any, what: str) -> list[int]:
    """ids as a list. TypeError unless they are whole numbers, ValueError for one that the model does not know."""
    row = np.asarray(ids)
    if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
        raise TypeError(f"{what} is a str or a row of whole numbers (time,); found {row.dtype} {row.shape}")
    wrong = row[(row < 0) | (row >= model.vocab_size)] if row.size else row
    if len(wrong):
        raise ValueError(f"{what} has the id {wrong[0]}; the model's ids are 0..{model.vocab_size - 1}")
    return [int(i) for i in row]


def split_stop(model: Any, stop: Any) -> tuple[frozenset[int], tuple[str, ...]]:
    """The ids and the strings of stop: one of them, or several."""
    every = [stop] if isinstance(stop, str | int | np.integer) else list(stop)
    strings = tuple(each for each in every if isinstance(each, str))
    if "" in strings:
        raise ValueError("stop: '' is everywhere, so nothing could be written; leave it out to stop at max_tokens only")
    if strings:
        tokenizer_of(model)
    ids = [each for each in every if not isinstance(each, str)]
    return frozenset(check_ids(model, ids, "stop")), strings


class Pieces:
    """The text of ids that come one by one: never half a character, and nothing of a stop string or behind it.

    What may still become a character or a stop string is held back. Of several stop strings the one that is complete
    first counts, however the text was cut into tokens.

    >>> class Letters:
    ...     def decode(self, ids):
    ...         return "".join(chr(i) for i in ids)
    >>> pieces = Pieces(Letters(), ["END"])
    >>> [pieces.add(ord(letter)) for letter in "EEND."[:4]], pieces.stopped
    (['', 'E', '', ''], True)
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()):
        self.stop = stop
        self._decoder = StreamDecoder(tokenizer)
        self._held = ""  # decoded, but perhaps the beginning of a stop string
        self._given = 0  # characters given out
        self._ends: list[int] = []  # how many characters the ids so far have begun
        self.stopped = False

    def add(self, token: int) -> str:
        """What became certain with this id."""
        new = self._decoder.feed(token)
        self._ends.append(self._given + len(self._held) + len(new) + self._decoder.begun)
        return self._give(new, hold=True)

    def finish(self) -> str:
        """What was held back, now that no more comes."""
        if self.stopped:
            return ""
        return self._give(self._decoder.end(), hold=False)

    @property
    def whole(self) -> int:
        """How many of the ids, from the first, were given out entirely."""
        return sum(end <= self._given for end in self._ends)

    def _give(self, new: str, hold: bool) -> str:
        text = self._held + new
        found = [(text.find(stop) + len(stop), text.find(stop)) for stop in self.stop if stop in text]
        if found:
            self.stopped, end = True, min(found)[1]
        else:
            end = len(text) - (max((_overlap(text, stop) for stop in self.stop), default=0) if hold else 0)
            self._held = text[end:]
        self._given += end
        return text[:end]


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of text are the beginning of stop."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
