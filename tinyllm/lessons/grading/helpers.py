"""What a check says with: same, close, expect, laboratory. Each raises Lost, whose text is the feedback in one line."""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Lost", "close", "expect", "laboratory", "one_line", "same"]


class Lost(AssertionError):
    """A check that does not hold; the text tells the student what was asked and what was found."""


def one_line(text: object, longest: int = 300) -> str:
    """Text from anywhere, fit for a line of a terminal, a table or a file: no control characters, no half characters.

    >>> one_line("two\\nlines")
    'two lines'
    """
    words = " ".join(str(text).split()).encode("utf-8", "backslashreplace").decode()
    clean = "".join(each if each.isprintable() else "?" for each in words)
    return clean if len(clean) <= longest else clean[: longest - 3] + "..."


def expect(condition: bool | np.bool_, message: str) -> None:
    """Lost with the message unless the condition is True: a bool, not something that counts as true.

    >>> expect(2 > 1, "2 > 1: must be True")
    """
    if not isinstance(condition, bool | np.bool_):
        raise Lost(f"{message} (compared with a {type(condition).__name__}, which is neither True nor False)")
    if not condition:
        raise Lost(message)


def same(found: Any, expected: Any, case: str) -> None:
    """Lost unless found is exactly expected: kind (whole, real, text, list, ...), shape and values.

    Whole numbers of Python and NumPy are one kind; a list where an array is expected is compared as an array.

    >>> same((2, 3), (2, 3), "shape_after(...)")
    >>> same(2.0, 2, "count()")
    Traceback (most recent call last):
    tinyllm.lessons.grading.helpers.Lost: count(): expected 2 (a whole number); found 2.0 (a real number)
    """
    _compare(found, expected, case, None)


def close(found: Any, expected: Any, case: str, rtol: float = 1e-6, atol: float = 1e-9) -> None:
    """Lost unless found has expected's shape and its values up to rounding. Tuples, lists and dicts: each part.

    >>> close([0.1 + 0.2], [0.3], "add")
    >>> close(np.zeros(3), np.ones(2), "f(x)")
    Traceback (most recent call last):
    tinyllm.lessons.grading.helpers.Lost: f(x): expected the shape (2,); found (3,)
    """
    _compare(found, expected, case, (rtol, atol))


def laboratory(gradient: Callable, f: Callable, *inputs: Any) -> None:
    """Lost, with the laboratory's diagnosis, unless gradient(g, *inputs) agrees with differences of f (gradcheck)."""
    from tinyllm.autograd.gradcheck import gradcheck

    try:
        report = gradcheck(f, *inputs, gradient=gradient)
    except (TypeError, ValueError) as error:
        raise Lost(one_line(str(error).removeprefix("gradcheck: "))) from None
    if not report.ok:
        worst = max((each for each in report.arguments if not each.ok), key=lambda each: each.error)
        if not np.isfinite(worst.error) and report.diagnosis:  # no number to show: a wrong shape
            raise Lost(one_line(report.diagnosis))
        where = f"{worst.name}{worst.place if worst.shape else ''}"
        numbers = f"{where} must be {worst.numeric:.6g}; found {worst.analytic:.6g}"
        raise Lost(one_line(f"the gradient of {numbers}" + (f" ({report.diagnosis})" if report.diagnosis else "")))


# -- comparing ------------------------------------------------------------------------------------------------------

KINDS = {"b": "True or False", "i": "a whole number", "f": "a real number", "c": "a complex number", "U": "text"}
KINDS |= {"S": "bytes", "N": "None"}


def _compare(found: Any, expected: Any, case: str, tolerance: tuple[float, float] | None) -> None:
    if isinstance(expected, dict):
        if not isinstance(found, dict) or found.keys() != expected.keys():
            raise Lost(f"{case}: expected a dict with the keys {_shown(list(expected))}; found {_shown(found)}")
        for key, value in expected.items():
            _compare(found[key], value, f"{case}[{key!r}]", tolerance)
    elif isinstance(expected, set | frozenset):
        if not isinstance(found, set) or found != expected:
            raise Lost(f"{case}: expected {_shown(expected)}; found {_shown(found)}")
    elif isinstance(expected, tuple | list) and not isinstance(found, np.ndarray | np.generic):
        _compare_parts(found, expected, case, tolerance)
    else:
        _compare_arrays(found, expected, case, tolerance)


def _compare_parts(found: Any, expected: Any, case: str, tolerance: Any) -> None:
    if not isinstance(found, tuple | list) or (tolerance is None and type(found) is not type(expected)):
        what = "values" if tolerance else f"a {type(expected).__name__}"
        raise Lost(f"{case}: expected {what}: {_shown(expected)}; found {_shown(found)}")
    if len(found) != len(expected):
        raise Lost(f"{case}: expected {len(expected)} values; found {len(found)}: {_shown(found)}")
    for i, (a, b) in enumerate(zip(found, expected)):
        _compare(a, b, f"{case}[{i}]", tolerance)


def _compare_arrays(found: Any, expected: Any, case: str, tolerance: tuple[float, float] | None) -> None:
    wanted = np.asarray(expected)
    kind = _kind(wanted)
    try:
        have = np.asarray(found)
    except (ValueError, TypeError, OverflowError):
        have = np.array(None)
    if _kind(have) == "N" != kind:
        raise Lost(f"{case}: expected {_described(wanted)}; found {_shown(found)}")
    if have.shape != wanted.shape:
        if not wanted.shape:
            raise Lost(f"{case}: expected one number; found the shape {have.shape}")
        raise Lost(f"{case}: expected the shape {wanted.shape}; found {have.shape or 'a number'}")
    numeric = set("ifc") if tolerance and kind in "ifc" else {kind}
    if _kind(have) not in numeric:
        found_kind = KINDS.get(_kind(have), type(found).__name__)
        raise Lost(f"{case}: expected {_described(wanted)} ({KINDS[kind]}); found {_described(have)} ({found_kind})")
    if tolerance and kind in "ifc":
        have, wanted = (each.astype(float) if each.dtype.kind == "O" else each for each in (have, wanted))
        with np.errstate(all="ignore"):
            right = np.isclose(have, wanted, *tolerance, equal_nan=True)
    else:
        right = (have == wanted) | ((have != have) & (wanted != wanted))
    if not np.all(right):
        place = tuple(int(i) for i in np.argwhere(~np.asarray(right))[0])
        index = f"[{', '.join(map(str, place))}]" if place else ""
        raise Lost(f"{case}{index}: expected {_shown(wanted[place])}; found {_shown(have[place], wanted[place])}")


def _kind(array: np.ndarray) -> str:
    """A letter of KINDS. A whole number that is too large for NumPy is an object to it, and one to us all the same."""
    if array.dtype.kind == "O":
        return "i" if not array.shape and isinstance(array.item(), int) else "N"
    return "i" if array.dtype.kind == "u" else array.dtype.kind


def _described(array: np.ndarray) -> str:
    return f"an array of shape {array.shape}" if array.shape else _shown(array[()])


def _shown(value: Any, beside: Any = None) -> str:
    """Short; a number with six digits, or with all of them where six do not tell it from `beside`."""
    if isinstance(value, float | np.floating):
        text = f"{value:.6g}"
        if beside is not None and isinstance(beside, float | np.floating) and text == f"{beside:.6g}":
            text = repr(float(value))
        return text if any(each in text for each in ".en") else f"{text}.0"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return one_line(repr(value), 100)
