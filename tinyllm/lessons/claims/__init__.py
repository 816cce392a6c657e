"""The ledger of the article's claims: each with a computation that runs and a verdict that is checked against it."""

from tinyllm.lessons.claims.entry import VERDICTS, Claim
from tinyllm.lessons.claims.finding import Finding, Table, claim, table
from tinyllm.lessons.claims.ledger import LEDGER, tally

__all__ = ["LEDGER", "VERDICTS", "Claim", "Finding", "Table", "claim", "table", "tally"]
