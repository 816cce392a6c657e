"""The assignments carry what nbgrader asks for, and its autograder finds the points that the grading finds."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinyllm
from tests.lessons.test_exercises import LIBRARY
from tinyllm.lessons.grading.nbgrader import assignment, points, write_course

LESSONS = pytest.mark.parametrize("number", list(LIBRARY.paths))


@LESSONS
def test_the_metadata_is_nbgraders(number):
    """As nbgrader/nbgraderformat/v3.json asks: these keys, these types, a unique and plain grade_id."""
    lesson = LIBRARY.lesson(number)
    cells = json.loads(assignment(lesson))["cells"]
    marked = [cell["metadata"]["nbgrader"] for cell in cells if "nbgrader" in cell["metadata"]]
    assert len(marked) == 2 * len(lesson.exercises)
    for each in marked:
        wanted = {"grade": bool, "grade_id": str, "locked": bool, "schema_version": int, "solution": bool, "task": bool}
        wanted |= {"points": int} if each["grade"] else {}
        assert {key: type(value) for key, value in each.items()} == wanted
        assert re.fullmatch(r"[a-zA-Z0-9_\-]+", each["grade_id"]) and each["schema_version"] == 3
        assert each["locked"] == each["grade"] != each["solution"]
    assert len({each["grade_id"] for each in marked}) == len(marked)
    assert sum(each.get("points", 0) for each in marked) == sum(e.points for e in lesson.exercises.values())


@LESSONS
def test_a_solution_stands_between_its_marks_and_no_check_is_given_away(number):
    text = assignment(LIBRARY.lesson(number), "zh")
    exercises = LIBRARY.lesson(number).exercises
    assert text.count("### BEGIN SOLUTION") == text.count("### END SOLUTION") == len(exercises)
    assert "@check" not in text and "Mistake" not in text


def test_points_are_those_of_the_cells_that_were_run_last(capsys):
    exercise, opening = LIBRARY.exercise("01.4"), LIBRARY.lesson("01").opening
    ask = 'from tinyllm.lessons.grading.nbgrader import points\n\npoints("01.4", In)'
    wrong = exercise.mistakes[0][1].applied(exercise.solution)
    assert points("01.4", ["", opening, exercise.stub, ask]) == 0.0
    assert "not written yet" in capsys.readouterr().out
    assert (
        points("01.4", ["", "%matplotlib inline\n" + opening, exercise.stub, ask, wrong, ask, exercise.solution]) == 3.0
    )
    assert capsys.readouterr().out == ""
    assert points("01.4", [opening]) == 0.0
    assert points("01.4", [opening, exercise.solution, "# exercise 01.3\nwhile True: pass"]) == 3.0


@pytest.mark.interop
@pytest.mark.filterwarnings("default")
def test_nbgrader_generates_and_autogrades(tmp_path):
    pytest.importorskip("nbgrader")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls other commands by name
    command = shutil.which("nbgrader", path=path)
    write_course(tmp_path, library=LIBRARY)
    env = os.environ | {"PYTHONPATH": str(Path(tinyllm.__file__).parents[1]), "PATH": path}

    def nbgrader(*arguments):
        done = subprocess.run([command, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    nbgrader("generate_assignment", "lesson_01", "--create")
    released = (tmp_path / "release" / "lesson_01" / "lesson_01.ipynb").read_text(encoding="utf-8")
    solved = (tmp_path / "source" / "lesson_01" / "lesson_01.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in released
    wrong = solved.replace("-y / p + (1 - y)", "-y / p - (1 - y)").replace(" - logits.max(axis=1, keepdims=True)", "")
    for name, text in {"stub": released, "solved": solved, "wrong": wrong}.items():
        folder = tmp_path / "submitted" / name / "lesson_01"
        folder.mkdir(parents=True)
        (folder / "lesson_01.ipynb").write_text(text, encoding="utf-8")
    nbgrader("autograde", "lesson_01", "--create")
    nbgrader("export")
    rows = csv.DictReader((tmp_path / "grades.csv").open())
    assert {row["student_id"]: float(row["score"]) for row in rows} == {"stub": 0.0, "solved": 14.0, "wrong": 9.0}
