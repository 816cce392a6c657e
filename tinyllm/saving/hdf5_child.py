"""Reads an HDF5 file in a process of its own: python -I hdf5_child.py SIZE FOLDER... <file >answer

HDF5 is a large C library, and some damaged or hostile files crash it. So hdf5.py lets this script open the file and
reads its answer, a safetensors stream: the datasets under their paths; in its metadata "attributes", JSON of
{path: {attribute: text, number or list}}, or "error", why the file is refused. The script imports nothing of tinyllm
(the FOLDERs are where numpy and h5py lie) and limits its own memory and time where the system can.

Refused is what Keras does not write: links (but hard ones), an object that is linked twice, filters, virtual and
external storage, datasets that hold no numbers; and whatever claims to be larger than the file.
"""

import json
import math
import os
import sys
from contextlib import suppress

MOST_DEPTH = 64
HEADROOM = 128 << 20  # bytes that HDF5 may take beyond what the imports took and the file's size explains
SECONDS = 8  # of processor time, and one more for each megabyte: a file usually takes a quarter


class Refused(Exception):
    """Why the file is not read."""


def limit(size: int) -> None:
    """No more memory and time than a file of this size can need. Windows has no such limits, only the parent's."""
    try:
        import resource
    except ImportError:
        return
    try:
        with open("/proc/self/statm") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        taken = 1 << 31
    seconds = SECONDS + (size >> 20)
    for kind, most in (("AS", taken + HEADROOM + 4 * size), ("CPU", seconds), ("CORE", 0)):
        with suppress(AttributeError, ValueError, OSError):  # a system without this limit, or a stricter one
            resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (most, most))


class Walk:
    """What is found on the way through a file, and how much of its size is left to be claimed."""

    def __init__(self, h5py, size: int):
        self.h5py = h5py
        self.size = self.left = size
        self.attributes: dict = {}
        self.datasets: dict = {}
        self.seen: set = set()

    def claim(self, needed: int, what: str) -> None:
        if needed > self.left:
            raise Refused(f"{what} claims {needed} bytes in a file of {self.size}")
        self.left -= needed

    def group(self, group, path: str, depth: int = 0) -> None:
        self.object(group, path)
        if depth > MOST_DEPTH:
            raise Refused(f"'{path[:80]}' is nested deeper than {MOST_DEPTH} groups")
        for name in group:
            inner = f"{path}/{name}" if path else name
            if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
                raise Refused(f"'{inner}' is a link to elsewhere; such files are not read")
            item = group[name]
            if isinstance(item, self.h5py.Group):
                self.group(item, inner, depth + 1)
            else:
                self.dataset(item, inner)

    def object(self, item, path: str) -> None:
        address = self.h5py.h5o.get_info(item.id).addr
        if address in self.seen:
            raise Refused(f"'{path}' is linked to twice; such files are not read")
        self.seen.add(address)
        self.claim(len(path), f"the name '{path[:80]}'")
        self.attributes[path] = {name: self.attribute(item, name) for name in item.attrs}

    def attribute(self, item, name: str):
        described = item.attrs.get_id(name)
        count, kind = math.prod(described.shape), described.dtype.kind
        what = f"the attribute '{name}'"
        is_text = self.h5py.check_string_dtype(described.dtype) is not None
        if not is_text and kind not in "fiub":
            raise Refused(f"{what} is no text and no number")
        self.claim(count * described.dtype.itemsize, what)
        if count == 0:
            return []
        value = item.attrs[name]
        value = value.tolist() if hasattr(value, "tolist") else value
        texts = value if isinstance(value, list) else [value]
        if is_text and not all(isinstance(text, str | bytes) for text in texts):
            raise Refused(f"{what} is no list of texts")
        if is_text:
            texts = [text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in texts]
            self.claim(sum(map(len, texts)), what)
            return texts if isinstance(value, list) else texts[0]
        return value

    def dataset(self, dataset, path: str) -> None:
        if not isinstance(dataset, self.h5py.Dataset) or dataset.dtype.kind not in "fiu":
            raise Refused(f"'{path}' holds no numbers")
        if dataset.shape is None or dataset.dtype.itemsize > 8:
            raise Refused(f"'{path}' holds no numbers of a size known here")
        if dataset.is_virtual or dataset.external:
            raise Refused(f"'{path}' takes its values from another file; such files are not read")
        if dataset.id.get_create_plist().get_nfilters():
            raise Refused(f"'{path}' is compressed or filtered, which Keras never does; such files are not read")
        self.object(dataset, path)
        self.claim(math.prod(dataset.shape) * dataset.dtype.itemsize, f"'{path}'")
        self.datasets[path] = dataset


def answer(out, header: dict) -> None:
    text = json.dumps(header).encode("ascii")
    out.write(len(text).to_bytes(8, "little") + text)


def read(h5py, out, size: int) -> None:
    with open(0, "rb", closefd=False) as stream, h5py.File(stream, "r") as file:
        walk = Walk(h5py, size)
        walk.group(file, "")
        header: dict = {"__metadata__": {"attributes": json.dumps(walk.attributes)}}
        end = 0
        for path, dataset in walk.datasets.items():
            kind, itemsize = dataset.dtype.kind, dataset.dtype.itemsize
            begin, end = end, end + math.prod(dataset.shape) * itemsize
            code = f"{kind.upper()}{8 * itemsize}"
            header[f"/{path}"] = {"dtype": code, "shape": list(dataset.shape), "data_offsets": [begin, end]}
        answer(out, header)
        for dataset in walk.datasets.values():
            out.write(dataset[()].astype(dataset.dtype.newbyteorder("<")).tobytes())


def main() -> None:
    size = int(sys.argv[1])
    sys.path += sys.argv[2:]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each thread of it would take memory
    out = sys.stdout.buffer
    try:
        import h5py
    except ImportError as error:
        answer(out, {"__metadata__": {"error": f"h5py cannot be imported: {error}"}})
        return
    limit(size)
    try:
        read(h5py, out, size)
    except Refused as error:
        answer(out, {"__metadata__": {"error": str(error)}})
    except Exception as error:  # h5py raises whatever HDF5 trips over
        message = f"damaged, cut short, or not a model: {' '.join(str(error).split())[:300]}"
        answer(out, {"__metadata__": {"error": message}})


if __name__ == "__main__":
    main()
