"""What an operator sees: a line per request in a log, and counts for Prometheus. Needs prometheus_client."""

import json
import logging
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from flask import Flask

    from tinyllm.serving.routes import Service

__all__ = ["ACCESS", "Metrics", "observe", "request_id"]

ACCESS = logging.getLogger("tinyllm.access")
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SECURE = {  # of every answer: nothing is loaded from elsewhere, and no page elsewhere may frame or guess it
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


def request_id(given: str | None) -> str:
    """The id that the caller (or a proxy) gave the request, if it is one; otherwise a new one."""
    return given if given is not None and WELL_FORMED.fullmatch(given) else uuid.uuid4().hex


class Metrics:
    """The counts of one application, in a registry of its own."""

    def __init__(self) -> None:
        own: Any = {"registry": CollectorRegistry()}
        self.registry = own["registry"]
        self.requests = Counter("tinyllm_requests", "Requests answered", ["route", "method", "status"], **own)
        self.seconds = Histogram(
            "tinyllm_request_seconds", "Time to the end of an answer", ["route"], buckets=SECONDS, **own
        )
        self.running = Gauge("tinyllm_generations_running", "Texts being written now", **own)
        self.ended = Counter("tinyllm_generations", "Texts written, by why they ended", ["reason"], **own)
        self.tokens = Counter("tinyllm_tokens", "Tokens written", **own)
        self.reloads = Counter("tinyllm_reloads", "Newer models found", ["result"], **own)
        self.version = Gauge("tinyllm_model_version", "1 for the first model, one more at each swap", **own)
        self.version.set(1)

    def text(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self.registry)

    def wrote(self, reason: str, tokens: int) -> None:
        self.ended.labels(reason).inc()
        self.tokens.inc(tokens)
        self.running.dec()

    def swapped(self, version: int, taken: bool) -> None:
        self.reloads.labels("taken" if taken else "refused").inc()
        self.version.set(version)


def observe(app: "Flask", service: "Service") -> None:
    """Give every request of app an id, count it, log it, and put the headers on its answer."""
    from flask import request

    @app.before_request
    def begin() -> None:
        request.environ["tinyllm.id"] = request_id(request.headers.get("X-Request-Id"))
        request.environ["tinyllm.began"] = time.perf_counter()

    @app.after_request
    def finish(response: Any) -> Any:
        response.headers["X-Request-Id"] = request.environ["tinyllm.id"]
        response.headers.update(SECURE)
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": request.environ["tinyllm.id"],
            "from": request.remote_addr,
            "method": request.method if request.method in METHODS else "other",
            "path": request.path[:200],
            "status": response.status_code,
            "bytes": response.content_length,
        }
        route = request.url_rule.rule if request.url_rule else "other"
        began = request.environ["tinyllm.began"]
        response.call_on_close(lambda: answered(route, began, line))
        return response

    def answered(route: str, began: float, line: dict[str, Any]) -> None:
        """The answer is out: count it, and write its line, JSON."""
        spent = time.perf_counter() - began
        service.metrics.requests.labels(route, line["method"], str(line["status"])).inc()
        service.metrics.seconds.labels(route).observe(spent)
        if ACCESS.isEnabledFor(logging.INFO):
            ACCESS.info(json.dumps(line | {"ms": round(1000 * spent, 2)}))
