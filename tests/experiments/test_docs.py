"""The page of experiments runs, shows a picture of each, and its pictures are those that its code makes.

To draw them again: python -m tests.experiments.test_docs
"""

import doctest
import re
from io import BytesIO
from pathlib import Path

from tinyllm import experiments
from tinyllm.pictures import Experiment

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "experiments.md").read_text(encoding="utf-8")
PICTURES = re.findall(r"\(images/experiments-(\w+)\.png\)", PAGE)


def run():
    """What the page's examples leave behind, by name."""
    examples = doctest.DocTestParser().get_doctest(PAGE, {}, "experiments.md", None, 0)
    results = doctest.DocTestRunner().run(examples, clear_globs=False)
    assert results.failed == 0 and results.attempted > 20
    return examples.globs


def test_the_page_runs_and_has_a_picture_of_each_result():
    results = [name for name, value in run().items() if isinstance(value, Experiment)]
    assert sorted(PICTURES) == sorted(results)


def test_each_experiment_is_on_the_page_and_each_picture_is_small():
    assert [name for name in experiments.__all__ if f"experiments.{name}" not in PAGE] == []
    for name in PICTURES:
        stored = DOCS / "images" / f"experiments-{name}.png"
        assert 1_000 < stored.stat().st_size < 60_000, name


def store() -> None:
    """Draw the pictures of the page, with few colours so that they stay small."""
    from PIL import Image

    values = run()
    for name in PICTURES:
        drawn = Image.open(BytesIO(values[name].plot()._repr_png_())).convert("RGB")
        few = drawn.quantize(128, dither=Image.Dither.NONE)
        few.save(DOCS / "images" / f"experiments-{name}.png", optimize=True)


if __name__ == "__main__":
    store()
