"""The user's code: found, run, and its errors shown as theirs with their line."""

import subprocess
import sys

import pytest

from tinyllm.cli import main

MINE = """\
import numpy as np
from dataclasses import dataclass

def loss(x, w):
    return np.sum(np.tanh(x @ w))

def broken(x):
    return np.sum(
        helper(x))

def helper(x):
    raise RuntimeError("first\\nsecond")

def leaves(x):
    raise SystemExit(0)

def evaluates(x):
    return eval("1 +")

def fine(x):
    print("inside")
    return x * x

@dataclass
class Net:
    k: float = 2.0
    def scaled(self, x):
        return x * self.k
    @staticmethod
    def plain(x):
        return x * x
    @property
    def moody(self):
        return self.missing

class Unmade:
    def __init__(self, size):
        self.size = size
    def call(self, x):
        return x

class Silent(Exception):
    def __str__(self):
        raise ValueError

def mute(x):
    raise Silent

net = Net(3.0)
number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def run(*arguments):
    return main(["gradcheck", *arguments])


@pytest.mark.parametrize("name", ["loss", "fine", "Net.scaled", "Net.plain", "net.scaled", "net.plain"])
def test_a_function_in_a_file_a_method_and_an_instance_are_found(name, mine, capsys):
    assert run(f"mine.py:{name}", "--shapes", "3,4", *(["4,5"] if name == "loss" else [])) == 0
    assert "right" in capsys.readouterr().out


def test_a_dotted_module_of_the_current_folder_is_found(mine):
    (mine / "a_package_of_mine").mkdir()
    (mine / "a_package_of_mine" / "parts.py").write_text(MINE)
    path = list(sys.path)
    assert run("a_package_of_mine.parts:loss", "--shapes", "3,4", "4,5") == 0
    assert sys.path == path


def test_a_file_imports_its_neighbours_from_wherever_it_is_called(mine):
    (mine / "deep").mkdir()
    (mine / "deep" / "neighbour_of_mine.py").write_text("def square(x):\n    return x * x\n")
    (mine / "deep" / "random.py").write_text("from neighbour_of_mine import square\n")
    assert run("deep/random.py:square", "--shapes", "3") == 0
    assert sys.modules.get("random") is None or hasattr(sys.modules["random"], "shuffle")


def test_what_their_code_prints_goes_to_stderr(mine, capsys):
    assert run("mine.py:fine", "--shapes", "2") == 0
    captured = capsys.readouterr()
    assert "inside" in captured.err and "inside" not in captured.out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "mine.py, line 12, in helper: RuntimeError: first second\n    raise RuntimeError("),
        ("leaves", "mine.py, line 15, in leaves: SystemExit: 0\n    raise SystemExit(0)\n"),
        ("evaluates", "mine.py, line 18, in evaluates: SyntaxError: "),
        ("mute", "mine.py, line 47, in mute: Silent: (its message cannot be shown)\n    raise Silent\n"),
        ("loss 5", "mine.py, line 5, in loss: ValueError: matmul: (3, 4) @ (5,): "),
        ("net.moody", "mine.py, line 34, in Net.moody: AttributeError: "),
        ("Unmade.call", "missing 1 required positional argument: 'size'"),
    ],
)
def test_an_error_of_theirs_is_shown_with_their_line_and_no_traceback(name, said, mine, capsys):
    name, *shapes = name.split()
    assert run(f"mine.py:{name}", "--shapes", "3,4", *shapes) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err and "site-packages" not in captured.err
    assert captured.err.startswith("tinyllm gradcheck: ") and said in captured.err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ndef f(x)\n    return x\n", "bad.py, line 2: SyntaxError: expected ':'\n    def f(x)\n"),
        ("a = 1\nb = a / 0\n", "bad.py, line 2: ZeroDivisionError: division by zero\n    b = a / 0\n"),
        ("import sys\nsys.exit()\n", "bad.py, line 2: SystemExit\n    sys.exit()\n"),
        ("import not_there_at_all\n", "bad.py, line 1: ModuleNotFoundError: No module named 'not_there_at_all'\n"),
        ("from . import x\n", "bad.py, line 1: ImportError: "),
    ],
)
def test_an_error_while_a_file_is_imported_is_shown_with_its_line(source, said, mine, capsys):
    (mine / "bad.py").write_text(source)
    assert run("bad.py:f", "--shapes", "3") == 1
    assert capsys.readouterr().err.startswith(f"tinyllm gradcheck: {said}")


def test_an_error_of_the_library_that_they_pass_by_name_needs_no_line(capsys):
    assert run("numpy:matmul", "--shapes", "3,4", "3,4") == 1
    error = capsys.readouterr().err
    assert error == "tinyllm gradcheck: numpy:matmul: matmul: (3, 4) @ (3, 4): inner sizes 4 and 3 differ\n"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("mine.py:los", "mine.py has no 'los'; near ones: loss"),
        ("mine.py:Net.scaed", "mine.py.Net has no 'scaed'; near ones: scaled"),
        ("mine.py:number", "number is not a function; found int"),
        ("mine.py:Net", "Net is a class; name a method of it, or an instance"),
        ("other.py:loss", "there is no file 'other.py'"),
        ("no_such_module:loss", "there is no module 'no_such_module' to import from"),
        ("numpy.no_such_part:loss", "there is no module 'numpy.no_such_part'"),
        ("../mine:loss", "'../mine' is neither a module such as package.module nor a file such as my.py"),
        ("mine.py:", "write MODULE:FUNCTION, such as my.py:loss"),
        (":loss", "write MODULE:FUNCTION, such as my.py:loss"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(target, said, mine, capsys):
    assert run(target, "--shapes", "3") == 1
    error = capsys.readouterr().err
    assert error.startswith("tinyllm gradcheck: ") and said in error and error.count("\n") == 1


def test_ctrl_c_in_their_code_stops_with_130(mine, capsys):
    (mine / "stopped.py").write_text("def f(x):\n    raise KeyboardInterrupt\n")
    assert run("stopped.py:f", "--shapes", "3") == 130
    assert capsys.readouterr().err == "\nstopped\n"


def test_a_module_may_change_the_folder_it_runs_in(mine):
    (mine / "wanders.py").write_text("import os\nos.chdir('/')\ndef f(x):\n    return x * x\n")
    command = [sys.executable, "-m", "tinyllm", "gradcheck", "wanders.py:f", "--shapes", "3", "--html", "out.html"]
    subprocess.run(command, check=True, capture_output=True)
    assert (mine / "out.html").exists()
