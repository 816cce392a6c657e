"""Values between the grader and the student's process: JSON with tagged arrays, bounded in size and nesting; no pickle.

What comes from the student's process may be anything, so decode() builds plain values only: no subclass, no object with
methods of its own, no object array. The student's process loads this file by its path: it imports NumPy alone.
"""

import base64
import json
import math
import re
from typing import IO, Any

import numpy as np

__all__ = ["LARGEST", "WireError", "decode", "encode", "read", "write"]

LARGEST = 64 * 2**20  # bytes of one message
MOST = 1_000_000  # values in one message: a list of lists takes 20 times the memory of its text
DEEPEST = 50  # lists in lists
KINDS = "biufcUS"  # dtypes that cross: bool, whole, real and complex numbers, strings, bytes
DTYPE = re.compile(r"[<>|][biufcUS]\d{1,9}")
BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


class WireError(ValueError):
    """A value that cannot cross, or bytes that hold none."""


def encode(value: Any, depth: int = 0) -> Any:
    """What json.dumps takes: plain values as they are, others as {"tag": ...}. WireError for what cannot cross.

    >>> encode((1, 2.5))
    {'tuple': [1, 2.5]}
    >>> decode(encode(np.eye(2)))
    array([[1., 0.],
           [0., 1.]])
    """
    if depth > DEEPEST:
        raise WireError(f"more than {DEEPEST} lists in lists")
    if isinstance(value, np.ndarray | np.generic):
        return _encode_array(value)
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, complex):
        return {"complex": [encode(value.real), encode(value.imag)]}
    if isinstance(value, bytes | bytearray):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [encode(each, depth + 1) for each in value]
    if isinstance(value, tuple | set | frozenset):
        tag = "tuple" if isinstance(value, tuple) else "set"
        return {tag: [encode(each, depth + 1) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in value.items()]}
    if isinstance(value, np.random.Generator):
        return {"generator": encode(value.bit_generator.state, depth + 1)}
    raise WireError(f"a value of type {type(value).__name__} cannot be handed over; return numbers, arrays or text")


def _encode_array(value: Any) -> dict:
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        raise WireError(f"an array of type {type(value).__name__} cannot be handed over; return a plain NumPy array")
    if value.dtype.kind not in KINDS:
        raise WireError(f"an array of dtype {value.dtype} cannot be handed over; return numbers, bools or strings")
    if value.nbytes > LARGEST:
        raise WireError(f"an array of more than {LARGEST >> 20} MB")
    tag = "array" if isinstance(value, np.ndarray) else "scalar"
    return {tag: [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]}


def decode(data: Any, depth: int = 0) -> Any:
    """The value that encode() wrote. WireError for anything else.

    >>> decode({"array": ["|O8", [1], "AAAAAAAAAAA="]})
    Traceback (most recent call last):
    tinyllm.lessons.grading.wire.WireError: not an answer: dtype '|O8'
    """
    if depth > DEEPEST:
        raise WireError(f"more than {DEEPEST} lists in lists")
    if isinstance(data, list):
        return [decode(each, depth + 1) for each in data]
    if not isinstance(data, dict):
        return data
    try:
        ((tag, content),) = data.items()
        return _decode_tagged(tag, content, depth + 1)
    except WireError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError, MemoryError) as error:
        raise WireError(f"not an answer: {error}"[:200]) from None


def _decode_tagged(tag: str, content: Any, depth: int) -> Any:
    if tag == "float":
        if content not in ("nan", "inf", "-inf"):
            raise WireError("not an answer: a float")
        return float(content)
    if tag == "bytes":
        return base64.b64decode(content, validate=True)
    if tag in ("array", "scalar"):
        return _decode_array(tag, *content)
    if tag == "complex":
        return complex(*(float(decode(part, depth)) for part in content))
    if not isinstance(content, list) and tag != "generator":
        raise WireError(f"not an answer: {tag!r}"[:200])
    if tag == "tuple":
        return tuple(decode(each, depth) for each in content)
    if tag == "set":
        return {decode(each, depth) for each in content}
    if tag == "dict":
        return {decode(key, depth): decode(value, depth) for key, value in content}
    if tag == "generator":
        state = decode(content, depth)
        if state["bit_generator"] not in BIT_GENERATORS:
            raise WireError("not an answer: a generator")
        generator = np.random.Generator(getattr(np.random, state["bit_generator"])(0))
        generator.bit_generator.state = state
        return generator
    raise WireError(f"not an answer: {tag!r}"[:200])


def _decode_array(tag: str, dtype: Any, shape: Any, text: Any) -> Any:
    if not isinstance(dtype, str) or not DTYPE.fullmatch(dtype):
        raise WireError(f"not an answer: dtype {dtype!r}"[:200])
    sizes = isinstance(shape, list) and len(shape) <= 32 and all(type(n) is int and 0 <= n < 2**40 for n in shape)
    if not sizes:
        raise WireError("not an answer: the shape of an array")
    kind, data = np.dtype(dtype), bytearray(base64.b64decode(text, validate=True))
    if len(data) != math.prod(shape) * kind.itemsize or (tag == "scalar" and shape):
        raise WireError("not an answer: the size of an array")
    if not kind.itemsize and math.prod(shape):  # of empty strings
        raise WireError("not an answer: an array of empty strings")
    array = np.frombuffer(data, kind).reshape(shape) if data else np.empty(shape, kind)
    if kind.kind == "U" and data and np.frombuffer(data, kind.byteorder.replace("|", "=") + "u4").max() > 0x10FFFF:
        raise WireError("not an answer: a character")
    return array if tag == "array" else array[()]


def write(file: IO[bytes], message: list) -> None:
    """One message: the length in 4 bytes, then JSON in ASCII. WireError, before anything is written, if too large."""
    try:
        data = json.dumps([encode(each) for each in message], allow_nan=False).encode("ascii")
    except (ValueError, TypeError, RecursionError) as error:
        raise error if isinstance(error, WireError) else WireError(str(error)[:200]) from None
    _measure(data)
    file.write(len(data).to_bytes(4, "big") + data)
    file.flush()


def read(file: IO[bytes]) -> list:
    """One message. EOFError where there is none; WireError where there is something else."""
    head = _exactly(file, 4)
    size = int.from_bytes(head, "big")
    if size > LARGEST:
        raise WireError(f"more than {LARGEST >> 20} MB, or not an answer")
    data = _exactly(file, size)
    _measure(data)
    try:
        message = json.loads(data.decode("ascii"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise WireError("not an answer") from None
    if not isinstance(message, list):
        raise WireError("not an answer")
    return [decode(each) for each in message]


def _refuse(name: str) -> None:
    raise WireError(f"not an answer: {name}")


def _measure(data: bytes) -> None:
    if len(data) > LARGEST:
        raise WireError(f"more than {LARGEST >> 20} MB")
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST:
        raise WireError(f"more than {MOST:,} values; hand over an array")


def _exactly(file: IO[bytes], size: int) -> bytes:
    parts = []
    while size:
        part = file.read(min(size, 2**20))  # so that an announced size costs nothing before it is there
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
