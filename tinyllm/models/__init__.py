"""Models: layers put together, trained, used."""

from tinyllm.models.language_model import LanguageModel
from tinyllm.models.sequential import Sequential
from tinyllm.saving import load_model

__all__ = ["LanguageModel", "Sequential", "load_model"]
