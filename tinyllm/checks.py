"""Checks of arguments that many functions take."""

from typing import Any

import numpy as np

__all__ = ["positive"]


def positive(what: str, value: Any) -> int:
    """A positive whole number, as an int. ValueError, naming it, for anything else.

    >>> positive("fit: epochs", 0)
    Traceback (most recent call last):
    ValueError: fit: epochs must be a positive whole number; found 0
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{what} must be a positive whole number; found {value!r:.60}")
    return int(value)
