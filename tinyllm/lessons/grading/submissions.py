"""A student's file, script or notebook, cut into parts by its lines `# exercise NN.K`."""

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

__all__ = ["Submission", "read"]

MARKER = re.compile(r"#\s*exercise\s+(\d\d\.\d+)\b", re.IGNORECASE)
LARGEST = 10 * 2**20  # bytes
MAGIC = re.compile(r"^(\s*)(?:[%!?].*|.*\?\s*|\w+\s*=\s*[%!].*)$")
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")  # cells that are Python below their first line


@dataclass
class Submission:
    """The cells before the first exercise, those of each exercise by its number, and what is wrong, a line each.

    A cell is [label, source]; the lines of the source are at the places that they have in the file, or in their cell.
    """

    opening: list[list] = field(default_factory=list)
    parts: dict[str, list[list]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    name_says: str | None = None  # the lesson's number in the file's name
    digest: str = ""  # of the file's bytes

    @property
    def lessons(self) -> list[str]:
        """The numbers of the lessons whose exercises are here."""
        found = sorted({number.partition(".")[0] for number in self.parts})
        return found or ([self.name_says] if self.name_says else [])


def read(path: Path) -> Submission:
    """The parts of a file. What cannot be read is told in the notes; nothing is raised for what a student has done."""
    numbers = re.findall(r"lesson_?(\d\d)", path.stem)
    submission = Submission(name_says=numbers[0] if numbers else None)
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        submission.digest = sha256(data).hexdigest()
        if len(data) > LARGEST:
            raise ValueError(f"the file has more than {LARGEST >> 20} MB")
        text = data.decode("utf-8-sig")
        cells = notebook_cells(text) if path.suffix == ".ipynb" else script_cells(text, path.name)
    except OSError as error:
        submission.notes.append(f"the file cannot be read: {error.strerror}")
        return submission
    except UnicodeDecodeError:
        submission.notes.append("the file is not text in UTF-8; save it anew")
        return submission
    except (ValueError, RecursionError) as error:
        submission.notes.append(str(error) or "the file cannot be read")
        return submission
    if not text.strip():
        submission.notes.append("the file is empty")
    elif not cut(cells, submission):
        submission.notes.append(
            "there is no line '# exercise NN.K'; begin with the file that `tinyllm exercise start` makes"
        )
    return submission


def cut(cells: list[list], submission: Submission) -> bool:
    """Sort the cells into the parts; is there one?"""
    current, seen = submission.opening, Counter[str]()
    for label, source in cells:
        lines = source.splitlines()
        marks = [(i, found[1]) for i, line in enumerate(lines) if (found := MARKER.match(line))]
        starts = [0, *(i for i, _ in marks), len(lines)]
        for k, (begin, end) in enumerate(pairwise(starts)):
            if k:
                number = marks[k - 1][1]
                seen[number] += 1
                current = submission.parts.setdefault(number, []) if seen[number] == 1 else []
            if any(line.strip() for line in lines[begin:end]):
                current.append([label, "\n" * begin + "\n".join(lines[begin:end]) + "\n"])
    for number, times in seen.items():
        if times > 1:
            submission.notes.append(f"exercise {number} is marked {times} times; keep one of them")
            submission.parts[number] = []
    return bool(seen)


def script_cells(text: str, name: str) -> list[list]:
    """The cells of a script, cut at its lines `# %%`, each with its lines where they are in the file.

    >>> script_cells("a = 1\\n# %%\\nb = 2", "x.py")
    [['x.py', 'a = 1'], ['x.py', '\\n# %%\\nb = 2']]
    """
    lines = text.splitlines()
    starts = [0, *(i for i, line in enumerate(lines) if line.startswith("# %%") and i), len(lines)]
    return [[name, "\n" * begin + "\n".join(lines[begin:end])] for begin, end in pairwise(starts)]


def notebook_cells(text: str) -> list[list]:
    """The code cells of a notebook, without IPython's magics. ValueError if it is none."""
    try:
        document = json.loads(text) if text.strip() else {"cells": []}
        found = [each for each in document["cells"] if each["cell_type"] == "code"]
        sources = ["".join(each["source"]) for each in found]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise ValueError(
            "the notebook is broken: its JSON cannot be read; open it in Jupyter and save it anew"
        ) from None
    return [[f"code cell {i}", without_magics(source)] for i, source in enumerate(sources, 1)]


def without_magics(source: str) -> str:
    """Python as it is; where a cell is none, its lines %magic, !command and name? are left out.

    >>> without_magics("%matplotlib inline\\nx = 1")
    'pass\\nx = 1'
    """
    if source.lstrip().startswith("%%") and not source.lstrip().startswith(PYTHON_MAGICS):
        return ""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "\n".join(MAGIC.sub(r"\1pass", line) for line in source.splitlines())
    return source
