"""The error of every element as a heat map."""

from typing import Any

import numpy as np

from tinyllm.autograd.gradcheck.report import DOUBTFUL, Argument, Report

__all__ = ["heat_maps"]


def heat_maps(report: Report, axes: Any = None) -> Any:
    """One map for each argument; see Report.plot."""
    from tinyllm.pictures import figure, style

    n = len(report.arguments)
    if axes is None:
        columns = min(n, 3)
        rows = -(-n // columns)
        made, axes = figure(rows, columns, (4.2 * columns + 0.6, 3.2 * rows + 0.5))
        made.suptitle(report.summary.replace(" (", "\n(", 1), fontsize=10)
    else:
        axes = list(np.atleast_1d(np.asarray(axes, object)).flat)
        made = axes[0].figure
    with style():
        from matplotlib.colors import LogNorm

        norm = LogNorm(1e-12, 1.0)
        for ax, found in zip(axes, report.arguments):
            _map(ax, found, norm)
        for ax in axes[n:]:
            ax.set_axis_off()
        bar = made.colorbar(axes[0].images[0], ax=list(axes), shrink=0.8, extend="both")
        bar.set_label("relative error")
        for limit in (report.rtol, max(DOUBTFUL, report.rtol)):
            bar.ax.axhline(limit, color="black", linewidth=1)
    return made


def _map(ax: Any, found: Argument, norm: Any) -> None:
    """Axes before the last lie below each other; a line parts what belongs to another index of them."""
    errors = found.errors
    rows = errors.reshape(-1, errors.shape[-1]) if errors.ndim > 1 else errors.reshape(1, -1)
    if not rows.size:
        rows = np.full((1, 1), np.nan)
    ax.set_facecolor("#cccccc")  # not measured
    shown = np.clip(np.where(np.isposinf(rows), 1.0, rows), 1e-12, 1.0)
    ax.imshow(shown, norm=norm, cmap="viridis_r", aspect="auto", interpolation="nearest")
    ax.grid(False)
    if errors.ndim > 2:
        for edge in range(errors.shape[-2], len(rows), errors.shape[-2]):
            ax.axhline(edge - 0.5, color="white", linewidth=1)
    if isinstance(found.index, tuple) and found.index and not found.ok:
        row = int(np.ravel_multi_index(found.index[:-1], errors.shape[:-1])) if errors.ndim > 1 else 0
        ax.plot(found.index[-1], row, "o", markersize=11, markerfacecolor="none", markeredgecolor="#d1242f", mew=2)
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    if errors.ndim < 2:
        ax.set_yticks([])
    if not errors.ndim or not errors.size:
        ax.set_xticks([])
    ax.set_title(f"{found.name} {found.shape}: {found.grade if found.ok else found.grade.upper()}")
    ax.set_xlabel("" if not errors.ndim else "index" if errors.ndim == 1 else "last axis")
    ax.set_ylabel("the axes before it" if errors.ndim > 2 else "first axis" if errors.ndim == 2 else "")
