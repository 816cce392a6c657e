"""Notebooks from lesson sources: one source, two languages, the same bytes every time.

A source, tinyllm/lessons/source/NN_name.py, is plain Python in cells ("py:percent"): a line `# %%` begins a code cell,
a line `# %% [markdown] tags=["en"]` an English text and `# %% [markdown] tags=["zh"]` the same text in Chinese, which
must follow it. The code is shared. `python -m tinyllm.lessons.notebooks` writes notebooks/en/NN_name.ipynb and
notebooks/zh/NN_name.ipynb; `--check` only says which of them are out of date.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

__all__ = ["FOLDER", "LANGUAGES", "SOURCES", "Cell", "main", "notebook", "parse", "render", "write_missing"]

LANGUAGES = ("en", "zh")
SOURCES = Path(__file__).parent / "source"
FOLDER = Path(__file__).parents[2] / "notebooks"
MARKER = re.compile(r"# %%(?P<markdown> \[markdown\])?(?: tags=(?P<tags>\[.*\]))?\s*")
SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION[^\n]*\n.*?^[ \t]*### END SOLUTION[^\n]*", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """One cell of a source: "markdown" or "code", its text, its tags, and the line where it begins."""

    kind: str
    source: str
    tags: tuple[str, ...]
    line: int

    @property
    def language(self) -> str | None:
        """The language whose notebook alone shows this cell; None for both."""
        return next((tag for tag in self.tags if tag in LANGUAGES), None)


def parse(text: str, name: str = "source") -> list[Cell]:
    """The cells of a source. ValueError, with the line, where it is not as the module's text says.

    >>> [cell.kind for cell in parse("# %%\\nprint(1)\\n# %% [markdown]\\n# *Done.*\\n")]
    ['code', 'markdown']
    """
    starts, lines = [], text.splitlines()
    for i, line in enumerate(lines):
        if line.startswith("# %%"):
            marker = MARKER.fullmatch(line)
            if marker is None:
                raise ValueError(
                    f'{name}, line {i + 1}: expected "# %%" or "# %% [markdown] tags=[...]"; found {line!r}'
                )
            starts.append((i, marker))
    begin = starts[0][0] if starts else len(lines)
    if any(line.strip() for line in lines[:begin]):
        raise ValueError(f'{name}, line 1: a source begins with a cell, a line "# %%"; found {lines[0]!r}')
    cells = []
    for (i, marker), end in zip(starts, [i for i, _ in starts[1:]] + [len(lines)]):
        kind = "markdown" if marker["markdown"] else "code"
        body = lines[i + 1 : end]
        if kind == "markdown":
            body = [_uncommented(line, f"{name}, line {i + 2 + k}") for k, line in enumerate(body)]
        tags = _tags(marker["tags"] or "[]", f"{name}, line {i + 1}")
        cells.append(Cell(kind, "\n".join(body).strip("\n"), tags, i + 1))
    _check_neighbours(cells, name)
    return cells


def _tags(text: str, place: str) -> tuple[str, ...]:
    try:
        tags = json.loads(text)
    except json.JSONDecodeError:
        tags = [None]
    if not all(isinstance(tag, str) for tag in tags):
        raise ValueError(f'{place}: tags are written ["en"], in double quotes; found {text}')
    return tuple(tags)


def _uncommented(line: str, place: str) -> str:
    if line.strip() and not line.startswith("#"):
        raise ValueError(f'{place}: text in a markdown cell begins with "# "; found {line!r}')
    return line.removeprefix("#").removeprefix(" ")


def _check_neighbours(cells: list[Cell], name: str) -> None:
    for i, cell in enumerate(cells):
        if cell.language and cell.kind == "code":
            raise ValueError(f"{name}, line {cell.line}: code is shared between the languages; remove the tag")
        before = cells[i - 1].language if i else None
        after = cells[i + 1].language if i + 1 < len(cells) else None
        if cell.language == "en" and after != "zh":
            raise ValueError(f'{name}, line {cell.line}: no cell with tags=["zh"] follows this English one')
        if cell.language == "zh" and before != "en":
            raise ValueError(f'{name}, line {cell.line}: no cell with tags=["en"] stands before this Chinese one')


def notebook(cells: Sequence[Cell], language: str, solutions: bool = False) -> str:
    """The text of the .ipynb (format 4.5) in one language, without outputs; equal cells give equal bytes.

    Solutions are left out unless `solutions` is true.
    """
    seen: Counter[str] = Counter()
    written: list[dict] = []
    for cell in cells:
        if cell.language not in (None, language):
            continue
        source = cell.source if solutions else _without_solutions(cell)
        digest = sha256(f"{cell.kind}\n{source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        tags = [tag for tag in cell.tags if tag not in LANGUAGES]
        written.append(
            {
                "cell_type": cell.kind,
                "id": digest if seen[digest] == 1 else f"{digest}-{seen[digest]}",
                "metadata": {"tags": tags} if tags else {},
                "source": source.splitlines(keepends=True),
            }
            | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {})
        )
    document = {
        "cells": written,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _without_solutions(cell: Cell) -> str:
    source = SOLUTION.sub(r"\1...  # your code here", cell.source)
    if "### BEGIN SOLUTION" in source or "### END SOLUTION" in source:
        raise ValueError(f"cell at line {cell.line}: BEGIN SOLUTION and END SOLUTION do not pair")
    return source


def render(folder: Path = FOLDER, sources: Path = SOURCES) -> dict[Path, str]:
    """The text of every notebook that the sources ask for, by its place under folder. ValueError if there are none."""
    found = {}
    for path in sorted(sources.glob("[0-9][0-9]_*.py")):
        cells = parse(path.read_text(encoding="utf-8"), path.name)
        for language in LANGUAGES:
            found[folder / language / f"{path.stem}.ipynb"] = notebook(cells, language)
    if not found:
        raise ValueError(f"no lesson sources (NN_name.py) in {sources}")
    return found


def write_missing(folder: Path, language: str, sources: Path = SOURCES) -> tuple[list[Path], list[Path]]:
    """Write the notebooks of one language that folder has not got. Returns those, and the ones there that differ.

    A notebook that is there is never written over: a student may have worked in it.
    """
    written, differ = [], []
    for path, text in render(Path(), sources).items():
        place = folder / path.name
        if path.parent.name != language or (place.exists() and place.read_bytes() == text.encode()):
            continue
        if place.exists():
            differ.append(place)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode())
            written.append(place)
    return written, differ


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the notebooks that differ from their source, or with --check name them and return 1."""
    parser = argparse.ArgumentParser(prog="python -m tinyllm.lessons.notebooks", description="Write the notebooks.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    parser.add_argument("--sources", type=Path, default=SOURCES, help="the lessons (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a notebook is out of date")
    options = parser.parse_args(arguments)
    wanted = render(options.folder, options.sources)
    orphans = [p for lang in LANGUAGES for p in sorted((options.folder / lang).glob("*.ipynb")) if p not in wanted]
    changed = [p for p, text in wanted.items() if not p.exists() or p.read_bytes() != text.encode()]
    for path in changed:
        print(f"{path}: out of date; run python -m tinyllm.lessons.notebooks" if options.check else f"wrote {path}")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[path].encode())
    for path in orphans:
        print(f"{path}: no source makes this notebook; delete it")
    return 1 if options.check and (changed or orphans) else 0


if __name__ == "__main__":
    sys.exit(main())
