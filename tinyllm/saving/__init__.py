"""Models and arrays on disk. No pickle: loading runs no code."""

from tinyllm.saving.folder import load_model, save_model
from tinyllm.saving.safetensors import read_tensors, write_tensors
from tinyllm.saving.weights import load_weights, save_weights

__all__ = ["load_model", "load_weights", "read_tensors", "save_model", "save_weights", "write_tensors"]
