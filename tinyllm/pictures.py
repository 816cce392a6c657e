"""How results look: as a table, and as a picture that is the same in light and dark notebooks.

matplotlib is imported when a picture is drawn, not before.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass
from functools import cache
from io import BytesIO
from textwrap import fill
from typing import Any

import numpy as np

__all__ = ["COLOURS", "Experiment", "at_least", "caption", "colours", "figure", "progress", "table"]

# Blue, vermillion, green, purple, orange, sky blue: told apart by colour-blind readers too (Okabe & Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9")
INK = "#222222"
STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "grid.color": "#dddddd",
    "legend.fontsize": 8,
    "legend.framealpha": 0.9,
    "lines.linewidth": 1.6,
}


def style() -> AbstractContextManager:
    """Our look inside, whatever style the notebook has chosen."""
    try:
        import matplotlib.style
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from None
    return matplotlib.style.context(["default", STYLE])


@cache
def _figure_class() -> Any:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A Figure that looks the same in a light and a dark notebook: ticks are made while it is drawn."""

        def draw(self, renderer: Any) -> None:
            with style():
                super().draw(renderer)

        def savefig(self, *args: Any, **options: Any) -> None:
            with style():
                super().savefig(*args, **options)

        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    return Picture


def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.0, 3.8)) -> tuple[Any, list]:
    """A matplotlib Figure, white with dark text, and its axes row by row; `size` in inches.

    It belongs to nobody but the caller: pyplot does not know it, so nothing has to be closed.

    >>> picture, (left, right) = figure(columns=2)
    >>> picture.get_facecolor()
    (1.0, 1.0, 1.0, 1.0)
    """
    with style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        made = _figure_class()(figsize=size, layout="constrained")
        FigureCanvasAgg(made)
        axes = made.subplots(rows, columns, squeeze=False)
    return made, list(axes.flat)


def caption(axes: Any, text: str, width: int = 52) -> None:
    """The finding as the title of a panel, in lines that fit."""
    axes.set_title(fill(text, width))


def colours(n: int) -> list:
    """n colours in an order the eye can follow, from blue over purple to orange, all dark enough for white paper."""
    import matplotlib

    return [matplotlib.colormaps["plasma"](v) for v in np.linspace(0, 0.85, n)]


class Experiment:
    """The result of an experiment. A subclass is a frozen dataclass that writes `draw` and `__str__`."""

    def layout(self) -> tuple[int, int, tuple[float, float]]:
        """Rows and columns of panels, and the size in inches."""
        return 1, 1, (6.0, 3.8)

    def draw(self, *axes: Any) -> None:
        """Draw into as many axes as there are panels."""
        raise NotImplementedError

    def plot(self, axes: Any = None) -> Any:
        """The picture, a matplotlib Figure; in axes of your own (one, or a list with one for each panel) if given."""
        rows, columns, size = self.layout()
        if axes is None:
            made, axes = figure(rows, columns, size)
        else:
            axes = list(np.atleast_1d(np.asarray(axes, object)).flat)
            if len(axes) != rows * columns:
                raise ValueError(f"plot: {type(self).__name__} has {rows * columns} panels; found {len(axes)} axes")
            made = axes[0].figure
        with style():
            self.draw(*axes)
        return made

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as lists under their names."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return str(self)

    def _repr_png_(self) -> bytes | None:
        try:
            return self.plot()._repr_png_()
        except ImportError:  # no matplotlib: a notebook shows the table
            return None


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns under a head: text to the left, numbers to the right.

    >>> print(table(["method", "error"], [["forward", 1e-8], ["central", 2.5e-11]]))
    method     error
    forward    1e-08
    central  2.5e-11
    """
    texts = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in [head, *rows]]
    wide = [max(map(len, column)) for column in zip(*texts)]
    left = [isinstance(cell, str) for cell in (rows[0] if rows else head)]
    lines = [(t.ljust(w) if to_left else t.rjust(w) for t, w, to_left in zip(line, wide, left)) for line in texts]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def at_least(caller: str, name: str, value: Any, least: int = 1) -> int:
    """The argument as a whole number that is not too small, or an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{caller}: {name} must be a whole number of at least {least}; found {value!r}")
    return int(value)


def progress(items: Sequence, what: str, patience: float = 2.0) -> Iterator:
    """The items one by one; on a terminal, a counter once they take longer than `patience` seconds."""
    started, shown = time.perf_counter(), False
    for i, item in enumerate(items):
        if sys.stderr.isatty() and time.perf_counter() - started > patience:
            shown = True
            sys.stderr.write(f"\r{what} {i + 1}/{len(items)}\x1b[K")
            sys.stderr.flush()
        yield item
    if shown:
        sys.stderr.write("\r\x1b[K")
