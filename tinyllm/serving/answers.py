"""What one model answers, without any HTTP: a Classifier judges texts, a Writer goes on writing them."""

from typing import Any

import numpy as np

from tinyllm import activations
from tinyllm.generation import Sampling, Stream, stream
from tinyllm.models import CausalLM, LanguageModel
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.serving.looking import gates, saliency
from tinyllm.serving.schemas import Body, explain_body, generate_body, text_body

__all__ = ["Classifier", "Writer", "answerer"]

MOST_SHOWN = 100  # tokens of a text that /explain goes through


def answerer(model: Any) -> "Classifier | Writer":
    """Who answers for a model. Making one tries the model once: what cannot work is told now, not to a caller.

    Raises TypeError for something that is no model, and ValueError for a model that cannot be asked.
    """
    if isinstance(model, LanguageModel | CausalLM):
        return Writer(model)
    if callable(getattr(model, "predict", None)):
        return Classifier(model)
    raise TypeError(f"create_app: expected a model with predict() or generate(); found {type(model).__name__}")


class Classifier:
    """Answers for a model with `preprocess`, which turns texts into ids, and probabilities at its end."""

    kind = "classifier"

    def __init__(self, model: Any):
        self.model = self.own = model
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
        own = isinstance(model.preprocess, TextToIds)
        self.tokenizer: Tokenizer | None = model.preprocess.tokenizer if own else None
        self.classes = len(self._try())
        self.example = {"text": self._known_text()}
        self.schemas: dict[str, type[Body]] = {"/predict": text_body("Predict"), "/explain": text_body("Explain")}

    def predict(self, members: Any) -> dict[str, Any]:
        """{"result": classes, "probability": theirs, "probabilities": of all classes, "known": is any word known}.

        One sigmoid: the class is 1 where p > 0.5 and the probability is p, that of class 1. Several sigmoids: the same
        for each. Softmax: the most probable class and its probability.
        """
        return self._answer(self.ids(members.text))[0]

    def explain(self, members: Any) -> dict[str, Any]:
        """The answer, its tokens with the weight of each, and the gates of the model's LSTM.

        {..., "tokens": [{"id", "text", "padding", "saliency"}], "gates": see looking.gates}. The weights are those of
        the first class of the result: what its probability (for one sigmoid: p) loses without the token.
        """
        ids = self.ids(members.text)
        answer, column = self._answer(ids)
        shown = ids[:, :MOST_SHOWN]
        weights = saliency(lambda rows: self.model.predict(self._filled(rows, ids))[:, column], shown)
        words = {} if self.tokenizer is None else self.tokenizer.index_word
        tokens = [
            {"id": int(i), "text": words.get(int(i), ""), "padding": not i, "saliency": round(float(w), 6)}
            for i, w in zip(shown[0], weights)
        ]
        return answer | {"tokens": tokens, "gates": gates(self.model, ids)}

    def ids(self, text: str) -> np.ndarray:
        """The model's input for one text, (1, time)."""
        ids = np.asarray(self.model.preprocess([text]))
        return ids if ids.size else np.zeros((1, 1), np.int32)  # no words and no maxlen: read it as one padding

    def _answer(self, ids: np.ndarray) -> tuple[dict[str, Any], int]:
        """The answer, and the class that an explanation is about."""
        p = self._probabilities(ids)
        if len(p) == 1 or self.sigmoid:
            result, column = [int(each > 0.5) for each in p], 0
            probability = p.tolist()
        else:
            column = int(np.argmax(p))
            result, probability = [column], p[[column]].tolist()
        known = not np.isin(ids, self.unknown_ids).all()
        answer = {"result": result, "probability": probability, "probabilities": self._of_all(p), "known": known}
        return answer, column

    def _of_all(self, p: np.ndarray) -> list[float]:
        return [1 - float(p[0]), float(p[0])] if len(p) == 1 else p.tolist()

    @staticmethod
    def _filled(rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Rows of the first tokens, with the rest of ids behind each."""
        return np.concatenate([rows, np.repeat(ids[:, rows.shape[1] :], len(rows), axis=0)], axis=1)

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

    def _try(self) -> np.ndarray:
        """The probabilities for the largest id that a text can give."""
        ids = self.ids("")
        if self.tokenizer is not None:
            largest = min(max(self.tokenizer.word_index.values()), (self.tokenizer.num_words or np.inf) - 1)
            ids = np.full_like(ids, max(largest, *self.unknown_ids))
        try:
            return self._probabilities(ids)
        except IndexError as error:
            raise ValueError(f"create_app: the tokenizer and the model do not belong together: {error}") from error

    def _known_text(self) -> str:
        """A text for the examples, one that the tokenizer knows."""
        words = [] if self.tokenizer is None else list(self.tokenizer.index_word.items())
        return next((word for i, word in words if i not in self.unknown_ids), "你好，世界！")

    def about(self) -> dict[str, Any]:
        return {"classes": max(self.classes, 2)}


class Writer:
    """Answers for a language model: models.LanguageModel, which writes lines, or any models.CausalLM."""

    kind = "language model"

    def __init__(self, model: Any):
        self.model: Any = Lines(model) if isinstance(model, LanguageModel) else model
        if self.model.tokenizer is None:
            raise ValueError("create_app: this model has no tokenizer, so it cannot read texts; set model.tokenizer")
        self.own = model  # as it was given
        self.names = {model.bos: "<BOS>", model.eos: "<EOS>", 0: "<PAD>"} if isinstance(model, LanguageModel) else {}
        known = self.model.characters if isinstance(self.model, Lines) else _characters(self.model.tokenizer)
        self.example = {"prompt": "" if known is None else known[:1].strip(), "max_tokens": 50}
        size = self.model.vocab_size
        self.schemas: dict[str, type[Body]] = {
            "/generate": generate_body(size, known),
            "/explain": explain_body(size, known),
        }
        next(self.begin(self.schemas["/generate"].model_validate({"max_tokens": 1})).tokens())

    def begin(self, members: Any, explain: bool = False) -> Stream:
        """The text that a request asks for, ready to be written. ValueError for what the model does not know."""
        names = ("temperature", "top_k", "top_p", "min_p") if not members.greedy else ()
        sampling = Sampling(
            members.greedy,
            repetition_penalty=members.repetition_penalty,
            **{name: getattr(members, name) for name in names},
        )
        stop, seed = [*members.stop, *self.ends], members.seed
        prompt = self.prompt(members.prompt)
        return stream(self.model, prompt, members.max_tokens, sampling, stop=stop, seed=seed, explain=explain)

    def prompt(self, text: str) -> list[int]:
        """The ids that the model reads first: those of the text; of none, what a text may begin with."""
        if isinstance(self.model, Lines):
            return [self.model.bos, *self.model.encode(text)]
        if text:
            return self.model.encode(text)
        try:
            return self.model.encode("\n")
        except ValueError:
            return [0]

    @property
    def ends(self) -> list[int]:
        return [self.model.eos] if isinstance(self.model, Lines) else []

    def explained(self, members: Any, writing: Stream) -> dict[str, Any]:
        """{"steps": [{"chosen", "candidates": [{"id", "text", "before", "after"}]}], "prompt": tokens, "gates"}."""
        steps = [
            {
                "chosen": step.chosen,
                "candidates": [
                    {"id": c.id, "text": self.shown(c.id), "before": round(c.before, 6), "after": round(c.after, 6)}
                    for c in step.candidates
                ],
            }
            for step in writing.result().steps
        ]
        ids = np.array([self.prompt(members.prompt)])
        tokens = [self.shown(int(i)) for i in ids[0][:MOST_SHOWN]]
        return {"steps": steps, "prompt": tokens, "gates": gates(self.own, ids)}

    def shown(self, token: int) -> str:
        """The text of one token; of a part of a character its bytes, such as "\\xe4"; of a line's ends their names."""
        if token in self.names:
            return self.names[token]
        tokenizer = self.model.tokenizer
        if not hasattr(tokenizer, "decode_bytes"):
            return tokenizer.decode([token])
        data = tokenizer.decode_bytes([token])
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return repr(data)[2:-1]

    def about(self) -> dict[str, Any]:
        return {"vocabulary": self.model.vocab_size, "context": self.model.context}


class Lines:
    """A LanguageModel as generation wants its models: one line at a time, from BOS to EOS."""

    context = None

    def __init__(self, model: LanguageModel):
        self.model, self.vocab_size, self.bos, self.eos = model, model.vocab_size, model.bos, model.eos
        self.tokenizer = self  # it has encode and decode
        self.characters = "".join(model.tokenizer.word_index)

    def encode(self, text: str) -> list[int]:
        return self.model.encode(text)

    def decode(self, ids: Any) -> str:
        return self.model.decode(ids)

    def step(self, ids: np.ndarray, state: Any = None) -> tuple[np.ndarray, Any]:
        logits, state = self.model.step(ids[0].tolist(), state)
        return logits[None], state

    def select(self, state: Any, rows: np.ndarray) -> Any:
        return state


def _characters(tokenizer: Any) -> str | None:
    """All that a text may hold, for a tokenizer of characters; None for one that reads any text."""
    characters = getattr(tokenizer, "characters", None)
    return None if characters is None else "".join(characters)
