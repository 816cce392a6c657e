"""The zip of a .keras file: what was written comes back, and bombs, strangers and forgeries do not."""

import io
import warnings
import zipfile

import pytest

from tinyllm.saving import seal
from tinyllm.saving.archive import read_archive, write_archive

MEMBERS = {"a.json": b"{}", "b.h5": bytes(range(256))}


def read(data):
    return read_archive(io.BytesIO(data), len(data), "m.keras", tuple(MEMBERS))


def zipped(members, **options):
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w", **options) as file:
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def test_members_come_back_the_bytes_are_always_the_same_and_sealed():
    data = write_archive(MEMBERS)
    assert read(data) == MEMBERS
    assert write_archive(MEMBERS) == data
    assert seal.check(io.BytesIO(data), len(data), "m.keras")
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None


def test_a_compressed_archive_is_read_and_a_bomb_is_not():
    assert read(zipped(MEMBERS.items(), compression=zipfile.ZIP_DEFLATED)) == MEMBERS
    with pytest.raises(ValueError, match=r"its members claim 5000000 bytes; a file of .* may hold"):
        read(zipped([("b.h5", bytes(5_000_000))], compression=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize(
    "members, message",
    [
        ([("../evil", b"")], r"it holds '\.\./evil'; read are a\.json, b\.h5"),
        ([("a.json", b"1"), ("a.json", b"2")], "'a.json' twice"),
        ([("c", b"")], "it holds 'c'"),
    ],
)
def test_strange_members_are_refused(members, message):
    with pytest.raises(ValueError, match=f"^m.keras: damaged, .*{message}"):
        read(zipped(members))


def test_encryption_other_compressions_and_a_wrong_sum_are_refused():
    plain = zipped(MEMBERS.items())
    place = plain.index(b"PK\x01\x02")
    encrypted = plain[: place + 8] + b"\1" + plain[place + 9 :]
    with pytest.raises(ValueError, match=r"'a.json' is encrypted"):
        read(encrypted)
    with pytest.raises(ValueError, match="compressed in a way that Keras never does"):
        read(zipped(MEMBERS.items(), compression=zipfile.ZIP_LZMA))
    with pytest.raises(ValueError, match=r"m.keras: damaged"):
        read(plain.replace(bytes(range(100, 120)), bytes(20)))


def test_a_directory_too_large_to_be_read_is_refused_before_it_is():
    plain = bytearray(zipped(MEMBERS.items()))
    plain[-10:-6] = (2**31).to_bytes(4, "little")
    with pytest.raises(ValueError, match="its list of members is larger than"):
        read(bytes(plain))
