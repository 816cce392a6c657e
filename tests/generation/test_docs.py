"""The page about writing runs."""

import doctest
from pathlib import Path


def test_the_page_runs():
    page = Path(__file__).parents[2] / "docs" / "generation.md"
    examples = doctest.DocTestParser().get_doctest(page.read_text(encoding="utf-8"), {}, page.name, str(page), 0)
    results = doctest.DocTestRunner().run(examples)
    assert results.failed == 0 and results.attempted > 20
