"""What stays of training to look at: a table on disk, a picture that grows in a notebook."""

import csv
import io
import os
import sys
from typing import Any

from tinyllm.callbacks.base import Callback

__all__ = ["CSVLogger", "LivePlot"]


class CSVLogger(Callback):
    """A line per epoch in a file: the epoch, and the logs in alphabetical order. "NA" where an epoch lacks a number.

    append: keep what the file holds already. Resumed training cuts the file back to where the checkpoint was made.
    """

    kept = ("text", "columns")

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        self.filename, self.separator, self.append = os.fsdecode(filename), separator, append

    def on_train_begin(self, logs=None):
        self.text, self.columns = "", None
        if self.append and os.path.exists(self.filename):
            with open(self.filename, encoding="utf-8", newline="") as file:
                self.text = file.read()
        self._write("w", self.text)  # a place that cannot be written to shows before the first epoch

    def set_state(self, state):
        super().set_state(state)
        self._write("w", self.text)

    def on_epoch_end(self, epoch, logs=None):
        line = io.StringIO()
        writer = csv.writer(line, delimiter=self.separator)
        if self.columns is None:
            found = sorted(logs or {})
            unseen = [] if any(name.startswith("val_") for name in found) else [f"val_{name}" for name in found]
            self.columns = found + unseen  # validation may come with a later epoch (validation_freq)
            if not self.text:
                writer.writerow(["epoch", *self.columns])
        writer.writerow([epoch, *((logs or {}).get(name, "NA") for name in self.columns)])
        self.text += line.getvalue()
        self._write("a", line.getvalue())

    def _write(self, mode: str, text: str) -> None:
        with open(self.filename, mode, encoding="utf-8", newline="") as file:
            file.write(text)


class LivePlot(Callback):
    """Curves that grow with every epoch in a notebook; elsewhere nothing is shown, and save(path) draws them.

    names: which logs to draw, a panel for each, with its validation beside it; by default all. Needs matplotlib.
    """

    kept = ("history", "epochs")

    def __init__(self, names: Any = None):
        self.names = [names] if isinstance(names, str) else names
        self.shown: Any = None

    def on_train_begin(self, logs=None):
        self.history: dict[str, list[float]] = {}
        self.epochs: dict[str, list[int]] = {}
        self.shown = None

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self.epochs.setdefault(name, []).append(epoch + 1)
        if _in_notebook():
            from IPython.display import Image, display

            picture = io.BytesIO()
            self.save(picture, format="png")
            image = Image(data=picture.getvalue())
            if self.shown is None:
                self.shown = display(image, display_id=True)
            else:
                self.shown.update(image)

    def save(self, path: Any, **options: Any) -> None:
        """Draw the curves so far into a file; options as for matplotlib's savefig."""
        try:
            from matplotlib.figure import Figure  # without pyplot: no global state, no window
        except ImportError:
            raise ImportError("LivePlot needs matplotlib: pip install 'tinyllm-numpy[plot]'") from None
        panels = [n for n in self.history if not n.startswith("val_") and (self.names is None or n in self.names)]
        if not panels:
            wanted = f" of {', '.join(self.names)}" if self.names else ""
            raise ValueError(f"LivePlot: nothing to draw{wanted}; the logs have {', '.join(self.history) or 'nothing'}")
        figure = Figure(figsize=(5 * len(panels), 3.5), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
            for curve, label in ((name, "training"), (f"val_{name}", "validation")):
                if curve in self.history:
                    axes.plot(self.epochs[curve], self.history[curve], ".-", label=label)
            axes.set(title=f"{name}: {self.history[name][-1]:.4g}", xlabel="epoch")
            axes.legend()
        figure.savefig(path, **options)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")  # a notebook has imported it; a script need not pay for it
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
