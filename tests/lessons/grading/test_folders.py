"""A folder is graded to the end whatever is in it, and a run that was killed goes on where it was."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lessons.grading.conftest import SMALL
from tinyllm.lessons.grading.exercises import Library
from tinyllm.lessons.grading.folders import grade, report, submissions, table, write_csv
from tinyllm.lessons.grading.judging import Loss, Result

OPENING = "import numpy as np\n"
RIGHT = "# exercise 90.1\ndef twice(x): return 2 * x\n"
HALF = "# exercise 90.1\ndef twice(x): return x / 2\n"
ANSWER = "# exercise 90.2\nanswer = 42\n"
GONE = "# exercise 90.1\nimport os; os._exit(0)\n"


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "exercises"
    folder.mkdir()
    (folder / "lesson_90.py").write_text(SMALL, encoding="utf-8")
    return Library(folder)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "class"
    folder.mkdir()
    return folder


def notebook(*sources):
    return json.dumps({"cells": [{"cell_type": "code", "source": source} for source in sources]})


EVERYTHING = {
    "right.py": (OPENING + RIGHT + ANSWER, 3, ""),
    "sub/right.ipynb": (notebook(OPENING, RIGHT, ANSWER), 3, ""),
    "half.py": (OPENING + HALF + ANSWER, 1, "Twice as much. twice(x)[0]: expected"),
    "gone.py": (OPENING + GONE + ANSWER, 1, "no points: its process ended in the middle, with exit code 0"),
    "one.py": (OPENING + ANSWER, 1, "not in the file"),
    "both.py": (OPENING + RIGHT + RIGHT + ANSWER, 1, "exercise 90.1 is marked 2 times; keep one of them"),
    "syntax.py": (OPENING + "# exercise 90.1\ndef twice(x) return\n" + ANSWER, 1, "SyntaxError"),
    "unknown.py": (
        OPENING + RIGHT + ANSWER + "# exercise 90.7\n1\n# exercise 91.1\n1\n",
        3,
        "there is no exercise 90.7",
    ),
    "lesson_90.py": ("", 0, "the file is empty"),
    "plain.py": ("x = 1\n", 0, "there is no line '# exercise NN.K'"),
    "broken.ipynb": ("{", 0, "the notebook is broken"),
    "=SUM(A1).py": (OPENING + RIGHT + ANSWER, 3, ""),
}


def test_every_file_has_its_points_and_a_line_for_what_is_wrong(folder, library):
    for name, (text, _, _) in EVERYTHING.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".hidden.py").write_text("1")
    (folder / "notes.txt").write_text("1")
    os.symlink(folder / "right.py", folder / "link.py")
    lines = []
    graded = grade(folder, library, progress=lines.append, jobs=2)
    assert {each.name for each in graded} == set(EVERYTHING) and len(lines) == len(EVERYTHING)
    for each in graded:
        _, points, said = EVERYTHING[each.name]
        assert each.points == points, each.name
        assert said in " ".join([*each.notes, *(result.feedback for result in each.results)])
        content = json.loads((folder / "grades" / f"{each.name}.json").read_text())
        assert (content["points"], content["of"]) == (each.points, each.of)
        told = (folder / "grades" / f"{each.name}.txt").read_text()
        assert told.isascii() and (f"{each.points} of {each.of} points" in told or not each.results)
    rows = io.StringIO()
    write_csv(graded, rows)
    read = list(csv.DictReader(io.StringIO(rows.getvalue())))
    assert list(read[0]) == ["submission", "lesson", "exercise", "points", "of", "feedback"]
    assert sum(int(row["points"]) for row in read) == sum(each.points for each in graded)
    assert not [row for row in read if row["submission"].startswith("=") or row["feedback"].startswith(tuple("=+-@"))]
    shown = table(graded).splitlines()
    assert len(shown) == len(EVERYTHING) + 1
    assert next(line for line in shown if line.startswith("half.py")).split() == ["half.py", "1/3", "90.1", "(0/2)"]


def test_what_did_not_change_is_not_run_again(folder, library):
    (folder / "a.py").write_text(OPENING + RIGHT)
    (folder / "b.py").write_text(OPENING + ANSWER)

    def known(**options):
        lines = []
        grade(folder, library, progress=lines.append, **options)
        return sum("known" in line for line in lines)

    assert [known(), known(), known(seed=1), known(seed=1)] == [0, 2, 0, 2]
    (folder / "a.py").write_text(OPENING + HALF)
    assert known(seed=1) == 1
    (folder / "grades" / "b.py.json").write_text('{"key": ')  # not by us: ours are whole or not there
    assert known(seed=1) == 1
    library.paths["90"].write_text(SMALL.replace("2 * x, ", "2 * x + 0, "), encoding="utf-8")
    fresh = Library(library.paths["90"].parent)
    lines = []
    grade(folder, fresh, seed=1, progress=lines.append)
    assert not any("known" in line for line in lines)


def test_nothing_to_grade_is_said(folder, tmp_path):
    with pytest.raises(ValueError, match="no submission"):
        grade(folder)
    with pytest.raises(ValueError, match="there is no folder"):
        grade(tmp_path / "nowhere")


def test_our_own_grades_are_no_submissions(folder):
    (folder / "grades").mkdir()
    (folder / "grades" / "a.py").write_text("1")
    (folder / "deep").mkdir()
    (folder / "deep" / "grades").mkdir()
    (folder / "deep" / "grades" / "a.py").write_text("1")
    assert submissions(folder) == [folder / "deep" / "grades" / "a.py"]


def test_a_report_tells_each_fault_once():
    lost = [Loss("a", 1, "A.", "not written yet"), Loss("b", 2, "B.", "not written yet")]
    assert report([Result("90.1", "twice", 0, 3, lost)]) == "90.1  0/3  twice\n    not written yet\n0 of 3 points"
    result = Result("90.1", "twice", 0, 3, [lost[0], Loss("b", 2, "B.", "wrong")], printed="7")
    assert report([result], printed=True).splitlines()[1:] == [
        *("    -1  A.", "        not written yet", "    -2  B.", "        wrong"),
        *("    it printed:", "    | 7", "0 of 3 points"),
    ]


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_run_that_is_killed_goes_on_where_it_was(folder):
    for i in range(6):
        (folder / f"{i}.py").write_text("# exercise 01.1\nimport time\ntime.sleep(0.3)\n" + f"# {i}\n")
    command = [sys.executable, "-m", "tinyllm", "grade", str(folder), "--jobs", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        for _ in range(2):
            run.stderr.readline()
        run.send_signal(signal.SIGKILL)
    finished = len(list((folder / "grades").glob("*.json")))
    assert 2 <= finished < 6
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stderr.count("(known)") == finished
    assert again.stdout.count(" 0/14 ") == 6
    assert len(list((folder / "grades").glob("*.json"))) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_grader_leaves_no_process_behind(folder):
    (folder / "a.py").write_text("# exercise 01.1\nwhile True: pass\n")
    command = [sys.executable, "-m", "tinyllm", "grade", str(folder), "--jobs", "1", "--time-limit", "60"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while len(descendants(run.pid)) < 2:
            time.sleep(0.02)
        theirs = descendants(run.pid)
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in theirs) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in theirs)


def parents():
    found = {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = each.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(each.parent.name)] = (int(words[1]), words[0])
    return found


def descendants(pid):
    known = parents()
    found: list = []
    for each in [pid]:
        found += [child for child, (parent, _) in known.items() if parent == each]
    return found + [child for each in found for child, (parent, _) in known.items() if parent == each]


def alive(pid):
    return parents().get(pid, (0, "Z"))[1] != "Z"
