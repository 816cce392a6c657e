"""The zip archive that a .keras file is: members stored as they are, the seal in the comment at its end."""

import io
import zipfile
import zlib
from typing import BinaryIO

from tinyllm.saving import seal
from tinyllm.saving.manifest import one_line

__all__ = ["SIGNATURE", "read_archive", "write_archive"]

SIGNATURE = b"PK\x03\x04"
END = b"PK\x05\x06"  # the record at the end; zip64's has another, and 20 bytes before it
MOST_DIRECTORY_BYTES = 1 << 20
UNFIT = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, LookupError, RuntimeError, NotImplementedError)


def write_archive(members: dict[str, bytes]) -> bytes:
    """A sealed archive. Its dates are all 1980, so equal members give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3  # the same on Windows
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, data)
        archive.comment = bytes(seal.LENGTH)  # so that the archive knows how long the seal is
    return seal.sealed(buffer.getvalue()[: -seal.LENGTH])


def read_archive(file: BinaryIO, size: int, name: str, known: tuple[str, ...]) -> dict[str, bytes]:
    """The members by name. ValueError, in one line, for whatever is no archive of these `known` members.

    Together they may be twice as large as the file, and a megabyte: what is larger was made to fill the memory.
    """
    try:
        _check_end(file, size)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_entries(entries, size, known)
            return {entry.filename: archive.read(entry) for entry in entries}
    except UNFIT as error:
        raise ValueError(f"{name}: damaged, cut short, or not a model: {one_line(error)}") from None


def _check_end(file: BinaryIO, size: int) -> None:
    """The list of members is read as a whole; its size stands at the end of the file."""
    file.seek(max(size - (1 << 16) - 22 - 20, 0))
    end = file.read()
    file.seek(0)
    place = end.rfind(END)
    if place < 0 or end[max(place - 20, 0) :].startswith(b"PK\x06\x07"):
        raise ValueError("it has no end, or one that is larger than 4 gigabytes")
    if int.from_bytes(end[place + 12 : place + 16], "little") > MOST_DIRECTORY_BYTES:
        raise ValueError(f"its list of members is larger than {MOST_DIRECTORY_BYTES} bytes")


def _check_entries(entries: list[zipfile.ZipInfo], size: int, known: tuple[str, ...]) -> None:
    names = [entry.filename for entry in entries]
    for entry in entries:
        if entry.filename not in known:
            raise ValueError(f"it holds {entry.filename!r:.80}; read are {', '.join(known)}")
        if names.count(entry.filename) > 1:
            raise ValueError(f"it holds '{entry.filename}' twice")
        if entry.flag_bits & 1:
            raise ValueError(f"'{entry.filename}' is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"'{entry.filename}' is compressed in a way that Keras never does")
    total, most = sum(entry.file_size for entry in entries), 2 * size + (1 << 20)
    if total > most:
        raise ValueError(f"its members claim {total} bytes; a file of {size} may hold {most}")
