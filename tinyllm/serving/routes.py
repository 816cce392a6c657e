"""The routes: what the model answers, and what people and operators ask. Needs Flask."""

import json
import shlex
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from flask import Response, request

from tinyllm.serving.answers import Writer
from tinyllm.serving.live import Live
from tinyllm.serving.observing import Metrics
from tinyllm.serving.openapi import describe
from tinyllm.serving.problems import Problem, reply
from tinyllm.serving.reading import read_body
from tinyllm.serving.writing import Room, Writing

__all__ = ["Service"]

CURL = "curl {url} -H 'Content-Type: application/json' -d {data}"


class Service:
    """A model, the routes that it answers, and what is counted. See app.create_app."""

    def __init__(self, model: Any, generations: int, deadline: float):
        self.live, self.metrics = Live(model), Metrics()
        self.live.on_swap = self.metrics.swapped
        self.room = Room(generations, deadline, self.metrics)
        self.page = files("tinyllm.serving").joinpath("page.html").read_bytes()
        self.posts: dict[str, Callable[[], Response]] = {
            "/predict": self.predict,
            "/generate": self.generate,
            "/explain": self.explain,
        }
        self.gets: dict[str, Callable[[], Response]] = {
            "/": lambda: reply(self.page, mimetype="text/html"),
            "/model": lambda: reply(self.about(f"http://{request.host or '127.0.0.1:5000'}")),
            "/openapi.json": lambda: reply(describe(self.live.now)),
            "/healthz": lambda: reply({"status": "ok"}),
            "/readyz": self.ready,
            "/metrics": lambda: reply(self.metrics.text(), mimetype="text/plain; version=0.0.4"),
        }

    # -- what the model answers ---------------------------------------------------------------------------------------

    def predict(self) -> Response:
        answers, members = self._read()
        return reply(answers.predict(members))

    def generate(self) -> Response:
        """The text, whole, or as server-sent events while it is written."""
        answers, members = self._read()
        writing = self._begin(answers, members)
        if not members.stream:
            return reply(writing.whole())
        response = Response(writing.events(), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx must not gather the pieces
        response.call_on_close(writing.close)
        return response

    def explain(self) -> Response:
        answers, members = self._read()
        if not isinstance(answers, Writer):
            return reply(answers.explain(members))
        writing = self._begin(answers, members, explain=True)
        return reply(writing.whole() | answers.explained(members, writing.stream))

    def _read(self) -> tuple[Any, Any]:
        """Who answers, and the members of this request's body. Problem if either is not as it must be."""
        answers = self.live.now
        if request.path not in answers.schemas:
            known = ", ".join(answers.schemas)
            what = f"a {answers.kind} has no {request.path}; it answers POST {known}, and GET /model describes it"
            raise Problem(404, "Not Found", what)
        charset = request.mimetype_params.get("charset", "utf-8").lower()
        if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
            found = ascii(request.content_type[:80]) if request.content_type else "none"
            what = f"the Content-Type is {found}; send JSON in UTF-8 with the header 'Content-Type: application/json'"
            raise Problem(415, "Unsupported Media Type", what)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            what = "the body is compressed; send it without a Content-Encoding"
            raise Problem(415, "Unsupported Media Type", what)
        example = json.dumps(answers.example, ensure_ascii=False)
        return answers, read_body(request.get_data(), answers.schemas[request.path], example)

    def _begin(self, answers: Writer, members: Any, explain: bool = False) -> Writing:
        try:
            stream = answers.begin(members, explain)
        except ValueError as error:  # a character outside the vocabulary
            raise Problem.bad(str(error), "#/prompt") from None
        return self.room.enter(members.prompt, stream, request.environ.get("waitress.client_disconnected"))

    # -- what people and operators ask --------------------------------------------------------------------------------

    def about(self, url: str) -> dict[str, Any]:
        """What GET /model answers."""
        answers = self.live.now
        return {
            "name": getattr(answers.own, "name", type(answers.own).__name__),
            "kind": answers.kind,
            "version": self.live.version,
            "routes": [f"POST {path}" for path in answers.schemas],
            "example": self.curl(url),
            "sample": answers.example,
            **answers.about(),
        }

    def curl(self, url: str, ascii_only: bool = False) -> str:
        """A command that asks this service, for a POSIX shell."""
        answers = self.live.now
        data = json.dumps(answers.example, ensure_ascii=ascii_only)
        return CURL.format(url=shlex.quote(url + next(iter(answers.schemas))), data=shlex.quote(data))

    def ready(self) -> Response:
        """Whether to send requests here; the model was tried before the first of them."""
        if self.live.draining:
            what = "the server is stopping: ask another"
            raise Problem(503, "Service Unavailable", what, headers={"Retry-After": "5"})
        return reply({"status": "ready", "version": self.live.version})
