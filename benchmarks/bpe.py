"""Byte pair encoding: learning 256, 768 and 3,840 merges, and encoding, beside Hugging Face's tokenizers if installed.

    python benchmarks/bpe.py [TEXT_FILE]

Without a file the text is this package's own source. Interleaved in one process, five rounds; the least and the median,
in seconds of processor time. tokenizers is written in Rust and is held to one thread. The first call of ours in a
process also builds the pattern; that is timed on its own.
"""

import os
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before tokenizers is imported
os.environ["RAYON_NUM_THREADS"] = "1"

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinyllm.preprocessing.bpe import BPETokenizer

ROUNDS = 5
SIZES = (512, 1024, 4096)


def hugging_faces(text: str, vocab_size: int) -> Any:
    import tokenizers

    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [text],
        tokenizers.trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=letters, show_progress=False),
    )
    return made


def seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def fresh(tokenizer: BPETokenizer) -> BPETokenizer:
    """One that remembers no chunk."""
    return BPETokenizer(tokenizer.merges)


def main() -> None:
    if len(sys.argv) > 1:
        text = Path(sys.argv[1]).read_text(encoding="utf-8")
    else:
        sources = sorted((Path(__file__).parents[1] / "tinyllm").rglob("*.py"))
        text = "".join(path.read_text(encoding="utf-8") for path in sources)
    print(f"{len(text.encode()):,} bytes; building the pattern: {seconds(lambda: BPETokenizer().encode('a')):.2f} s")

    ours = BPETokenizer.train(text, SIZES[-1])
    cases: dict[str, list[Callable[[], object]]] = {
        f"learn {size - 256:,} merges": [lambda size=size: BPETokenizer.train(text, size)] for size in SIZES
    }
    cases["encode, nothing remembered"] = [lambda: fresh(ours).encode(text)]
    try:
        theirs = hugging_faces(text, SIZES[-1])
        for row, size in zip(cases.values(), SIZES):
            row.append(lambda size=size: hugging_faces(text, size))
        cases["encode, nothing remembered"].append(lambda: theirs.encode(text))
    except ImportError:
        print("tokenizers is not installed: ours alone")
    for name, functions in cases.items():
        timed = list(zip(*([seconds(function) for function in functions] for _ in range(ROUNDS))))
        line = f"{name:<28}"
        for who, times in zip(("tinyllm", "tokenizers"), timed):
            line += f"{who:>12} {min(times):6.2f} {statistics.median(times):6.2f}"
        if len(timed) > 1:
            line += f"   ours / theirs {statistics.median(timed[0]) / statistics.median(timed[1]):.1f}"
        print(line)


if __name__ == "__main__":
    main()
