"""Layers, under Keras's names."""

from typing import Any

from tinyllm.layers.base import InputLayer, Layer
from tinyllm.layers.dense import Dense, Dropout
from tinyllm.layers.embedding import Embedding
from tinyllm.layers.recurrent import LSTM
from tinyllm.names import lookup

__all__ = ["LSTM", "Dense", "Dropout", "Embedding", "Input", "InputLayer", "Layer", "deserialize"]

Input = InputLayer
LAYERS: dict[str, type[Layer]] = {c.__name__: c for c in (Dense, Dropout, Embedding, InputLayer, LSTM)}


def deserialize(config: dict[str, Any]) -> Layer:
    """A layer from {"class_name": ..., "config": {...}}. ValueError on an unknown class, listing the known ones.

    >>> deserialize({"class_name": "Dense", "config": {"units": 2}})
    <Dense dense>
    """
    return lookup("layer", config.get("class_name"), LAYERS)(**config.get("config", {}))
