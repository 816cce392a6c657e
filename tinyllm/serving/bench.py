"""What a model costs to serve: bytes, start-up, and latency under so many clients at once."""

import http.client
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tinyllm.serving.app import create_app
from tinyllm.serving.server import running_server

__all__ = ["bench"]


def bench(path: Any, seconds: float = 2.0, clients: Sequence[int] = (1, 4, 16)) -> Iterator[str]:
    """The lines of a table: size on disk and of the weights, time to load, and per route the latency and throughput.

    Clients, server and model share this machine's cores, so the figures of many clients say what it can do with all of
    them at once, and not what a client elsewhere would see.
    """
    from tinyllm.serving.live import load

    if not 0 < seconds < float("inf"):
        raise ValueError(f"bench-serve: seconds must be a positive number; found {seconds!r}")

    began = time.perf_counter()
    model = load(path)
    loaded = time.perf_counter() - began
    service = create_app(model).extensions["tinyllm"]
    weights = sum(np.asarray(w.data).nbytes for w in model.named_weights.values())
    yield f"{size_of(path):,} bytes on disk, {weights:,} of them weights in memory; loaded in {1000 * loaded:.0f} ms"
    yield f"{'route':<12} {'clients':>7} {'requests':>8} {'per s':>8} {'median ms':>10} {'p99 ms':>8} {'errors':>7}"
    route = next(iter(service.live.now.schemas))
    body = service.live.now.example | ({"max_tokens": 20} if route == "/generate" else {})
    with running_server(model, generations=max(clients)) as url:
        for asked, content in (("/healthz", None), (route, body)):
            for n in clients:
                times, errors, spent = _load(url, asked, content, n, seconds)
                median, late = 1000 * np.median(times), 1000 * np.quantile(times, 0.99)
                row = f"{asked:<12} {n:>7} {len(times):>8} {len(times) / spent:>8.0f} {median:>10.2f} {late:>8.2f}"
                yield f"{row} {errors:>7}"


def size_of(path: Any) -> int:
    """Bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _load(url: str, route: str, content: Any, clients: int, seconds: float) -> tuple[list[float], int, float]:
    """Every client asks again as soon as it is answered: (seconds of each request, errors, seconds in all)."""
    address = urlsplit(url)
    body = None if content is None else json.dumps(content).encode()
    end = time.perf_counter() + seconds

    def client(_: int) -> tuple[list[float], int]:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        times, errors = [], 0
        while (began := time.perf_counter()) < end:
            connection.request("GET" if body is None else "POST", route, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            times.append(time.perf_counter() - began)
            errors += response.status != 200
        connection.close()
        return times, errors

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(client, range(clients)))
    return [t for times, _ in found for t in times], sum(e for _, e in found), time.perf_counter() - began
