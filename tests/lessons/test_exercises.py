"""Every exercise: full marks for the solution, none for the stub or tampering; a mistake loses where it should."""

import re
from collections.abc import Iterator

import pytest

from tests.lessons.tampers import TRIVIAL, batches, constant, endless, tampered
from tinyllm.lessons.grading.exercises import Exercise, Library
from tinyllm.lessons.grading.judging import judge, judge_submission
from tinyllm.lessons.grading.sessions import Worker
from tinyllm.lessons.grading.student_files import student_cells
from tinyllm.lessons.grading.submissions import Submission
from tinyllm.lessons.mistakes import PAGE, in_cell, tried
from tinyllm.lessons.notebooks import LANGUAGES

LIBRARY = Library()
LESSONS = pytest.mark.parametrize(
    "lesson", [LIBRARY.lesson(each) for each in LIBRARY.paths], ids=lambda lesson: lesson.number
)
EXERCISES = [each for number in LIBRARY.paths for each in LIBRARY.lesson(number).exercises.values()]
EVERY = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.number)
MISTAKES = [(exercise, *each) for exercise in EXERCISES for each in exercise.mistakes]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def judged(exercise: Exercise, source: str, worker: Worker, **options):
    lesson = LIBRARY.lesson(exercise.number[:2])
    return judge(exercise, [["opening", lesson.opening]], [["cell", source]], lesson.modules, worker, **options)


# -- what an exercise is ----------------------------------------------------------------------------------------------


@LESSONS
def test_a_lesson_has_three_to_six_exercises_with_hints_in_both_languages(lesson):
    assert 3 <= len(lesson.exercises) <= 6
    assert lesson.title("en") and re.search("[\u4e00-\u9fff]", lesson.title("zh"))
    for exercise in lesson.exercises.values():
        assert 2 <= exercise.points <= 6
        assert all(exercise.hints[language] for language in LANGUAGES), exercise.number
        assert "raise NotImplementedError" not in exercise.solution


@LESSONS
def test_a_students_file_compiles_and_tells_no_solution_check_or_hint(lesson):
    for language in LANGUAGES:
        cells = student_cells(lesson, language)
        code = "\n".join(cell.source for cell in cells if cell.kind == "code")
        compile(code, lesson.path.name, "exec")
        assert code.count("raise NotImplementedError") >= len(lesson.exercises)
        assert not any(word in code for word in ("SOLUTION", "@check", "Mistake", "lessons.grading"))
        texts = [cell.source for cell in cells if cell.kind == "markdown"]
        assert not any(hint in texts for each in lesson.exercises.values() for hint in each.hints[language])


@EVERY
def test_the_solution_has_full_marks_whatever_the_seed(exercise, worker):
    for seed in (0, 1):
        result = judged(exercise, exercise.solution, worker, seed=seed)
        assert (result.points, result.feedback) == (exercise.points, ""), f"seed {seed}"


@EVERY
def test_the_stub_has_no_points(exercise, worker):
    assert judged(exercise, exercise.stub, worker).points == 0


@EVERY
def test_there_are_three_mistakes_or_more(exercise):
    assert len(exercise.mistakes) >= 3
    assert len({mistake.name for _, mistake in exercise.mistakes}) == len(exercise.mistakes)


@pytest.mark.parametrize(
    ("exercise", "check", "mistake"), MISTAKES, ids=[f"{e.number}-{m.name.replace(' ', '-')}" for e, _, m in MISTAKES]
)
def test_a_mistake_loses_on_the_check_that_lists_it(exercise, check, mistake, worker):
    result = tried(LIBRARY.lesson(exercise.number[:2]), exercise, mistake, worker)
    feedback = {loss.check: loss.feedback for loss in result.lost}
    assert not result.note, "a mistake is a wrong answer, not one that cannot run"
    assert check.name in feedback
    assert mistake.says is None or mistake.says in feedback[check.name]
    row = f"| {in_cell(mistake.name)} | {result.points} | {in_cell(check.sentence)} {in_cell(feedback[check.name])} |"
    assert without_digits(row) in PAGE_ROWS, "run python -m tinyllm.lessons.mistakes"


def without_digits(text: str) -> str:
    """The last digits of what is computed may differ between machines."""
    return re.sub(r"\d+", "0", text)


PAGE_ROWS = {without_digits(line) for line in PAGE.read_text(encoding="utf-8").splitlines()}


def test_the_page_of_mistakes_holds_no_other():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len([row for row in rows if not row.startswith(("| ---", "| the student"))]) == len(MISTAKES)


# -- what does not count --------------------------------------------------------------------------------------------


def submission(lesson, sources: dict[str, str]) -> Submission:
    parts = {number: [["cell", source]] for number, source in sources.items()}
    return Submission([["opening", lesson.opening]], parts)


@LESSONS
def test_tampering_has_no_points_and_the_neighbour_keeps_theirs(lesson, worker):
    exercises = list(lesson.exercises.values())
    for solved, tampers in batches(len(exercises)):
        sources = {exercises[i].number: tampered(exercises[i], tamper) for i, tamper in tampers.items()}
        sources[exercises[solved].number] = exercises[solved].solution
        results, _ = judge_submission(submission(lesson, sources), LIBRARY, worker)
        points = [result.points for result in results]
        assert points.pop(solved) == exercises[solved].points
        assert not any(points), list(zip(tampers.values(), results))


@EVERY
def test_a_loop_without_end_has_no_points(exercise, worker):
    result = judged(exercise, endless(exercise), worker, seconds=0.2)
    assert (result.points, result.note) == (0, "no points: it took longer than 0.2 s")


@EVERY
def test_a_trivial_answer_has_half_of_the_points_at_most(exercise, worker):
    for value in TRIVIAL:
        assert judged(exercise, constant(exercise, value), worker).points <= exercise.points / 2, value
