"""Grading a folder of submissions: in parallel, killed and continued, with a table, feedback files and JSON."""

import csv
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TextIO

from tinyllm.lessons.grading.exercises import Library
from tinyllm.lessons.grading.helpers import one_line
from tinyllm.lessons.grading.judging import SECONDS, Result, judge_submission
from tinyllm.lessons.grading.sessions import Worker
from tinyllm.lessons.grading.submissions import read
from tinyllm.saving.files import write_atomically

__all__ = ["GRADES", "Graded", "grade", "report", "table", "write_csv"]

GRADES = "grades"  # the folder, inside the graded one, for what was found
KINDS = (".py", ".ipynb")
HEADING = ("submission", "lesson", "exercise", "points", "of", "feedback")


@dataclass
class Graded:
    """One submission, graded: its path below the folder, its results, and what is wrong with the file."""

    name: str
    results: list[Result]
    notes: list[str]

    @property
    def points(self) -> int:
        return sum(each.points for each in self.results)

    @property
    def of(self) -> int:
        return sum(each.of for each in self.results)

    def rows(self) -> Iterator[list]:
        for each in self.results:
            yield [self.name, each.exercise.partition(".")[0], each.exercise, each.points, each.of, each.feedback]
        for note in self.notes:
            yield [self.name, "", "", 0, 0, note]


def submissions(folder: Path) -> list[Path]:
    """Every script and notebook below the folder, but for hidden ones, links, and what was written by us."""
    found = []
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each != "__pycache__")
        if Path(path) == folder and GRADES in folders:
            folders.remove(GRADES)
        found += [Path(path, each) for each in files if each.endswith(KINDS) and not each.startswith(".")]
    return sorted(each for each in found if each.is_file() and not each.is_symlink())


def grade(
    folder: Path,
    library: Library | None = None,
    seed: int = 0,
    seconds: float = SECONDS,
    jobs: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Graded]:
    """Grade every submission below the folder, `jobs` at a time (by default one for each processor).

    FOLDER/grades gets, for each, a JSON file and a text for the student, whole or not at all. What was graded before
    and whose bytes, seed, time limit and checks are as they were, is not run again. ValueError if there is nothing.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder '{folder}'")
    paths, library = submissions(folder), library or Library()
    if not paths:
        raise ValueError(f"no submission (.py, .ipynb) below '{folder}'")
    workers, here = [], threading.local()

    def one(path: Path) -> tuple[Graded, bool]:
        if not hasattr(here, "worker"):
            here.worker = Worker()
            workers.append(here.worker)
        return _grade_one(path, folder, library, here.worker, seed, seconds)

    for number in library.paths:
        library.lesson(number)  # here, once, before there are threads
    found: dict[Path, Graded] = {}
    pool = ThreadPoolExecutor(jobs or os.cpu_count() or 1)
    try:
        waiting = {pool.submit(one, path): path for path in paths}
        for done, future in enumerate(as_completed(waiting), 1):
            graded, known = future.result()
            found[waiting[future]] = graded
            progress(f"{done}/{len(paths)}  {graded.name}  {graded.points}/{graded.of}{'  (known)' if known else ''}")
    finally:
        pool.shutdown(cancel_futures=True)
        for worker in workers:
            worker.__exit__()
    return [found[path] for path in paths]


def _grade_one(
    path: Path, folder: Path, library: Library, worker: Worker, seed: int, seconds: float
) -> tuple[Graded, bool]:
    name = one_line(path.relative_to(folder).as_posix())
    target = folder / GRADES / path.relative_to(folder)
    record, text = target.with_name(f"{target.name}.json"), target.with_name(f"{target.name}.txt")
    submission = read(path)
    checks = [library.lesson(each).digest for each in submission.lessons if each in library.paths]
    key = sha256(json.dumps([submission.digest, name, seed, seconds, checks]).encode()).hexdigest()
    known = _known(record, key, name)
    if known:
        return known, True
    results, notes = judge_submission(submission, library, worker, seed, seconds)
    graded = Graded(name, results, notes)
    content = {"key": key, "submission": name, "points": graded.points, "of": graded.of, "notes": notes}
    content["exercises"] = [each.as_dict() for each in results]
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(str(text), (report(results, notes) + "\n").encode())
    write_atomically(str(record), (json.dumps(content, indent=1) + "\n").encode())  # last: it says that all is done
    return graded, False


def _known(record: Path, key: str, name: str) -> Graded | None:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        if content["key"] == key:
            return Graded(name, [Result.from_dict(each) for each in content["exercises"]], content["notes"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


# -- what is shown --------------------------------------------------------------------------------------------------


def report(results: Sequence[Result], notes: Sequence[str] = (), printed: bool = False) -> str:
    """For the student: points, each lost check with its sentence and its feedback, and what is wrong with the file."""
    lines = []
    for each in results:
        lines.append(f"{each.exercise}  {each.points}/{each.of}  {each.name}")
        if each.fault:
            lines.append(f"    {each.fault}")
        else:
            for loss in each.lost:
                lines += [f"    -{loss.points}  {loss.sentence}", f"        {loss.feedback}"]
        if printed and each.printed and each.points < each.of:
            lines += ["    it printed:", *(f"    | {line}" for line in each.printed.splitlines())]
    lines += [f"note: {note}" for note in notes]
    if results:
        lines.append(f"{sum(each.points for each in results)} of {sum(each.of for each in results)} points")
    return "\n".join(lines)


def table(graded: Sequence[Graded]) -> str:
    """A line for each submission: points, and the exercises that are not complete."""
    width = max(len("submission"), *(len(each.name) for each in graded))
    lines = [f"{'submission':<{width}}  points  lost in"]
    for each in graded:
        lost = [f"{r.exercise} ({r.points}/{r.of})" for r in each.results if r.points < r.of]
        said = ", ".join(lost) + ("; " if lost and each.notes else "") + "; ".join(each.notes)
        lines.append(f"{each.name:<{width}}  {f'{each.points}/{each.of}':>6}  {said}".rstrip())
    return "\n".join(lines)


def write_csv(graded: Sequence[Graded], file: TextIO) -> None:
    """The columns submission, lesson, exercise, points, of, feedback; a line for each exercise and for each note.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADING)
    for each in graded:
        for row in each.rows():
            writer.writerow([f"'{cell}" if str(cell).startswith(tuple("=+-@")) else cell for cell in row])


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
