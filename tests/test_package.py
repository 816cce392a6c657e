"""Importing tinyllm is quick and brings NumPy and nothing else; its public names exist."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinyllm

CODE = """
import sys, numpy.random
before = set(sys.modules)
import tinyllm
roots = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(roots - set(sys.stdlib_module_names)))
"""


def test_it_imports_numpy_and_nothing_else_outside_the_standard_library():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert (set(run.stdout.split()) - {"numpy"}, run.stderr) == ({"tinyllm"}, "")


def test_importing_it_prints_nothing_and_draws_no_random_number():
    state = "np.random.get_state()[1].sum()"
    code = f"import numpy as np; before = {state}; import tinyllm; print(before == {state})"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("True\n", "")


def test_it_has_a_version():
    assert tinyllm.__version__.count(".") == 2


MODULES = [
    "tinyllm",
    *(m.name for m in pkgutil.walk_packages(tinyllm.__path__, "tinyllm.") if "__main__" not in m.name),
]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_exists_once_and_every_module_says_what_it_is_for(name):
    module = importlib.import_module(name)
    public = getattr(module, "__all__", [])
    assert [each for each in public if not hasattr(module, each)] == []
    assert len(set(public)) == len(public)
    assert module.__doc__ or not Path(module.__file__).stat().st_size  # an empty __init__.py needs none
