"""Why this token: what the model thought possible, and what the settings made of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.ops import softmax

__all__ = ["Candidate", "Step", "explained", "shown"]

CANDIDATES = 10  # the most probable tokens that a step lists


@dataclass(frozen=True)
class Candidate:
    """A token that could come: its probability before (the model's) and after (with the sampling settings)."""

    id: int
    text: str
    before: float
    after: float


@dataclass(frozen=True)
class Step:
    """One token's choice: the candidates, most probable first, and the id of the one that was chosen.

    >>> print(Step((Candidate(4, "'e'", 0.75, 1.0), Candidate(0, "' '", 0.25, 0.0)), chosen=4))
          id  token   before   after
    >      4  'e'      0.750   1.000
           0  ' '      0.250   0.000
    """

    candidates: tuple[Candidate, ...]
    chosen: int

    def __str__(self) -> str:
        width = max(5, *(len(each.text) for each in self.candidates))
        lines = [f"{'id':>8}  {'token':<{width}}  {'before':>7} {'after':>7}"]
        for c in self.candidates:
            mark = ">" if c.id == self.chosen else " "
            lines.append(f"{mark} {c.id:>6}  {c.text:<{width}}  {c.before:>7.3f} {c.after:>7.3f}")
        return "\n".join(lines)


def explained(tokenizer: Any, logits: np.ndarray, after: np.ndarray, chosen: int) -> Step:
    """The step at which `chosen` was drawn from `after`: the most probable tokens, and the chosen one."""
    before = softmax(np.asarray(logits, float))
    listed = list(np.argsort(-before, kind="stable")[:CANDIDATES])
    listed += [chosen] if chosen not in listed else []
    return Step(
        tuple(Candidate(int(i), shown(tokenizer, int(i)), float(before[i]), float(after[i])) for i in listed), chosen
    )


def shown(tokenizer: Any, token: int) -> str:
    """A token in quotes, in ASCII; a part of a character as its bytes; nothing without a tokenizer."""
    if tokenizer is None:
        return ""
    if hasattr(tokenizer, "decode_bytes"):
        data = tokenizer.decode_bytes([token])
        try:
            return ascii(data.decode("utf-8"))
        except UnicodeDecodeError:
            return repr(data)
    return ascii(tokenizer.decode([token]))
