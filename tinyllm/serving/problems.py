"""Errors as application/problem+json (RFC 9457): what was asked, what was found, what to do."""

import json
from typing import Any

__all__ = ["PROBLEM", "Problem", "problem_body", "reply", "to_json"]

PROBLEM = "application/problem+json"


class Problem(Exception):
    """An error of the caller's, or of the hour's.

    status   the HTTP status; title its short name
    detail   one sentence
    pointer  where in the body, as a JSON pointer in a fragment ("#/text"), if it is about one member
    headers  to send along, such as Retry-After
    """

    def __init__(
        self, status: int, title: str, detail: str, pointer: str | None = None, headers: dict[str, str] | None = None
    ):
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail
        self.pointer, self.headers = pointer, headers or {}

    @classmethod
    def bad(cls, detail: str, pointer: str | None = None) -> "Problem":
        """400: the request is wrong."""
        return cls(400, "Bad Request", detail, pointer)

    def body(self, request_id: str | None = None) -> bytes:
        return problem_body(self.status, self.title, self.detail, self.pointer, request_id)


def problem_body(
    status: int, title: str, detail: str, pointer: str | None = None, request_id: str | None = None
) -> bytes:
    """The bytes of a problem; "pointer" and "request" are left out where there is nothing to say."""
    content: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    content |= {"pointer": pointer} if pointer is not None else {}
    return to_json(content | ({"request": request_id} if request_id else {}))


def to_json(content: Any) -> bytes:
    """Strict JSON in UTF-8. Chinese stays readable; a lone surrogate, which UTF-8 cannot hold, becomes its escape."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def reply(content: Any, status: int = 200, mimetype: str = "application/json") -> Any:
    """A Flask response: of bytes as they are, of anything else as JSON."""
    from flask import Response

    return Response(content if isinstance(content, bytes) else to_json(content), status, mimetype=mimetype)
