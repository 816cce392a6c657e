"""The seal: nothing can be changed under it."""

import io

import pytest

from tinyllm.saving import seal

DATA = seal.sealed(b"some bytes")


def check(data):
    return seal.check(io.BytesIO(data), len(data), "file")


def test_what_is_sealed_is_whole_and_what_is_not_is_no_error():
    assert check(DATA)
    assert not check(b"")
    assert not check(b"some bytes")


def test_every_flipped_bit_is_noticed_or_leaves_no_seal():
    for place in range(len(DATA)):
        for bit in range(8):
            changed = bytearray(DATA)
            changed[place] ^= 1 << bit
            mark = len(DATA) - seal.LENGTH <= place < len(DATA) - 65
            if mark:
                assert not check(bytes(changed))
            else:
                with pytest.raises(ValueError, match="file: its SHA-256 differs from the seal at its end"):
                    check(bytes(changed))


def test_the_file_is_read_from_its_beginning_afterwards():
    file = io.BytesIO(DATA)
    assert seal.check(file, len(DATA), "file") and file.tell() == 0
