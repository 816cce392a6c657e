"""HDF5 files as two plain dicts: attributes {path: {name: value}} and arrays {path: array}. Needs h5py.

A file is written in this process and read in another one (hdf5_child.py): a hostile file can crash HDF5. So a crash,
a hang or a hunger for memory over there is a ValueError here.
"""

import importlib.util
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tinyllm.saving.manifest import parse_json
from tinyllm.saving.safetensors import read_header, slice_tensors

__all__ = ["SIGNATURE", "Attributes", "read_hdf5", "require_h5py", "write_hdf5"]

Attributes = dict[str, dict[str, Any]]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CHILD = Path(__file__).with_name("hdf5_child.py")
SECONDS = 60  # for the child, and one more for each megabyte of the file


def require_h5py() -> Any:
    """h5py, or an ImportError that says how to get it."""
    try:
        import h5py
    except ImportError:
        raise ImportError("HDF5 files need h5py: pip install h5py") from None
    return h5py


def write_hdf5(attributes: Attributes, arrays: dict[str, np.ndarray]) -> bytes:
    """The bytes of an HDF5 file. An attribute is a text or a list of texts. Equal content gives equal bytes."""
    with require_h5py().File("model.h5", "w", driver="core", backing_store=False) as file:
        for path, values in attributes.items():
            group = file.require_group(path or "/")
            for name, value in values.items():
                group.attrs[name] = value if isinstance(value, str) else np.array([each.encode() for each in value])
        for path, array in arrays.items():
            file.create_dataset(path, data=array)
        file.flush()
        return file.id.get_file_image()


def read_hdf5(file: BinaryIO, size: int, name: str) -> tuple[Attributes, dict[str, np.ndarray]]:
    """(attributes, arrays) of an HDF5 file, which is a file of the system. ValueError, in one line, if it is refused.

    Raises ImportError where h5py is missing, and OSError where no process can be started.
    """
    answer = _ask_child(file, size, name)
    try:
        stream = io.BytesIO(answer)
        layout, metadata, header = read_header(stream, len(answer), name)
        attributes = parse_json(metadata.get("attributes", "{}").encode(), name)
        arrays = slice_tensors(layout, memoryview(answer)[len(header) :])
    except ValueError:
        raise ValueError(f"{name}: reading it gave no whole answer: damaged, or made to do harm") from None
    if "error" in metadata:
        raise ValueError(f"{name}: {metadata['error']}")
    return attributes, {path.removeprefix("/"): array for path, array in arrays.items()}


def _ask_child(file: BinaryIO, size: int, name: str) -> bytes:
    """What the child says about the file."""
    folders = []
    for package in ("numpy", "h5py"):
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise ImportError("HDF5 files need h5py: pip install h5py")
        folders.append(str(Path(found.origin).parents[1]))
    most = 8 * size + (1 << 20)  # its JSON may be wider than what it describes
    seconds = SECONDS + (size >> 20)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    command = [sys.executable, "-I", str(CHILD), str(size), *dict.fromkeys(folders)]
    try:
        started = subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError as error:
        what = "HDF5 is read in a process of its own, which cannot be started here"
        raise OSError(f"{name}: {what}: {error}; save to a folder instead") from None
    with started as process:
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            answer = process.stdout.read(most + 1) if process.stdout else b""
            if len(answer) > most:
                process.kill()
            process.wait()
            in_time = timer.is_alive()
        finally:
            timer.cancel()
            process.kill()
    if not in_time:
        raise ValueError(f"{name}: reading it took longer than {seconds} seconds; it was given up")
    if len(answer) > most:
        raise ValueError(f"{name}: it gives more than its {size} bytes can hold; such files are not read")
    if process.returncode != 0:
        code = process.returncode
        raise ValueError(f"{name}: HDF5 crashed while reading it (exit code {code}): damaged, or made to do harm")
    return answer
