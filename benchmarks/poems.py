"""The form of poems, or of any text in short lines: what models write beside the source and beside counting.

    tinyllm train --text poems.txt --model ngram --set order=2 --out counted
    tinyllm train --text poems.txt --model lstm --config poems --out poems
    python benchmarks/poems.py poems.txt counted poems [--temperature 0.5 0.8] [--lengths 5 7]

A verse is a run of characters that a comma, a full stop, a semicolon, a question or an exclamation mark closes. Titles,
authors and remarks end without one and are no verses; the last column counts them, too: all that stands between marks
and line ends. Shown are the held-out loss (nats per token, in the last column of a run's metrics.json), how many verses
were written, how many of them have one of the lengths, and how many stand word for word in the source. A model is asked
with three seeds, each for at least 200 verses, from an empty line on.
"""

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path

from tinyllm.datasets import load_text
from tinyllm.models import CausalLM, load_model

CLOSING, PARTING = ",.;?!，。；？！", ":：、"
VERSE = re.compile(f"([^\\s{CLOSING}{PARTING}]+)[{CLOSING}]")
PIECE = re.compile(f"[^\n{CLOSING}{PARTING}]+")
SEEDS, LEAST = 3, 200


def written(model: CausalLM, temperature: float, seed: int) -> str:
    """A text of at least 200 verses, if the model writes verses at all."""
    text = ""
    for tokens in (2000, 4000, 8000):
        text = str(model.generate("\n", tokens, temperature=temperature, seed=seed))
        if len(VERSE.findall(text)) >= LEAST:
            break
    return text


def row(name: str, nats: str, text: str, lengths: list[int], source: set[str] | None = None) -> str:
    verses, pieces = VERSE.findall(text), [piece.strip() for piece in PIECE.findall(text) if piece.strip()]
    shares = [share(len(verse) in lengths for verse in verses)]
    shares += ["" if source is None else share(verse in source for verse in verses)]
    shares += [share(len(piece) in lengths for piece in pieces)]
    return f"{name:<42}{nats:>9}{len(verses):>8}" + "".join(f"{each:>12}" for each in shares)


def share(true: Iterable[bool]) -> str:
    found = list(true)
    return f"{sum(found) / len(found):.1%}" if found else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="what the models learnt from")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a folder of `tinyllm train`")
    parser.add_argument("--temperature", type=float, nargs="+", default=[0.5, 0.8])
    parser.add_argument("--lengths", type=int, nargs="+", default=[5, 7])
    options = parser.parse_args()
    source = "\n".join(load_text(options.text))
    known = set(VERSE.findall(source))
    lengths = " or ".join(map(str, options.lengths))
    print(f"{'':<42}{'held out':>9}{'verses':>8}{f'of {lengths}':>12}{'in source':>12}{'all lines':>12}")
    print(row("the source", "", source, options.lengths))
    samples = []
    for run in map(Path, options.runs):
        metrics = json.loads((run / "metrics.json").read_text())
        losses = {"model": metrics["best_validation_nats"], "last": metrics["validation_nats"]}
        for kind in (each for each in losses if (run / each).exists()):
            model = load_model(run / kind)
            for temperature in options.temperature:
                for seed in range(SEEDS):
                    text = written(model, temperature, seed)
                    name = f"{run}/{kind}, temperature {temperature}, seed {seed}"
                    print(row(name, f"{losses[kind]:.3f}", text, options.lengths, known), flush=True)
                    samples += [f"\n{name}:\n{text[:150].strip()}"] if not seed else []
    print("\n".join(samples))


if __name__ == "__main__":
    main()
