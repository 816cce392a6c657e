"""Files that are never half written, and that are only read if they are plain files."""

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows: two processes that save to one place at once are not kept apart there
    fcntl = None  # type: ignore[assignment]

__all__ = ["exclusive", "open_file", "path_text", "replace_file", "write_atomically"]

TEMPORARY_NAME = re.compile(r"\.tinyllm-[0-9a-f]{16}\.tmp")


def write_atomically(path: str, data: bytes) -> None:
    """Make `path` hold `data`, or leave it as it was: written elsewhere in the folder, brought to the disk, renamed.

    The file's mode follows the umask, as for any new file.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".tinyllm-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except OSError as error:
        raise type(error)(error.errno, f"save: cannot write into this folder: {error.strerror}", folder) from None
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not say where
            raise type(error)(error.errno, f"save: cannot write: {error.strerror}", path) from None
        raise
    with _descriptor_of(folder) as opened:
        if opened is not None:
            os.fsync(opened)  # the new name, too, survives a power cut


def replace_file(path: str, data: bytes, caller: str) -> None:
    """Write a file, atomically, where there is none or one of the same kind, which its first bytes tell.

    Raises FileExistsError where the path holds something else.
    """
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise FileExistsError(f"{caller}: '{path}' is a folder; choose another name for the file")
    if os.path.lexists(target):
        with open(target, "rb") as old:
            if old.read(4) not in (b"", data[:4]):
                raise FileExistsError(f"{caller}: '{path}' holds something else; choose another name")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with exclusive(os.path.dirname(target)):
        write_atomically(target, data)


@contextmanager
def exclusive(folder: str) -> Iterator[None]:
    """While this lasts, no other process or thread of ours writes into the folder; leftovers of killed ones go away."""
    with _descriptor_of(folder) as opened:
        if opened is not None and fcntl is not None:
            with suppress(OSError):  # some network drives have no locks
                fcntl.flock(opened, fcntl.LOCK_EX)
                for name in filter(TEMPORARY_NAME.fullmatch, os.listdir(folder)):
                    os.unlink(os.path.join(folder, name))
        yield


@contextmanager
def _descriptor_of(folder: str) -> Iterator[int | None]:
    """The folder, opened; None on Windows, which cannot."""
    if os.name == "nt":
        yield None
        return
    descriptor = os.open(folder or ".", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_file(path: str, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """(file, size) of a regular file; ValueError for a symbolic link, a folder, a pipe, or one that cannot be read."""
    if os.path.islink(path):
        raise ValueError(f"{name}: is a symbolic link; a model's files must be files of its own folder")
    flags = os.O_RDONLY
    for flag in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"):
        flags |= getattr(os, flag, 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{name}: cannot be read: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{name}: is not a regular file")
        yield file, status.st_size


def path_text(path: Any, caller: str) -> str:
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ValueError(f"{caller}: {text!r} is no path")
    return text
