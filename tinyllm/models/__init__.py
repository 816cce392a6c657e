"""Models: layers put together, trained, used."""

from tinyllm.layers import MODELS
from tinyllm.models.causal import CausalLM
from tinyllm.models.gpt import GPT
from tinyllm.models.language_model import LanguageModel
from tinyllm.models.mlp_lm import MLPLM, Bigram
from tinyllm.models.model import Model
from tinyllm.models.ngram import NGram
from tinyllm.models.recurrent_lm import RecurrentLM
from tinyllm.models.sequential import Sequential
from tinyllm.saving import load_model

__all__ = [
    "GPT",
    "MLPLM",
    "Bigram",
    "CausalLM",
    "LanguageModel",
    "Model",
    "NGram",
    "RecurrentLM",
    "Sequential",
    "load_model",
]

# a model may be a layer of another
MODELS |= {c.__name__: c for c in (Bigram, GPT, LanguageModel, MLPLM, Model, NGram, RecurrentLM, Sequential)}
