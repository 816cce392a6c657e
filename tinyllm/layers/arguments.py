"""What layers are made with: which arguments a class takes, and checks; each error names the layer and the argument."""

import inspect
from collections.abc import Iterable
from typing import Any

from tinyllm import checks

__all__ = ["arguments", "fraction", "one_of", "positive", "single"]


def positive(layer: str, argument: str, value: Any) -> int:
    """A positive whole number."""
    return checks.positive(f"{layer}: {argument}", value)


def single(layer: str, argument: str, value: Any) -> int:
    """A positive whole number, also in a tuple or list of one, as Keras writes sizes along one axis."""
    return positive(layer, argument, value[0] if isinstance(value, tuple | list) and len(value) == 1 else value)


def fraction(layer: str, argument: str, value: Any) -> float:
    """A number that is at least 0 and below 1."""
    if isinstance(value, str) or not 0 <= value < 1:
        raise ValueError(f"{layer}: {argument} must be at least 0 and below 1; found {value}")
    return value


def one_of(layer: str, argument: str, value: Any, known: Iterable[Any]) -> Any:
    """One of the values that are known."""
    known = tuple(known)
    if value not in known:
        raise ValueError(f"{layer}: {argument} must be one of {', '.join(map(repr, known))}; found {value!r}")
    return value


def arguments(cls: type) -> dict[str, inspect.Parameter]:
    """What this class may be made with: its own arguments, then those of the classes its **options go on to."""
    found: dict[str, inspect.Parameter] = {}
    for each in cls.__mro__:
        if each is not object and "__init__" in vars(each):
            parameters = list(inspect.signature(vars(each)["__init__"]).parameters.values())[1:]
            named = {p.name: p for p in parameters if p.kind is not p.VAR_KEYWORD}
            found |= {name: p for name, p in named.items() if name not in found}
            if len(named) == len(parameters):
                break
    return found
