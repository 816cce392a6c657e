"""Memory that is freed stays with the process once keep_memory() was called, and only then."""

import subprocess
import sys

import pytest

from tinyllm import process

PROGRAM = """
import resource
import numpy as np
from tinyllm.process import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        a = np.ones(2**23)  # 64 MB, more than glibc keeps of its own accord
        del a
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before, agreed = faults(), keep_memory()
faults()
print(before, agreed, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no glibc elsewhere")
def test_memory_is_not_faulted_in_again_once_it_is_kept():
    found = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    before, agreed, after = found.stdout.split()
    if agreed == "True":  # musl has no mallopt
        assert int(after) < int(before) / 100


def test_elsewhere_than_on_linux_nothing_happens(monkeypatch):
    monkeypatch.setattr(process.sys, "platform", "win32")
    assert process.keep_memory() is False


def test_a_c_library_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(process.sys, "platform", "linux")
    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: object())
    assert process.keep_memory() is False
