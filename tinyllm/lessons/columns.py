"""Rows of text below one another; a Chinese character is two columns wide."""

from collections.abc import Sequence
from unicodedata import east_asian_width

__all__ = ["aligned", "shortened"]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows with their columns aligned, two spaces apart.

    >>> print(aligned([("claim", "verdict"), ("S4-09", "错误")]))
    claim  verdict
    S4-09  错误
    """
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c + " " * (w - _width(c)) for c, w in zip(row, widths)).rstrip() for row in rows)


def shortened(text: str, width: int) -> str:
    """The text in at most so many columns, ending in "..." where something is left out.

    >>> shortened("0.34, 0.36, 0.42", 10)
    '0.34, 0...'
    """
    if _width(text) <= width:
        return text
    while _width(text) > width - 3:
        text = text[:-1]
    return text + "..."


def _width(text: str) -> int:
    return sum(2 if east_asian_width(c) in "WFA" else 1 for c in text)
