"""The command line: what it prints, what it refuses, and with which exit code."""

import subprocess
import sys

import pytest

import tinyllm
from tinyllm.cli import main


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.strip() == f"tinyllm {tinyllm.__version__}"


@pytest.mark.parametrize("arguments", [[], ["fly"], ["serve"], ["tour", "--speed"]])
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
