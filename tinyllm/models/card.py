"""A model card: what a model is, what it was made from, how good and how fast it is, and what it is not for."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from tinyllm.batches import rows_of
from tinyllm.checks import positive
from tinyllm.saving.files import exclusive, path_text, write_atomically

__all__ = ["Latency", "ModelCard", "latency", "model_card"]


@dataclass(frozen=True)
class Latency:
    """Seconds for one prediction of one sample, over `runs` of them, and how many threads the arithmetic may use."""

    median: float
    minimum: float
    runs: int
    threads: int

    def __str__(self) -> str:
        many = f"{self.threads} thread" + "s" * (self.threads != 1)
        return f"median {self.median * 1e3:.3g} ms, minimum {self.minimum * 1e3:.3g} ms ({self.runs} runs, {many})"


def latency(model: Any, sample: Any, runs: int = 50) -> Latency:
    """The time of model.predict on the first row of `sample`, batch size 1, after one run that does not count.

    Measured here and now: on another machine, or a busy one, it is another number.

    >>> from tinyllm.layers import Dense
    >>> from tinyllm.models import Sequential
    >>> measured = latency(Sequential([Dense(1)]), np.ones((4, 3)), runs=3)
    >>> 0 < measured.minimum <= measured.median, measured.runs
    (True, 3)
    """
    runs = positive("latency: runs", runs)
    one = rows_of(model.checked_input("latency", sample), slice(1))
    model.predict(one)
    seconds = []
    for _ in range(runs):
        start = perf_counter()
        model.predict(one, batch_size=1)
        seconds.append(perf_counter() - start)
    return Latency(float(np.median(seconds)), float(np.min(seconds)), runs, threads())


def threads() -> int:
    """How many threads matrix products may use: as threadpoolctl says, else the environment, else all there are."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        named = (os.environ.get(f"{name}_NUM_THREADS", "") for name in ("OPENBLAS", "MKL", "OMP"))
        return next((int(n) for n in named if n.isdecimal() and int(n)), os.cpu_count() or 1)
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


@dataclass(frozen=True)
class ModelCard:
    """What model_card() put together."""

    name: str
    layers: list[tuple[str, str, str, int]]  # name, type, output shape, parameters
    parameters: int
    trainable: int
    bytes_in_memory: int  # of the weights
    bytes_on_disk: int  # of all files that model.save() writes
    latency: Latency
    limitations: str
    metrics: dict[str, float] = field(default_factory=dict)
    data: str = ""
    fairness: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All of it, for json.dumps."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The card as a page."""
        facts = {
            "parameters": f"{self.parameters:,} ({self.trainable:,} trainable)",
            "size on disk": f"{self.bytes_on_disk:,} bytes",
            "weights in memory": f"{self.bytes_in_memory:,} bytes",
            "latency, batch 1": str(self.latency),
        }
        layers = [(name, kind, shape, f"{count:,}") for name, kind, shape, count in self.layers]
        parts = [f"# Model card: {_cell(self.name)}", _table(("", ""), list(facts.items())), "## Architecture"]
        parts.append(_table(("layer", "type", "output shape", "parameters"), layers))
        if self.metrics:
            rows = [(name, f"{value:.4g}") for name, value in self.metrics.items()]
            parts += ["## Metrics", _table(("metric", "value"), rows)]
        for title, text in (("Training data", self.data), ("Fairness", self.fairness)):
            if text:
                parts += [f"## {title}", _block(text)]
        return "\n\n".join([*parts, "## Limitations", self.limitations.strip()]) + "\n"

    def save(self, path: Any) -> None:
        """Write to_markdown() to a file, in UTF-8, whole or not at all."""
        path = os.path.realpath(path_text(path, "ModelCard.save"))
        folder = os.path.dirname(path)
        if os.path.isdir(path) or not os.path.isdir(folder):
            wrong, what = (path, "is a folder") if os.path.isdir(path) else (folder, "is no folder")
            raise ValueError(f"ModelCard.save: {wrong!r:.200} {what}; give the path of a file such as card.md")
        data = self.to_markdown().encode("utf-8", "backslashreplace")
        with exclusive(folder):
            write_atomically(path, data)


def model_card(
    model: Any,
    sample: Any,
    limitations: str,
    metrics: Mapping[str, float] | None = None,
    data: Any = None,
    fairness: Any = None,
    runs: int = 50,
) -> ModelCard:
    """A card in the manner of M. Mitchell et al. 2019, "Model cards for model reporting".

    sample       input of the model; latency is measured on its first row
    limitations  in your own words: what the model must not be used for, and what was not tested; never empty
    metrics      name -> number, such as model.evaluate(x, y, return_dict=True) on data held out
    data         what it was trained on: a preprocessing.report.DataReport, or text; fairness: an audit's report

    The size on disk is found by saving the model to a temporary folder. Raises ValueError for empty limitations.

    >>> from tinyllm.layers import Dense
    >>> from tinyllm.models import Sequential
    >>> card = model_card(Sequential([Dense(1)], name="toy"), np.ones((1, 3)), "A toy.", runs=1)
    >>> card.parameters, card.bytes_in_memory
    (4, 16)
    """
    if not isinstance(limitations, str) or not limitations.strip():
        raise ValueError("model_card: limitations is empty; every model has some: say what it must not be used for")
    for name, value in (metrics or {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise ValueError(f"model_card: the metric {name!r:.40} must be a number; found {value!r:.40}")
    measured = latency(model, sample, runs)  # the first prediction also makes weights that are not there yet
    with tempfile.TemporaryDirectory() as folder:
        saved = os.path.join(folder, "model")
        model.save(saved)
        on_disk = sum(os.path.getsize(os.path.join(saved, name)) for name in os.listdir(saved))
    layers = [
        (each.name, type(each).__name__, str(each.compute_output_shape(each.input_shape)), each.count_params())
        for each in model.layers
    ]
    return ModelCard(
        name=model.name,
        layers=layers,
        parameters=model.count_params(),
        trainable=sum(w.size for w in model.trainable_weights),
        bytes_in_memory=sum(w.data.nbytes for w in model.weights),
        bytes_on_disk=on_disk,
        latency=measured,
        limitations=limitations,
        metrics={str(name): float(value) for name, value in (metrics or {}).items()},
        data="" if data is None else str(data),
        fairness="" if fairness is None else str(fairness),
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text that stays in its cell and is no markup."""
    plain = " ".join(text.split())
    return "".join("\\" + c if c in "\\|`*_<[" else c for c in plain)


def _block(text: str) -> str:
    """Text as it stands, in a fence that it cannot close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
