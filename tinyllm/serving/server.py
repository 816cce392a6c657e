"""Running the application: until it is told to stop, or for as long as a with block lasts."""

import errno
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

ASK_AT = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # "every address" is one to listen on, not to ask
SPARE = 2  # threads for what is answered at once: Python runs one at a time, and more only wait for each other


def serve(
    model_or_path: Any,
    host: str = "127.0.0.1",
    port: int = 5000,
    generations: int = 4,
    deadline: float = 30.0,
    reload: float = 0.0,
    grace: float = 30.0,
) -> None:
    """Answer for a model, or for a model's folder or file, until Ctrl-C or SIGTERM. Prints an example first.

    generations, deadline  as for create_app
    reload                 look at the folder or file every so many seconds and put a newer model in place; 0: never
    grace                  seconds that SIGTERM leaves for what was accepted

    Only this machine can ask unless `host` says otherwise ("0.0.0.0": every machine that reaches it). port=0 takes any
    free port. Raises what create_app does, and OSError in one sentence when the address cannot be had.
    """
    for name, value in (("reload", reload), ("grace", grace)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"serve: {name} must be a number of seconds, 0 or more; found {value!r}")
    from_disk = isinstance(model_or_path, str | os.PathLike)
    if reload and not from_disk:
        raise ValueError("serve: reload watches a folder or file; found a model in memory")
    transport = _transport()
    app = create_app(_loaded(model_or_path) if from_disk else model_or_path, generations, deadline)
    from tinyllm.serving.live import watch

    service, stop = app.extensions["tinyllm"], threading.Event()
    with one_blas_thread():
        server, url = _listen(app, host, port, _threads(service, generations))
        try:
            if reload:
                watch(service.live, model_or_path, reload, stop)
            print(_greeting(service, url), flush=True)
            with transport.drained_on_signals(server, service.live, grace):
                server.run()  # returns on Ctrl-C, and when all is drained
        finally:
            stop.set()
            server.task_dispatcher.shutdown()
            transport.close(server)
    print("stopped", flush=True)


def running_server(
    model: Any, host: str = "127.0.0.1", port: int = 0, generations: int = 4, deadline: float = 30.0
) -> AbstractContextManager[str]:
    """Answer for a model while a with block lasts; the block is given the base URL. port=0 takes any free port.

        with running_server(model) as url:
            print(urllib.request.urlopen(url + "/healthz").read())

    Leaving the block finishes the requests at work, then closes every connection. Raises what create_app does at once,
    and OSError on entering when the address cannot be had.
    """
    _transport()
    app = create_app(model, generations, deadline)
    return _running(app, host, port, _threads(app.extensions["tinyllm"], generations))


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
            server.trigger.pull_trigger(lambda: _transport().close(server))
            loop.join(5)


def _threads(service: Any, generations: int) -> int:
    """One for each text that may be written at once, and a few for the rest."""
    return SPARE + (generations if "/generate" in service.live.now.schemas else 0)


def _loaded(path: Any) -> Any:
    from tinyllm.serving.live import load

    return load(path)


def _transport() -> Any:
    try:
        from tinyllm.serving import transport
    except ImportError as error:
        raise ImportError(f"serving needs more packages ({error}): pip install 'tinyllm-numpy[serve]'") from None
    return transport


def _listen(app: Any, host: str, port: int, threads: int) -> tuple[Any, str]:
    """A server that already accepts connections, and its base URL."""
    # waitress starts its threads before it binds, and leaves them behind if it cannot: so bind first.
    listener = _bind(host, port)
    address = ASK_AT.get(host, host)
    address = f"[{address}]" if ":" in address else address
    return _transport().listen(app, listener, threads, address), f"http://{address}:{listener.getsockname()[1]}"


def _bind(host: str, port: int) -> socket.socket:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"port must be in 0..65535; found {port!r}")
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
    except OSError as error:
        where, other = f"port {port} on {host or 'this machine'}", 8000 if port != 8000 else 8001
        if error.errno == errno.EADDRINUSE:
            reason = f"{where} is in use; choose another, such as port={other}, or port=0 for any free one"
        elif error.errno == errno.EACCES:
            reason = f"{where} is not allowed to this user; choose one above 1023, such as port={other}"
        else:
            reason = f"cannot listen on {where}: {error.strerror or error}"
        raise OSError(reason) from None


def _greeting(service: Any, url: str) -> str:
    """Where to ask, and an example; in ASCII where the console cannot show it."""
    texts = [
        f"tinyllm answers on {url} (Ctrl-C stops it). Try: {service.curl(url, ascii_only=ascii_only)}"
        for ascii_only in (False, True)
    ]
    try:
        texts[0].encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return texts[1]
    return texts[0]
