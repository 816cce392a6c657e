"""Models and arrays on disk. No pickle: loading runs no code."""

from tinyllm.saving.folder import load_model, save_model
from tinyllm.saving.safetensors import read_tensors, write_tensors

__all__ = ["load_model", "read_tensors", "save_model", "write_tensors"]
