"""What a request's body may hold: pydantic models, made to measure for the model that is served."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, create_model

__all__ = ["MAX_CHARACTERS", "MAX_EXPLAINED", "MAX_TOKENS", "Body", "explain_body", "generate_body", "text_body"]

MAX_CHARACTERS = 5_000  # of one text: it fits into 64 KiB even where each is written as two \u escapes
MAX_TOKENS = 1_000  # that one request may have written
MAX_EXPLAINED = 50  # steps that one request may have explained
LARGEST_SEED = 2**63 - 1
SMALLEST = 1e-6  # a temperature below divides by next to nothing


def _whole(value: Any) -> Any:
    """1.0 is a whole number, in JSON Schema as in mathematics."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Stop = Annotated[str, StringConstraints(min_length=1, max_length=50)]


class Body(BaseModel):
    """No member twice or unknown, no text for a number, nothing infinite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


def text_body(name: str) -> type[Body]:
    """{"text": ...}, for a classifier."""
    text = (str, Field(max_length=MAX_CHARACTERS, description="the text to judge"))
    return create_model(name, __base__=Body, text=text)


def generate_body(vocab_size: int, characters: str | None) -> type[Body]:
    """The prompt and every setting of generation.Sampling; characters: all that a prompt may hold, if not any."""
    return _writing("Generate", vocab_size, characters, MAX_TOKENS, 100)


def explain_body(vocab_size: int, characters: str | None) -> type[Body]:
    """The same, for fewer tokens: each comes with its candidates."""
    return _writing("Explain", vocab_size, characters, MAX_EXPLAINED, 1)


def _writing(name: str, vocab_size: int, characters: str | None, most: int, usual: int) -> type[Body]:
    pattern: Any = None if characters is None else {"pattern": f"^[{_escaped(characters)}]*$"}
    prompt = Field("", max_length=MAX_CHARACTERS, description="the text to go on from", json_schema_extra=pattern)

    def whole(low: int, high: int) -> Any:
        return Annotated[int, Field(ge=low, le=high), BeforeValidator(_whole)]

    def number(low: float, high: float, what: str, default: Any = None) -> Any:
        return Field(default, ge=low, le=high, description=what)

    k = min(vocab_size, LARGEST_SEED)
    members: dict[str, Any] = {
        "prompt": (str, prompt),
        "max_tokens": (whole(1, most), Field(usual, description="how many tokens to write at most")),
        "greedy": (
            bool,
            Field(False, description="the most probable token each time; the next four then do not count"),
        ),
        "temperature": (float, number(SMALLEST, 100, "below 1 bolder, above 1 more even", 1.0)),
        "top_k": (whole(1, k) | None, Field(None, description="draw from the k most probable only")),
        "top_p": (float | None, number(SMALLEST, 1, "draw from the most probable that have this probability together")),
        "min_p": (float | None, number(0, 1, "draw from those at least this fraction as probable as the first")),
        "repetition_penalty": (float, number(0.01, 100, "above 1: what was written counts less", 1.0)),
        "stop": (list[Stop], Field(default_factory=list, max_length=4, description="end before any of these texts")),
        "seed": (whole(0, LARGEST_SEED), Field(0, description="the same seed gives the same text")),
    }
    if name == "Generate":
        members["stream"] = (bool, Field(False, description="send the text as it comes, as server-sent events"))
    return create_model(name, __base__=Body, **members)


def _escaped(characters: str) -> str:
    """Characters for a class of a regular expression, in JSON Schema's dialect (ECMA-262)."""
    return "".join("\\" + c if c in "\\]^-[" else c for c in characters)
