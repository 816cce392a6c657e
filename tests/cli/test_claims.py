"""tinyllm claims: the table, one claim in full, and what a program reads."""

import json

import pytest

from tinyllm.cli import main
from tinyllm.lessons.claims import LEDGER
from tinyllm.lessons.readings import READINGS


def test_the_table_has_a_row_for_every_claim_and_says_how_many_have_which_verdict(capsys):
    assert main(["claims"]) == 0
    heading, *rows, empty, last = capsys.readouterr().out.splitlines()
    assert heading.split()[:5] == ["claim", "line", "verdict", "claimed", "computed"]
    assert [row[:5] for row in rows] == list(LEDGER)
    assert [row.split()[1] for row in rows] == [str(entry.line) for entry in LEDGER.values()]
    assert empty == ""
    assert last == "95 claims: 22 right, 50 wrong, 12 imprecise, 10 right given a wrong input, 1 unverifiable"


def test_english_is_ascii(capsys):
    for arguments in ([], ["--why"], ["--readings"]):
        main(["claims", *arguments])
        assert capsys.readouterr().out.isascii()


def test_a_verdict_and_the_reasons_can_be_asked_for(capsys):
    assert main(["claims", "--verdict", "right given a wrong input", "--why"]) == 0
    _, *lines, _, last = capsys.readouterr().out.splitlines()
    assert [line[:5] for line in lines[::2]] == [f"S4-{i}" for i in range(38, 48)]
    assert {line.strip() for line in lines[1::2]} == {LEDGER["S4-38"].why}
    assert last == "10 claims: 10 right given a wrong input"


def test_chinese_columns_are_aligned(capsys):
    assert main(["claims", "--verdict", "unverifiable", "--language", "zh"]) == 0
    heading, row, _, last = capsys.readouterr().out.splitlines()
    assert heading.split() == ["编号", "行", "判断", "文中的数", "算得的数", "文章的说法"]
    assert row.startswith("S7-02  727  无法核实")
    assert last == "共 1 条：1 无法核实"


def test_one_claim_is_shown_in_full(capsys):
    assert main(["claims", "s4-09"]) == 0
    shown = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert {name: text.strip() for name, text in shown.items()} == {
        "claim": "S4-09, line 152",
        "the article says": "-[log 0.9]",
        "claimed": "-0.105",
        "computed": "0.105361",
        "verdict": "wrong",
        "why": LEDGER["S4-09"].why,
        "code": "tinyllm/lessons/claims/losses.py",
    }


def test_json_is_a_list_of_objects(capsys):
    assert main(["claims", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["id"] for each in found] == list(LEDGER)
    assert all(set(each) == {"id", "line", "verdict", "claimed", "computed", "says", "why"} for each in found)
    assert main(["claims", "S4-26", "--json", "--language", "zh"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["claimed"], one["computed"], one["verdict"]) == (-1.2, -2.2, "wrong")
    assert one["why"] == LEDGER["S4-26"].why_zh


def test_the_readings_are_a_table_or_json(capsys):
    assert main(["claims", "--readings"]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row[0] for row in rows] == list(READINGS)
    assert rows[0].split()[-4:] == ["0.916291", "0.221501", "2.310005", "1.821872"]
    assert main(["claims", "--readings", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["reading"] for each in found] == list(READINGS)
    assert found[3]["turned"] == pytest.approx(0.7088813580333881, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["S9-99"], "no claim 'S9-99'; the 95 run from S3-01 to S9-04"),
        (["--verdict", "bad"], "unknown verdict 'bad'; known: imprecise, right, "),
        (["S4-09", "--verdict", "wrong"], "S4-09 is one claim; leave --verdict out"),
        (["S4-09", "--readings"], "leave out CLAIM and --verdict"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, capsys):
    assert main(["claims", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("tinyllm claims: ") and said in captured.err
