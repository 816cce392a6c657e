"""The ledger: what the article claims, line by line, and what became of each claim."""

from collections import Counter

from tinyllm.lessons.claims import algorithms, environment, losses, outlook, program, server, worked_step
from tinyllm.lessons.claims.entry import VERDICTS, Claim

__all__ = ["LEDGER", "tally"]

LEDGER: dict[str, Claim] = {
    entry.id: entry
    for part in (algorithms, losses, worked_step, environment, program, server, outlook)
    for entry in part.CLAIMS
}


def tally() -> dict[str, int]:
    """How many claims have each verdict.

    >>> tally()
    {'right': 22, 'wrong': 50, 'imprecise': 12, 'right given a wrong input': 10, 'unverifiable': 1}
    """
    found: Counter[str] = Counter(entry.verdict for entry in LEDGER.values())
    return {verdict: found[verdict] for verdict in VERDICTS}
