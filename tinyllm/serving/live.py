"""The model that is served now, and the watch that puts a newer one in its place."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from tinyllm.serving.answers import Classifier, Writer, answerer

__all__ = ["Live", "load", "watch"]

LOG = logging.getLogger("tinyllm.serving")


def load(path: Any) -> Any:
    """The model in a folder or file; of a run of `tinyllm train`, its best model."""
    from tinyllm.models import load_model
    from tinyllm.pretraining import best_of

    return load_model(best_of(path))


class Live:
    """Holds who answers. A request takes `now` once and keeps it, so a swap disturbs none that is running."""

    def __init__(self, model: Any):
        self.now: Classifier | Writer = answerer(model)
        self.version = 1
        self.draining = False  # told to stop: what is running is finished, and /readyz says no
        self.on_swap: Callable[[int, bool], None] = lambda version, taken: None

    def swap(self, model: Any) -> None:
        """Answer with this model from now on. ValueError, and nothing changes, if it answers other routes."""
        newer = answerer(model)
        if newer.kind != self.now.kind:
            raise ValueError(f"a {newer.kind} cannot take the place of a {self.now.kind}; start another server for it")
        self.now, self.version = newer, self.version + 1


def watch(live: Live, path: Any, seconds: float, stop: threading.Event) -> threading.Thread:
    """Look at the model's files every so often, and swap when they changed; a model that does not load is refused."""
    seen = stamp(path)

    def look() -> None:
        nonlocal seen
        while not stop.wait(seconds):
            found = stamp(path)
            if found == seen:
                continue
            seen = found
            try:
                live.swap(load(path))
            except Exception as error:  # whatever is wrong with it, the old one goes on
                LOG.warning("reload refused, the old model goes on: %s: %s", type(error).__name__, error)
                live.on_swap(live.version, False)
            else:
                LOG.warning("reloaded: version %d answers now", live.version)
                live.on_swap(live.version, True)

    thread = threading.Thread(target=look, name="tinyllm-reload", daemon=True)
    thread.start()
    return thread


def stamp(path: Any) -> tuple | None:
    """What changes when a model is saved anew: of a folder, its manifest, which is written last and names the rest."""
    from tinyllm.pretraining import best_of

    folder = best_of(path)
    try:
        info = os.stat(folder / "manifest.json" if folder.is_dir() else folder)
    except OSError:  # not there now
        return None
    return info.st_mtime_ns, info.st_size, info.st_ino
