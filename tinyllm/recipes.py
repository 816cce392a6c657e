"""How language models are trained: sizes, batches, rates. A recipe is a name and its numbers; nothing else."""

import inspect
import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tinyllm.checks import positive
from tinyllm.models import BERT, GPT, MLPLM, Bigram, NGram, RecurrentLM
from tinyllm.names import lookup

__all__ = ["MODELS", "RECIPES", "Recipe", "recipe"]

MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gpt": (GPT, {}),
    "lstm": (RecurrentLM, {"cell": "lstm"}),
    "gru": (RecurrentLM, {"cell": "gru"}),
    "rnn": (RecurrentLM, {"cell": "rnn"}),
    "mlp": (MLPLM, {}),
    "bigram": (Bigram, {}),
    "ngram": (NGram, {}),
    "bert": (BERT, {}),
}


NOT_SIZES = {"vocab_size", "tokenizer", "name", "seed", "dtype", "cell", "sizes"}  # of a model's arguments
WINDOWED = {"gpt", "bert"}  # these see a window, so their context is the recipe's window


@dataclass(frozen=True)
class Recipe:
    """What is trained and how. A step sees batch * accumulate windows of `window` tokens.

    sizes           arguments of the model's class
    learning_rate   rises in a straight line for `warmup` steps, then falls by half a cosine to last_rate at the end
    weight_decay    of matrices only (AdamW); clip: the largest norm of the whole gradient
    accumulate      batches whose gradients are added before a step: the same step with less memory
    every           steps between two looks at the validation text
    tokens          "characters", or the size of a vocabulary of byte pairs, learnt from what is not held out
    lines           each line is a text of its own (names, sentences), with a boundary token before and after it
    """

    model: str
    sizes: dict[str, Any] = field(default_factory=dict)
    window: int = 64
    batch: int = 32
    steps: int = 1000
    learning_rate: float = 1e-3
    last_rate: float = 1e-4
    warmup: int = 100
    beta_2: float = 0.99
    weight_decay: float = 0.1
    clip: float = 1.0
    accumulate: int = 1
    every: int = 250
    tokens: str | int = "characters"
    lines: bool = False

    def __post_init__(self) -> None:
        lookup("model", self.model, MODELS)
        for name in ("window", "batch", "steps", "accumulate", "every"):
            positive(f"recipe: {name}", getattr(self, name))
        for name in ("learning_rate", "last_rate", "warmup", "beta_2", "weight_decay", "clip"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
            if not number or (name == "learning_rate" and not value):
                what = "a positive number" if name == "learning_rate" else "0 or a positive number"
                raise ValueError(f"recipe: {name} must be {what}; found {value!r}")
        if not isinstance(self.lines, bool):
            raise ValueError(f"recipe: lines must be true or false; found {self.lines!r}")
        if self.tokens != "characters" and (not isinstance(self.tokens, int) or self.tokens < 257):
            raise ValueError(
                f"recipe: tokens is 'characters', or a number of byte pairs' tokens above 256; found {self.tokens!r}"
            )
        if self.warmup >= self.steps:
            object.__setattr__(self, "warmup", self.steps // 10)


SMALL = Recipe("lstm", {"embedding": 32, "width": 128}, batch=16, learning_rate=4e-3, weight_decay=0.0)
# Adam at a constant rate, as the yardsticks of docs/results.md were made
CHAR = Recipe(
    "lstm", {"embedding": 128, "width": 256}, steps=2000, learning_rate=2e-3, last_rate=2e-3, warmup=0, weight_decay=0.0
)
# The sizes and the number of steps of makemore (names, one a line); the rates are ours
MAKEMORE = Recipe(
    "lstm", {"embedding": 64, "width": 64}, 16, steps=5000, learning_rate=5e-3, weight_decay=0.01, every=500, lines=True
)
# Short lines, and few of them, read as one text. The form is learnt after the held-out loss has turned, so the dropout
# is high, and the `last` model keeps it best: docs/results.md
POEMS = Recipe(
    "lstm",
    {"embedding": 64, "width": 192, "dropout": 0.5},
    batch=16,
    steps=900,
    learning_rate=5e-3,
    warmup=50,
    weight_decay=0.0,
    every=300,
)

RECIPES: dict[str, dict[str, Recipe]] = {
    "gpt": {
        "small": Recipe("gpt", {"depth": 2, "heads": 2, "width": 64}, window=32, batch=16),
        # nanoGPT's README: what it trains on a laptop's processor
        "nanogpt-cpu": Recipe("gpt", {"depth": 4, "heads": 4, "width": 128}, window=64, batch=12, steps=2000),
        "makemore": replace(
            MAKEMORE, model="gpt", sizes={"depth": 4, "heads": 4, "width": 64, "bias": True}, learning_rate=2e-3
        ),
    },
    "lstm": {
        "small": SMALL,
        "char": CHAR,
        "char-carry": replace(CHAR, sizes=CHAR.sizes | {"carry": True}),
        # The best that 180 seconds of one processor gave: docs/results.md
        "char-best": replace(
            CHAR,
            sizes=CHAR.sizes | {"carry": True},
            steps=2200,
            learning_rate=5e-3,
            last_rate=1e-4,
            warmup=100,
            every=1100,
        ),
        "makemore": MAKEMORE,
        "poems": POEMS,
    },
    "gru": {"small": replace(SMALL, model="gru"), "makemore": replace(MAKEMORE, model="gru")},
    "rnn": {"small": replace(SMALL, model="rnn", learning_rate=2e-3), "makemore": replace(MAKEMORE, model="rnn")},
    "mlp": {
        "small": Recipe("mlp", {"context": 8, "embedding": 32, "width": 128}, window=32),
        "makemore": replace(
            MAKEMORE, model="mlp", sizes={"context": 16, "embedding": 64, "width": 64}, learning_rate=2e-3
        ),
    },
    "bigram": {"small": Recipe("bigram", learning_rate=0.1, last_rate=0.01, weight_decay=0.0)},
    # It fills in blanks: its loss is that of hidden tokens, and it does not write
    "bert": {"small": Recipe("bert", {"depth": 2, "heads": 4, "width": 64}, window=32, batch=16, learning_rate=2e-3)},
    # Counted, in one pass: of a recipe only the text, its tokens and its lines matter
    "ngram": {"small": Recipe("ngram", {"order": 5}), "makemore": Recipe("ngram", {"order": 2}, lines=True)},
}


def recipe(model: str, config: str = "small", **changes: Any) -> Recipe:
    """A recipe by its name, with some of its numbers, or of its model's sizes, changed. ValueError lists what is known.

    >>> recipe("gpt", "nanogpt-cpu", steps=100, width=64).sizes
    {'depth': 4, 'heads': 4, 'width': 64}
    """
    found = lookup(f"config of the model {model}", config, lookup("model", model, RECIPES))
    own = {each.name for each in fields(Recipe)} - {"model", "sizes"}
    arguments = inspect.signature(MODELS[model][0]).parameters
    of_model = arguments.keys() - NOT_SIZES - ({"context"} if model in WINDOWED else set())
    for name in sorted(changes.keys() - own - of_model):
        known = ", ".join(sorted(own | of_model))
        raise ValueError(f"recipe: the model {model} has no setting {name!r}; known: {known}")
    for name in of_model & changes.keys():
        if isinstance(arguments[name].default, bool) and not isinstance(changes[name], bool):
            raise ValueError(f"recipe: {name} must be true or false; found {changes[name]!r}")
    sizes = {name: value for name, value in changes.items() if name in of_model}
    rest = {name: value for name, value in changes.items() if name in own}
    return replace(found, sizes=found.sizes | sizes, **rest)
