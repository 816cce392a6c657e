"""The Flask application: one route for what the model does, a description, a health check, and errors that explain."""

import json
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyllm import activations
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.serving.reading import MAX_CHARACTERS, Member, flag, number, optional, read_members, text, whole

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["Service", "create_app"]

MAX_BODY = 64 * 1024  # bytes
MAX_LENGTH = 1000  # characters of one generated text: what one request may cost
LARGEST_SEED = 2**63 - 1
CURL = "curl {url} -H 'Content-Type: application/json' -d {data}"

PREDICT = {"text": Member(text, required=True)}
GENERATE = {
    "prompt": Member(text, ""),
    "max_length": Member(whole(1, MAX_LENGTH), 100),
    "greedy": Member(flag, False),
    "temperature": Member(number, 1.0),
    "top_k": Member(optional(whole(1, LARGEST_SEED))),
    "top_p": Member(optional(number)),
    "seed": Member(whole(0, LARGEST_SEED), 0),
}
TEXT_NOTE = f"a string of at most {MAX_CHARACTERS} characters"
NOTES = {
    "/predict": {"text": TEXT_NOTE},
    "/generate": {
        "prompt": f'{TEXT_NOTE}; default ""',
        "max_length": f"1..{MAX_LENGTH}, the prompt included; default 100",
        "greedy": "true: the most probable character each time; default false",
        "temperature": "above 0; default 1.0",
        "top_k": "draw from the k most probable only; default null",
        "top_p": "draw from the most probable ones that have this probability together; default null",
        "seed": f"0..{LARGEST_SEED}; the same seed gives the same text; default 0",
    },
}


class Service:
    """What one model answers, without any HTTP: the path, the members it reads, an example, and the answer itself.

    Making one tries the model once, so that what cannot work is told at the start and not to the first caller.
    """

    def __init__(self, model: Any):
        self.model = model
        self.tokenizer: Tokenizer | None = None  # where preprocess is a TextToIds
        self.sigmoid = False
        self.example: dict[str, Any]
        self.answer: Callable[[dict[str, Any]], dict[str, Any]]
        if callable(getattr(model, "generate", None)):
            self.path, self.members, self.answer = "/generate", GENERATE, self.generate
            self.example = {"prompt": "", "max_length": 50}
            model.generate("", max_length=1, greedy=True)
        elif callable(getattr(model, "predict", None)):
            self.path, self.members, self.answer = "/predict", PREDICT, self.predict
            self._check_classifier()
            self.example = {"text": self._known_text()}
        else:
            raise TypeError(f"create_app: expected a model with predict() or generate(); found {type(model).__name__}")

    # -- /generate ----------------------------------------------------------------------------------------------------

    def generate(self, settings: dict[str, Any]) -> dict[str, Any]:
        """{"text": the prompt and what the model wrote after it}."""
        return {"text": self.model.generate(settings.pop("prompt"), **settings)}

    # -- /predict -----------------------------------------------------------------------------------------------------

    def predict(self, members: dict[str, Any]) -> dict[str, Any]:
        """{"result": classes, "probability": theirs, "known": whether the tokenizer knew anything in the text}.

        One sigmoid: the class is 1 where p > 0.5 and the probability is p, that of class 1. Several sigmoids: the same
        for each. Softmax: the most probable class and its probability.
        """
        ids = self.ids(members["text"])
        p = self._probabilities(ids)
        if len(p) == 1 or self.sigmoid:
            result = [int(each > 0.5) for each in p]
        else:
            result = [int(np.argmax(p))]
            p = p[result]
        return {"result": result, "probability": p.tolist(), "known": not np.isin(ids, self.unknown_ids).all()}

    def ids(self, text: str) -> np.ndarray:
        """The model's input for one text, (1, time)."""
        ids = np.asarray(self.model.preprocess([text]))
        return ids if ids.size else np.zeros((1, 1), np.int32)  # no words and no maxlen: read it as one padding

    @property
    def unknown_ids(self) -> list[int]:
        """The ids that carry no word: padding, and the tokenizer's stand-in for words it does not know."""
        if self.tokenizer is None or self.tokenizer.oov_token is None:
            return [0]
        return [0, self.tokenizer.word_index.get(self.tokenizer.oov_token, 0)]

    def _probabilities(self, ids: np.ndarray) -> np.ndarray:
        p = np.asarray(self.model.predict(ids))
        if p.ndim != 2 or len(p) != 1:
            raise ValueError(f"create_app: /predict needs an output of shape (texts, classes); found {p.shape}")
        if not np.isfinite(p).all():
            raise FloatingPointError(f"the model's output is {p.tolist()}; are there NaN among its weights?")
        return p[0]

    def _check_classifier(self) -> None:
        model = self.model
        if not callable(getattr(model, "preprocess", None)):
            raise ValueError(
                "create_app: this model cannot read texts; set "
                'model.preprocess = TextToIds(tokenizer, maxlen=..., padding="post") before saving'
            )
        layers = getattr(model, "layers", None)
        if any(getattr(layer, "stateful", False) for layer in layers or ()):
            raise ValueError("create_app: a stateful layer would let one request change the answer to the next")
        activation = getattr(layers[-1], "activation", None) if layers else activations.softmax
        self.sigmoid = activation is activations.sigmoid
        if not self.sigmoid and activation is not activations.softmax:
            found = getattr(activation, "__name__", activation)
            raise ValueError(
                f"create_app: the last layer's activation is {found}, so its output is not a probability; "
                'end the model with Dense(1, activation="sigmoid") or Dense(classes, activation="softmax")'
            )
        if isinstance(model.preprocess, TextToIds):
            self.tokenizer = model.preprocess.tokenizer
        ids = self.ids("")
        if self.tokenizer is not None:  # the largest id that a text can give
            largest = min(max(self.tokenizer.word_index.values()), (self.tokenizer.num_words or np.inf) - 1)
            ids = np.full_like(ids, max(largest, *self.unknown_ids))
        try:
            self._probabilities(ids)
        except IndexError as error:
            raise ValueError(f"create_app: the tokenizer and the model do not belong together: {error}") from error

    def _known_text(self) -> str:
        """A text for the examples, one that the tokenizer knows."""
        words = [] if self.tokenizer is None else list(self.tokenizer.index_word.items())
        return next((word for i, word in words if i not in self.unknown_ids), "你好，世界！")

    # -- what to tell people ------------------------------------------------------------------------------------------

    def curl(self, url: str, ascii_only: bool = False) -> str:
        """A command that asks this service, for a POSIX shell."""
        data = json.dumps(self.example, ensure_ascii=ascii_only)
        return CURL.format(url=shlex.quote(url + self.path), data=shlex.quote(data))

    def description(self, url: str) -> dict[str, Any]:
        """What GET / answers."""
        return {
            "name": "tinyllm",
            "model": getattr(self.model, "name", type(self.model).__name__),
            "routes": {
                f"POST {self.path}": NOTES[self.path],
                "GET /": "this description",
                "GET /health": '{"status": "ok"}',
            },
            "example": self.curl(url),
        }


