"""A client: what `tinyllm ask` does, with the standard library alone."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["ask"]


def ask(url: str, text: str, settings: Sequence[str] = (), raw: bool = False, timeout: float = 60.0) -> Iterator[str]:
    """Put a text to the server at url: the pieces of what to print, as they come.

    A classifier's answer is a line; a language model's text comes while it is written. settings: "name=value" of
    /generate. raw: the answer's JSON instead. Raises ValueError with the server's own words for a request that it
    refuses, and OSError where no server answers.
    """
    url = url.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"ask: the address must begin with http:// or https://; found {url!r}")
    with _sent(url + "/model", None, timeout) as response:
        try:
            kind = json.load(response)["kind"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"ask: what answers at {url} is no tinyllm server") from None
    if kind == "classifier":
        with _sent(url + "/predict", {"text": text}, timeout) as response:
            answer = json.load(response)
        yield json.dumps(answer, ensure_ascii=False) if raw else _said(answer)
        return
    asked = {"prompt": text, "stream": not raw} | dict(map(_setting, settings))
    with _sent(url + "/generate", asked, timeout) as response:
        if raw:
            yield response.read().decode()
            return
        yield text
        for line in response:
            if line.startswith(b"data: "):
                yield json.loads(line[6:]).get("text", "")


def _said(answer: dict[str, Any]) -> str:
    pairs = zip(answer["result"], answer["probability"])
    said = ", ".join(f"class {result} (p = {probability:.4f})" for result, probability in pairs)
    return said if answer["known"] else f"{said}; but the model knows no word of this text"


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--set wants NAME=VALUE; found {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _sent(url: str, content: Any, timeout: float) -> Any:
    body = None if content is None else json.dumps(content).encode()
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        try:
            said = json.load(error)["detail"]
        except (ValueError, KeyError, TypeError):
            said = error.reason
        raise ValueError(f"the server answered {error.code}: {said}") from None
    except urllib.error.URLError as error:
        raise OSError(f"no server answers at {url}: {error.reason}") from None
    except (ValueError, http.client.InvalidURL) as error:
        raise ValueError(f"ask: {url!r} is no address: {error}") from None
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP server answers at {url}: {type(error).__name__}") from None
