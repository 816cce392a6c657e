"""`tinyllm claims`: what the article claims, what we compute, and the verdict."""

import argparse
import json
from typing import Any

__all__ = ["add_claims"]

EXAMPLES = """examples:
  tinyllm claims                             all 95, computed now
  tinyllm claims --verdict wrong --why       the wrong ones, with the reason
  tinyllm claims S4-09                       one of them in full
  tinyllm claims --language zh               in Chinese
  tinyllm claims --readings                  the article's network in the five ways it can be read
  tinyllm claims --json                      for a program
"""
WIDEST = 24  # columns of a number in the table


def add_claims(commands: Any) -> None:
    """The command line of `tinyllm claims`."""
    claims = commands.add_parser(
        "claims",
        help="what the article claims beside what is computed, with a verdict",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    claims.add_argument("claim", nargs="?", metavar="CLAIM", help="show this one in full, such as S4-09")
    claims.add_argument("--verdict", metavar="VERDICT", help="only those: right, wrong, imprecise, ...")
    claims.add_argument("--why", action="store_true", help="the reason below each claim")
    claims.add_argument("--readings", action="store_true", help="the table of the five networks instead")
    claims.add_argument("--language", choices=["en", "zh"], default="en", help="English or Chinese (default: en)")
    claims.add_argument("--json", action="store_true", help="a list of objects")
    claims.set_defaults(run=_claims)


def _claims(options: argparse.Namespace) -> None:
    from tinyllm.lessons.claims import claim

    if options.readings:
        if options.claim or options.verdict:
            raise ValueError("--readings shows the five networks; leave out CLAIM and --verdict")
        return _readings(options)
    findings = [claim(id, language=options.language) for id in _wanted(options)]
    if options.json:
        print(json.dumps([finding.as_json(options.language) for finding in findings], ensure_ascii=False, indent=1))
    elif options.claim:
        print(findings[0].in_full())
    else:
        _print_table(findings, options)
    return None


def _wanted(options: argparse.Namespace) -> list[str]:
    """The ids of the claims that were asked for."""
    from tinyllm.lessons.claims import LEDGER, VERDICTS
    from tinyllm.names import lookup

    if options.verdict:
        lookup("verdict", options.verdict, VERDICTS)
    if options.claim is None:
        return [id for id, entry in LEDGER.items() if options.verdict in (None, entry.verdict)]
    id = options.claim.upper()
    if id not in LEDGER:
        raise ValueError(f"no claim {options.claim!r}; the {len(LEDGER)} run from {min(LEDGER)} to {max(LEDGER)}")
    if options.verdict:
        raise ValueError(f"{id} is one claim; leave --verdict out")
    return [id]


def _print_table(findings: list[Any], options: argparse.Namespace) -> None:
    from tinyllm.lessons.claims import VERDICTS
    from tinyllm.lessons.columns import aligned, shortened

    chinese = options.language == "zh"
    rows = [("编号", "行", "判断", "文中的数", "算得的数", "文章的说法") if chinese else
            ("claim", "line", "verdict", "claimed", "computed", "the article says")]  # fmt: skip
    for finding in findings:
        id, says, claimed, computed, verdict, _ = finding.cells(options.language, brief=True)
        line = str(finding.entry.line)
        rows.append((id, line, verdict, shortened(claimed, WIDEST), shortened(computed, WIDEST), says))
    for text, finding in zip(aligned(rows).splitlines(), [None, *findings]):
        print(text)
        if options.why and finding is not None:
            print(f"       {finding.cells(options.language)[-1]}")
    names = VERDICTS if chinese else {verdict: verdict for verdict in VERDICTS}
    counts = {name: sum(f.entry.verdict == verdict for f in findings) for verdict, name in names.items()}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    print(f"\n共 {len(findings)} 条：{told}" if chinese else f"\n{len(findings)} claims: {told}")


def _readings(options: argparse.Namespace) -> None:
    from tinyllm.lessons.columns import aligned
    from tinyllm.lessons.readings import READINGS, as_table

    if options.json:
        print(json.dumps([reading.as_json() for reading in READINGS.values()], ensure_ascii=False, indent=1))
    else:
        print(aligned(as_table(options.language)))
