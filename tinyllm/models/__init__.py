"""Models: layers put together, trained, used."""

from tinyllm.models.sequential import Sequential

__all__ = ["Sequential"]
