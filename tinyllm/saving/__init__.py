"""Models and arrays on disk. No pickle: loading runs no code."""

from tinyllm.saving.folder import load_model, save_model
from tinyllm.saving.pytorch import from_state_dict, load_pytorch, save_pytorch, to_state_dict
from tinyllm.saving.safetensors import read_tensors, write_tensors
from tinyllm.saving.weights import load_weights, save_weights

__all__ = [
    "from_state_dict",
    "load_model",
    "load_pytorch",
    "load_weights",
    "read_tensors",
    "save_model",
    "save_pytorch",
    "save_weights",
    "to_state_dict",
    "write_tensors",
]
