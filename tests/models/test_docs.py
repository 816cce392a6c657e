"""The pages about models run."""

import doctest
from pathlib import Path

import pytest


@pytest.mark.parametrize("page, examples", [("models.md", 15), ("language-models.md", 15)])
def test_the_page_runs(page, examples):
    path = Path(__file__).parents[2] / "docs" / page
    found = doctest.DocTestParser().get_doctest(path.read_text(encoding="utf-8"), {}, path.name, str(path), 0)
    results = doctest.DocTestRunner().run(found)
    assert results.failed == 0 and results.attempted >= examples
