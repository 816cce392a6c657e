"""Tokenizers for language models: characters, or byte pairs (bpe.py). Each has vocab_size, encode, decode and to_json.

(Keras's Tokenizer, by words, is in text.py.)
"""

import codecs
import json
import os
from collections.abc import Iterable
from typing import Any

from tinyllm.names import lookup
from tinyllm.preprocessing.bpe import BPETokenizer, whole_numbers

__all__ = ["BPETokenizer", "CharacterTokenizer", "StreamDecoder", "load", "save", "tokenizer_from_json"]


class CharacterTokenizer:
    """One id for each different character of a text, in the order of their code points.

    >>> tokenizer = CharacterTokenizer("hello")
    >>> tokenizer.encode("hole"), tokenizer.decode([1, 0])
    ([1, 3, 2, 0], 'he')
    >>> tokenizer.encode("help")
    Traceback (most recent call last):
    ValueError: encode: the vocabulary has no 'p'; it knows 4 characters: 'ehlo'
    """

    def __init__(self, text: str):
        if not isinstance(text, str) or not text:
            raise ValueError(f"CharacterTokenizer: needs a text with at least one character; found {text!r:.40}")
        self.characters = "".join(sorted(set(text)))
        self._ids = {character: i for i, character in enumerate(self.characters)}

    @property
    def vocab_size(self) -> int:
        """How many characters there are."""
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """The ids of a text. ValueError for a character that the vocabulary lacks."""
        if not isinstance(text, str):
            raise TypeError(f"encode: reads a str; found {type(text).__name__} {text!r:.40}")
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            some = self.characters if len(self.characters) <= 80 else self.characters[:80] + "..."
            what = f"the vocabulary has no {error.args[0]!r}"
            raise ValueError(f"encode: {what}; it knows {self.vocab_size} characters: {some!r}") from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text behind ids. ValueError for an id outside the vocabulary."""
        ids = whole_numbers(ids)
        wrong = next((i for i in ids if not 0 <= i < self.vocab_size), None)
        if wrong is not None:
            raise ValueError(f"decode: there is no token {wrong}; ids are in 0..{self.vocab_size - 1}")
        return "".join(self.characters[i] for i in ids)

    def to_json(self) -> dict[str, Any]:
        """What makes an equal one."""
        return {"kind": "characters", "characters": self.characters}

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, CharacterTokenizer) and self.characters == other.characters

    __hash__ = object.__hash__


class StreamDecoder:
    """Ids to text as they come, never half a character: what is not whole yet waits for the next id.

    >>> decoder = StreamDecoder(BPETokenizer())
    >>> [decoder.feed(byte) for byte in "a\u00e9".encode()], decoder.end()
    (['a', '', '\xe9'], '')
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.bytes = codecs.getincrementaldecoder("utf-8")("replace") if hasattr(tokenizer, "decode_bytes") else None

    def feed(self, token: int) -> str:
        """The text that is whole with this token."""
        if self.bytes is None:
            return self.tokenizer.decode([token])
        return self.bytes.decode(self.tokenizer.decode_bytes([token]))

    @property
    def begun(self) -> bool:
        """Whether a character has begun that is not whole yet."""
        return self.bytes is not None and bool(self.bytes.getstate()[0])

    def end(self) -> str:
        """What is left at the end: U+FFFD where a character stayed half."""
        return "" if self.bytes is None else self.bytes.decode(b"", True)


def tokenizer_from_json(described: Any) -> Any:
    """The tokenizer that to_json() described. ValueError, in one line, for what describes none."""
    if not isinstance(described, dict):
        raise ValueError(f"tokenizer: expected a JSON object with its kind; found {described!r:.60}")
    make = lookup("kind of tokenizer", described.get("kind"), {"characters": _characters, "bpe": BPETokenizer})
    try:
        return make(**{name: value for name, value in described.items() if name != "kind"})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"tokenizer: the description of a {described['kind']} tokenizer is damaged: {error}") from None


def _characters(characters: str) -> CharacterTokenizer:
    made = CharacterTokenizer(characters)
    if made.characters != characters:
        raise ValueError("tokenizer: its characters are not in order, or one occurs twice")
    return made


def save(tokenizer: Any, path: Any) -> None:
    """Write a tokenizer to a JSON file."""
    with open(path, "w", encoding="ascii") as file:
        json.dump(tokenizer.to_json(), file)


def load(path: Any) -> Any:
    """The tokenizer in a JSON file. ValueError, in one line, for a file that holds none."""
    with open(path, encoding="utf-8") as file:
        try:
            described = json.load(file)
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{os.path.basename(os.fsdecode(path))}: no JSON: {error}") from None
    return tokenizer_from_json(described)
