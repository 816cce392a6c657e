"""The seal at the end of a file: the SHA-256 of all that comes before it, so that any changed byte is noticed.

    tinyllm-sha256:<64 hex digits>\\n

HDF5 ignores what follows its data, and a zip archive has a place for a comment at its very end: other programs read a
sealed file as if the seal were not there. It finds accidents, not forgers: who changes a file can seal it again.
"""

import hashlib
import re
from typing import BinaryIO

__all__ = ["LENGTH", "check", "is_sealed", "sealed"]

MARK = b"tinyllm-sha256:"
LENGTH = len(MARK) + 64 + 1
SEAL = re.compile(re.escape(MARK) + rb"([0-9a-f]{64})\n")
PIECE = 1 << 20


def sealed(data: bytes) -> bytes:
    """The data with its seal.

    >>> sealed(b"abc")[:30]
    b'abctinyllm-sha256:ba7816bf8f01'
    """
    return data + MARK + hashlib.sha256(data).hexdigest().encode() + b"\n"


def is_sealed(file: BinaryIO, size: int) -> bool:
    """Whether a seal, right or wrong, stands at the end of a file; it is read from its beginning afterwards."""
    file.seek(max(size - LENGTH, 0))
    end = file.read(LENGTH)
    file.seek(0)
    return end.startswith(MARK)


def check(file: BinaryIO, size: int, name: str) -> bool:
    """Whether the file is sealed. ValueError if its content is not what was sealed."""
    if not is_sealed(file, size):
        return False
    digest, left = hashlib.sha256(), size - LENGTH
    while left and (piece := file.read(min(left, PIECE))):
        digest.update(piece)
        left -= len(piece)
    found = SEAL.fullmatch(file.read())
    file.seek(0)
    if left or found is None or found[1] != digest.hexdigest().encode():
        raise ValueError(f"{name}: its SHA-256 differs from the seal at its end: the file was changed or damaged")
    return True
