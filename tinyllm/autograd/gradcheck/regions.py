"""Where a gradient is wrong in a part only: which part that is, in words."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyllm.autograd.gradcheck.evidence import Evidence

__all__ = ["describe", "describe_run"]

GATES = {4: ("i", "f", "g", "o"), 3: ("z", "r", "h")}  # Keras's order in an LSTM and in a GRU


def describe(e: Evidence) -> str | None:
    """The part that is wrong; None if everything is, or if the part has no name."""
    wrong = e.wrong
    telling = e.known & ((e.n != 0) | (e.a != 0))  # a zero that is zero says nothing about its place
    if not wrong.any() or not (telling & ~wrong).any():
        return None
    return (
        _repeated_indices(e)
        or _one_element(e)
        or _labels(e)
        or _one_side(e, telling)
        or _one_index(wrong, telling)
        or _gate_blocks(wrong, telling)
        or _all_but_one_index(wrong, telling)
        or _corner(wrong, telling)
    )


def _repeated_indices(e: Evidence) -> str | None:
    """Rows that are looked up more than once, where only one of their gradients was kept."""
    rows = e.wrong.reshape(len(e.wrong), -1).any(axis=1) if e.wrong.ndim else e.wrong[None]
    used = None
    for name, ids in _integers(e).items():
        if ids.size and ids.ndim and e.x.ndim and -len(e.x) <= ids.min() and ids.max() < len(e.x):
            used = np.bincount(np.ravel(ids) % len(e.x), minlength=len(e.x))
            if (used[rows] > 1).all() and (used > 1).any():
                return f"only repeated indices wrong: rows of {name} that occur more than once (gradients must add up)"
    if used is None and e.jacobian is not None and e.x.ndim:  # the indices may be inside f
        times = (e.jacobian != 0).sum(axis=0).reshape(e.x.shape)
        once = int(times[times > 0].min()) if times.any() else 0
        lookup = (e.jacobian != 0).sum(axis=1).max() == 1 or (e.x.ndim > 1 and (np.ptp(times, axis=-1) == 0).all())
        if lookup and (times[e.wrong] > once).all() and (times[~e.wrong] <= once).all():
            return "only repeated indices wrong: elements that f uses more than once (their gradients must add up)"
    return None


def _one_element(e: Evidence) -> str | None:
    if e.wrong.sum() != 1:
        return None
    index = [int(i[0]) for i in np.nonzero(e.wrong)]
    return f"one element wrong, at {index}"


def _labels(e: Evidence) -> str | None:
    """The element of each row that an integer argument points at, as a cross-entropy's label does."""
    for name, labels in _integers(e).items():
        if (
            e.x.ndim
            and labels.shape == e.x.shape[:-1]
            and labels.size
            and 0 <= labels.min() <= labels.max() < e.x.shape[-1]
        ):
            at = np.arange(e.x.shape[-1]) == labels[..., None]
            if not (e.wrong & ~at).any():
                return f"only the elements that {name} points at are wrong (the label's share, - 1, forgotten?)"
            if not (e.wrong & at).any() and (e.wrong | at).all():
                return f"all but the elements that {name} points at are wrong"
    return None


def _one_side(e: Evidence, telling: np.ndarray) -> str | None:
    for side, where in (("negative", e.x < 0), ("positive", e.x > 0)):
        if where.sum() > 1 and not (e.wrong & ~where).any() and (e.wrong | ~telling)[where].all():
            return f"wrong only where the argument is {side}: the local derivative of that branch"
    return None


def _gate_blocks(wrong: np.ndarray, telling: np.ndarray) -> str | None:
    """One or more of the 4 (LSTM) or 3 (GRU) equal blocks of the last axis, or of the first (PyTorch's order)."""
    for axis in dict.fromkeys((wrong.ndim - 1, 0)):
        length = wrong.shape[axis]
        across = tuple(i for i in range(wrong.ndim) if i != axis)
        lines, tell = wrong.any(axis=across), telling.any(axis=across)
        for parts in (4, 3):
            width = length // parts
            if length % parts or width < 2:
                continue
            blocks, seen = lines.reshape(parts, width), tell.reshape(parts, width)
            hit = blocks.any(axis=1)
            if hit.all() or (blocks | ~seen)[hit].mean() < 0.6:
                continue
            names = ", ".join(f"{i + 1} of {parts} ({GATES[parts][i]})" for i in np.flatnonzero(hit))
            word = "columns" if axis else "rows" if wrong.ndim > 1 else "elements"
            first, last = int(np.flatnonzero(hit)[0]) * width, int(np.flatnonzero(hit)[-1] + 1) * width - 1
            kind = "an LSTM's i, f, g, o" if parts == 4 else "a GRU's z, r, h"
            s = "s" * (int(hit.sum()) > 1)
            return f"gate block{s} {names} wrong: {word} {first} to {last}, if these are {kind}"
    return None


def _lines(wrong: np.ndarray, telling: np.ndarray) -> Iterator[tuple[int, str, str, np.ndarray, np.ndarray]]:
    """For each axis: what its indices are called, which of them have something wrong, and which something to tell."""
    for axis in range(wrong.ndim):
        across = tuple(i for i in range(wrong.ndim) if i != axis)
        word = "row" if axis == 0 and wrong.ndim > 1 else "column" if axis == wrong.ndim - 1 and axis else "index"
        where = f" of axis {axis}" if word == "index" or wrong.ndim > 2 else ""
        yield axis, word, where, np.asarray(wrong.any(axis=across)), np.asarray(telling.any(axis=across))


def _one_index(wrong: np.ndarray, telling: np.ndarray) -> str | None:
    for _, word, where, lines, tell in _lines(wrong, telling):
        if lines.sum() == 1 < tell.sum():
            return f"one {word} wrong: {word} {np.flatnonzero(lines)[0]}{where}"
    return None


def _all_but_one_index(wrong: np.ndarray, telling: np.ndarray) -> str | None:
    for axis, word, where, lines, tell in _lines(wrong, telling):
        spared = np.flatnonzero(tell & ~lines)
        if len(spared) == 1 and (wrong | ~telling).compress(lines, axis).all():
            return f"all wrong but one {word}: {word} {spared[0]}{where}"
    return None


def describe_run(wrong: np.ndarray, telling: np.ndarray) -> str | None:
    """Several neighbours along one axis."""
    for axis, _, _, lines, tell in _lines(wrong, telling):
        hit = np.flatnonzero(lines)
        if len(hit) and (tell & ~lines).sum() > 1 < len(hit) == hit[-1] - hit[0] + 1:
            return f"wrong from {hit[0]} to {hit[-1]} along axis {axis}"
    return None


def _corner(wrong: np.ndarray, telling: np.ndarray) -> str | None:
    """The part above or below the diagonal of the last two axes, or the diagonal itself."""
    if wrong.ndim < 2:
        return None
    rows, columns = wrong.shape[-2:]
    above = np.arange(columns) > np.arange(rows)[:, None]
    for name, part in (("above", above), ("below", np.arange(columns) < np.arange(rows)[:, None])):
        if not (wrong & ~part).any() and (wrong | ~telling)[..., part].mean() > 0.6:
            return f"wrong only {name} the diagonal"
    diagonal = np.arange(columns) == np.arange(rows)[:, None]
    return "wrong only on the diagonal" if not (wrong & ~diagonal).any() else None


def _integers(e: Evidence) -> dict[str, Any]:
    found = {name: np.asarray(v) for name, v in e.inputs.items() if isinstance(v, np.ndarray | list | tuple)}
    return {name: v for name, v in found.items() if v.dtype.kind in "iu"}
