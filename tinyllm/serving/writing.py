"""Texts that are being written for callers: so many at once, so long at most, and only while somebody listens."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tinyllm.generation import Stream
from tinyllm.serving.observing import Metrics
from tinyllm.serving.problems import Problem, to_json

__all__ = ["Room", "Writing"]


class Room:
    """The places for texts that are being written."""

    def __init__(self, places: int, deadline: float, metrics: Metrics):
        self.places, self.deadline, self.metrics = places, deadline, metrics
        self.free = threading.BoundedSemaphore(places)

    def enter(self, prompt: str, stream: Stream, gone: Callable[[], bool] | None) -> "Writing":
        """Take a place. Problem (503) if there is none. gone: tells whether the caller has hung up."""
        if not self.free.acquire(blocking=False):
            what = f"{self.places} texts are being written, and no more at once; try again in a second"
            raise Problem(503, "Service Unavailable", what, headers={"Retry-After": "1"})
        self.metrics.running.inc()
        return Writing(self, prompt, stream, gone)


class Writing:
    """One text being written. close() gives its place back, whatever became of it."""

    def __init__(self, room: Room, prompt: str, stream: Stream, gone: Callable[[], bool] | None):
        self.room, self.prompt, self.stream, self.gone = room, prompt, stream, gone
        self.until = time.monotonic() + room.deadline
        self.cut = ""  # "deadline" or "gone", if it was not brought to its end
        self.open = threading.Lock()

    def pieces(self) -> Iterator[str]:
        """The text, piece by piece; looks at the clock and at the caller after every token."""
        for piece in self.stream.tokens():
            if piece:
                yield piece
            if self.gone is not None and self.gone():
                self.cut = "gone"
                return
            if time.monotonic() > self.until:
                self.cut = "deadline"
                return

    def whole(self) -> dict[str, Any]:
        """All of it: {"text", "written", "reason", "tokens"}."""
        try:
            text = "".join(self.pieces())
            return {"text": self.prompt + text, "written": text, **self.end()}
        finally:
            self.close()

    def events(self) -> Iterator[bytes]:
        """Server-sent events: {"text": piece} each, then one called "end" with {"reason", "tokens"}."""
        try:
            for piece in self.pieces():
                yield b"data: " + to_json({"text": piece}) + b"\n\n"
            yield b"event: end\ndata: " + to_json(self.end()) + b"\n\n"
        finally:
            self.close()

    def end(self) -> dict[str, Any]:
        """Why it ended, and how many tokens were written."""
        found = self.stream.result()
        return {"reason": found.reason or self.cut or "gone", "tokens": len(found.ids)}

    def close(self) -> None:
        """End the work. Once is enough; more do no harm."""
        if not self.open.acquire(blocking=False):
            return
        self.stream.close()
        end = self.end()
        self.room.metrics.wrote(end["reason"], end["tokens"])
        self.room.free.release()
