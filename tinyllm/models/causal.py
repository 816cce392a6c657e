"""CausalLM: what all models of the next token share: reading, scoring, writing, and what a file says of them."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinyllm.autograd import no_grad
from tinyllm.generation import Sampling, generate, stream
from tinyllm.generation.text import encode, text_of, tokenizer_of
from tinyllm.layers.base import all_layers
from tinyllm.models.model import Model
from tinyllm.ops import cross_entropy_with_logits

__all__ = ["CausalLM", "checked", "one_row"]


class CausalLM(Model):
    """A model of the next token, given those before it. A subclass makes its layers, and writes

        call(self, ids, training=False)   logits (batch, time, vocab_size): at each position the scores of what follows
        step(self, ids, state)            only if it can read on from a state instead of reading everything again

    ids are whole numbers (batch, time) in 0..vocab_size-1. No logit depends on a later token.

    vocab_size  how many tokens there are
    context     how many tokens the model looks back at; None: at all of them
    tokenizer   turns text into ids and back (preprocessing.tokenizers); saved along
    """

    context: Any = None  # int | None
    _ready = False

    def __init__(
        self, vocab_size: int, tokenizer: Any = None, name: str | None = None, seed: int = 0, dtype: Any = None
    ):
        super().__init__(name=name, seed=seed, dtype=dtype)
        if isinstance(vocab_size, bool) or not isinstance(vocab_size, int) or vocab_size < 2:
            found = f"found {vocab_size!r}"
            raise ValueError(f"{type(self).__name__}: vocab_size must be a whole number of at least 2; {found}")
        self.vocab_size = vocab_size
        self.tokenizer = tokenizer

    # -- reading on -------------------------------------------------------------------------------------------------

    def step(self, ids: np.ndarray, state: Any = None) -> tuple[np.ndarray, Any]:
        """Read ids (batch, time) on from a state (None: from the start).

        Returns the logits (batch, vocab_size) of what comes next, and the new state. The old state must not be used
        again; select() makes copies. Here the state is simply all that was read and can still be seen.
        """
        ids = checked(self, ids)
        seen = ids if state is None else np.concatenate([state, ids], axis=1)
        if self.context is not None:
            seen = seen[:, -self.context :]
        with no_grad():
            return self(seen).data[:, -1], seen

    def select(self, state: Any, rows: np.ndarray) -> Any:
        """A copy of the state with these rows of the batch, in this order (a row may occur twice)."""
        return state[rows]

    # -- writing ----------------------------------------------------------------------------------------------------

    def generate(
        self, prompt: Any, max_tokens: int = 100, *, stop: Any = (), seed: int = 0, **sampling: Any
    ) -> str | list[str]:
        """The prompt and what the model writes behind it; for a list of prompts a list of texts.

        sampling: greedy, temperature, top_k, top_p, min_p, repetition_penalty (generation.Sampling). The rest, and more
        than the text alone: generation.generate.
        """
        tokenizer_of(self)
        found = generate(self, prompt, max_tokens, Sampling(**sampling), stop=stop, seed=seed)
        texts = [self.decode(each.prompt) + each.text for each in (found if isinstance(found, list) else [found])]
        return texts if isinstance(found, list) else texts[0]

    def stream(
        self, prompt: Any, max_tokens: int = 100, *, stop: Any = (), seed: int = 0, **sampling: Any
    ) -> Iterator[str]:
        """What generate would write behind the prompt, in pieces, as it comes (generation.stream)."""
        return stream(self, prompt, max_tokens, Sampling(**sampling), stop=stop, seed=seed)

    def encode(self, text: str) -> list[int]:
        """The ids of a text. ValueError without a tokenizer, and for characters that the vocabulary lacks."""
        return encode(self, text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. ValueError without a tokenizer."""
        return text_of(tokenizer_of(self), [int(i) for i in ids])

    # -- scoring ----------------------------------------------------------------------------------------------------

    def scores(self, ids: np.ndarray) -> np.ndarray:
        """The logits (batch, time, vocab_size) of texts that begin here; nothing is recorded."""
        with no_grad():
            return self(ids).data

    def nats(self, ids: Any, window: int | None = None, batch_size: int = 64) -> float:
        """The mean cross-entropy, in nats per token, over all of ids (time,) but the first.

        They are read in windows, by default as long as the context, one after another, each from a fresh start: no
        token sees further back than the beginning of its window.
        """
        ids = one_row(ids)
        width = min(window or self.context or len(ids), len(ids) - 1)
        whole = (len(ids) - 1) // width * width
        x, y = ids[:whole].reshape(-1, width), ids[1 : whole + 1].reshape(-1, width)
        parts = [(x[i : i + batch_size], y[i : i + batch_size]) for i in range(0, len(x), batch_size)]
        if whole < len(ids) - 1:  # what does not fill a window
            parts.append((ids[None, whole:-1], ids[None, whole + 1 :]))
        total = sum(float(cross_entropy_with_logits(self.scores(x), y).sum(dtype=float)) for x, y in parts)
        return total / (len(ids) - 1)

    # -- description ------------------------------------------------------------------------------------------------

    def ensure_ready(self) -> None:
        """Make the weights, if there are none yet: nothing was read, or a first reading failed."""
        if not self._ready:
            if not all(layer.built for layer in all_layers(self).values()):
                self.build((None, 1))
            self._ready = True

    @property
    def named_weights(self) -> dict[str, Any]:
        self.ensure_ready()
        return super().named_weights

    parameters = named_weights

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.vocab_size)

    def summary(self) -> None:
        _ = self.named_weights
        super().summary()

    def get_config(self) -> dict[str, Any]:
        own = [name for name in inspect.signature(type(self)).parameters if name not in ("tokenizer", "dtype")]
        config = {name: getattr(self, name) for name in own} | {"dtype": self.dtype.name}
        return config if self.tokenizer is None else config | {"tokenizer": self.tokenizer.to_json()}

    @classmethod
    def from_config(cls, config: dict[str, Any], prepare: Callable | None = None) -> "CausalLM":
        config = dict(config)
        if "tokenizer" in config:
            from tinyllm.preprocessing.tokenizers import tokenizer_from_json

            config["tokenizer"] = tokenizer_from_json(config["tokenizer"])
        model = cls(**config)
        if prepare is not None:
            for layer in all_layers(model).values():
                prepare(layer)
        return model


def one_row(ids: Any) -> np.ndarray:
    """ids as an array (time,). ValueError where there is nothing to predict."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or len(ids) < 2:
        raise ValueError(f"nats: needs a row of at least 2 ids, (time,); found {ids.shape}")
    return ids


def checked(model: CausalLM, ids: Any) -> np.ndarray:
    """ids (batch, time) as an array of at least one token a row.

    IndexError for an id outside the vocabulary: NumPy itself would take -1 for the last. TypeError or ValueError for
    what are no rows of ids.
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or not ids.size:
        who = type(model).__name__
        raise ValueError(f"{who}: reads ids (batch, time) with at least one token a row; found {ids.shape}")
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{type(model).__name__}: ids are whole numbers; found {ids.dtype}")
    low, high = ids.min(), ids.max()
    if low < 0 or high >= model.vocab_size:
        wrong = low if low < 0 else high
        what = f"token id {wrong} is outside 0..{model.vocab_size - 1} (vocab_size={model.vocab_size})"
        raise IndexError(f"{type(model).__name__}: {what}")
    return ids
