"""The command line: what it prints, what it refuses, and with which exit code."""

import subprocess
import sys

import numpy as np
import pytest

import tinyllm
from tinyllm.autograd.tensor import TABLE
from tinyllm.cli import main


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.strip() == f"tinyllm {tinyllm.__version__}"


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["serve"], ["tour", "--speed"], ["gradcheck"], ["gradcheck", "tanh", "--all"]]
)
def test_a_wrong_command_line_exits_with_2_and_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: tinyllm" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "no/such/model"], "there is nothing at 'no/such/model'"),
        (["tour", "--text", "no/such/file.txt"], "no/such/file.txt"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(arguments, said, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"tinyllm {arguments[0]}: ") and said in error
    assert error.count("\n") == 1


def test_an_empty_text_is_refused_before_any_training(tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n \n")
    assert main(["tour", "--text", str(tmp_path / "empty.txt"), "--out", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("tinyllm tour: ")
    assert not (tmp_path / "out").exists()


def test_python_m_tinyllm_is_the_command():
    done = subprocess.run([sys.executable, "-m", "tinyllm", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tinyllm ")


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_a_folder_that_cannot_be_made_is_said_before_any_training(option, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("mine")
    assert main(["tour", option, "taken"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "tinyllm tour: 'taken' cannot be a folder for results: it is a file; choose another\n"


def test_a_reader_that_leaves_is_no_error(tmp_path):
    command = [sys.executable, "-m", "tinyllm", "tour", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tour:
        tour.stdout.readline()
        tour.stdout.close()
        assert tour.stderr.read() == b""
    assert tour.returncode == 141


def test_gradcheck_prints_one_line_per_function_and_a_summary(capsys):
    assert main(["gradcheck", "np.tanh", "softmax"]) == 0
    heading, *rows, summary = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["function", "kind", "cases"]
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [("np.tanh", "ok"), ("softmax", "ok")]
    assert summary == "2 functions, 7 cases: all ok"


def test_gradcheck_fails_with_exit_code_1_when_a_derivative_is_wrong(capsys, monkeypatch):
    monkeypatch.setattr(TABLE[np.tanh], "derivatives", (lambda g, y, x: g,))
    assert main(["gradcheck", "tanh", "exp"]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out and "order 1: " in out
    assert out.splitlines()[-1] == "2 functions, 8 cases: 1 WRONG"


def test_gradcheck_of_an_unknown_function_names_near_ones(capsys):
    assert main(["gradcheck", "tahn"]) == 1
    assert capsys.readouterr().err.startswith("tinyllm gradcheck: unknown function 'tahn'; near ones: np.tan, np.tanh")
