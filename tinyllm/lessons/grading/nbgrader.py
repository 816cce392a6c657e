"""The exercises as assignments of nbgrader (the extra `classroom`): its notebooks, and the points in its test cells.

An assignment has, for each exercise, a cell to solve and one that asks for its points. The second holds no check: it
calls points() here, and nbgrader takes the number that it shows as partial credit.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyllm.lessons.grading.exercises import Exercise, Lesson, Library
from tinyllm.lessons.grading.folders import report
from tinyllm.lessons.grading.judging import judge_submission
from tinyllm.lessons.grading.sessions import Worker
from tinyllm.lessons.grading.student_files import student_cells, write_new
from tinyllm.lessons.grading.submissions import MARKER, Submission, cut, without_magics
from tinyllm.lessons.notebooks import Cell, notebook

__all__ = ["assignment", "points", "write_course"]

SCHEMA = 3  # of nbgrader's metadata
TEST = """# The points of exercise {number}, of {points}. Leave this cell as it is.
from tinyllm.lessons.grading.nbgrader import points

points("{number}", In)"""


def assignment(lesson: Lesson, language: str = "en") -> str:
    """The source notebook of an assignment, with solutions: nbgrader's generate_assignment takes them out."""
    numbers = {exercise.cell.line: exercise for exercise in lesson.exercises.values()}
    cells: list[Cell] = []
    metadata: list[dict[str, Any]] = []
    for cell in student_cells(lesson, language, lambda exercise: exercise.cell.source):
        cells.append(cell)
        exercise = numbers.get(cell.line)
        metadata.append(_metadata(exercise, solution=True) if exercise else {})
        if exercise:
            test = TEST.format(number=exercise.number, points=exercise.points)
            cells.append(Cell("code", test, (), cell.line))
            metadata.append(_metadata(exercise, solution=False))
    document = json.loads(notebook(cells, language, solutions=True))
    for written, more in zip(document["cells"], metadata, strict=True):
        written["metadata"] |= more
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _metadata(exercise: Exercise, solution: bool) -> dict[str, Any]:
    name = f"exercise-{exercise.number.replace('.', '-')}"
    more: dict[str, Any] = {} if solution else {"points": exercise.points}
    return {
        "nbgrader": {
            "grade": not solution,
            "grade_id": name if solution else f"{name}-points",
            "locked": not solution,
            "schema_version": SCHEMA,
            "solution": solution,
            "task": False,
            **more,
        }
    }


def write_course(folder: Path, language: str = "en", library: Library | None = None) -> list[Path]:
    """FOLDER/source/lesson_NN/lesson_NN.ipynb for every lesson that has none there; the paths that were written."""
    library, written = library or Library(), []
    for number in library.paths:
        path = folder / "source" / f"lesson_{number}" / f"lesson_{number}.ipynb"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new(path, assignment(library.lesson(number), language))
            written.append(path)
    return written


def points(number: str, executed: Sequence[str], seed: int = 0) -> float:
    """The points of an exercise, from the cells that a notebook has executed (IPython's `In`); what is lost is printed.

    A cell that was executed again counts as it was the last time.
    """
    submission = Submission()
    theirs = [(i, each) for i, each in enumerate(executed) if each.strip() and __name__ not in each]
    latest = {(MARKER.match(source) and source.partition("\n")[0]) or i: (i, source) for i, source in theirs}
    cut([[f"In [{i}]", without_magics(source)] for i, source in latest.values()], submission)
    submission.parts = {each: cells for each, cells in submission.parts.items() if each == number} or {number: []}
    with Worker() as worker:
        results, _ = judge_submission(submission, Library(), worker, seed)
    (result,) = (each for each in results if each.exercise == number)
    if result.points < result.of:
        print(report([result]))
    return float(result.points)
