"""`tinyllm shrink`: a model in fewer bytes, and what that costs, measured."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["add_shrink"]

EXAMPLES = """examples:
  tinyllm shrink tour/classifier small                       float16: half the bytes
  tinyllm shrink run small --weights int8 --text play.txt    a quarter; the loss on a text before and after
"""


def add_shrink(commands: Any) -> None:
    """The command line of `tinyllm shrink`."""
    shrink = commands.add_parser(
        "shrink",
        help="store a model in fewer bytes, and measure what that costs",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shrink.add_argument("model", metavar="MODEL", help="a model's folder or file, or a run of tinyllm train")
    shrink.add_argument("out", metavar="OUT", help="the folder to write")
    shrink.add_argument("--weights", default="float16", metavar="KIND", help="float16 (the default) or int8")
    shrink.add_argument("--text", metavar="FILE", help="a UTF-8 text to measure on (a classifier: a text a line)")
    shrink.set_defaults(run=_shrink)


def _shrink(options: argparse.Namespace) -> None:
    from tinyllm.datasets import load_text
    from tinyllm.models import load_model
    from tinyllm.pretraining import best_of

    path, out = best_of(options.model), Path(options.out)
    if out.resolve() == path.resolve():
        raise ValueError(f"{out} is the model itself; name another folder")
    model = load_model(path)
    lines = load_text(options.text) if options.text else None
    model.save(out, weights=options.weights)
    small = load_model(out)
    before, after = (sum(w.data.nbytes for w in model.named_weights.values()), _bytes(out))
    print(f"{out}: {after:,} bytes of weights, {after / before:.0%} of {before:,}")
    for line in _costs(model, small, lines):
        print(line)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("weights-*"))


def _costs(model: Any, small: Any, lines: list[str] | None) -> Iterator[str]:
    """What became of the loss, or of the answers."""
    from tinyllm.models import CausalLM, LanguageModel

    if isinstance(model, CausalLM | LanguageModel):
        if lines is None:
            yield "no --text: nothing measured"
            return
        before, after = (_nats(each, lines) for each in (model, small))
        yield f"loss on the text: {before:.6f} nats before, {after:.6f} after ({after - before:+.6f})"
    elif callable(model.preprocess):
        texts = lines if lines is not None else list(model.preprocess.tokenizer.word_index)
        p, q = (np.asarray(each.predict(model.preprocess(texts))) for each in (model, small))
        changed = int((_answers(p) != _answers(q)).any(axis=-1).sum())
        apart = f"apart by {np.abs(p - q).max():.2g} at most"
        yield f"probabilities of {len(texts)} texts: {apart}; {changed} answers change"
    else:
        yield "the model reads no texts: nothing measured"


def _nats(model: Any, lines: list[str]) -> float:
    from tinyllm.models import LanguageModel

    if isinstance(model, LanguageModel):
        return model.nats([line for line in lines if line])
    return model.nats(model.encode("\n".join(lines)))


def _answers(p: np.ndarray) -> np.ndarray:
    """The classes: of a softmax the largest, of sigmoids 1 where p > 0.5."""
    single = p.shape[-1] == 1 or np.abs(p.sum(axis=-1) - 1).max() > 1e-3
    return (p > 0.5) if single else p.argmax(axis=-1)[:, None]
