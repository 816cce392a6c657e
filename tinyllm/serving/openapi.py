"""The service described for machines: OpenAPI 3.1, made from the schemas that check the requests."""

from typing import Any

import tinyllm
from tinyllm.serving.answers import Classifier, Writer
from tinyllm.serving.problems import PROBLEM

__all__ = ["describe"]

NUMBERS = {"type": "array", "items": {"type": "number"}}
PROBLEMS = {
    "400": "the body is not what the schema says",
    "405": "the wrong method",
    "413": "the body is too large",
    "415": "the body is not JSON in UTF-8",
    "500": "the server made a mistake",
}
BUSY = {"503": "too many texts are being written; try again after Retry-After seconds"}
SAID = {
    "/predict": "Judge a text",
    "/generate": "Write on from a prompt; with stream, as server-sent events",
    "/explain": "The weight of each token, or the candidates at each step",
}


def describe(answers: Classifier | Writer) -> dict[str, Any]:
    """The document that GET /openapi.json answers."""
    paths: dict[str, Any] = {path: {"post": _post(path, answers)} for path in answers.schemas}
    paths |= {path: {"get": _get(*said)} for path, said in READ.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"tinyllm: a {answers.kind}", "version": tinyllm.__version__},
        "paths": paths,
        "components": {"schemas": {"Problem": _problem_schema()}},
    }


READ = {
    "/healthz": ("The process answers", "application/json", {"200": "it does"}),
    "/readyz": ("A model answers", "application/json", {"200": "it does", "503": "the server is stopping"}),
    "/metrics": ("Counts for Prometheus", "text/plain", {"200": "the counts"}),
    "/model": ("What is served", "application/json", {"200": "its description"}),
    "/openapi.json": ("This document", "application/json", {"200": "the document"}),
    "/": ("The page", "text/html", {"200": "the page"}),
}


def _post(path: str, answers: Classifier | Writer) -> dict[str, Any]:
    writes = isinstance(answers, Writer)
    content: dict[str, Any] = {"application/json": {"schema": _answer_schema(path, writes)}}
    if path == "/generate":
        content["text/event-stream"] = {}
    schema = answers.schemas[path].model_json_schema()
    example = answers.example
    return {
        "summary": SAID[path],
        "operationId": path[1:],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": {
            "200": {"description": "the answer", "content": content},
            **_problems(PROBLEMS | (BUSY if writes else {})),
        },
    }


def _get(summary: str, kind: str, responses: dict[str, str]) -> dict[str, Any]:
    found = {"200": {"description": responses["200"], "content": {kind: {}}}}
    others = {status: text for status, text in responses.items() if status != "200"}
    return {"summary": summary, "responses": found | _problems(others | {"405": "the wrong method"})}


def _problems(which: dict[str, str]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {status: {"description": said, "content": {PROBLEM: {"schema": schema}}} for status, said in which.items()}


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    members = {
        "type": text,
        "title": text,
        "status": {"type": "integer"},
        "detail": text,
        "pointer": text,
        "request": text,
    }
    return {"type": "object", "required": ["type", "title", "status", "detail"], "properties": members}


def _answer_schema(path: str, writes: bool) -> dict[str, Any]:
    text, whole = {"type": "string"}, {"type": "integer"}
    if not writes:
        members: dict[str, Any] = {
            "result": {"type": "array", "items": whole},
            "probability": NUMBERS,
            "probabilities": NUMBERS,
            "known": {"type": "boolean"},
        }
        if path == "/explain":
            members |= {"tokens": {"type": "array", "items": {"type": "object"}}, "gates": {"type": ["object", "null"]}}
    else:
        members = {"text": text, "written": text, "reason": {"enum": ["stop", "length", "deadline"]}, "tokens": whole}
        if path == "/explain":
            members |= {
                "steps": {"type": "array", "items": {"type": "object"}},
                "prompt": {"type": "array", "items": text},
                "gates": {"type": ["object", "null"]},
            }
    return {"type": "object", "required": sorted(members), "properties": members}
