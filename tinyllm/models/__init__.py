"""Models: layers put together, trained, used."""

from tinyllm.layers import MODELS
from tinyllm.models.language_model import LanguageModel
from tinyllm.models.model import Model
from tinyllm.models.sequential import Sequential
from tinyllm.saving import load_model

__all__ = ["LanguageModel", "Model", "Sequential", "load_model"]

MODELS |= {each.__name__: each for each in (LanguageModel, Model, Sequential)}  # a model may be a layer of another
