"""Run a lesson as a script, and save its figures: `python -m tinyllm.lessons.script SOURCE [DIR]`."""

import runpy
import sys
from pathlib import Path

__all__ = ["main"]


def main(source: str, folder: str | None = None) -> None:
    """Run the lesson; with a folder, each plt.show() saves what it would show there, as 01_losses_by_hand_1.png, ..."""
    if folder is not None:
        _save_into(Path(folder), Path(source).stem)
    runpy.run_path(source, run_name="__main__")


def _save_into(folder: Path, name: str) -> None:
    import matplotlib

    matplotlib.use("Agg")  # no window
    from matplotlib import pyplot

    saved = 0

    def show(*args: object, **kwargs: object) -> None:
        nonlocal saved
        for number in pyplot.get_fignums():
            saved += 1
            path = folder / f"{name}_{saved}.png"
            pyplot.figure(number).savefig(path, dpi=150)
            print(f"saved {path}")
        pyplot.close("all")

    pyplot.show = show


if __name__ == "__main__":
    main(*sys.argv[1:])
