"""tinyllm exercise and tinyllm grade, as a student and a teacher type them."""

import json

import pytest

from tests.lessons.test_exercises import LIBRARY
from tinyllm.cli import main
from tinyllm.lessons.grading.student_files import student_notebook, student_script


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_exercises_are_listed_with_their_points(capsys):
    code, out, err = run(capsys, "exercise", "list", "1")
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == "  01.1  3 points  the binary cross-entropy"
    assert "  02.4  4 points" in run(capsys, "exercise", "list")[1]


def test_a_file_is_started_and_never_overwritten(capsys, here):
    assert run(capsys, "exercise", "start", "1")[0] == 0
    before = (here / "lesson_01.py").read_bytes()
    code, _, err = run(capsys, "exercise", "start", "01")
    assert code == 1 and err == "tinyllm exercise: 'lesson_01.py' is there already; give another name with --out\n"
    assert (here / "lesson_01.py").read_bytes() == before
    assert run(capsys, "exercise", "start", "01", "--notebook", "--language", "zh", "--out", "mine.ipynb")[0] == 0
    cells = json.loads((here / "mine.ipynb").read_text(encoding="utf-8"))["cells"]
    assert cells[0]["source"][0].startswith("# 第 1 课练习")


@pytest.mark.parametrize("make", [student_script, student_notebook])
def test_a_file_is_checked_and_the_exit_code_says_whether_all_is_right(capsys, here, make):
    name = "mine.py" if make is student_script else "mine.ipynb"
    lesson = LIBRARY.lesson("01")
    (here / name).write_text(make(lesson), encoding="utf-8")
    code, out, err = run(capsys, "exercise", "check", name)
    assert (code, err) == (1, "") and out.endswith("0 of 14 points\n") and out.count("not written yet") == 4
    (here / name).write_text(make(lesson, "zh", lambda exercise: exercise.solution), encoding="utf-8")
    code, out, _ = run(capsys, "exercise", "check", name, "--seed", "3")
    assert code == 0 and out.endswith("14 of 14 points\n")


def test_what_a_wrong_answer_printed_is_shown(capsys, here):
    (here / "mine.py").write_text("# exercise 01.1\nprint('I am', 'here')\ndef binary_cross_entropy(y, p): return p\n")
    code, out, _ = run(capsys, "exercise", "check", "mine.py")
    assert code == 1 and "    | I am here\n" in out
    assert "    -1  The article's three predictions" in out and "expected 0.105361; found 0.9" in out


def test_hints_and_solutions_are_shown(capsys):
    assert run(capsys, "exercise", "hint", "1.2")[1].startswith("Softmax does not change")
    assert run(capsys, "exercise", "hint", "01.2", "--language", "zh")[1].startswith("整行减去同一个数")
    out = run(capsys, "exercise", "solution", "01.4")[1]
    assert "return -y / p + (1 - y) / (1 - p)" in out and "SOLUTION" not in out


def test_a_folder_is_graded_into_a_table_or_csv(capsys, here):
    (here / "class").mkdir()
    lesson = LIBRARY.lesson("02")
    (here / "class" / "a.py").write_text(student_script(lesson, "en", lambda each: each.solution), encoding="utf-8")
    code, out, err = run(capsys, "grade", "class")
    assert code == 0 and out.splitlines()[1].split() == ["a.py", "14/14"] and err == "1/1  a.py  14/14\n"
    code, out, err = run(capsys, "grade", "class", "--csv")
    assert out.splitlines()[:2] == ["submission,lesson,exercise,points,of,feedback", "a.py,02,02.1,4,4,"]
    assert "(known)" in err
    run(capsys, "grade", "class", "--csv", "points.csv", "--seed", "5", "--time-limit", "20", "--jobs", "1")
    assert (here / "points.csv").read_text().count("\n") == 5


def test_nbgraders_assignments_are_written_once(capsys, here):
    _, out, _ = run(capsys, "exercise", "nbgrader", "course")
    assert out.count("wrote") == len(LIBRARY.paths)
    assert (here / "course" / "source" / "lesson_01" / "lesson_01.ipynb").exists()
    assert run(capsys, "exercise", "nbgrader", "course") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["exercise"], 2, "ACTION"),
        (["exercise", "start", "x"], 2, "must be a lesson's number such as 05; found 'x'"),
        (["exercise", "start", "99"], 1, "no exercises to a lesson '99'; there are 00, 01, 02"),
        (["exercise", "hint", "01"], 2, "must be an exercise's number such as 05.1; found '01'"),
        (["exercise", "hint", "01.9"], 1, "there is no exercise '01.9'; there are 01.1"),
        (["exercise", "check", "none.py"], 1, "there is no file 'none.py'; tinyllm exercise start NN writes one"),
        (["exercise", "start", "01", "--out", "no/where.py"], 1, "No such file or directory"),
        (["grade", "nowhere"], 1, "there is no folder 'nowhere'"),
        (["grade", ".", "--time-limit", "0"], 2, "must be seconds, above 0"),
        (["grade", ".", "--jobs", "0"], 2, "must be 1, 2, 3"),
        (["grade", ".", "--seed", "-1"], 2, "seed"),
    ],
)
def test_a_wrong_command_is_told_in_a_line(capsys, arguments, code, message):
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "") and message in err and "Traceback" not in err
