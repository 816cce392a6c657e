"""Reading a request's body: strict JSON, then the members one by one. Whatever is wrong becomes one ValueError."""

import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["MAX_CHARACTERS", "Member", "flag", "number", "optional", "read_members", "text", "whole"]

MAX_CHARACTERS = 10_000  # of one text
MAX_DIGITS = 20  # of one whole number: more than 64 bits hold
TINY = 1e-6  # dividing by less than this overflows


class Member(NamedTuple):
    """One member of the object that a route reads: `check(name, value)` returns the value or raises ValueError."""

    check: Callable[[str, Any], Any]
    default: Any = None
    required: bool = False


def read_members(body: bytes, members: dict[str, Member], example: str) -> dict[str, Any]:
    """The members of the JSON object in `body`, defaults filled in. ValueError says what is wrong and what to send.

    >>> read_members(b'{"text": "hi"}', {"text": Member(text, required=True)}, "")
    {'text': 'hi'}
    """
    found = _parse(body, example)
    if not isinstance(found, dict):
        raise ValueError(f"the body is {_kind(found)}; send a JSON object such as {example}")
    unknown = next((name for name in found if name not in members), None)
    if unknown is not None:
        raise ValueError(f"unknown member {_short(unknown)}; this route knows {', '.join(members)}")
    values = {}
    for name, member in members.items():
        if name in found:
            values[name] = member.check(name, found[name])
        elif member.required:
            raise ValueError(f"the member '{name}' is missing; send a JSON object such as {example}")
        else:
            values[name] = member.default
    return values


# -- what a member may be -------------------------------------------------------------------------------------------


def text(name: str, value: Any) -> str:
    """A string of whole characters, not too long."""
    if not isinstance(value, str):
        raise ValueError(f"'{name}' must be a string; found {_kind(value)}")
    if len(value) > MAX_CHARACTERS:
        raise ValueError(f"'{name}' has {len(value)} characters; send at most {MAX_CHARACTERS}")
    lone = next((c for c in value if "\ud800" <= c <= "\udfff"), None)
    if lone is not None:
        raise ValueError(f"'{name}' holds {_short(lone)}, one half of a surrogate pair; send whole characters")
    return value


def whole(low: int, high: int) -> Callable[[str, Any], int]:
    """A whole number in low..high."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"'{name}' must be a whole number; found {_kind(value)}")
        if not low <= value <= high:
            raise ValueError(f"'{name}' must be in {low}..{high}; found {value}")
        return value

    return check


def number(name: str, value: Any) -> float:
    """A number that can be divided by; its sign and range are the model's business."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"'{name}' must be a number; found {_kind(value)}")
    if 0 < value < TINY:
        raise ValueError(f"'{name}' is {value}, too small to compute with; send at least {TINY}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"'{name}' must be true or false; found {_kind(value)}")
    return value


def optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """null, or what `check` asks for."""
    return lambda name, value: None if value is None else check(name, value)


# -- strict JSON ----------------------------------------------------------------------------------------------------


def _parse(body: bytes, example: str) -> Any:
    """The JSON value in `body`: RFC 8259 without what Python's parser lets pass (NaN, Infinity, names twice)."""
    if not body.strip():
        raise ValueError(f"the body is empty; send a JSON object such as {example}")
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except UnicodeDecodeError as error:
        byte = body[error.start]
        raise ValueError(f"the body is not UTF-8: byte 0x{byte:02x} at position {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"the body is not JSON: {error.msg} ({where}); send an object such as {example}") from None
    except RecursionError:
        raise ValueError(f"the body is nested too deeply; send a JSON object such as {example}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the member {_short(name)} occurs twice; send it once")
        found[name] = value
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON; send a finite number")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits:.40} is too large; send a finite number")
    return value


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a whole number with {len(digits)} digits is too large; send at most {MAX_DIGITS}")
    return int(digits)


def _kind(value: Any) -> str:
    """What a value is called in JSON."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a string" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"


def _short(name: str) -> str:
    return repr(name) if len(name) <= 40 else f"{name[:40]!r}..."
