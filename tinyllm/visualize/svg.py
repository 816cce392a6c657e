"""Boxes and edges as SVG. No style sheet, no ids: several pictures on one page cannot disturb each other."""

import textwrap
from typing import Any
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from tinyllm.visualize.layout import Layout

__all__ = ["draw", "measured", "rows_of", "text_width"]

FONT = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SIZE, LINE, PAD_X, PAD_Y = 12, 16, 12, 9
CHARACTER = 0.63 * SIZE  # the widest of these fonts advances 0.602 of its size
ROW = 44  # characters, after which a row is broken
INK, PAPER, EDGE = "#1b1f24", "#fcfcf9", "#6b7280"
# Colours of Okabe & Ito 2008, which colour-blind people tell apart, lightened to fill; the outlines differ as well.
FILL = {"leaf": "#fdebc8", "constant": "#f1f1ef", "operation": "#e2f1fa", "result": "#d9f0e6"}
STROKE = {"leaf": "#a86400", "constant": "#7a7a7a", "operation": "#0072b2", "result": "#00694c"}
TEXT = {"gra": "#a63c00", "to ": "#7a2e5d", "by ": "#7a2e5d"}  # by how a row begins
LEGEND = [
    ("leaf", "leaf: its gradient is kept"),
    ("operation", "operation"),
    ("result", "result"),
    ("constant", "constant: no gradient"),
]


def text_width(text: str) -> float:
    """A safe estimate of how wide a row is: Chinese characters and other wide ones count twice."""
    if text.isascii():
        return CHARACTER * len(text)
    return CHARACTER * sum(2 if east_asian_width(c) in "WFA" else 1 for c in text)


def rows_of(box: Any) -> list[str]:
    """What is written in a box: the title, then details, as many to a row as fit, then rules."""
    title = _wrapped(box.title)
    room = max(26, *map(len, title))
    rows: list[str] = []
    for detail in box.details:
        if rows and not detail.startswith("grad") and len(rows[-1]) + 2 + len(detail) <= room:
            rows[-1] += "  " + _plain(detail)
        else:
            rows += _wrapped(detail)
    return [*title, *rows, *(row for rule in box.rules for row in _wrapped(rule))]


def _wrapped(text: str) -> list[str]:
    text = _plain(text)
    return [text] if len(text) <= ROW else textwrap.wrap(text, ROW, subsequent_indent="  ") or [""]


def _plain(text: str) -> str:
    """Text without the control characters that XML does not allow."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def measured(box: Any) -> tuple[float, float]:
    """Width and height of a box."""
    rows = rows_of(box)
    return max(map(text_width, rows)) + 2 * PAD_X, len(rows) * LINE + 2 * PAD_Y


def draw(boxes: list[Any], edges: list[tuple[int, int]], layout: Layout) -> str:
    """The picture as one svg element."""
    legend, legend_width = _legend(20.0, layout.height + 12, {box.kind for box in boxes})
    width, height = max(layout.width, legend_width + 20), layout.height + 34
    shift = (width - layout.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONT}" font-size="{SIZE}" role="img">',
        f"<title>{escape(f'computation of {_plain(boxes[-1].title)}, {len(boxes)} boxes')}</title>",
        f'<rect width="100%" height="100%" rx="10" fill="{PAPER}" stroke="#d5d5cf"/>',
        f'<g transform="translate({shift:.1f} 0)">',
        *(f'<g class="trunk" data-from="{i}">{_line(path)}</g>' for i, path in layout.trunks.items()),
        *(_edge(path, i, j) for path, (i, j) in zip(layout.paths, edges)),
        *(_box(box, k, *layout.corners[k]) for k, box in enumerate(boxes)),
        "</g>",
        legend,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _edge(points: list[tuple[float, float]], i: int, j: int) -> str:
    x, y = points[-1]
    head = f'<path d="M{x:.1f} {y:.1f}l-3.5 -7h7z" fill="{EDGE}"/>'
    return f'<g class="edge" data-from="{i}" data-to="{j}">{_line(points)}{head}</g>'


def _line(points: list[tuple[float, float]]) -> str:
    """Straight down through a layer, in a curve to the next."""
    (x, y), steps = points[0], [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for k, (to_x, to_y) in enumerate(points[1:]):
        half = (y + to_y) / 2
        curve = f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
        steps.append(f"V{to_y:.1f}" if k % 2 == 0 else curve)
        x, y = to_x, to_y
    return f'<path d="{" ".join(steps)}" fill="none" stroke="{EDGE}" stroke-width="1.3"/>'


def _outline(kind: str, x: float, y: float, width: float, height: float) -> str:
    """A leaf has square corners and a double line, a constant a dashed line, what was computed round corners."""
    round_by = 0 if kind in ("leaf", "constant") else min(9, height / 2)
    shape = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_by:g}" '
        f'fill="{FILL[kind]}" stroke="{STROKE[kind]}"'
    )
    if kind == "leaf":
        inner = f'<path d="M{x + 3:.1f} {y + 3:.1f}h{width - 6:.1f}v{height - 6:.1f}h{6 - width:.1f}z" fill="none" '
        return f'{shape} stroke-width="1.5"/>{inner}stroke="{STROKE[kind]}" stroke-width="0.8"/>'
    extra = {"constant": ' stroke-dasharray="4 3"', "result": ' stroke-width="2.6"'}
    return shape + extra.get(kind, ' stroke-width="1.2"') + "/>"


def _box(box: Any, index: int, x: float, y: float) -> str:
    width, height = measured(box)
    lines = []
    title = len(_wrapped(box.title))
    colour = INK
    for k, row in enumerate(rows_of(box)):
        if not row.startswith("  "):  # a broken row goes on in its colour
            colour = TEXT.get(row[:3], INK)
        weight = ' font-weight="bold"' if k < title else ""
        lines.append(
            f'<text x="{x + PAD_X:.1f}" y="{y + PAD_Y + LINE * k + 12:.1f}" fill="{colour}"{weight} '
            f'xml:space="preserve">{escape(row)}</text>'
        )
    outline = _outline(box.kind, x, y, width, height)
    return f'<g class="node" data-node="{index}" data-kind="{box.kind}">{outline}{"".join(lines)}</g>'


def _legend(x: float, y: float, kinds: set[str]) -> tuple[str, float]:
    """What the outlines mean, and how far to the right it goes."""
    parts = []
    for kind, meaning in LEGEND:
        if kind in kinds:
            parts.append(_outline(kind, x, y - 9, 16, 12))
            parts.append(f'<text x="{x + 22:.1f}" y="{y:.1f}" font-size="10" fill="{INK}">{escape(meaning)}</text>')
            x += 22 + text_width(meaning) * 10 / SIZE + 16
    return f'<g class="legend">{"".join(parts)}</g>', x - 16
