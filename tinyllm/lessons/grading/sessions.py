"""The grader's end of a student's process: starting it, asking it, and ending it, whatever it does."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from tinyllm.lessons.grading import wire

__all__ = ["Ended", "Session", "Worker"]

STARTUP = 60.0  # seconds to load NumPy, on a busy machine; the student's time begins afterwards
PRINTED = 2000  # bytes of its output that are looked at
CHILD = Path(__file__).with_name("child.py")
KEPT = ("SYSTEMROOT", "PATH", "TMP", "TEMP")  # of the environment; Python needs the first on Windows
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
FORKS = sys.platform == "linux"  # on macOS a fork after NumPy may hang in Accelerate; Windows has none


class Ended(Exception):
    """The student's process is gone, or says what is no answer: nothing counts any more."""


class Wire(Protocol):
    """A running process: where to write, where to read, how to end it. end() has its exit code; negative: a signal."""

    to: IO[bytes]
    back: IO[bytes]

    def cut(self) -> None: ...
    def end(self) -> int | None: ...


class Worker:
    """Starts student's processes, one at a time. On Linux it keeps a process with NumPy loaded, and has that fork.

    It is not for several threads at once: each thread has its own.
    """

    def __init__(self) -> None:
        self._forks: dict[tuple[str, ...], _Fork] = {}

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        for fork in self._forks.values():
            fork.close()
        self._forks.clear()

    @contextlib.contextmanager
    def session(self, modules: tuple[str, ...], seconds: float) -> Iterator["Session"]:
        """A process for one exercise in an empty folder; it and all that it started are gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="tinyllm-", ignore_cleanup_errors=True) as folder:
            session = Session(self._start(modules), folder, seconds)
            try:
                yield session
            finally:
                session.close()

    def _start(self, modules: tuple[str, ...]) -> Wire:
        if not FORKS:
            return _Direct(modules)
        for _ in range(2):
            if modules not in self._forks:
                self._forks[modules] = _Fork(modules)
            try:
                return self._forks[modules].start()
            except OSError:  # somebody ended it: once more, with a new one
                self._forks.pop(modules).close()
        raise OSError("cannot start a process for the student's code")


class Session:
    """A conversation with one process, in at most `seconds` of its time. Ended, and nothing else, if it goes wrong."""

    def __init__(self, process: Wire, folder: str, seconds: float) -> None:
        self.process, self.seconds = process, seconds
        self.left, self.why, self.late = STARTUP, "", False
        # Opened before anybody can put another in its place.
        self.printed = open(os.path.join(folder, "output"), "w+b")  # noqa: SIM115
        with contextlib.suppress(Ended):  # then every question ends so
            self.ask("begin", folder, seconds)
        self.left = seconds

    def ask(self, *message: Any) -> list:
        """Send a message; its reply."""
        if not self.why:
            timer = threading.Timer(max(self.left, 0.01), self._stop)
            timer.daemon = True
            began = time.monotonic()
            timer.start()
            try:
                self._tell(list(message))
                if not self.why:
                    return self._reply()
            finally:
                timer.cancel()
                self.left -= time.monotonic() - began
        raise Ended(self.why)

    def _tell(self, message: list) -> None:
        try:
            wire.write(self.process.to, message)
        except OSError:
            self._end("")

    def _reply(self) -> list:
        try:
            reply = wire.read(self.process.back)
            if not answers(reply):
                raise wire.WireError("not an answer")
            return reply
        except wire.WireError as error:
            self._end(f"its process wrote what is no answer ({error})")
        except (OSError, EOFError, ValueError):
            self._end("")
        raise Ended(self.why)

    def _stop(self) -> None:
        self.late = True
        self.process.cut()

    def _end(self, why: str) -> None:
        code = self.process.end()
        if self.late:
            why = f"it took longer than {self.seconds:g} s"
        self.why = why or _said(code)

    def output(self) -> str:
        """The end of what it printed."""
        self.printed.seek(max(0, os.fstat(self.printed.fileno()).st_size - PRINTED))
        return self.printed.read(PRINTED).decode("utf-8", "replace")

    def close(self) -> None:
        self.process.end()
        self.printed.close()


def answers(reply: list) -> bool:
    """Is this what the student's process has to say: a value, why one does not fit, or what was raised?"""
    match reply:
        case ["value", _] | ["unfit", str()]:
            return True
        case ["raised", [str(), *others], str(), str(), int(), str()]:
            return all(isinstance(each, str) for each in others)
    return False


def _said(code: int | None) -> str:
    if code is None:
        return "its process was ended"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended in the middle, with exit code {code}"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-I", "-B", str(CHILD), *arguments]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | dict.fromkeys(THREADS, "1") | {"PYTHONUTF8": "1"}


class _Direct:
    """A process of its own, on pipes."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            _command(*modules),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.to: IO[bytes] = self.process.stdin
        self.back: IO[bytes] = self.process.stdout

    def cut(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def end(self) -> int | None:
        with contextlib.suppress(OSError):
            self.to.close()  # at which it ends, unless it is up to something
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(0.5)
        self.cut()  # the others of its group
        self.process.wait()
        self.back.close()
        return code


class _Fork:
    """The process that has NumPy and forks; one exercise at a time."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.control, theirs = socket.socketpair()
        self.last: _Forked | None = None
        self.control.settimeout(20)  # it answers at once, or somebody stopped it
        with theirs:
            self.process = subprocess.Popen(
                _command("--fork", *modules),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )

    def start(self) -> "_Forked":
        if self.last and not self.last.ended:
            raise RuntimeError("one exercise at a time: this worker has an open session")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self.control, [b"+"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        self.last = _Forked(self.control, ours)
        return self.last

    def close(self) -> None:
        self.control.close()  # at which it ends its child, and itself
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class _Forked:
    """A forked process, on a socket."""

    def __init__(self, control: socket.socket, ours: socket.socket) -> None:
        self.control, self.socket = control, ours
        self.to: IO[bytes] = ours.makefile("wb")
        self.back: IO[bytes] = ours.makefile("rb")
        self.ended = False

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> int | None:
        if self.ended:
            return None
        self.ended = True
        self.cut()
        code = None
        try:
            self.control.sendall(b".")
            code = json.loads(self.control.recv(8) or b"null")
        except (OSError, ValueError):
            self.control.close()  # the next start() fails, and a new one is made
        for file in (self.to, self.back, self.socket):
            with contextlib.suppress(OSError):
                file.close()
        return code