def create_app(model: Any) -> "Flask":
    """A Flask application that answers for `model`.

    POST /predict   for a classifier with `model.preprocess` (preprocessing.text.TextToIds); see Service.predict
    POST /generate  for a model that writes: generate(prompt, max_length=, greedy=, temperature=, top_k=, top_p=, seed=)
    GET /           what to POST, with an example;   GET /health   {"status": "ok"}

    A request that is wrong is answered by application/problem+json (RFC 9457) whose "detail" says what to do.
    Raises ImportError without Flask, TypeError for something that is no model, and ValueError for a classifier without
    `preprocess`, without probabilities, or with a tokenizer that does not fit it.
    """
    try:
        from flask import Flask, abort, request
        from werkzeug.exceptions import HTTPException
    except ImportError:
        raise ImportError("create_app needs Flask: pip install flask waitress") from None

    service = Service(model)
    example = json.dumps(service.example, ensure_ascii=False)
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY

    def reply(content: dict[str, Any], status: int = 200, mimetype: str = "application/json") -> Any:
        # ensure_ascii=False: Chinese stays readable; a lone surrogate, which UTF-8 cannot hold, becomes its \u escape.
        body = json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
        return app.response_class(body, status, mimetype=mimetype)

    @app.get("/")
    def describe() -> Any:
        return reply(service.description(f"http://{request.host or '127.0.0.1:5000'}"))

    @app.get("/health")
    def health() -> Any:
        return reply({"status": "ok"})

    @app.post(service.path)
    def ask() -> Any:
        charset = request.mimetype_params.get("charset", "utf-8").lower()
        if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
            found = repr(request.content_type[:80]) if request.content_type else "none"
            abort(
                415, f"the Content-Type is {found}; send JSON in UTF-8 with the header 'Content-Type: application/json'"
            )
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            abort(415, "the body is compressed; send it without a Content-Encoding")
        body = request.get_data()
        try:
            members = read_members(body, service.members, example)
        except ValueError as error:
            abort(400, str(error))
        if service.path == "/predict":
            return reply(service.answer(members))
        try:
            return reply(service.answer(members))
        except ValueError as error:  # a character outside the vocabulary, a setting out of range
            abort(400, str(error))

    @app.errorhandler(Exception)
    def explain(error: Exception) -> Any:
        """Any error as a problem (RFC 9457)."""
        if not isinstance(error, HTTPException) or error.code is None:
            app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
            return problem(
                500, "Internal Server Error", "the server made a mistake and logged it; nothing to mend in the request"
            )
        detail = error.description or error.name
        if error.code == 404:
            detail = f"no route {request.path[:80]!r}; this model answers POST {service.path}, and GET / describes it"
        elif error.code == 405:
            allowed = sorted(set(getattr(error, "valid_methods", None) or ()) - {"HEAD", "OPTIONS"})
            detail = f"{request.method[:20]} does not work on {request.path}; use {' or '.join(allowed)}"
        elif error.code == 413:
            detail = f"the body is larger than {MAX_BODY} bytes; send at most {MAX_CHARACTERS} characters of text"
        response = problem(error.code, error.name, detail)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
        return response

    def problem(status: int, title: str, detail: str) -> Any:
        content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        return reply(content, status, "application/problem+json")

    app.extensions["tinyllm"] = service
    return app
