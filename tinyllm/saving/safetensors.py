"""The safetensors format: named arrays in one file. A writer that gives equal bytes for equal arrays of any layout,
and a reader that believes nothing which the file's size does not bear out.

A file that stands alone is sealed: its metadata is {"format": "tinyllm", "sha256": the SHA-256 of the whole file with
64 zeros in the place of these digits}. Files of other programs have no such metadata.
"""

import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.saving.files import exclusive, open_file, path_text, write_atomically
from tinyllm.saving.manifest import MOST_JSON_BYTES, parse_json, sha256

__all__ = [
    "Entry",
    "MappedTensors",
    "Spec",
    "check_size",
    "pack",
    "read_header",
    "read_layout",
    "read_tensors",
    "slice_tensors",
    "write_tensors",
]

DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"} | {
    f"{s}{8 * n}": f"<{s.lower()}{n}" for s in "IU" for n in (1, 2, 4, 8)
}
# What others write and we only read. NumPy has no bfloat16: it is the upper half of a float32, and becomes one.
READ_ONLY = {"BF16": "<u2", "BOOL": "|b1"}
NO_DIGEST = b"0" * 64
SEALED = {"format": "tinyllm", "sha256": NO_DIGEST.decode()}


class Spec(NamedTuple):
    """What must agree between a stored tensor and the weight it is for."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Entry(NamedTuple):
    """Where a tensor lies in the data, and in which of the format's dtypes."""

    spec: Spec
    begin: int
    end: int
    code: str


def write_tensors(tensors: Mapping[str, Any], path: Any) -> None:
    """Write named arrays to a safetensors file, atomically; the same arrays give the same bytes.

    float16/32/64 and whole numbers; any memory layout (transposed, sliced, broadcast, big-endian): the values count.
    """
    path = os.path.realpath(path_text(path, "write_tensors"))
    data = pack(tensors, SEALED)
    data = data.replace(NO_DIGEST, sha256(data).encode("ascii"), 1)
    with exclusive(os.path.dirname(path)):
        write_atomically(path, data)


def read_tensors(path: Any) -> dict[str, np.ndarray]:
    """The named arrays of a safetensors file. ValueError, in one line, for a file that is damaged or cut short."""
    path = path_text(path, "read_tensors")
    name = os.path.basename(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"read_tensors: there is nothing at '{path}'")
    with open_file(path, name) as (file, size):
        layout, metadata, header = read_header(file, size, name)
        data = file.read(size - len(header))
    if len(header) + len(data) != size:
        raise ValueError(f"{name}: the file shrank while it was read")
    _check_seal(metadata, header, data, name)
    return slice_tensors(layout, data)


def _check_seal(metadata: dict[str, str], header: bytes, data: bytes, name: str) -> None:
    """ValueError where a file that says it is ours is not as it was written."""
    if "sha256" not in metadata and metadata.get("format") != SEALED["format"]:
        return
    digest = metadata.get("sha256", "").encode("ascii", "replace")
    once = len(digest) == len(NO_DIGEST) and header.count(digest) == 1
    if (
        metadata.keys() != SEALED.keys()
        or not once
        or sha256(header.replace(digest, NO_DIGEST), data).encode() != digest
    ):
        raise ValueError(f"{name}: its SHA-256 differs from the one in its header: the file was changed or damaged")


def pack(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """Named arrays in the safetensors format: 8 bytes of header length, a JSON header, raw little-endian values."""
    codes = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
    arrays = {}
    for name, value in tensors.items():
        array = np.asarray(as_array(value))
        if array.dtype.newbyteorder("<") not in codes:
            raise ValueError(f"tensor '{name}' is {array.dtype}; a safetensors file of ours holds {', '.join(DTYPES)}")
        arrays[name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    ordered = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))  # so that all are aligned
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in ordered:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": codes[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *(arrays[name].tobytes() for name in ordered)])


def read_layout(file: BinaryIO, size: int, name: str) -> tuple[dict[str, Entry], bytes]:
    """(where each tensor lies, the bytes read so far) of a file whose sum is kept elsewhere."""
    layout, _, header = read_header(file, size, name)
    return layout, header


