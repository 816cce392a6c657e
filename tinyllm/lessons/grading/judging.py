"""Judging: the checks of an exercise run here, on what the student's process answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from tinyllm.lessons.grading.declarations import Check
from tinyllm.lessons.grading.exercises import Exercise, Lesson, Library
from tinyllm.lessons.grading.helpers import Lost, one_line
from tinyllm.lessons.grading.sessions import Ended, Session, Worker
from tinyllm.lessons.grading.student import Student
from tinyllm.lessons.grading.submissions import Submission

__all__ = ["SECONDS", "Loss", "Result", "judge", "judge_submission"]

SECONDS = 10.0  # of the student's code, for one exercise


@dataclass(frozen=True)
class Loss:
    """A lost check: its name, its points, its sentence, and the feedback."""

    check: str
    points: int
    sentence: str
    feedback: str


@dataclass
class Result:
    """What one exercise came to: points of how many, the lost checks, and the end of what the code printed."""

    exercise: str
    name: str
    points: int
    of: int
    lost: list[Loss] = field(default_factory=list)
    note: str = ""  # why nothing counts, where that is so
    printed: str = ""

    @property
    def fault(self) -> str:
        """What is wrong as a whole: why nothing counts, or what all lost checks say; empty if each says its own."""
        alike = len(self.lost) > 1 and len({each.feedback for each in self.lost}) == 1
        return self.note or (self.lost[0].feedback if alike else "")

    @property
    def feedback(self) -> str:
        """In one line."""
        if self.fault:
            return self.fault
        return one_line("; ".join(f"{each.sentence} {each.feedback}" for each in self.lost), 1000)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Result":
        return cls(**data | {"lost": [Loss(**each) for each in data["lost"]]})


def judge(
    exercise: Exercise,
    opening: Sequence[Sequence[str]],
    cells: Sequence[Sequence[str]],
    modules: tuple[str, ...],
    worker: Worker,
    seed: int = 0,
    seconds: float = SECONDS,
) -> Result:
    """Run an exercise's cells after the opening ones, in a process of their own, and its checks in this one.

    opening, cells: [label, source] each. Of `cells` the first must run; the others are a student's own tries.
    A check that raises loses; a process that ends early, or says what is no answer, loses all.
    """
    result = Result(exercise.number, exercise.name, 0, exercise.points)
    must = [[*cell, True] for cell in [*opening, *cells[:1]]] + [[*cell, False] for cell in cells[1:]]
    with worker.session(modules, seconds) as session:
        try:
            student = Student(session, f"exercise {exercise.number}")
            student.load(must)
            for check in exercise.checks:
                _run(check, student, seed, result)
        except Lost as error:  # it could not be loaded
            result.note = str(error)
        except Ended as error:
            result.note = one_line(f"no points: {error}")
        result.printed = _printed(session)
    if result.note:
        result.points, result.lost = 0, []
    return result


def _run(check: Check, student: Student, seed: int, result: Result) -> None:
    number = sha256(f"{check.exercise}/{check.name}/{seed}".encode()).digest()[:8]
    try:
        with np.errstate(all="ignore"):
            check.function(student, np.random.default_rng(int.from_bytes(number, "big")))
    except Ended:
        raise
    except Lost as error:
        feedback = one_line(error)
    except Exception as error:  # an answer that the check did not think of
        feedback = one_line(f"the answer cannot be compared ({type(error).__name__}: {error})")
    else:
        result.points += check.points
        return
    result.lost.append(Loss(check.name, check.points, check.sentence, feedback))


def _printed(session: Session) -> str:
    lines = session.output().splitlines()
    return "\n".join(one_line(line) for line in lines[-20:])


def judge_submission(
    submission: Submission,
    library: Library,
    worker: Worker,
    seed: int = 0,
    seconds: float = SECONDS,
) -> tuple[list[Result], list[str]]:
    """The results of all exercises of the submission's lessons, in order; what is wrong with the file, a line each."""
    results, notes = [], list(submission.notes)
    for number in submission.lessons:
        if number not in library.paths:
            notes.append(f"there are no exercises to lesson {number}")
            continue
        lesson = library.lesson(number)
        strange = [each for each in submission.parts if each.startswith(f"{number}.") and each not in lesson.exercises]
        notes += [f"there is no exercise {each}" for each in strange]
        results += [_one(each, lesson, submission, worker, seed, seconds) for each in lesson.exercises.values()]
    return results, [one_line(note) for note in notes]


def _one(
    exercise: Exercise, lesson: Lesson, submission: Submission, worker: Worker, seed: int, seconds: float
) -> Result:
    cells = submission.parts.get(exercise.number)
    if not cells:
        why = "marked more than once" if cells == [] and exercise.number in submission.parts else "not in the file"
        return Result(exercise.number, exercise.name, 0, exercise.points, note=why)
    return judge(exercise, submission.opening, cells, lesson.modules, worker, seed, seconds)
