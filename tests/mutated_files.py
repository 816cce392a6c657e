"""Model files that were changed, by accident or to do harm, are refused in one line: no crash, no hang, little memory.

    python -m tests.mutated_files 2000       2,000 changed files; prints what was found, exit code 1 if any is wrong

Every format that is read is changed: a folder, .h5, .keras, .weights.h5, .safetensors. Changed "as it is", a file must
be refused whatever was done. Then come files of somebody who knows the formats: sealed again after the change, without
a seal at all (as Keras writes them), with links, bombs, members of another model. Those may be read where nothing that
counts was changed, but must do no harm; the links, bombs and strangers must be refused.
"""

import random
import shutil
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import Sequential, load_model
from tinyllm.saving import archive, safetensors, seal
from tinyllm.saving.keras_files import MEMBERS
from tinyllm.saving.manifest import sha256

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SLOW = 30.0  # seconds; reading one of these files takes a quarter
GOLDEN = Path(__file__).parent / "golden" / "llm_model_keras3.h5"
KERNEL = "model_weights/dense/sequential/dense/kernel"


class Found(NamedTuple):
    """What happened when the changed file was read."""

    kind: str
    outcome: str  # "refused", "read", "crash", "hang", "more than one line"
    must_be_refused: bool
    detail: str


def trained(seed: int = 0) -> Sequential:
    model = Sequential([Embedding(10, 4, input_length=5), LSTM(4), Dense(1, "sigmoid")], seed=seed, name="sequential")
    model.compile("adam", "binary_crossentropy")
    model.fit(np.arange(20).reshape(4, 5) % 10, np.arange(4) % 2, verbose=0)
    return model


# -- changes of bytes -----------------------------------------------------------------------------------------------


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def insert(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.choice([1, 8, 512])) + data[place:]


def remove(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.choice([1, 8, 512]) :]


def huge(data: bytes, rng: random.Random) -> bytes:
    """A size or an address that is as large as can be; most often where the headers are."""
    width = rng.choice([2, 4, 8])
    place = rng.randrange(min(len(data), 3000) if rng.random() < 0.7 else len(data))
    return data[:place] + rng.choice([b"\xff", b"\x7f", b"\0"]) * width + data[place + width :]


