"""The lessons there are, by number: title and duration as their first cells tell them."""

import re
from dataclasses import dataclass
from pathlib import Path

from tinyllm.lessons.notebooks import SOURCES, parse

__all__ = ["Lesson", "lesson", "lessons"]

TITLE = re.compile(r"# \d+\. (.+)")
MINUTES = re.compile(r"(\d+) (?:minutes|分钟)")


@dataclass(frozen=True)
class Lesson:
    """A lesson: its number, its source, its title in English and Chinese, and how long it takes (None: not told)."""

    number: int
    source: Path
    title: str
    title_zh: str
    minutes: int | None


def lessons(sources: Path = SOURCES) -> list[Lesson]:
    """All of them, in order. ValueError where a first cell has no title "# 1. Losses by hand".

    >>> lessons()[1].title, lessons()[1].minutes
    ('Losses by hand', 25)
    """
    found = []
    for path in sorted(sources.glob("[0-9][0-9]_*.py")):
        texts = [cell.source for cell in parse(path.read_text(encoding="utf-8"), path.name)[:2]]
        titles = [TITLE.match(text) for text in texts]
        if len(titles) < 2 or titles[0] is None or titles[1] is None:
            raise ValueError(f'{path.name}: the first two cells begin with the title, "# 1. Losses by hand"')
        minutes = MINUTES.search(texts[0])
        number = int(path.name[:2])
        found.append(Lesson(number, path, titles[0][1], titles[1][1], int(minutes[1]) if minutes else None))
    return found


def lesson(number: str | int, sources: Path = SOURCES) -> Lesson:
    """One of them. ValueError, with the numbers that there are, for another.

    >>> lesson("02").title
    'One step downhill'
    """
    known = {each.number: each for each in lessons(sources)}
    if not str(number).isdecimal() or int(number) not in known:
        raise ValueError(f"no lesson {number}; there are {', '.join(f'{n:02}' for n in known)}")
    return known[int(number)]
