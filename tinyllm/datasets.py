"""Texts to learn from: a built-in corpus, a reader for your own file, a fair split, and a look at what is inside.

A corpus is a list of strings, one document each. Everything here hands out such a list or takes one.
"""

import codecs
import errno
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import numpy as np

__all__ = ["Report", "load_text", "report", "seasons", "split"]

T = TypeVar("T")

# The longer marks come first: UTF-32's begins with UTF-16's.
OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
NOT_A_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL}  # EINVAL: Windows, an odd name


def seasons() -> list[str]:
    """The built-in corpus: 300 short sentences in English and Chinese, written for tinyllm.

    >>> len(seasons())
    300
    >>> seasons()[0], seasons()[5]
    ('In spring the river is green.', '春天的河水是绿色的。')
    """
    return _lines((files("tinyllm") / "data" / "seasons.txt").read_bytes(), "seasons.txt")


def load_text(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a UTF-8 text file, without their line ends (LF, CRLF or CR).

    Nothing else is changed or dropped, however long or blank a line is: report() tells what is there.

    >>> from importlib.resources import files
    >>> load_text(files("tinyllm") / "data" / "seasons.txt") == seasons()
    True
    """
    path = Path(path)
    asked = _shown(path)
    if os.path.isdir(path):  # Windows would call it a matter of permission
        raise IsADirectoryError(f"load_text: {asked} is a directory; give the path of one text file inside it")
    try:
        data = path.read_bytes()
    except OSError as error:
        if error.errno not in NOT_A_FILE:
            raise
        raise FileNotFoundError(
            f"load_text: no file {asked} (looked from {os.getcwd()}); "
            "check the name and the folder, or begin with tinyllm.datasets.seasons()"
        ) from None
    return _lines(data, asked)


def split(items: Iterable[T], fraction: float = 0.1, seed: int | np.random.Generator = 0) -> tuple[list[T], list[T]]:
    """Shuffle, then part into (train, held_out); held_out gets `fraction` of the items.

    With two items or more neither part is empty; a single item goes to train. Remove duplicates first: an item in
    both parts makes the held-out loss look better than it is.

    >>> train, held_out = split(range(10), fraction=0.2)
    >>> len(train), len(held_out), sorted(train + held_out) == list(range(10))
    (8, 2, True)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"split: fraction={fraction} must lie between 0 and 1, both excluded; 0.1 holds out a tenth")
    items = _listed("split", items)
    held = min(max(1, round(fraction * len(items))), max(0, len(items) - 1))
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[i] for i in order[held:]], [items[i] for i in order[:held]]


@dataclass(frozen=True)
class Report:
    """What report() counted; print it for a table."""

    documents: int  # all of them
    empty: int  # of these, nothing but whitespace; left out of every number below
    duplicates: int  # documents equal to an earlier one
    characters: int
    vocabulary: int  # distinct characters
    longest: int  # in characters
    shortest: int

    def __str__(self) -> str:
        return "\n".join(f"{name:<10} {count:>12,}" for name, count in asdict(self).items())


def report(texts: Iterable[str]) -> Report:
    """Count what a corpus holds, before training on it.

    >>> print(report(["tea", "tea", "green tea", ""]))
    documents             4
    empty                 1
    duplicates            1
    characters           15
    vocabulary            7
    longest               9
    shortest              3
    """
    documents = _listed("report", texts)
    for i, text in enumerate(documents):
        if not isinstance(text, str):
            raise TypeError(f"report: document {i} is {type(text).__name__}, not str; give a list of strings")
    filled = [text for text in documents if text.strip()]
    lengths = [len(text) for text in filled]
    return Report(
        documents=len(documents),
        empty=len(documents) - len(filled),
        duplicates=len(filled) - len(set(filled)),
        characters=sum(lengths),
        vocabulary=len(set("".join(filled))),
        longest=max(lengths, default=0),
        shortest=min(lengths, default=0),
    )


def _lines(data: bytes, name: str) -> list[str]:
    """Bytes of a UTF-8 file to lines, or a ValueError that says what the bytes are instead."""
    for mark, encoding in OTHER_ENCODINGS.items():
        if data.startswith(mark):
            raise ValueError(f"{name} is {encoding} (it starts with {mark.hex(' ').upper()}); re-save it as UTF-8")
    if (nul := data.find(b"\0")) >= 0:
        raise ValueError(
            f"{name} has a NUL byte at offset {nul}: it is a binary file, or UTF-16 without a mark; "
            "give a text file saved as UTF-8"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(_cut(data[: error.start].decode("utf-8")))
        raise ValueError(
            f"{name} is not UTF-8: byte 0x{data[error.start]:02X} at offset {error.start} (line {line}) does not fit; "
            "older files are often GBK or Windows-1252: open it in an editor and re-save it as UTF-8"
        ) from None
    if not (text := text.removeprefix("\ufeff")).strip():
        found = f"{len(data)} bytes, all of them blank" if data else "0 bytes"
        raise ValueError(f"{name} holds no text ({found}); put one sentence on each line")
    lines = _cut(text)
    return lines if lines[-1] else lines[:-1]  # a last line end closes its line, it does not open another


def _cut(text: str) -> list[str]:
    """Cut at LF, CRLF and CR only: str.splitlines would also cut at a form feed or U+2028."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _listed(asker: str, items: Iterable[T]) -> list[T]:
    if isinstance(items, str):
        raise TypeError(f"{asker}: got one string, wanted a list of them; for its lines give text.splitlines()")
    return list(items)


def _shown(path: Path) -> str:
    """The path in quotes, on one line and short: someone will pass the text itself."""
    name = str(path)
    return repr(name if len(name) <= 120 else f"{name[:60]}...{name[-20:]}")