def noise(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + rng.randbytes(16) + data[place + 16 :]


def swap(data: bytes, rng: random.Random) -> bytes:
    a, b = sorted(rng.sample(range(len(data)), 2))
    n = min(64, b - a, len(data) - b)
    return data[:a] + data[b : b + n] + data[a + n : b] + data[a : a + n] + data[b + n :]


CHANGES: list[Callable[[bytes, random.Random], bytes]] = [flip, cut, insert, remove, huge, noise, swap]


# -- files ----------------------------------------------------------------------------------------------------------


class Files:
    """A model in every format, as it is and as somebody might make it, and how each is read."""

    def __init__(self, folder: Path):
        self.folder, self.model, other = folder, trained(), trained(seed=1)
        for model, name in ((self.model, "m"), (other, "other")):
            model.save(folder / name)
            for ending in (".h5", ".keras"):
                model.save(folder / f"{name}{ending}")
            for ending in (".weights.h5", ".safetensors"):
                model.save_weights(folder / f"{name}{ending}")
        self.golden = GOLDEN.read_bytes()

    def read(self, path: Path) -> None:
        if path.name.endswith((".weights.h5", ".safetensors")):
            trained().load_weights(path)
        else:
            load_model(path)

    def as_it_is(self, rng: random.Random) -> tuple[str, Path, bool]:
        """One byte or more of a file of ours changed, and the seal left as it was: must be refused."""
        ending = rng.choice(["", ".h5", ".keras", ".weights.h5", ".safetensors"])
        source = self.folder / f"m{ending}"
        path = self.fresh(f"x{ending}")
        part = path
        if not ending:
            shutil.copytree(source, path)
            source = part = path / rng.choice(sorted(p.name for p in path.iterdir()))
        data, change = source.read_bytes(), rng.choice(CHANGES)
        changed = change(data, rng)
        while changed == data:  # zeros over zeros
            changed = change(data, rng)
        part.write_bytes(changed)
        return f"{ending or 'folder'} as it is", path, True

    def sealed_again(self, rng: random.Random) -> tuple[str, Path, bool]:
        """Changed, and the sums made right."""
        ending = rng.choice([".h5", ".keras", ".weights.h5", ".safetensors"])
        path, change = self.fresh(f"x{ending}"), rng.choice(CHANGES)
        data = (self.folder / f"m{ending}").read_bytes()
        if ending == ".keras":
            members = self.members("m")
            name = rng.choice(MEMBERS)
            members[name] = change(members[name], rng)
            path.write_bytes(archive.write_archive(members))
        elif ending == ".safetensors":
            digest = read_digest(data)
            changed = change(data.replace(digest, safetensors.NO_DIGEST), rng)
            path.write_bytes(changed.replace(safetensors.NO_DIGEST, sha256(changed).encode(), 1))
        else:
            path.write_bytes(seal.sealed(change(data[: -seal.LENGTH], rng)))
        return f"{ending} sealed again", path, False

    def of_keras(self, rng: random.Random) -> tuple[str, Path, bool]:
        """A file of Keras's, which has no seal."""
        path = self.fresh("x.h5")
        path.write_bytes(rng.choice(CHANGES)(self.golden, rng))
        return ".h5 of Keras's", path, False

    def made_to_harm(self, rng: random.Random) -> tuple[str, Path, bool]:
        kind = rng.choice([self.links, self.bombs, self.strangers])
        return kind(rng)

    def links(self, rng: random.Random) -> tuple[str, Path, bool]:
        if rng.random() < 0.3:
            path = self.fresh("x")
            shutil.copytree(self.folder / "m", path)
            part = path / rng.choice(sorted(p.name for p in path.iterdir()))
            part.unlink()
            part.symlink_to(rng.choice(["/etc/passwd", "/dev/zero", str(self.folder / "m" / part.name)]))
            return "symbolic link in a folder", path, True
        path = self.fresh("x.h5")
        shutil.copy(self.folder / "m.h5", path)
        with h5py.File(path, "r+") as file:
            shape = file[KERNEL].shape
            del file[KERNEL]
            layout = h5py.VirtualLayout(shape, "f4")
            layout[...] = h5py.VirtualSource("secret.h5", "x", shape)
            what = rng.randrange(6)
            if what == 0:
                file[KERNEL] = h5py.SoftLink("/model_weights")
            elif what == 1:
                file[KERNEL] = h5py.ExternalLink("m.h5", "/model_weights")
            elif what == 2:
                file.create_virtual_dataset(KERNEL, layout)
            elif what == 3:
                file.create_dataset(KERNEL, shape, "f4", external=[("/etc/passwd", 0, 24)])
            elif what == 4:
                file[KERNEL] = file["model_weights"]  # a circle of hard links
            else:
                file["model_weights/again"] = file["model_weights/lstm"]
        path.write_bytes(seal.sealed(path.read_bytes()))
        return "link in HDF5", path, True

    def bombs(self, rng: random.Random) -> tuple[str, Path, bool]:
        if rng.random() < 0.5:
            path = self.fresh("x.h5")
            shutil.copy(self.folder / "m.h5", path)
            with h5py.File(path, "r+") as file:
                del file[KERNEL]
                size = rng.choice([2**20, 2**30, 2**40])
                options = rng.choice([{"compression": "gzip"}, {}, {"shuffle": True}])
                file.create_dataset(KERNEL, (size,), "f4", chunks=(2**16,), **options)
            path.write_bytes(seal.sealed(path.read_bytes()))
            return "bomb in HDF5", path, True
        path, members = self.fresh("x.keras"), self.members("m")
        name = rng.choice(MEMBERS)
        members[name] = bytes(rng.choice([5_000_000, 50_000_000]))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for member, data in members.items():
                file.writestr(member, data)
        return "bomb in a zip", path, True

    def strangers(self, rng: random.Random) -> tuple[str, Path, bool]:
        """Members of another model, twice there, of other names, or missing."""
        path, members = self.fresh("x.keras"), self.members("m")
        what = rng.randrange(4)
        if what == 0:
            members["model.weights.h5"] = self.members("other")["model.weights.h5"]
        elif what == 1:
            members[rng.choice(["../evil", "/etc/evil", "assets/x", "C:\\evil"])] = b"x"
        elif what == 2:
            del members[rng.choice(MEMBERS[1:3])]
        path.write_bytes(archive.write_archive(members))
        if what == 3:
            with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "a") as file:
                file.writestr(rng.choice(MEMBERS), b"{}")
        return "strange members in a zip", path, True

    def members(self, name: str) -> dict[str, bytes]:
        with zipfile.ZipFile(self.folder / f"{name}.keras") as file:
            return {member: file.read(member) for member in MEMBERS}

    def fresh(self, name: str) -> Path:
        """A place where nothing is."""
        path = self.folder / "mutants" / name
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir()
        return path


