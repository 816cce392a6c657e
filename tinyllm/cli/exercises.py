"""`tinyllm exercise` for students, `tinyllm grade` for teachers."""

import argparse
import io
import math
import sys
from pathlib import Path
from typing import Any

from tinyllm.lessons.notebooks import LANGUAGES

__all__ = ["add_exercise", "add_grade"]


def add_exercise(commands: Any) -> None:
    """The command line of `tinyllm exercise`."""
    exercise = commands.add_parser("exercise", help="exercises to the lessons: begin one, check it, get a hint")
    actions = exercise.add_subparsers(dest="action", required=True, metavar="ACTION")

    action = actions.add_parser("list", help="the exercises, with their points")
    action.add_argument("lesson", metavar="NN", nargs="?", type=_lesson, help="of this lesson only, such as 05")
    action.set_defaults(run=_list)

    action = actions.add_parser("start", help="write the file in which you solve a lesson's exercises")
    action.add_argument("lesson", metavar="NN", type=_lesson, help="the lesson, such as 05")
    action.add_argument("--notebook", action="store_true", help="a notebook instead of a script")
    _add_language(action)
    action.add_argument("--out", metavar="FILE", type=Path, help="(default: lesson_NN.py or lesson_NN.ipynb, here)")
    action.set_defaults(run=_start)

    action = actions.add_parser("check", help="points for each exercise of your file, and what is lost where")
    action.add_argument("file", metavar="FILE", type=Path, help="your script or notebook")
    _add_judging(action)
    action.set_defaults(run=_check)

    action = actions.add_parser("hint", help="a hint")
    action.add_argument("exercise", metavar="NN.K", type=_exercise, help="the exercise, such as 05.1")
    _add_language(action)
    action.set_defaults(run=_hint)

    action = actions.add_parser("solution", help="a solution")
    action.add_argument("exercise", metavar="NN.K", type=_exercise, help="the exercise, such as 05.1")
    action.set_defaults(run=_solution)

    action = actions.add_parser("nbgrader", help="write the assignments of an nbgrader course")
    action.add_argument("folder", metavar="FOLDER", type=Path, help="the course's folder: FOLDER/source gets them")
    _add_language(action)
    action.set_defaults(run=_nbgrader)


def add_grade(commands: Any) -> None:
    """The command line of `tinyllm grade`."""
    grade = commands.add_parser("grade", help="grade a folder of submissions; killed, it goes on where it was")
    grade.add_argument("folder", metavar="FOLDER", type=Path, help="every .py and .ipynb below it is a submission")
    grade.add_argument(
        "--csv", metavar="FILE", nargs="?", const="-", help="CSV instead of the table, or into FILE beside it"
    )
    grade.add_argument("--jobs", metavar="N", type=_positive, help="how many at a time (default: one per processor)")
    _add_judging(grade)
    grade.set_defaults(run=_grade)


def _add_language(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the texts (default: %(default)s)")


def _add_judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", metavar="N", type=_seed, default=0, help="of the inputs (default: %(default)s)")
    parser.add_argument(
        "--time-limit", metavar="S", type=_seconds, default=10.0, help="seconds for one exercise (default: 10)"
    )


def _lesson(text: str) -> str:
    if not text.isdecimal() or len(text) > 2:
        raise argparse.ArgumentTypeError(f"must be a lesson's number such as 05; found {text!r}")
    return text.zfill(2)


def _exercise(text: str) -> str:
    lesson, _, number = text.partition(".")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"must be an exercise's number such as 05.1; found {text!r}")
    return f"{_lesson(lesson)}.{number}"


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be 0, 1, 2, ...; found {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"must be 1, 2, 3, ...; found {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"must be seconds, above 0 and at most 3600; found {text!r}")
    return value


# -- running --------------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> None:
    from tinyllm.lessons.grading.exercises import Library

    library = Library()
    for number in [options.lesson] if options.lesson else library.paths:
        lesson = library.lesson(number)
        print(f"{number}    {lesson.title()}")
        for each in lesson.exercises.values():
            print(f"  {each.number}  {each.points} points  {each.name}")


def _start(options: argparse.Namespace) -> None:
    from tinyllm.lessons.grading.exercises import Library
    from tinyllm.lessons.grading.student_files import student_notebook, student_script, write_new

    lesson = Library().lesson(options.lesson)
    path = options.out or Path(f"lesson_{options.lesson}{'.ipynb' if options.notebook else '.py'}")
    notebook = options.notebook or path.suffix == ".ipynb"
    write_new(path, (student_notebook if notebook else student_script)(lesson, options.language))
    print(f"wrote {path}: solve it, then tinyllm exercise check {path}")


def _check(options: argparse.Namespace) -> int:
    from tinyllm.lessons.grading.exercises import Library
    from tinyllm.lessons.grading.folders import report
    from tinyllm.lessons.grading.judging import judge_submission
    from tinyllm.lessons.grading.sessions import Worker
    from tinyllm.lessons.grading.submissions import read

    if not options.file.is_file():
        raise ValueError(f"there is no file '{options.file}'; tinyllm exercise start NN writes one")
    with Worker() as worker:
        results, notes = judge_submission(read(options.file), Library(), worker, options.seed, options.time_limit)
    print(report(results, notes, printed=True))
    return 0 if results and all(each.points == each.of for each in results) else 1


def _hint(options: argparse.Namespace) -> None:
    from tinyllm.lessons.grading.exercises import Library

    hints = Library().exercise(options.exercise).hints[options.language]
    print("\n\n".join(hints) if hints else f"there is no hint to {options.exercise}")


def _solution(options: argparse.Namespace) -> None:
    from tinyllm.lessons.grading.exercises import Library

    print(Library().exercise(options.exercise).solution)


def _nbgrader(options: argparse.Namespace) -> None:
    from tinyllm.lessons.grading.nbgrader import write_course

    for path in write_course(options.folder, options.language):
        print(f"wrote {path}")


def _grade(options: argparse.Namespace) -> None:
    from tinyllm.lessons.grading.folders import grade, say, table, write_csv
    from tinyllm.saving.files import write_atomically

    graded = grade(options.folder, seed=options.seed, seconds=options.time_limit, jobs=options.jobs, progress=say)
    if options.csv:
        written = io.StringIO()
        write_csv(graded, written)
        if options.csv == "-":
            sys.stdout.write(written.getvalue())
            return
        write_atomically(options.csv, written.getvalue().encode("utf-8"))
    print(table(graded))
