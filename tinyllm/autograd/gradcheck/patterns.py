"""What the table of mistakes is written with: relations between arrays, and words for them."""

import itertools
from collections.abc import Iterator

import numpy as np

from tinyllm.autograd.gradcheck.evidence import Evidence
from tinyllm.autograd.graph import unbroadcast

__all__ = [
    "another_upstream",
    "axes_text",
    "counts",
    "extra_axes",
    "factor_between",
    "gates_exchanged",
    "number",
    "rearranged",
    "relation",
    "sharing",
    "summed",
]


def another_upstream(e: Evidence) -> list[np.ndarray]:
    return [np.cos(1.0 + np.arange(u.size)).reshape(u.shape) for u in e.upstream]


def factor_between(e: Evidence, some: np.ndarray, other: np.ndarray) -> float | None:
    """k, if some = k * other (k is not 1, and other is not 0)."""
    if some.shape != other.shape:
        return None
    some, other = (v[e.known] if v.shape == e.known.shape else v.ravel() for v in (some, other))
    size = float(np.max(np.abs(other), initial=0.0))
    if not size:
        return None
    k = float((some / size) @ (other / size)) / float((other / size) @ (other / size))
    fits = np.abs(some - k * other) <= max(e.tolerance, 1e-7 * abs(k) * size)
    return k if fits.all() and 1e-9 < abs(k) < 1e9 else None  # beyond: rounding errors beside a zero


def relation(a: np.ndarray, n: np.ndarray) -> str:
    """How the wrong elements relate to the right ones, if simply."""
    if not a.any():
        return ", zero there"
    size = float(n @ n)
    k = float(a @ n) / size if size else 0.0
    if k == 0 or np.max(np.abs(a - k * n)) > 1e-5 * np.max(np.abs(a)):
        return ""
    return ", of the wrong sign there" if abs(k + 1) < 1e-6 else f", {number(k)} times what it should be there"


def sharing(e: Evidence) -> tuple[bool, bool]:
    """Whether each element of x serves several outputs, and whether each output is made of several elements."""
    outputs = max(sum(y.size for y in e.values), 1)
    if e.jacobian is None:
        return outputs > e.x.size, outputs < max(np.size(v) for v in e.inputs.values())
    used = e.jacobian != 0
    alone = outputs == 1 and any(np.size(v) > 1 for v in e.inputs.values())  # a loss: the batch is in another input
    return bool((used.sum(axis=0) != 1).all()) or alone, bool((used.sum(axis=1) > 1).any()) or alone


def number(k: float) -> str:
    """1.5, or 1 + 1e-05 where only that tells."""
    return f"1 {'+' if k > 1 else '-'} {abs(k - 1):.3g}" if 0 < abs(k - 1) < 1e-3 else f"{k:.6g}"


def summed(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """a summed to `shape` as broadcasting would have widened it, if it would."""
    try:
        fits = np.broadcast_shapes(a.shape, shape) == a.shape
    except ValueError:
        return None
    return unbroadcast(a, shape) if fits else None


def extra_axes(wide: tuple[int, ...], narrow: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which `narrow` was broadcast to `wide`; () if it was not."""
    try:
        if np.broadcast_shapes(wide, narrow) != wide:
            return ()
    except ValueError:
        return ()
    lead = len(wide) - len(narrow)
    return tuple(i for i, n in enumerate(wide) if i < lead or (narrow[i - lead] == 1 and n > 1))


def axes_text(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"


def counts(e: Evidence) -> Iterator[tuple[int, str]]:
    """The whole numbers a mean may have divided by, with a name for each; the most telling first."""
    seen: set[int] = set()
    outputs = max(sum(y.size for y in e.values), 1)
    arrays = {"the argument": e.x, **{k: v for k, v in e.inputs.items() if isinstance(v, np.ndarray)}}
    for name, v in arrays.items():
        named = [(v.size, f"the number of elements of {name}"), (v.size // outputs, f"what is averaged of {name}")]
        named += [(n, f"the length of axis {i} of {name}") for i, n in enumerate(v.shape)]
        pairs = itertools.combinations(range(v.ndim), 2)
        named += [(v.shape[i] * v.shape[j], f"the size of axes {i} and {j} of {name}") for i, j in pairs]
        for count, where in named:
            if count > 1 and count not in seen:
                seen.add(count)
                yield int(count), where


def gates_exchanged(n: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The 4 (LSTM) or 3 (GRU) blocks of the last axis, or of the first, in another order."""
    for axis in dict.fromkeys((n.ndim - 1, 0)):
        for parts in (4, 3):
            if n.shape[axis] % parts == 0 and n.shape[axis] >= 2 * parts:
                blocks = np.split(n, parts, axis)
                for order in itertools.permutations(range(parts)):
                    yield ", ".join(str(i + 1) for i in order), np.concatenate([blocks[i] for i in order], axis)


def rearranged(n: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The same numbers in other places of the same shape."""
    for axes in itertools.permutations(range(n.ndim)) if 2 <= n.ndim <= 4 else ():
        if axes != tuple(range(n.ndim)) and np.transpose(n, axes).shape == n.shape:
            yield f"transposed: its axes are in the order {axes}" if n.ndim > 2 else "transposed", np.transpose(n, axes)
    for axis, length in enumerate(n.shape):
        yield f"reversed along axis {axis}", np.flip(n, axis)
        for shift in range(1, min(length, 33)):
            yield f"shifted by {shift} along axis {axis}", np.roll(n, shift, axis)
    yield "reversed along every axis", np.flip(n)
    if n.ndim > 1:
        yield "read column by column (reshape in another order)", n.ravel(order="F").reshape(n.shape)
        yield "read column by column (reshape in another order)", n.ravel().reshape(n.shape, order="F")
