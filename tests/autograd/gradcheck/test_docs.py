"""The guide to gradient checking runs."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "gradient-checking.md"


def test_every_example_of_the_guide_gives_what_it_says():
    examples = doctest.DocTestParser().get_doctest(PAGE.read_text(encoding="utf-8"), {}, PAGE.name, str(PAGE), 0)
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)
    assert results.failed == 0 and results.attempted > 30
