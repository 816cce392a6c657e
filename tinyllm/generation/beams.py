"""Beam search: not the most probable next token, but the most probable text."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.generation.sampling import finite
from tinyllm.generation.text import Pieces, prompts_of, split_stop
from tinyllm.generation.writing import check_count
from tinyllm.ops import log_softmax

__all__ = ["Beam", "beam_search"]


@dataclass(frozen=True)
class Beam:
    """A text that beam search found.

    ids              the new tokens, without what stopped them
    text             what they say; "" if the model has no tokenizer
    log_probability  of all that was chosen, the stop included
    score            what the beams are ranked by
    ended            whether a stop ended it, not max_tokens
    """

    ids: list[int]
    text: str
    log_probability: float
    score: float
    ended: bool = False


def beam_search(
    model: Any, prompt: Any, max_tokens: int = 100, beams: int = 4, length_penalty: float = 0.0, *, stop: Any = ()
) -> list[Beam]:
    """The most probable continuations of a prompt, the best first (Lowerre 1976; Sutskever et al. 2014).

    At each step every unfinished text is continued by every token, and the `beams` best of all, finished ones
    included, are kept: 1 is greedy choice, and enough of them search everything.

    length_penalty  the score is log_probability / length ** length_penalty: at 0 short texts have it easier, at 1 it
                    is the mean per token; the length counts what stopped the text
    stop            as for generate

    Raises ValueError as generate does, and for beams below 1.

    >>> from tinyllm.models import Bigram
    >>> [beam.ids for beam in beam_search(Bigram(vocab_size=3), [0], max_tokens=2, beams=2)]
    [[0, 0], [0, 1]]
    """
    check_count("max_tokens", max_tokens)
    check_count("beams", beams)
    if not np.isfinite(length_penalty):
        raise ValueError(f"length_penalty must be a finite number; found {length_penalty!r}")
    stop_ids, strings = split_stop(model, stop)
    found, one = prompts_of(model, prompt)
    if not one:
        raise ValueError(f"beam_search: one prompt at a time; found {len(found)}")

    logits, state = model.step(np.array(found), None)
    live, finished = [Beam([], "", 0.0, 0.0)], list[Beam]()
    for length in range(1, max_tokens + 1):
        so_far = np.array([beam.log_probability for beam in live])
        totals = so_far[:, None] + log_softmax(finite(logits))
        candidates = [(beam.score, beam, -1) for beam in finished]
        for flat in np.argsort(-totals, axis=None, kind="stable")[:beams]:
            row, token = divmod(int(flat), totals.shape[1])
            total = float(totals[row, token])
            if total > -np.inf:
                beam = _longer(model, live[row], token, total, total / length**length_penalty, stop_ids, strings)
                candidates.append((beam.score, beam, row))
        best = sorted(candidates, key=lambda each: -each[0])[:beams]  # a stable sort: of equals the earlier one
        finished = [beam for _, beam, _ in best if beam.ended]
        rows = [row for _, beam, row in best if not beam.ended]
        live = [beam for _, beam, _ in best if not beam.ended]
        if not live or length == max_tokens:
            break
        state = model.select(state, np.array(rows))
        logits, state = model.step(np.array([[beam.ids[-1]] for beam in live]), state)
    return [beam for _, beam, _ in best]


def _longer(
    model: Any, beam: Beam, token: int, total: float, score: float, stop_ids: frozenset, strings: tuple[str, ...]
) -> Beam:
    """The beam with one more token, cut where a stop begins."""
    if token in stop_ids:
        return Beam(beam.ids, beam.text, total, score, ended=True)
    ids = [*beam.ids, token]
    if model.tokenizer is None:
        return Beam(ids, "", total, score)
    pieces = Pieces(model.tokenizer, strings)
    text = "".join(map(pieces.add, ids)) + pieces.finish()
    return Beam(ids[: pieces.whole] if pieces.stopped else ids, text, total, score, pieces.stopped)
