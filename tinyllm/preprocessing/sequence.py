"""Sequences of different lengths to one rectangular array."""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

__all__ = ["pad_sequences"]


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Stack `sequences` into an array (sequences, maxlen, ...): short ones are padded with `value`, long ones cut.

    `padding` and `truncating` say at which end, "pre" (the default, as in Keras) or "post"; `maxlen` is the longest
    length unless given. The items of a sequence may be arrays, all of one shape, which becomes the trailing shape.
    Fractions are cut for an integer dtype, as NumPy does. What would change silently raises instead: OverflowError
    for an id too large for `dtype`, ValueError for NaN in an integer dtype or a string cut short by a fixed-width
    dtype (use dtype=object). Anything that is not a list of sequences raises ValueError.

    >>> pad_sequences([[1, 2, 3], [4]])
    array([[1, 2, 3],
           [0, 0, 4]], dtype=int32)
    >>> pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post", truncating="post")
    array([[1, 2],
           [4, 0]], dtype=int32)
    """
    check_padding("pad_sequences", maxlen, padding, truncating)
    lengths = _lengths(sequences)
    sequences = list(sequences)  # a pandas Series would be indexed by label
    if maxlen is None:
        if not lengths:
            raise ValueError("pad_sequences: no sequences to take the longest of; give maxlen")
        maxlen = max(lengths)
    if maxlen == 0 and truncating == "pre" and any(lengths):  # as in Keras, where the last 0 items are all of them
        raise ValueError("pad_sequences: maxlen is 0, which leaves no room for any item; give at least 1, or None")
    if isinstance(value, str) and dtype is not object and np.dtype(dtype).kind not in "SU":
        raise ValueError(f"pad_sequences: dtype {dtype!r} cannot hold value {value!r}; for strings use dtype=object")

    first = next((i for i, length in enumerate(lengths) if length), None)
    item_shape = () if first is None else _array(sequences[first], None, f"sequences[{first}]").shape[1:]
    padded = np.empty((len(lengths), maxlen, *item_shape), dtype)
    padded[...] = _array(value, padded.dtype, "value")
    for i, length in enumerate(lengths):
        if not length:
            continue
        kept = sequences[i][-maxlen:] if truncating == "pre" else sequences[i][:maxlen]
        items = _array(kept, padded.dtype, f"sequences[{i}]")
        if items.shape[1:] != item_shape:
            found = f"sequences[{i}] has items of shape {items.shape[1:]}, sequences[{first}] of shape {item_shape}"
            raise ValueError(f"pad_sequences: {found}; they must be equal")
        if padding == "post":
            padded[i, : len(items)] = items
        else:
            padded[i, maxlen - len(items) :] = items
    return padded


def check_padding(caller: str, maxlen: int | None, padding: str, truncating: str) -> None:
    """Raise for a negative `maxlen` and for a `padding` or `truncating` other than "pre" and "post"."""
    if maxlen is not None and index(maxlen) < 0:
        raise ValueError(f"{caller}: maxlen is {maxlen}; give at least 1, or None for the longest length")
    for name, end in (("padding", padding), ("truncating", truncating)):
        if end not in ("pre", "post"):
            raise ValueError(f'{caller}: {name} is {end!r}; choose "pre" (at the front) or "post" (at the end)')


def _lengths(sequences: Sequence[Any]) -> list[int]:
    if isinstance(sequences, str | bytes) or not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: expected a list of sequences, found {type(sequences).__name__}")
    lengths = []
    for i, items in enumerate(sequences):
        if isinstance(items, str | bytes) or not hasattr(items, "__len__"):
            raise ValueError(f"pad_sequences: sequences[{i}] is {items!r:.40}; every sequence must be a list of items")
        lengths.append(len(items))
    return lengths


def _array(values: Any, dtype: np.dtype | None, name: str) -> np.ndarray:
    """`values` as an array of `dtype`, or an error where the cast would wrap an integer, hide a NaN or cut a string."""
    try:
        if dtype is not None and dtype.kind in "iuSU" and not _plain_numbers(values):
            _check_nothing_is_lost(np.asarray(values), dtype)
        return np.asarray(values, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(f"pad_sequences: {name}: {error}") from None


def _plain_numbers(values: Any) -> bool:
    """Is this a list of Python's own numbers? Those NumPy refuses to wrap by itself; it would wrap an array's."""
    return isinstance(values, list | tuple) and {int, float, bool}.issuperset(map(type, values))


def _check_nothing_is_lost(array: np.ndarray, dtype: np.dtype) -> None:
    if array.dtype.kind == dtype.kind and array.dtype.itemsize <= dtype.itemsize:
        return
    if dtype.kind in "iu" and array.dtype.kind in "iuf" and array.size:
        # int() of a NaN raises, and Python's integers compare exactly where float64 would round.
        for extreme in (int(array.min()), int(array.max())):
            if not np.iinfo(dtype).min <= extreme <= np.iinfo(dtype).max:
                raise OverflowError(f"{extreme} is out of bounds for {dtype}")
    if dtype.kind in "SU" and array.dtype.kind == dtype.kind:
        raise ValueError(f"a string is too long for dtype {dtype}; use dtype=object")
