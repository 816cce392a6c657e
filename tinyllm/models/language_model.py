"""A character-level language model: an LSTM that reads a line and predicts each next character."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinyllm.autograd import no_grad
from tinyllm.callbacks import History
from tinyllm.checks import positive
from tinyllm.generation import distribution, sample
from tinyllm.layers import LSTM, Dense, Embedding, Layer
from tinyllm.models.sequential import Sequential
from tinyllm.ops import lstm
from tinyllm.optimizers import Adam
from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.preprocessing.text import Tokenizer, check_texts, tokenizer_from_json

__all__ = ["LanguageModel"]


class LanguageModel(Sequential):
    """Embedding -> LSTM -> Dense softmax over the characters of the texts it was made from.

    texts          lines whose characters make up the vocabulary; each line is one sequence
    embedding_dim  features per character; units  size of the LSTM
    seed           of the initial weights and the shuffling

    Ids: 0 is padding, 1..n the characters, the most frequent first, then BOS (a line begins) and EOS (it ends). BOS is
    only ever read and EOS only ever predicted, so the model also learns which character comes first, and when to stop.

    Raises ValueError if the texts hold no character, or if a Tokenizer given instead of them reads words.

    >>> model = LanguageModel(["abab"], embedding_dim=4, units=8)
    >>> history = model.fit_texts(["abab"], epochs=150, learning_rate=0.02, verbose=0)
    >>> model.generate("a", greedy=True)
    'abab'
    """

    def __init__(
        self,
        texts: Iterable[str] | Tokenizer,
        embedding_dim: int = 32,
        units: int = 64,
        name: str = "language_model",
        seed: int = 0,
        dtype: Any = None,
    ):
        if isinstance(texts, Tokenizer):
            if not texts.char_level:
                raise ValueError("LanguageModel: this tokenizer reads words; give it Tokenizer(char_level=True)")
            self.tokenizer = texts
        else:
            self.tokenizer = Tokenizer(char_level=True, lower=False)
            self.tokenizer.fit_on_texts(check_texts(texts, "LanguageModel"))
        characters = len(self.tokenizer.word_index)
        if not characters:
            raise ValueError("LanguageModel: the texts hold no character to learn from")
        self.bos, self.eos = characters + 1, characters + 2
        self.embedding_dim, self.units = embedding_dim, units
        super().__init__(
            [
                Embedding(self.vocab_size, embedding_dim, mask_zero=True),
                LSTM(units, return_sequences=True),
                Dense(self.vocab_size, activation="softmax"),
            ],
            name=name,
            seed=seed,
            dtype=dtype,
        )

    @property
    def vocab_size(self) -> int:
        """Padding, the characters, BOS and EOS."""
        return self.eos + 1

    # -- text and ids -----------------------------------------------------------------------------------------------

    def encode(self, text: str) -> list[int]:
        """The ids of a text's characters. ValueError for a character the model has never seen."""
        if not isinstance(text, str):
            raise TypeError(f"a LanguageModel reads a str; found {type(text).__name__} {text!r:.40}")
        unknown = next((c for c in text if c not in self.tokenizer.word_index), None)
        if unknown is not None:
            raise ValueError(f"the model's vocabulary has no {unknown!r}; it knows {self.bos - 1} characters")
        return [self.tokenizer.word_index[c] for c in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The characters behind ids; padding, BOS and EOS are left out."""
        return "".join(self.tokenizer.index_word.get(int(i), "") for i in ids)

    def arrays(self, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """What goes in (BOS and the characters) and what should come out (the characters and EOS), (lines, time).

        Padded with 0 behind the end, which is masked: it counts neither in the loss nor in a metric.
        """
        ids = [self.encode(text) for text in check_texts(texts, "LanguageModel")]
        if not ids:
            raise ValueError("LanguageModel: found no texts; give at least one")
        x = pad_sequences([[self.bos, *line] for line in ids], padding="post")
        y = pad_sequences([[*line, self.eos] for line in ids], padding="post")
        return x, y

    def add(self, layer: Layer) -> None:
        if len(self.layers) == 3:
            raise ValueError("add: a LanguageModel is complete with its three layers; build a Sequential for others")
        super().add(layer)

    # -- training ---------------------------------------------------------------------------------------------------

    def fit_texts(
        self,
        texts: Iterable[str],
        epochs: int = 100,
        learning_rate: float | None = None,
        validation_texts: Iterable[str] | None = None,
        **options: Any,
    ) -> History:
        """Train on lines with Adam; options as for fit(). The loss is in nats per character.

        A model that was trained before goes on with its optimizer; learning_rate (0.01 at first) changes the rate.
        """
        if self.optimizer is None:
            self.compile(Adam(0.01 if learning_rate is None else learning_rate), "sparse_categorical_crossentropy")
        elif learning_rate is not None:
            self.optimizer.learning_rate = learning_rate
        held_out = None if validation_texts is None else self.arrays(validation_texts)
        return self.fit(*self.arrays(texts), epochs=epochs, validation_data=held_out, **options)

    def batch(self, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Some lines, cut to the longest of them: nobody computes what is padding in every row."""
        x, y = super().batch(x, y, rows)
        longest = max(1, int((x != 0).sum(axis=1).max()))
        return x[:, :longest], y[:, :longest]

    def nats(self, texts: Iterable[str], batch_size: int = 64) -> float:
        """The mean cross-entropy over all characters and line ends of the texts, in nats (natural logarithm)."""
        total = count = 0.0
        lines = list(check_texts(texts, "nats"))
        if not lines:
            raise ValueError("nats: found no texts; give at least one")
        for start in range(0, len(lines), batch_size):
            x, y = self.arrays(lines[start : start + batch_size])
            p = self.predict(x, batch_size=batch_size)
            kept = y > 0
            total -= float(np.log(np.maximum(np.take_along_axis(p, y[..., None], -1)[..., 0][kept], 1e-38)).sum())
            count += int(kept.sum())
        return total / count

    # -- writing ----------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: str = "",
        max_length: int = 100,
        greedy: bool = False,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | np.random.Generator = 0,
    ) -> str:
        """Continue the prompt until the line ends or it is max_length characters long; prompt included.

        greedy takes the most probable character each time; otherwise one is drawn (see generation.distribution for
        temperature, top_k and top_p). The same seed gives the same text. The LSTM's state is carried along, so each
        character costs the same however long the text is.

        Raises ValueError for a character outside the vocabulary and for settings out of range.
        """
        max_length = positive("max_length", max_length)
        rng = np.random.default_rng(seed)
        ids = self.encode(prompt)
        with no_grad():
            logits, state = self.step([self.bos, *ids], None)
            distribution(logits, temperature, top_k, top_p)  # wrong settings show even if nothing is to be written
            while len(ids) < max_length:
                if greedy:
                    token = int(np.argmax(logits))
                else:
                    token = sample(distribution(logits, temperature, top_k, top_p), rng)
                if token == self.eos:
                    break
                ids.append(token)
                logits, state = self.step([token], state)
        return self.decode(ids)

    def step(self, ids: list[int], state: Any) -> tuple[np.ndarray, Any]:
        """Read ids on from a state (None: from the start): the logits of the next token, and the new state.

        Padding and BOS never come next: their logits are -inf.
        """
        embedding, recurrent, dense = self.layers
        h, c = state or [np.zeros((1, self.units), recurrent.dtype)] * 2
        _, h, c = lstm(embedding(np.array([ids])), h, c, *recurrent.weights)
        kernel, bias = dense.weights
        logits = (h @ kernel + bias).data[0].astype(float)
        logits[[0, self.bos]] = -np.inf
        return logits, (h, c)

    def get_config(self) -> dict[str, Any]:
        return {
            "tokenizer": self.tokenizer.to_json(),
            "embedding_dim": self.embedding_dim,
            "units": self.units,
            "name": self.name,
            "seed": self.seed,
            "dtype": self.layers[0].dtype.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], prepare: Callable | None = None) -> "LanguageModel":
        config = dict(config)
        return cls(tokenizer_from_json(config.pop("tokenizer")), **config)
