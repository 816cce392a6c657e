"""A text as training data for a language model: two splits, and batches of windows, of streams or of lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["IGNORED", "Blanks", "Lines", "Split", "Streams", "Windows", "lines_of", "split"]

IGNORED = -1  # a label that counts in no loss: there is nothing to predict


@dataclass(frozen=True)
class Split:
    """The ids to learn from and those to be judged by, (time,) each."""

    train: np.ndarray
    validation: np.ndarray


def split(ids: Any, validation: float = 0.1) -> Split:
    """The last part of a text is held out. ValueError where one of the two would have fewer than two tokens.

    >>> split(range(10), 0.3).validation
    array([7, 8, 9])
    """
    ids = np.asarray(ids)
    if not 0 < validation < 1:
        raise ValueError(f"split: validation is a share between 0 and 1; found {validation}")
    cut = int(round(len(ids) * (1 - validation), 6))
    if min(cut, len(ids) - cut) < 2:
        raise ValueError(
            f"split: {len(ids)} tokens give {cut} to learn from and {len(ids) - cut} to be judged by; each needs at "
            "least 2: give a longer text, or another validation share"
        )
    return Split(ids[:cut], ids[cut:])


class _Drawn:
    """A data set for fit() of `steps` batches a pass, each drawn with random numbers that a checkpoint keeps.

    tokens  how many were handed out so far, padding not counted
    """

    def __init__(self, steps: int, seed: int):
        self.steps, self.rng, self.tokens = steps, np.random.default_rng(seed), 0

    def __len__(self) -> int:
        return self.steps

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"random": self.rng.bit_generator.state, "tokens": self.tokens}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.rng.bit_generator.state, self.tokens = state["random"], state["tokens"]


class Windows(_Drawn):
    """Batches (x, y), (size, width) each: windows of the text that begin anywhere, and the same one token later.

    >>> x, y = Windows(np.arange(100), size=2, width=4, steps=1, seed=0)[0]
    >>> bool((y == x + 1).all()), x.shape
    (True, (2, 4))
    """

    def __init__(self, ids: np.ndarray, size: int, width: int, steps: int, seed: int = 0):
        super().__init__(steps, seed)
        if len(ids) <= width:
            raise ValueError(
                f"a text of {len(ids)} tokens is shorter than one window of {width} and the token after it; give a "
                "longer text, or a smaller context"
            )
        self.ids, self.size, self.offsets = ids, size, np.arange(width)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rng.integers(0, len(self.ids) - len(self.offsets), self.size)[:, None] + self.offsets
        self.tokens += rows.size
        return self.ids[rows], self.ids[rows + 1]


class Blanks(Windows):
    """Batches (x, y) for BERT: windows with a share of the tokens hidden, and what stood there, IGNORED elsewhere.

    Of the hidden ones 80 % become the blank, 10 % another token and 10 % stay as they are (Devlin et al. 2019, section
    3.1): so the model must not trust any token blindly.
    """

    def __init__(
        self, ids: np.ndarray, size: int, width: int, steps: int, blank: int, share: float = 0.15, seed: int = 0
    ):
        super().__init__(ids, size, width, steps, seed)
        if not 0 < share < 1:
            raise ValueError(f"Blanks: share is between 0 and 1; found {share}")
        self.blank, self.share = blank, share

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        x, _ = super().__getitem__(i)
        hidden = self.rng.random(x.shape) < self.share
        hidden[:, 0] |= ~hidden.any(axis=1)  # each row has something to learn
        kind = self.rng.random(x.shape)
        others = self.rng.integers(0, self.blank, x.shape)
        shown = np.where(kind < 0.8, self.blank, np.where(kind < 0.9, others, x))
        return np.where(hidden, shown, x), np.where(hidden, x, IGNORED)


class Streams:
    """Batches (x, y), (size, width) each, that continue each other: row r reads its own part of the text, on and on.

    At the end of the text each row begins its part again. For models that carry their state from batch to batch.

    >>> streams = Streams(np.arange(21), size=2, width=3, steps=4)
    >>> [streams[i][0].tolist() for i in range(2)]
    [[[0, 1, 2], [10, 11, 12]], [[3, 4, 5], [13, 14, 15]]]
    """

    def __init__(self, ids: np.ndarray, size: int, width: int, steps: int):
        self.width, self.steps = width, steps
        length = (len(ids) - 1) // size
        self.windows = length // width
        if not self.windows:
            raise ValueError(
                f"a text of {len(ids)} tokens in {size} rows is shorter than one window of {width}; give a longer "
                "text, a smaller batch or a smaller context"
            )
        self.x, self.y = ids[: size * length].reshape(size, length), ids[1 : size * length + 1].reshape(size, length)
        self.taken = 0

    def __len__(self) -> int:
        return self.steps

    @property
    def tokens(self) -> int:
        """How many were handed out so far."""
        return self.taken * len(self.x) * self.width

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        start = self.taken % self.windows * self.width
        self.taken += 1
        return self.x[:, start : start + self.width], self.y[:, start : start + self.width]

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"taken": self.taken}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.taken = state["taken"]


def lines_of(lines: Sequence[Sequence[int]], boundary: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y): each line of ids as [boundary, *line] and what follows, [*line, boundary], padded to the longest.

    The padding is the boundary in x and IGNORED in y.

    >>> x, y = lines_of([[3, 4], [5]], boundary=0)
    >>> x.tolist(), y.tolist()
    ([[0, 3, 4], [0, 5, 0]], [[3, 4, 0], [5, 0, -1]])
    """
    if not lines:
        raise ValueError("lines_of: found no lines; give at least one")
    width = 1 + max(map(len, lines))
    x, y = np.full((len(lines), width), boundary), np.full((len(lines), width), IGNORED)
    for i, line in enumerate(lines):
        x[i, 1 : 1 + len(line)] = y[i, : len(line)] = line
        y[i, len(line)] = boundary
    return x, y


class Lines(_Drawn):
    """Batches (x, y) of lines drawn at random (with replacement, as makemore does), as lines_of() makes them."""

    def __init__(self, x: np.ndarray, y: np.ndarray, size: int, steps: int, seed: int = 0):
        super().__init__(steps, seed)
        self.x, self.y, self.size = x, y, size

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rng.integers(0, len(self.x), self.size)
        self.tokens += int((self.y[rows] != IGNORED).sum())
        return self.x[rows], self.y[rows]
