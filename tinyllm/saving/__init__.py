"""Models and arrays on disk. No pickle: loading runs no code."""

from tinyllm.saving.folder import load_model, save_model
from tinyllm.saving.pytorch import from_state_dict, load_pytorch, save_pytorch, to_state_dict
from tinyllm.saving.safetensors import read_tensors, write_tensors

__all__ = [
    "from_state_dict",
    "load_model",
    "load_pytorch",
    "read_tensors",
    "save_model",
    "save_pytorch",
    "to_state_dict",
    "write_tensors",
]
