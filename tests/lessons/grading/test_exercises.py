"""Files of exercises are read as docs/exercises.md says; a check judges what a student's process answers."""

import json
from pathlib import Path

import pytest

from tests.lessons.grading.conftest import SMALL
from tinyllm.lessons.grading import Mistake
from tinyllm.lessons.grading.exercises import load
from tinyllm.lessons.grading.judging import judge
from tinyllm.lessons.grading.student_files import student_notebook, student_script


def test_a_file_is_loaded_with_its_exercises_checks_and_hints(small):
    lesson = small()
    assert lesson.opening == "import numpy as np" and lesson.modules == ()
    assert [each.points for each in lesson.exercises.values()] == [2, 1]
    first, second = lesson.exercises.values()
    assert (first.hints["en"], first.hints["zh"]) == (["Multiply."], ["乘。"])
    assert first.checks[0].sentence == "Twice as much."
    assert first.solution.endswith("def twice(x):\n    return 2 * x")
    assert first.stub.endswith('raise NotImplementedError("exercise 90.1: write this")')
    assert second.stub.endswith('\nraise NotImplementedError("exercise 90.2: write this")')


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(2 points)", "(3 points)", "90.1 gives 3 points, its checks 2"),
        ("# exercise 90.1 (2 points): twice", "# exercise 90.1", r"line 20: an exercise begins .# exercise NN.K"),
        ("exercise 90.2 (", "exercise 90.1 (", "line 40: exercise 90.1 has another lesson's number, or one"),
        ("exercise 90.2 (", "exercise 91.2 (", "another lesson's number"),
        ("    ### END SOLUTION\n\n\n", "\n\n", "line 20: exercise 90.1 must have one region"),
        ("def it_is_42", "def it_doubles", "2 checks are written, 1 are left"),
        ('@check("90.2"', '@check("90.3"', "check it_is_42 is for 90.3, which is not here"),
        ('"""42."""', "", "check it_is_42 needs a sentence"),
        (
            '# %% [markdown] tags=["en", "hint"]',
            '# %%\nx = 1\n# %% [markdown] tags=["en", "hint"]',
            "line 36: code after",
        ),
    ],
)
def test_a_file_that_breaks_the_form_is_refused_with_its_place(small, old, new, message):
    assert old in SMALL
    with pytest.raises(ValueError, match=message):
        small(SMALL.replace(old, new))


def test_the_students_files_are_short_and_alike(small):
    lesson = small()
    script = student_script(lesson, "zh")
    assert script.startswith("# %% [markdown]\n# # 第 90 课练习\n\n# %%\nimport numpy as np\n")
    assert "grading" not in script and "Multiply" not in script and "2 * x" not in script
    code = ["".join(cell["source"]) for cell in json.loads(student_notebook(lesson))["cells"] if "outputs" in cell]
    assert all(cell in script for cell in code) and len(code) == 3


def test_a_mistake_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="'half': 'x' must occur once; found 2 times"):
        Mistake("half", "x", "y").applied("x + x")


def test_a_check_judges_and_an_early_end_takes_all(small, worker):
    lesson = small()
    exercise = lesson.exercises["90.1"]

    def points(source, *more):
        result = judge(exercise, [["o", lesson.opening]], [["c", source], *(["m", m] for m in more)], (), worker)
        return result.points, result.feedback

    assert points("def twice(x): return 2 * x") == (2, "")
    assert points("def twice(x): return 2 * x", "1 / 0", "twice = twice") == (2, "")  # own tries may fail
    assert points("def twice(x): return [0, 0]") == (0, "Twice as much. twice(x): expected the shape (3,); found (2,)")
    assert points("def twice(x): return {'x': x}")[0] == 0
    assert points("def twice(x): return 2 * x", "import os; os._exit(0)")[1].startswith("no points: its process ended")
    assert points("x = = 1")[1].startswith("it raised SyntaxError")


def test_the_example_of_the_guide_is_a_complete_file(tmp_path, worker):
    page = (Path(__file__).parents[3] / "docs" / "exercises.md").read_text(encoding="utf-8")
    (tmp_path / "lesson_05.py").write_text(page.split("```python\n")[1].split("```")[0], encoding="utf-8")
    lesson = load(tmp_path / "lesson_05.py")
    exercise = lesson.exercises["05.1"]

    def lost(source):
        result = judge(exercise, [["o", lesson.opening]], [["c", source]], (), worker)
        return {loss.check: loss.feedback for loss in result.lost}

    assert lost(exercise.solution) == {}
    for check, mistake in exercise.mistakes:
        assert (mistake.says or "") in lost(mistake.applied(exercise.solution))[check.name]
