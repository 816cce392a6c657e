"""Loading lesson_NN.py: its exercises, each with its solution, its stub, its checks and its hints."""

import ast
import importlib.util
import re
import sys
import textwrap
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import tinyllm
from tinyllm.lessons.grading.declarations import Check, Mistake
from tinyllm.lessons.notebooks import LANGUAGES, SOLUTION, Cell, parse

__all__ = ["FOLDER", "Exercise", "Lesson", "Library", "load"]

FOLDER = Path(__file__).parents[1] / "exercises"
FIRST_LINE = re.compile(r"# exercise (\d\d\.\d+) \((\d+) points?\): (.+)")
GRADING = "tinyllm.lessons.grading"


@dataclass
class Exercise:
    """One exercise: its number ("05.1"), points, short name and code cell; its checks; its hints by language."""

    number: str
    points: int
    name: str
    cell: Cell
    checks: list[Check] = field(default_factory=list)
    hints: dict[str, list[str]] = field(default_factory=lambda: {language: [] for language in LANGUAGES})

    @property
    def stub(self) -> str:
        """The cell as a student gets it."""
        return SOLUTION.sub(rf'\1raise NotImplementedError("exercise {self.number}: write this")', self.cell.source)

    @property
    def solution(self) -> str:
        """The cell, solved, without the two lines that mark the solution."""
        lines = self.cell.source.splitlines()
        return "\n".join(line for line in lines if not line.strip().startswith(("### BEGIN SOL", "### END SOL")))

    @property
    def mistakes(self) -> list[tuple[Check, Mistake]]:
        return [(check, mistake) for check in self.checks for mistake in check.catches]


@dataclass
class Lesson:
    """The exercises to one lesson: its number ("05"), its file, its cells, and its exercises by their numbers."""

    number: str
    path: Path
    cells: list[Cell]
    exercises: dict[str, Exercise]

    @cached_property
    def opening(self) -> str:
        """The code before the first exercise, as a student gets it: without the line that imports the grading."""
        return "\n\n".join(_without_grading(cell.source) for cell in self.cells if plain_code(cell))

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """What a student may import beside the standard library and NumPy: tinyllm, if the opening does."""
        names: set[str] = set()
        for node in ast.walk(ast.parse(self.opening)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
        return ("tinyllm",) if any(name.partition(".")[0] == "tinyllm" for name in names) else ()

    @cached_property
    def digest(self) -> str:
        """Changes when the checks, or what judges by them, may have changed."""
        files = [self.path, *sorted(Path(__file__).parent.glob("*.py"))]
        return sha256(b"\0".join([tinyllm.__version__.encode(), *(file.read_bytes() for file in files)])).hexdigest()

    def title(self, language: str = "en") -> str:
        first = next((cell for cell in self.cells if cell.language == language), None)
        return first.source.partition("\n")[0].lstrip("# ") if first else ""


class Library:
    """The lessons of a folder, each loaded when it is first asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.paths = {path.stem[-2:]: path for path in sorted(folder.glob("lesson_[0-9][0-9].py"))}
        self._loaded: dict[str, Lesson] = {}

    def lesson(self, number: str) -> Lesson:
        """ValueError if there is none."""
        if number not in self.paths:
            raise ValueError(f"no exercises to a lesson {number!r}; there are {', '.join(self.paths)}")
        if number not in self._loaded:
            self._loaded[number] = load(self.paths[number])
        return self._loaded[number]

    def exercise(self, number: str) -> Exercise:
        """By "05.1". ValueError if there is none."""
        exercises = self.lesson(number.partition(".")[0]).exercises
        if number not in exercises:
            raise ValueError(f"there is no exercise {number!r}; there are {', '.join(exercises)}")
        return exercises[number]


def plain_code(cell: Cell) -> bool:
    """Is this code that belongs to no exercise?"""
    return cell.kind == "code" and not {"exercise", "checks"} & set(cell.tags)


def load(path: Path) -> Lesson:
    """Read and import an exercise file. ValueError, with the line, where it is not as docs/exercises.md says."""
    cells = parse(path.read_text(encoding="utf-8"), path.name)
    lesson = Lesson(path.stem[-2:], path, cells, {})
    exercise = None
    for cell in cells:
        place = f"{path.name}, line {cell.line}"
        if cell.kind == "code" and "exercise" in cell.tags:
            exercise = _exercise(cell, lesson, place)
            lesson.exercises[exercise.number] = exercise
        elif plain_code(cell) and exercise:
            raise ValueError(f"{place}: code after the first exercise belongs to one (tags: exercise) or to its checks")
        elif "hint" in cell.tags:
            if exercise is None or cell.language is None:
                raise ValueError(f"{place}: a hint stands after its exercise and has a language")
            exercise.hints[cell.language].append(cell.source)
    _collect_checks(lesson)
    return lesson


def _exercise(cell: Cell, lesson: Lesson, place: str) -> Exercise:
    first = FIRST_LINE.fullmatch(cell.source.partition("\n")[0].strip())
    if first is None:
        raise ValueError(f'{place}: an exercise begins "# exercise NN.K (P points): short name"')
    number, points, name = first[1], int(first[2]), first[3]
    if not number.startswith(f"{lesson.number}.") or number in lesson.exercises:
        raise ValueError(f"{place}: exercise {number} has another lesson's number, or one that was given before")
    if len(SOLUTION.findall(cell.source)) != 1 or cell.source.count("### BEGIN SOLUTION") != 1:
        raise ValueError(f"{place}: exercise {number} must have one region from BEGIN SOLUTION to END SOLUTION")
    return Exercise(number, points, name, cell)


def _collect_checks(lesson: Lesson) -> None:
    name = f"tinyllm.lessons.exercises.{lesson.path.stem}"
    spec = importlib.util.spec_from_file_location(name, lesson.path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # where dataclasses look for the names of their fields
    try:
        spec.loader.exec_module(module)
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
    declared = sum(cell.source.count("@check(") for cell in lesson.cells if "checks" in cell.tags)
    checks = [value for value in vars(module).values() if isinstance(value, Check)]
    if declared != len(checks):
        raise ValueError(
            f"{lesson.path.name}: {declared} checks are written, {len(checks)} are left: two have one name"
        )
    for check in checks:
        if check.exercise not in lesson.exercises:
            raise ValueError(f"{lesson.path.name}: check {check.name} is for {check.exercise}, which is not here")
        if not check.sentence:
            raise ValueError(f"{lesson.path.name}: check {check.name} needs a sentence, its docstring")
        lesson.exercises[check.exercise].checks.append(check)
    for exercise in lesson.exercises.values():
        total = sum(check.points for check in exercise.checks)
        if total != exercise.points or not total:
            raise ValueError(
                f"{lesson.path.name}: exercise {exercise.number} gives {exercise.points} points, its checks {total}"
            )
    if not lesson.exercises:
        raise ValueError(f"{lesson.path.name}: no exercise")


def _without_grading(source: str) -> str:
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(GRADING):
            del lines[node.lineno - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines)).strip("\n")
