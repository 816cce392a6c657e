"""The student's file of a lesson: texts in one language, the opening code, each exercise's cell as a stub."""

from collections.abc import Callable
from pathlib import Path

from tinyllm.lessons.grading.exercises import Exercise, Lesson, plain_code
from tinyllm.lessons.notebooks import Cell, notebook

__all__ = ["student_cells", "student_notebook", "student_script", "write_new"]


def student_cells(lesson: Lesson, language: str = "en", answer: Callable[[Exercise], str] | None = None) -> list[Cell]:
    """The cells that a student gets; with `answer`, its text for each exercise in place of the stub."""
    cells, opened = [], False
    by_line = {exercise.cell.line: exercise for exercise in lesson.exercises.values()}
    for cell in lesson.cells:
        if "checks" in cell.tags or "hint" in cell.tags or cell.language not in (None, language):
            continue
        source = cell.source
        if cell.line in by_line:
            exercise = by_line[cell.line]
            source = answer(exercise) if answer else exercise.stub
        elif plain_code(cell):
            if opened:
                continue
            source, opened = lesson.opening, True
        cells.append(Cell(cell.kind, source, (), cell.line))
    return cells


def student_script(lesson: Lesson, language: str = "en", answer: Callable[[Exercise], str] | None = None) -> str:
    """As a script in cells (py:percent)."""
    parts = []
    for cell in student_cells(lesson, language, answer):
        if cell.kind == "code":
            parts.append(f"# %%\n{cell.source}\n")
        else:
            parts.append(
                "# %% [markdown]\n" + "".join(f"# {line}".rstrip() + "\n" for line in cell.source.splitlines())
            )
    return "\n".join(parts)


def student_notebook(lesson: Lesson, language: str = "en", answer: Callable[[Exercise], str] | None = None) -> str:
    """As a notebook."""
    return notebook(student_cells(lesson, language, answer), language)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there. FileExistsError if it is: an answer is never overwritten."""
    try:
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise FileExistsError(f"'{path}' is there already; give another name with --out") from None
