"""Models: layers put together, trained, used."""

from tinyllm.models.language_model import LanguageModel
from tinyllm.models.sequential import Sequential

__all__ = ["LanguageModel", "Sequential"]
