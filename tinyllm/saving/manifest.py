"""The manifest: JSON that notices when a single bit of it is changed."""

import hashlib
import json
from typing import Any

import numpy as np

__all__ = ["fingerprint", "one_line", "parse_json", "render", "seal", "sha256", "unseal"]

FORMAT, VERSION = "tinyllm-model", 1
MOST_JSON_BYTES = 100_000_000


def render(content: dict) -> str:
    """The one way to write this content as JSON. ValueError for what JSON does not have."""
    try:
        return json.dumps(content, indent=1, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"save: a setting of the model cannot be written as JSON: {one_line(error)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r:.80}")


def seal(content: dict) -> str:
    """The content as JSON with the SHA-256 of itself at its end."""
    return render(content | {"checksum": sha256(render(content).encode("ascii"))})


def unseal(text: bytes, name: str) -> dict:
    """What seal() sealed; ValueError if a single bit differs. (Line ends may be Windows's: git changes them.)"""
    content = parse_json(text, name)
    if content.get("format") != FORMAT:
        raise ValueError(f"{name}: not a tinyllm model's manifest (its format is {content.get('format')!r:.40})")
    version = content.get("version")
    if type(version) is not int or version < 1:
        raise ValueError(f"{name}: its format version is {version!r:.40}")
    if version > VERSION:
        raise ValueError(f"{name}: made by a newer tinyllm (format version {version}; this one reads {VERSION})")
    checksum = content.pop("checksum", None)
    try:
        intact = seal(content).encode("ascii") == text.replace(b"\r\n", b"\n")
    except (ValueError, RecursionError):
        intact = False
    if not intact:
        what = "it has no checksum" if checksum is None else "its content differs from its own checksum"
        raise ValueError(f"{name}: {what}: the file was changed or damaged")
    return content


def parse_json(text: bytes, name: str) -> dict:
    """A JSON object from UTF-8; ValueError for anything else, for NaN, and for a name that occurs twice."""

    def without_repetition(pairs: list) -> dict:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=without_repetition, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: damaged, or not JSON: {one_line(error)}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected a JSON object, found {type(value).__name__}")
    return value


def sha256(*parts: bytes) -> str:
    """The SHA-256 of the parts, one after another, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def fingerprint(data: bytes) -> dict[str, Any]:
    """Size and SHA-256."""
    return {"bytes": len(data), "sha256": sha256(data)}


def one_line(error: BaseException) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())[:500] or type(error).__name__
