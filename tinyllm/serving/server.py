"""Running the application on waitress: until Ctrl-C, or for as long as a with block lasts."""

import errno
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tinyllm.process import one_blas_thread
from tinyllm.serving.app import create_app

__all__ = ["running_server", "serve"]

LARGEST_BODY = 1024 * 1024  # bytes; up to here the application explains the 413, beyond it waitress hangs up
ASK_AT = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # "every address" is one to listen on, not to ask


def serve(model_or_path: Any, host: str = "127.0.0.1", port: int = 5000, threads: int = 4) -> None:
    """Answer for a model, or for a model file, until Ctrl-C. Prints the address and an example first.

    Only this machine can ask unless `host` says otherwise ("0.0.0.0": every machine that reaches it). port=0 takes any
    free port. Raises what create_app does, and OSError in one sentence when the address cannot be had.
    """
    if isinstance(model_or_path, str | os.PathLike):
        from tinyllm.models import load_model

        model_or_path = load_model(model_or_path)
    _waitress()
    app = create_app(model_or_path)
    service = app.extensions["tinyllm"]
    with one_blas_thread():
        server, url = _listen(app, host, port, threads)
        try:
            curl = _shown(service.curl(url), service.curl(url, ascii_only=True))
            print(f"tinyllm answers on {url} (Ctrl-C stops it). Try: {curl}", flush=True)
            server.run()  # returns on Ctrl-C
        finally:
            server.task_dispatcher.shutdown()
            _close(server)
    print("stopped", flush=True)


def running_server(model: Any, host: str = "127.0.0.1", port: int = 0, threads: int = 4) -> AbstractContextManager[str]:
    """Answer for a model while a with block lasts; the block is given the base URL. port=0 takes any free port.

        with running_server(model) as url:
            print(urllib.request.urlopen(url + "/health").read())

    Leaving the block finishes the requests at work, then closes every connection. Raises what create_app does at once,
    and OSError on entering when the address cannot be had.
    """
    _waitress()
    return _running(create_app(model), host, port, threads)


@contextmanager
def _running(app: Any, host: str, port: int, threads: int) -> Iterator[str]:
    with one_blas_thread():
        server, url = _listen(app, host, port, threads)
        loop = threading.Thread(target=server.run, name="tinyllm-server", daemon=True)
        loop.start()
        try:
            yield url
        finally:
            server.task_dispatcher.shutdown()
            server.trigger.pull_trigger(lambda: _close(server))  # in the loop's own thread: without sockets it ends
            loop.join(5)


def _waitress() -> Any:
    try:
        from waitress import create_server
    except ImportError:
        raise ImportError("serving needs waitress: pip install flask waitress") from None
    return create_server


def _listen(app: Any, host: str, port: int, threads: int) -> tuple[Any, str]:
    """A waitress server that already accepts connections, and its base URL."""
    create_server = _waitress()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads must be a positive whole number; found {threads!r}")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request that waits its turn is no news
    # waitress starts its threads before it binds, and leaves them behind if it cannot: so bind first.
    listener = _bind(host, port)
    address = ASK_AT.get(host, host)
    address = f"[{address}]" if ":" in address else address
    server = create_server(
        app,
        sockets=[listener],
        threads=threads,
        connection_limit=1000,
        asyncore_use_poll=True,
        max_request_body_size=LARGEST_BODY,
        ident="tinyllm",
        server_name=address,  # stands in for a Host header that a client does not send
    )
    return server, f"http://{address}:{listener.getsockname()[1]}"


def _bind(host: str, port: int) -> socket.socket:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"port must be in 0..65535; found {port!r}")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        where, other = f"port {port} on {host or 'this machine'}", 8000 if port != 8000 else 8001
        if error.errno == errno.EADDRINUSE:
            reason = f"{where} is in use; choose another, such as port={other}, or port=0 for any free one"
        elif error.errno == errno.EACCES:
            reason = f"{where} is not allowed to this user; choose one above 1023, such as port={other}"
        else:
            reason = f"cannot listen on {where}: {error.strerror or error}"
        raise OSError(reason) from None


def _close(server: Any) -> None:
    for channel in list(server.active_channels.values()):
        channel.handle_close()
    server.close()


def _shown(text: str, otherwise: str) -> str:
    """The text, or the other one where the console cannot show it."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return otherwise
    return text
