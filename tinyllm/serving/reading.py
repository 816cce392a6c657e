"""Reading a request's body: strict JSON, then a schema. Whatever is wrong becomes one Problem that points at it."""

import json
import math
from typing import Any, TypeVar

from pydantic import ValidationError

from tinyllm.serving.problems import Problem
from tinyllm.serving.schemas import Body

__all__ = ["read_body"]

MAX_DIGITS = 20  # of one whole number: more than 64 bits hold

B = TypeVar("B", bound=Body)


def read_body(body: bytes, schema: type[B], example: str) -> B:
    """What the JSON object in `body` says. Problem (400) says what is wrong, where, and what to send.

    >>> from tinyllm.serving.schemas import text_body
    >>> read_body(b'{"text": "hi"}', text_body("Predict"), "").text
    'hi'
    """
    found = _parse(body, example)
    if not isinstance(found, dict):
        raise Problem.bad(f"the body is {_kind(found)}; send a JSON object such as {example}", "#")
    unknown = next((name for name in found if name not in schema.model_fields), None)
    if unknown is not None:
        known = ", ".join(schema.model_fields)
        raise Problem.bad(f"unknown member {_short(unknown)}; this route knows {known}", "#/" + _pointed(unknown))
    try:
        return schema.model_validate(found)
    except ValidationError as error:
        raise _problem(error, found, example) from None


def _problem(error: ValidationError, found: dict[str, Any], example: str) -> Problem:
    """The first thing that is wrong, as a sentence."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = first["loc"]
    name = str(path[0]) if path else ""
    pointer = "#" + "".join("/" + _pointed(str(part)) for part in path if not _branch(part))
    if first["type"] == "missing":
        return Problem.bad(f"the member '{name}' is missing; send a JSON object such as {example}", pointer)
    value = found.get(name)
    if len(path) > 1 and isinstance(value, list) and isinstance(path[1], int):
        name, value = f"{name}[{path[1]}]", value[path[1]]
    context = first.get("ctx", {})
    wanted = {
        "string_type": "be a string",
        "int_type": "be a whole number",
        "float_type": "be a number",
        "bool_type": "be true or false",
        "list_type": "be a list of strings",
        "greater_than_equal": f"be at least {_plain(context.get('ge'))}",
        "less_than_equal": f"be at most {_plain(context.get('le'))}",
        "string_too_long": f"have at most {context.get('max_length')} characters",
        "string_too_short": "not be empty",
        "too_long": f"have at most {context.get('max_length')} entries",
        "string_unicode": "hold whole characters, not one half of a surrogate pair",
    }.get(first["type"], first["msg"])
    return Problem.bad(f"'{name}' must {wanted}; found {_kind(value)}", pointer)


def _plain(bound: Any) -> Any:
    """A bound as one writes it: 1, not 1.0."""
    return f"{bound:g}" if isinstance(bound, float) else bound


def _branch(part: Any) -> bool:
    """Whether a part of pydantic's location names a branch of a union and no member."""
    return isinstance(part, str) and part in ("int", "float", "none")


def _parse(body: bytes, example: str) -> Any:
    """The JSON value in `body`: RFC 8259 without what Python's parser lets pass (NaN, Infinity, names twice)."""
    if not body.strip():
        raise Problem.bad(f"the body is empty; send a JSON object such as {example}", "#")
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
        raise Problem.bad(f"the body is not UTF-8: byte 0x{byte:02x} at position {error.start}", "#") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem.bad(f"the body is not JSON: {error.msg} ({where}); send an object such as {example}") from None
    except RecursionError:
        raise Problem.bad(f"the body is nested too deeply; send a JSON object such as {example}", "#") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Problem.bad(f"the member {_short(name)} occurs twice; send it once", "#/" + _pointed(name))
        found[name] = value
    return found


def _constant(name: str) -> None:
    raise Problem.bad(f"{name} is not JSON; send a finite number", "#")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise Problem.bad(f"the number {digits:.40} is too large; send a finite number", "#")
    return value


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise Problem.bad(f"a whole number with {len(digits)} digits is too large; send at most {MAX_DIGITS}", "#")
    return int(digits)


def _kind(value: Any) -> str:
    """What a value is called in JSON."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    return f"a list of {len(value)}" if isinstance(value, list) else "an object"


def _short(name: str) -> str:
    return ascii(name) if len(name) <= 40 else f"{name[:40]!a}..."


def _pointed(name: str) -> str:
    """A member's name as RFC 6901 wants it in a pointer, and fit to be sent."""
    return name[:100].replace("~", "~0").replace("/", "~1").encode("utf-8", "backslashreplace").decode()
