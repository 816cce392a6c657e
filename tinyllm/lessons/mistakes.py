"""docs/common-mistakes.md: for every exercise, what goes wrong and what the student will read of it.

`python -m tinyllm.lessons.mistakes` puts each mistake of each exercise file into the solution, grades it, and writes
the feedback down; `--check` only says whether the page is out of date.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyllm.lessons.grading.declarations import Mistake
from tinyllm.lessons.grading.exercises import Exercise, Lesson, Library
from tinyllm.lessons.grading.judging import Result, judge
from tinyllm.lessons.grading.sessions import Worker

__all__ = ["PAGE", "in_cell", "main", "render", "tried"]

PAGE = Path(__file__).parents[2] / "docs" / "common-mistakes.md"
TOP = """# Common mistakes, and what students will read

Each of these was put into the right answer and graded: so many points it keeps, and this is what `tinyllm exercise
check` says of it. Read it before class, and you know the questions; search it for a line that a student shows you.

Made by `python -m tinyllm.lessons.mistakes` from [the exercises](../tinyllm/lessons/exercises); edit those instead.
"""


def tried(lesson: Lesson, exercise: Exercise, mistake: Mistake, worker: Worker) -> Result:
    """What the solution with this mistake comes to."""
    cells = [["cell", mistake.applied(exercise.solution)]]
    return judge(exercise, [["opening", lesson.opening]], cells, lesson.modules, worker)


def render(library: Library | None = None) -> str:
    """The page."""
    library = library or Library()
    with Worker() as worker:
        return TOP + "".join(line for each in library.paths for line in _lesson(library.lesson(each), worker))


def _lesson(lesson: Lesson, worker: Worker) -> Iterator[str]:
    yield f"\n## {lesson.title()}\n"
    for exercise in lesson.exercises.values():
        yield f"\n**{exercise.number}** {exercise.name} ({exercise.points} points)\n\n"
        yield "| the student | keeps | and reads |\n| --- | --- | --- |\n"
        for check, mistake in exercise.mistakes:
            result = tried(lesson, exercise, mistake, worker)
            feedback = next(loss.feedback for loss in result.lost if loss.check == check.name)
            yield f"| {in_cell(mistake.name)} | {result.points} | {in_cell(check.sentence)} {in_cell(feedback)} |\n"


def in_cell(text: str) -> str:
    """Text as it is, in a cell of a Markdown table."""
    return "".join("\\" + c if c in "\\|*_<[`$" else c for c in text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or with --check return 1 if it is not what the exercises give."""
    parser = argparse.ArgumentParser(prog="python -m tinyllm.lessons.mistakes", description="Write the page.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is out of date")
    options = parser.parse_args(arguments)
    text = render()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if options.check:
        print(f"{PAGE}: out of date; run python -m tinyllm.lessons.mistakes")
        return 1
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