def read_header(file: BinaryIO, size: int, name: str) -> tuple[dict[str, Entry], dict[str, str], bytes]:
    """(where each tensor lies, the metadata, the bytes read so far).

    Nothing is believed that the file's size does not bear out.
    """
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8:
        raise ValueError(f"{name}: {size} bytes are too few for a safetensors file")
    if length > min(MOST_JSON_BYTES, size - 8):
        raise ValueError(
            f"{name}: its header claims {length} bytes, of {size} in the file: cut short, or no safetensors"
        )
    text = file.read(length)
    entries = parse_json(text, f"{name}: its header")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or any(not isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{name}: its metadata must be texts by name")
    layout = {tensor: _entry(entry, f"{name}: tensor {tensor!r:.80}") for tensor, entry in entries.items()}
    end = 0
    for tensor, entry in sorted(layout.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            raise ValueError(
                f"{name}: tensor {tensor!r:.80} begins at {entry.begin}, expected {end}: an overlap or a gap"
            )
        end = entry.end
    check_size(name, size, 8 + length + end)
    return layout, metadata, start + text


def _entry(entry: Any, where: str) -> Entry:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{where}: expected dtype, shape and data_offsets")
    known = DTYPES | READ_ONLY
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in known:
        raise ValueError(f"{where}: dtype {entry['dtype']!r:.40} is none of {', '.join(known)}")
    for key in ("shape", "data_offsets"):
        if not isinstance(entry[key], list) or any(type(n) is not int or not 0 <= n < 2**63 for n in entry[key]):
            raise ValueError(f"{where}: {key} must be a list of whole numbers, found {entry[key]!r:.80}")
    if len(entry["data_offsets"]) != 2 or len(entry["shape"]) > 32:
        raise ValueError(f"{where}: expected two offsets and at most 32 axes")
    dtype, shape, (begin, end) = np.dtype(known[entry["dtype"]]), tuple(entry["shape"]), entry["data_offsets"]
    needed = math.prod(shape) * dtype.itemsize
    if end - begin != needed or math.prod(n for n in shape if n) >= 2**60:
        raise ValueError(
            f"{where}: {dtype.name} {shape} takes {needed} bytes; its offsets {begin}, {end} say {end - begin}"
        )
    read_as = np.dtype(np.float32) if entry["dtype"] == "BF16" else dtype.newbyteorder("=")
    return Entry(Spec(shape, read_as), begin, end, entry["dtype"])


def slice_tensors(layout: dict[str, Entry], data: bytes | memoryview) -> dict[str, np.ndarray]:
    """The arrays, in the machine's byte order, each with its own memory."""
    return {name: _array(entry, memoryview(data)[entry.begin : entry.end]) for name, entry in layout.items()}


def _array(entry: Entry, data: memoryview) -> np.ndarray:
    stored = np.frombuffer(data, (DTYPES | READ_ONLY)[entry.code])
    if entry.code == "BF16":
        stored = (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(entry.spec.dtype).reshape(entry.spec.shape)


class MappedTensors(Mapping):
    """The named arrays of a large safetensors file, each read when it is asked for: never more than one in memory.

    The file must not change meanwhile; a seal of ours is not checked. Raises what read_tensors() does.
    """

    def __init__(self, path: Any):
        path = path_text(path, "MappedTensors")
        name = os.path.basename(path)
        if not os.path.lexists(path):
            raise FileNotFoundError(f"MappedTensors: there is nothing at '{path}'")
        with open_file(path, name) as (file, size):
            self.layout, _, header = read_header(file, size, name)
            self.data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[len(header) :]

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self.layout[name]
        return _array(entry, self.data[entry.begin : entry.end])

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout)

    def __len__(self) -> int:
        return len(self.layout)


def check_size(name: str, size: int, expected: Any) -> None:
    if type(expected) is not int:
        raise ValueError(f"{name}: its size is not known: {expected!r:.40}")
    if size != expected:
        n = abs(size - expected)
        count = f"{n} byte{'s are' if n > 1 else ' is'}"
        raise ValueError(
            f"{name}: {count} {'missing' if size < expected else 'too many'}: found {size}, not {expected}"
        )
