"""Every error of the application as a problem that says what to do. Needs Flask."""

from typing import TYPE_CHECKING, Any

from flask import request
from werkzeug.exceptions import HTTPException

from tinyllm.serving.problems import PROBLEM, Problem, problem_body, reply

if TYPE_CHECKING:
    from flask import Flask

    from tinyllm.serving.live import Live

__all__ = ["explain_errors"]


def explain_errors(app: "Flask", live: "Live", most_bytes: int) -> None:
    """Answer the errors of app's routes, and those of asking for something else."""

    def told(error: HTTPException) -> str:
        if error.code == 404:
            known = ", ".join(live.now.schemas)
            return f"no route {request.path[:80]!a}; this model answers POST {known}, and GET /model describes it"
        if error.code == 405:
            allowed = sorted(set(getattr(error, "valid_methods", None) or ()) - {"HEAD", "OPTIONS"})
            return f"{request.method[:20]} does not work on {request.path}; use {' or '.join(allowed)}"
        if error.code == 413:
            return f"the body is larger than {most_bytes} bytes; send a shorter text"
        return error.description or error.name

    @app.errorhandler(Exception)
    def explain(error: Exception) -> Any:
        id, headers = request.environ.get("tinyllm.id"), {}
        if isinstance(error, Problem):
            status, body, headers = error.status, error.body(id), error.headers
        elif isinstance(error, HTTPException) and error.code is not None:
            status, body = error.code, problem_body(error.code, error.name, told(error), None, id)
            headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
        else:
            app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
            what = "the server made a mistake and logged it; nothing to mend in the request"
            status, body = 500, problem_body(500, "Internal Server Error", what, None, id)
        response = reply(body, status, PROBLEM)
        response.headers.update(headers)
        return response
