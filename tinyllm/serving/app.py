"""create_app: the Flask application that answers for a model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["MAX_BODY", "create_app"]

MAX_BODY = 64 * 1024  # bytes


def create_app(model: Any, generations: int = 4, deadline: float = 30.0) -> "Flask":
    """A Flask application that answers for `model`.

    POST /predict   for a classifier with `model.preprocess` (preprocessing.text.TextToIds); see answers.Classifier
    POST /generate  for a language model: JSON, or server-sent events with "stream": true; see answers.Writer
    POST /explain   the weight of each token of a text, or the candidates at each step of one that is written
    GET  /          a page to try it;  /model, /openapi.json describe it;  /healthz, /readyz, /metrics for operators

    generations  so many texts are written at once; a further caller gets 503 and when to come again
    deadline     seconds after which a text ends as it is, with the reason "deadline"

    A request that is wrong is answered by application/problem+json (RFC 9457) whose "detail" says what to do and whose
    "pointer" says where. Raises ImportError without Flask and its companions, TypeError for something that is no model,
    and ValueError for a model that cannot be asked.
    """
    try:
        from flask import Flask

        from tinyllm.serving.errors import explain_errors
        from tinyllm.serving.observing import observe
        from tinyllm.serving.routes import Service
    except ImportError as error:
        raise ImportError(f"serving needs more packages ({error}): pip install 'tinyllm-numpy[serve]'") from None

    if isinstance(generations, bool) or not isinstance(generations, int) or generations < 1:
        raise ValueError(f"create_app: generations must be a whole number of at least 1; found {generations!r}")
    if not deadline > 0:
        raise ValueError(f"create_app: deadline must be a positive number of seconds; found {deadline!r}")
    app = Flask("tinyllm", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.merge_slashes = False  # //predict is no route, and not to be sent elsewhere
    service = Service(model, generations, deadline)
    for path, view in service.posts.items():
        app.add_url_rule(path, path, view, methods=["POST"])
    for path, view in service.gets.items():
        app.add_url_rule(path, path, view, methods=["GET"])
    observe(app, service)
    explain_errors(app, service.live, MAX_BODY)
    app.extensions["tinyllm"] = service
    return app
