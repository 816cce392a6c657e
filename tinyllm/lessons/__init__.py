"""What the lessons share: the ledger of the article's claims, and the generator of the notebooks."""

from tinyllm.lessons.claims import claim, table

__all__ = ["claim", "table"]