def read_digest(data: bytes) -> bytes:
    place = data.index(b'"sha256":"') + len(b'"sha256":"')
    return data[place : place + 64]


def outcome(files: Files, path: Path) -> tuple[str, str]:
    began = time.perf_counter()
    try:
        with warnings.catch_warnings(action="ignore"):
            files.read(path)
        found, detail = "read", ""
    except (ValueError, FileNotFoundError) as error:
        detail = str(error)
        found = "refused" if "\n" not in detail and len(detail) < 2000 else "more than one line"
    except BaseException as error:
        found, detail = "crash", repr(error)
    return ("hang", path.name) if time.perf_counter() - began > SLOW else (found, detail)


def run(count: int, seed: int = 0) -> Iterator[Found]:
    """Read so many changed files: of ten, six as they are, two sealed again, one of Keras's, one made to harm."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        makers = [files.as_it_is] * 6 + [files.sealed_again] * 2 + [files.of_keras, files.made_to_harm]
        for i in range(count):
            kind, path, must = makers[i % len(makers)](rng)
            found, detail = outcome(files, path)
            yield Found(kind, found, must, detail)


def wrong(found: Found) -> bool:
    return found.outcome not in ("refused", "read") or (found.must_be_refused and found.outcome == "read")


def megabytes() -> tuple[float, float]:
    """The most memory that this process, and the largest of its children, has held."""
    if resource is None:
        return 0.0, 0.0
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    own, children = (resource.getrusage(getattr(resource, f"RUSAGE_{who}")).ru_maxrss for who in ("SELF", "CHILDREN"))
    return own / unit, children / unit


def main(total: int) -> int:
    began, crashed = time.perf_counter(), 0
    counts: Counter = Counter()
    bad: list[Found] = []
    for found in run(total):
        counts[found.kind, found.outcome] += 1
        crashed += "HDF5 crashed" in found.detail
        if wrong(found):
            bad.append(found)
    for (kind, result), count in sorted(counts.items()):
        print(f"{kind:28} {result:20} {count:6}")
    own, children = megabytes()
    of = {result: sum(n for (_, r), n in counts.items() if r == result) for result in ("crash", "hang")}
    silent = sum(found.outcome == "read" for found in bad)
    lines = sum(found.outcome == "more than one line" for found in bad)
    print(f"{total} changed files in {time.perf_counter() - began:.0f} s: {of['crash']} crashes, {of['hang']} hangs, ")
    print(f"{silent} accepted that had to be refused, {lines} errors of more than one line;")
    print(f"HDF5 crashed {crashed} times, in the child; most memory {own:.0f} MB here, {children:.0f} MB in a child")
    for found in bad[:20]:
        print("WRONG:", found)
    return int(bool(bad) or max(own, children) > 200)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
