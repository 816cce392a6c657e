"""waitress as this service wants it: errors as problems, operators served first, and an end that loses no request."""

import logging
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from tinyllm.serving.problems import PROBLEM, problem_body

__all__ = ["close", "drained_on_signals", "listen"]

LARGEST_BODY = 1024 * 1024  # bytes; up to here the application explains the 413, beyond it waitress hangs up
QUICK = ("/healthz", "/readyz", "/metrics")
QUIET = 1.0  # seconds without a word after which a connection that is kept alive is closed, when stopping
MOST = 1000  # connections at once
FILES = 24  # that stay free for the rest of the process: itself, a model that is read anew, the log


class ProblemTask(ErrorTask):
    """What never becomes a request (a garbled line, a length that is no number), answered as the application would."""

    def execute(self) -> None:
        error = self.request.error
        # 501 is for a Transfer-Encoding that nobody here knows: the caller's to mend, and no fault of the server's
        code, reason = (400, "Bad Request") if error.code == 501 else (error.code, error.reason)
        self.status = f"{code} {reason}"
        body = problem_body(code, reason, f"{error.body.strip()}: the connection is closed")
        self.response_headers.append(("Content-Type", PROBLEM))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class LastTask(WSGITask):
    """A request like any other; while the server is stopping, the last one on its connection."""

    def execute(self) -> None:
        if getattr(self.channel.server, "stopping", False):
            self.request.headers["CONNECTION"] = "close"
        super().execute()


class Channel(HTTPChannel):
    """A connection that is watched while a request is answered.

    A client that closes its sending side has perhaps gone, and perhaps only said its last word: nothing long is written
    for it any more, but an answer that is ready is sent.
    """

    task_class, error_task_class = LastTask, ProblemTask
    over = False  # the client sends no more

    def handle_read(self) -> None:
        if not self.requests:
            return super().handle_read()
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return None
        except OSError:
            return self.handle_close()
        if data:
            self.last_activity = time.time()
            self.received(data)
        else:
            self.over = True
        return None

    def readable(self) -> bool:
        return not self.over and super().readable()

    def writable(self) -> bool:
        return (self.over and not self.requests) or super().writable()

    def handle_write(self) -> None:
        super().handle_write()
        if self.over and self.connected and not self.requests and not self.total_outbufs_len:
            self.handle_close()

    def check_client_disconnected(self) -> bool:
        return self.over or super().check_client_disconnected()


class Dispatcher(ThreadedTaskDispatcher):
    """Threads for requests, and one more for what operators ask, so that it never waits behind them."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.quick = ThreadedTaskDispatcher()
        self.quick.set_thread_count(1)
        self.set_thread_count(threads)

    def add_task(self, task: Any) -> None:
        if getattr(task.requests[0], "path", None) in QUICK:  # what is no request has no path
            self.quick.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self.quick.shutdown(cancel_pending, timeout)
        return super().shutdown(cancel_pending, timeout)


def listen(app: Any, listener: Any, threads: int, name: str) -> Any:
    """A waitress server on a socket that listens already; name stands in for a Host header that is not sent."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request that waits its turn is no news
    server = create_server(
        app,
        sockets=[listener],
        _dispatcher=Dispatcher(threads),
        connection_limit=_most_connections(),
        asyncore_use_poll=True,
        channel_request_lookahead=1,  # so that a caller who hangs up is noticed while it is served
        max_request_body_size=LARGEST_BODY,
        ident="tinyllm",
        server_name=name,
    )
    server.channel_class = Channel
    return server


def _most_connections() -> int:
    """As many as the files that this process may open leave room for: beyond them, accepting fails again and again."""
    try:
        import resource
    except ImportError:  # Windows
        return MOST
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if files < 0 else min(MOST, max(files - FILES, 8))  # below 0: no limit


def close(server: Any) -> None:
    """Hang up everywhere. In the loop's own thread: without sockets it ends."""
    for channel in list(server.active_channels.values()):
        channel.handle_close()
    server.close()


@contextmanager
def drained_on_signals(server: Any, live: Any, grace: float) -> Iterator[None]:
    """While this lasts, SIGTERM ends the server's loop once what it has accepted is answered, or `grace` is over."""

    def begin(*_: Any) -> None:
        if not live.draining:
            live.draining = server.stopping = True
            threading.Thread(target=_drain, args=(server, grace), name="tinyllm-drain", daemon=True).start()

    if threading.current_thread() is not threading.main_thread():  # Python sets handlers there only
        yield
        return
    before = signal.signal(signal.SIGTERM, begin)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _drain(server: Any, grace: float) -> None:
    """Take in who is at the door, close it, and wait until every connection has been silent for a while."""
    end = time.monotonic() + grace
    shut = threading.Event()
    server.trigger.pull_trigger(lambda: _shut_door(server, shut))
    shut.wait(grace)
    while time.monotonic() < end and any(_busy(channel) for channel in list(server.active_channels.values())):
        time.sleep(0.02)
    server.trigger.pull_trigger(lambda: close(server))


def _busy(channel: Any) -> bool:
    """Whether a connection still has something to answer, to send, or perhaps to say."""
    if channel.requests or channel.total_outbufs_len or channel.will_close or channel.close_when_flushed:
        return True
    return time.time() - channel.last_activity < QUIET


def _shut_door(server: Any, shut: threading.Event) -> None:
    """Take in who has connected already, and stop listening; the connections that are there stay."""
    server.socket.listen(0)  # from now on nobody is put in line
    while select.select([server.socket], [], [], 0)[0]:
        there = len(server.active_channels)
        server.handle_accept()
        if len(server.active_channels) == there:  # no file is left for another: the rest is refused
            break
    server.accepting = False
    server.del_channel()
    server.socket.close()
    shut.set()
