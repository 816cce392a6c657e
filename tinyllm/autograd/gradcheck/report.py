"""What a gradient check found: as text, HTML, a dict, JSON, and a picture."""

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["DOUBTFUL", "Argument", "Report"]

DOUBTFUL = 1e-4  # between the tolerance and this, an error is too large for rounding and too small for most mistakes
COLORS = {"right": "#1a7f37", "doubtful": "#9a6700", "wrong": "#cf222e"}


@dataclass
class Argument:
    """What was found for one argument of the function.

    index, analytic and numeric tell of the element where the gradient is furthest off; there `error` is
    |analytic - numeric| / max(|analytic|, |numeric|), and `absolute` |analytic - numeric|. Elements below a thousandth
    of the largest are measured against that. `resolution` is what differences cannot tell from zero here; it is taken
    off where it is more than the tolerance. `errors` has the relative error of every element, NaN where none was
    measured; `jumps` are the elements at which f has no finite slope, which are not compared.
    """

    position: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    grade: str = "right"
    error: float = 0.0
    absolute: float = 0.0
    index: tuple[int, ...] | str = ()  # or "direction 2"
    analytic: float = 0.0
    numeric: float = 0.0
    resolution: float = 0.0  # relative to the largest element of the gradient
    checked: int = 0  # elements
    directions: int = 0
    kinks: list[dict[str, Any]] = field(default_factory=list)  # index, left and right slope, analytic
    jumps: list[tuple[int, ...]] = field(default_factory=list)  # where f has no finite slope: not compared
    diagnosis: str = ""
    errors: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)

    @property
    def ok(self) -> bool:
        return self.grade == "right"

    @property
    def place(self) -> str:
        """Where the worst element is, as text."""
        return self.index if isinstance(self.index, str) else str(list(self.index))


@dataclass
class Report:
    """The outcome of gradcheck(). True in a condition if every gradient agreed. Print it, or let a notebook show it."""

    subject: str
    order: int
    method: str
    rtol: float
    seed: int
    arguments: list[Argument] = field(default_factory=list)
    elements: str = ""  # which were compared, and why
    notes: list[str] = field(default_factory=list)
    diagnosis: str = ""  # what is wrong, in a line; empty if nothing is
    lower: "Report | None" = None  # order 2: the report of order 1

    @property
    def error(self) -> float:
        """The worst relative error over all arguments."""
        return max((a.error for a in self.arguments), default=0.0)

    @property
    def grade(self) -> str:
        """ "right" (every error within rtol), "doubtful" (within 1e-4) or "wrong"."""
        grades = {a.grade for a in self.arguments}
        return next((g for g in ("wrong", "doubtful") if g in grades), "right")

    @property
    def ok(self) -> bool:
        return self.grade == "right"

    @property
    def kinks(self) -> list[dict[str, Any]]:
        """Where the function has a corner: argument, index, and the slopes on both sides."""
        return [{"argument": a.name, **kink} for a in self.arguments for kink in a.kinks]

    @property
    def thresholds(self) -> dict[str, float]:
        """The largest relative error of each grade."""
        return {"right": self.rtol, "doubtful": max(DOUBTFUL, self.rtol), "wrong": float("inf")}

    def __bool__(self) -> bool:
        return self.ok

    # -- to read ----------------------------------------------------------------------------------------------------

    @property
    def summary(self) -> str:
        """The verdict in a line."""
        limit = max(DOUBTFUL, self.rtol)
        said = {
            "right": f"every relative error is within {self.rtol:g}",
            "doubtful": f"a relative error between {self.rtol:g} and {limit:g}",
            "wrong": f"a relative error above {limit:g}",
        }
        grade = self.grade if self.ok else self.grade.upper()
        return f"gradcheck of {self.subject}, order {self.order}: {grade} ({said[self.grade]})"

    def _rows(self) -> Iterator[list[str]]:
        yield ["argument", "shape", "verdict", "error", "at", "analytic", "numeric"]
        for a in self.arguments:
            numbers = [f"{a.error:.1e}", a.place, f"{a.analytic:.8g}", f"{a.numeric:.8g}"]
            yield [a.name, str(a.shape), a.grade if a.ok else a.grade.upper(), *numbers]

    def __str__(self) -> str:
        rows = list(self._rows())
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [self.summary]
        lines += ["  " + "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths)).rstrip() for row in rows]
        lines += [f"  diagnosis: {self.diagnosis}"] if self.diagnosis else []
        lines += [f"  compared: {self.elements}"]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        table = [_html_row("th", head)]
        for a, row in zip(self.arguments, rows):
            table.append(_html_row("td", row, verdict=COLORS[a.grade]))
        below = [f"<b>diagnosis</b>: {html.escape(self.diagnosis)}"] if self.diagnosis else []
        below += [html.escape(line) for line in (f"compared: {self.elements}", *(f"note: {n}" for n in self.notes))]
        return (
            '<div style="background:#fff;color:#1f2328;padding:10px;font-family:monospace;overflow-x:auto">'
            f'<div style="font-weight:600;color:{COLORS[self.grade]}">{html.escape(self.summary)}</div>'
            f'<table style="border-collapse:collapse;color:#1f2328">{"".join(table)}</table>'
            f"<div>{'<br>'.join(below)}</div></div>"
        )

    # -- to keep ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays of errors, as plain Python values."""
        arguments = [
            {name: value for name, value in vars(a).items() if name != "errors"} | {"index": a.index or []}
            for a in self.arguments
        ]
        return {
            "subject": self.subject,
            "order": self.order,
            "ok": self.ok,
            "grade": self.grade,
            "diagnosis": self.diagnosis,
            "error": self.error,
            "thresholds": self.thresholds,
            "method": self.method,
            "elements": self.elements,
            "seed": self.seed,
            "notes": list(self.notes),
            "arguments": _plain(arguments),
            "lower": None if self.lower is None else self.lower.to_dict(),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """to_dict() as JSON. Numbers that JSON has no word for, inf and nan, become strings."""
        return json.dumps(_finite(self.to_dict()), indent=indent)

    # -- to look at -------------------------------------------------------------------------------------------------

    def plot(self, axes: Any = None) -> Any:
        """A heat map of the relative error for each argument, the worst element ringed; a matplotlib Figure.

        Axes before the last two lie below each other. A gray element was not measured. Raises ImportError without
        matplotlib, saying how to install it.
        """
        from tinyllm.autograd.gradcheck.picture import heat_maps

        return heat_maps(self, axes)


def _html_row(tag: str, cells: list[str], verdict: str = "inherit") -> str:
    """A row of the table; the third cell, the verdict, in its colour. The styles are inline: notebooks drop others."""
    style = "padding:2px 10px;text-align:left;background:#fff;border-bottom:1px solid #d0d7de;color:"
    colors = [verdict if i == 2 else "inherit" for i in range(len(cells))]
    inside = (f'<{tag} style="{style}{color}">{html.escape(cell)}</{tag}>' for cell, color in zip(cells, colors))
    return f"<tr>{''.join(inside)}</tr>"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
