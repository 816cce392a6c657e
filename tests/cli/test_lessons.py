"""tinyllm lessons, without starting JupyterLab."""

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from tinyllm.cli import main
from tinyllm.lessons.catalogue import lessons
from tinyllm.lessons.notebooks import render


@pytest.fixture
def jupyterlab(monkeypatch):
    """A stand-in for JupyterLab; returns the arguments that it was started with."""
    started: list = []
    labapp = ModuleType("jupyterlab.labapp")
    labapp.LabApp = SimpleNamespace(launch_instance=started.append)
    monkeypatch.setitem(sys.modules, "jupyterlab", ModuleType("jupyterlab"))
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", labapp)
    return started


def wanted(language):
    return {path.name: text.encode() for path, text in render().items() if path.parent.name == language}


def found(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_notebooks_of_a_language_are_written_and_jupyterlab_is_opened_there(language, tmp_path, jupyterlab, capsys):
    folder = tmp_path / "my course"
    assert main(["lessons", str(folder), "--language", language, "--no-browser"]) == 0
    assert found(folder) == wanted(language)
    assert jupyterlab == [[f"--ServerApp.root_dir={folder}", "--no-browser"]]
    assert (
        capsys.readouterr().out
        == f"{folder}: {len(lessons())} notebooks written, 0 that differ from ours kept as they are\n"
    )


def test_without_a_folder_they_go_into_lessons(tmp_path, jupyterlab, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["lessons"]) == 0
    assert found(tmp_path / "lessons") == wanted("en")
    assert jupyterlab == [[f"--ServerApp.root_dir={tmp_path / 'lessons'}"]]


def test_what_a_student_changed_is_kept_and_what_is_missing_is_written(tmp_path, jupyterlab, capsys):
    main(["lessons", str(tmp_path)])
    changed, missing, *_ = sorted(tmp_path.iterdir())
    changed.write_text("my work")
    missing.unlink()
    capsys.readouterr()
    assert main(["lessons", str(tmp_path)]) == 0
    assert changed.read_text() == "my work"
    assert missing.read_bytes() == wanted("en")[missing.name]
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(": 1 notebooks written, 1 that differ from ours kept as they are")
    assert second.startswith(f"  kept: {changed.name} ")


def test_without_jupyterlab_the_notebooks_are_there_and_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    assert main(["lessons", str(tmp_path)]) == 1
    assert found(tmp_path) == wanted("en")
    assert capsys.readouterr().err == (
        "tinyllm lessons: JupyterLab is not installed: pip install jupyterlab; then run this again\n"
    )


def test_the_list_has_number_title_and_minutes(capsys):
    assert main(["lessons", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "01  Losses by hand (25 minutes)" and len(lines) == len(lessons())
    assert main(["lessons", "--list", "--language", "zh"]) == 0
    assert "\n01  手算损失 (25 分钟)\n" in capsys.readouterr().out


def test_a_lesson_runs_and_its_figures_are_saved(tmp_path, capfd):
    pytest.importorskip("matplotlib")
    assert main(["lessons", "--run", "01", "--plots", str(tmp_path / "plots")]) == 0
    assert "y = 1, p = 0.9:   by hand 0.105361   tinyllm 0.105361" in capfd.readouterr().out
    images = sorted((tmp_path / "plots").iterdir())
    assert [path.name for path in images] == ["01_losses_by_hand_1.png", "01_losses_by_hand_2.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in images)


@pytest.mark.parametrize("display", [None, ":0"])
def test_a_lesson_draws_on_the_display_if_there_is_one(display, monkeypatch):
    pytest.importorskip("matplotlib")
    seen = {}

    def run(command, env, check):
        seen.update(env)
        return SimpleNamespace(returncode=3)

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(subprocess, "run", run)
    assert main(["lessons", "--run", "2"]) == 3  # the child's exit code
    assert seen.get("MPLBACKEND") == (None if display else "Agg")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "77"], "no lesson 77; there are 00, 01, 02, "),
        (["--run", "one"], "no lesson one; there are 00, 01, "),
        (["--plots", "x"], "--plots belongs to --run NN"),
        (["--list", "x"], "x is for JupyterLab; leave it out with --list and --run"),
        (["--run", "01", "--no-browser"], "--no-browser is for JupyterLab"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, capsys):
    assert main(["lessons", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("tinyllm lessons: ") and said in captured.err


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, jupyterlab, capsys):
    (tmp_path / "taken").write_text("mine")
    assert main(["lessons", str(tmp_path / "taken")]) == 1
    assert capsys.readouterr().err.count("\n") == 1 and not jupyterlab
