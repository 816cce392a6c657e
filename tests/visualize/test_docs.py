"""The page about pictures runs, and its picture is the one that its code makes."""

import doctest
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_runs_and_shows_its_own_picture():
    page = DOCS / "visualize.md"
    examples = doctest.DocTestParser().get_doctest(page.read_text(encoding="utf-8"), {}, page.name, str(page), 0)
    results = doctest.DocTestRunner().run(examples, clear_globs=False)
    assert results.failed == 0 and results.attempted > 10
    assert examples.globs["picture"].to_svg() == (DOCS / "images" / "graph.svg").read_text(encoding="utf-8")
