"""HDF5 is written here and read in a child: plain dicts come back; a crash or a hang over there is an error here."""

import sys

import numpy as np
import pytest

from tinyllm.saving import hdf5
from tinyllm.saving.hdf5 import read_hdf5, write_hdf5

pytest.importorskip("h5py")

ATTRIBUTES = {"": {"text": "über"}, "a": {"names": ["x", "longer"], "none": []}, "a/b": {}}
ARRAYS = {
    "a/b/floats": np.arange(6, dtype="f4").reshape(2, 3),
    "a/b/double": np.float64(0.1) * np.arange(3),
    "whole": np.array(-3, "i8"),
    "nothing": np.zeros((0, 2), "f4"),
    "half": np.ones(2, ">f2"),
}


def read(path):
    with open(path, "rb") as file:
        return read_hdf5(file, path.stat().st_size, path.name)


def test_attributes_and_arrays_come_back(tmp_path):
    (tmp_path / "x.h5").write_bytes(write_hdf5(ATTRIBUTES, ARRAYS))
    attributes, arrays = read(tmp_path / "x.h5")
    assert {path: attributes[path] for path in ATTRIBUTES} == ATTRIBUTES
    assert arrays.keys() == ARRAYS.keys()
    for path, expected in ARRAYS.items():
        np.testing.assert_array_equal(arrays[path], expected)
        assert arrays[path].dtype == expected.dtype.newbyteorder("=") and arrays[path].shape == expected.shape


def test_this_process_never_opens_the_file(tmp_path, monkeypatch):
    (tmp_path / "x.h5").write_bytes(write_hdf5(ATTRIBUTES, ARRAYS))
    h5py = hdf5.require_h5py()
    monkeypatch.setattr(h5py, "File", None)
    assert read(tmp_path / "x.h5")[1].keys() == ARRAYS.keys()


@pytest.mark.parametrize(
    "script, message",
    [
        ("import os; os.abort()", "x.h5: HDF5 crashed while reading it"),
        ("import time; time.sleep(600)", "x.h5: reading it took longer than 1 seconds; it was given up"),
        ("while True: print('x' * 10**6)", "x.h5: it gives more than its .* bytes can hold"),
        ("print('garbage')", "x.h5: reading it gave no whole answer"),
        ("", "x.h5: reading it gave no whole answer"),
    ],
)
def test_whatever_happens_in_the_child_is_one_line_here(tmp_path, monkeypatch, script, message):
    (tmp_path / "x.h5").write_bytes(write_hdf5(ATTRIBUTES, ARRAYS))
    (tmp_path / "child.py").write_text(script)
    monkeypatch.setattr(hdf5, "CHILD", tmp_path / "child.py")
    if "sleep" in script:
        monkeypatch.setattr(hdf5, "SECONDS", 1)
    with pytest.raises(ValueError, match=f"^{message}.*$"):
        read(tmp_path / "x.h5")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is the system's")
def test_a_child_that_wants_much_memory_gets_an_error(tmp_path):
    (tmp_path / "child.py").write_text(
        "import runpy, sys\n"
        f"child = runpy.run_path({str(hdf5.CHILD)!r})\n"
        "child['limit'](1000)\n"
        "try: bytes(300_000_000); print('got it')\n"
        "except MemoryError: print('refused')\n"
    )
    import subprocess

    found = subprocess.run([sys.executable, tmp_path / "child.py"], capture_output=True, text=True, check=True)
    assert found.stdout == "refused\n"
