"""docs/errata.md is what the ledger says."""

import pytest

from tinyllm.lessons.claims import LEDGER
from tinyllm.lessons.errata import FOLDER, main, render

TEXT = render()


def cells(page):
    """The rows of its tables, by their first cell."""
    lines = [line.strip("|").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row] for row in lines}


@pytest.mark.parametrize("path", TEXT, ids=lambda path: path.name)
def test_the_pages_are_what_the_ledger_gives(path):
    assert path.read_text(encoding="utf-8") == TEXT[path], "run python -m tinyllm.lessons.errata"


@pytest.mark.parametrize("path", TEXT, ids=lambda path: path.name)
def test_every_claim_and_every_reading_has_a_row_of_its_own(path):
    rows = cells(TEXT[path])
    assert [id for id in rows if id in LEDGER] == list(LEDGER)
    assert {"A", "B", "C", "D", "E"} <= set(rows)
    assert all(len(rows[id]) == 7 for id in LEDGER)
    assert all(rows[id][1] == str(entry.line) for id, entry in LEDGER.items())
    assert rows["A"][-4:-1] == ["0.916291", "0.221501", "2.310005"]


def test_the_tally_adds_up_to_95():
    counts = [
        int(row[1])
        for name, row in cells(TEXT[FOLDER / "errata.md"]).items()
        if name in {"right", "wrong", "imprecise", "right given a wrong input", "unverifiable"}
    ]
    assert (sorted(counts), sum(counts)) == ([1, 10, 12, 22, 50], 95)


def test_check_names_a_page_that_is_out_of_date_and_writing_mends_it(tmp_path, capsys):
    assert main([str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().out.count("out of date; run python -m tinyllm.lessons.errata") == 2
    assert not list(tmp_path.iterdir())
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    (tmp_path / "errata.md").write_text("old")
    assert main([str(tmp_path), "--check"]) == 1
    assert "errata.md: out of date" in capsys.readouterr().out
