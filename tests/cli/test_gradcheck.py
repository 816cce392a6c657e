"""tinyllm gradcheck: which options go together, what it prints and what it writes."""

import json
import os
import subprocess
import sys

import pytest

from tinyllm.cli import main

DENSE = ["gradcheck", "--layer", "Dense", "--units", "2"]
MINE = "print('imported')\ndef f(x):\n    return x * x\ndef g(u, x):\n    return u * x\n"
WRONG = ["gradcheck", "mine.py:f", "--gradient", "g", "--shapes", "3,4"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("np.tanh --layer Add", "one MODULE:FUNCTION, --layer NAME or --model DIR"),
        ("--layer Add --model x", "one MODULE:FUNCTION, --layer NAME or --model DIR"),
        ("mine.py:f np.tanh", "one MODULE:FUNCTION at a time"),
        ("mine.py", "name one, mine.py:FUNCTION"),
        ("--all --json", "--json does not go with a function of the library"),
        ("np.tanh --shapes 3 --order 2", "--shapes, --order do not go with a function of the library"),
        ("mine.py:f --shapes 3 --data x", "--data does not go with a function"),
        ("--layer Add --gradient g", "--gradient does not go with --layer"),
        ("--model x --gradient g", "--gradient does not go with --model"),
        ("--shapes 3,4 mine.py:f", "MODULE:FUNCTION goes before --shapes"),
        ("mine.py:f --shapes 3,x", "'3,x' is no shape; write 3,4 or 3 or ()"),
        ("mine.py:f --shapes 3 --order 3", "invalid choice: 3"),
        ("mine.py:f --shapes 3 --rtol 0", "must lie between 0 and 1"),
        ("mine.py:f --shapes 3 --rtol nan", "must be a finite number"),
        ("mine.py:f --shapes 3 --low x", "must be a finite number; found 'x'"),
        ("mine.py:f --shapes 3 --seed=-1", "must be 0, 1, 2, ...; found '-1'"),
        ("mine.py:f --shapes 3 --elements 0", "all, directions or a positive number; found '0'"),
        ("mine.py:f --shapes 3 --method guess", "invalid choice: 'guess'"),
        ("mine.py:f --shape 3", "unrecognized arguments: --shape"),
    ],
)
def test_what_does_not_go_together_exits_with_2(arguments, said, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["gradcheck", *arguments.split()])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("usage: tinyllm")


def test_json_is_all_there_is_on_stdout(capsys):
    assert main([*WRONG, "--json"]) == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert not report["ok"] and report["subject"] == "f"
    assert "imported" in captured.err


def test_order_2_shows_both_orders(capsys):
    assert main([*DENSE, "--order", "2"]) == 0
    out = capsys.readouterr().out
    assert "order 1: right" in out and "order 2: right" in out


def test_the_page_is_complete_and_ascii(folder):
    (folder / "page.html").write_text("before")
    assert main([*WRONG, "--html", "page.html"]) == 1
    page = (folder / "page.html").read_bytes().decode("ascii")
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n") and '<meta charset="utf-8">' in page
    assert "<title>gradcheck of f, order 1: WRONG" in page and "<table" in page


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")])
def test_the_heat_map_is_written_in_the_format_of_its_name(name, begins, folder):
    pytest.importorskip("matplotlib")
    assert main([*WRONG, "--plot", name]) == 1
    assert (folder / name).read_bytes().startswith(begins)
    assert sorted(os.listdir(folder)) in ([name, "mine.py"], ["__pycache__", name, "mine.py"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plot", "a.jpg"], "--plot a.jpg: the name must end in .png, .svg, .pdf"),
        (["--plot", "png"], "the name must end in .png"),
        (["--plot", "no/a.png"], "there is no folder 'no'; make it first"),
        (["--html", "no/such/a.html"], "there is no folder 'no/such'; make it first"),
        (["--html", "."], "it exists and is not a file"),
        (["--html", "mine.py/a.html"], "there is no folder 'mine.py'"),
        (["--html", os.devnull], "it exists and is not a file"),
        (["--html", ""], "cannot be written"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_anything_runs(arguments, said, capsys):
    assert main([*WRONG, *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and said in captured.err


def test_without_matplotlib_a_plot_is_refused_before_anything_runs(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    assert main([*WRONG, "--plot", "a.png"]) == 1
    assert capsys.readouterr().err == "tinyllm gradcheck: pictures need matplotlib: pip install matplotlib\n"


def test_the_command_line_imports_no_extras():
    code = "import sys, tinyllm.cli; print([m for m in ('matplotlib', 'flask', 'h5py') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_console_without_letters_gets_their_codes(folder):
    (folder / "odd.py").write_text("def f(x\u00e9):\n    return x\u00e9 * x\u00e9\n", encoding="utf-8")
    command = [sys.executable, "-m", "tinyllm", "gradcheck", "odd.py:f", "--shapes", "2"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"x\\xe9" in done.stdout
