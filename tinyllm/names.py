"""Looking things up by name, with an error that lists the names there are."""

from collections.abc import Mapping
from typing import Any

__all__ = ["lookup"]


def lookup(kind: str, name: Any, known: Mapping[str, Any]) -> Any:
    """known[name], or a ValueError that lists what is known.

    >>> lookup("optimizer", "admm", {"adam": 1, "sgd": 2})
    Traceback (most recent call last):
    ValueError: unknown optimizer 'admm'; known: adam, sgd
    """
    if isinstance(name, str) and name in known:
        return known[name]
    raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}")
