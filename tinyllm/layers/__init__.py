"""Layers, under Keras's names."""

from collections.abc import Callable
from typing import Any

from tinyllm.layers.attention import MultiHeadAttention
from tinyllm.layers.base import Layer
from tinyllm.layers.convolution import Conv1D
from tinyllm.layers.dense import Activation, Dense
from tinyllm.layers.dropout import Dropout, SpatialDropout1D
from tinyllm.layers.embedding import Embedding
from tinyllm.layers.inputs import Input, InputLayer
from tinyllm.layers.masking import Masking
from tinyllm.layers.merging import Add, Average, Concatenate, Multiply, Subtract
from tinyllm.layers.normalization import LayerNormalization, RMSNormalization
from tinyllm.layers.pooling import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from tinyllm.layers.recurrent import GRU, LSTM, SimpleRNN
from tinyllm.layers.reshaping import Flatten, RepeatVector, Reshape
from tinyllm.layers.wrappers import Bidirectional, TimeDistributed
from tinyllm.names import lookup

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Add",
    "Average",
    "AveragePooling1D",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "Masking",
    "MaxPooling1D",
    "MultiHeadAttention",
    "Multiply",
    "RMSNormalization",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "SpatialDropout1D",
    "Subtract",
    "TimeDistributed",
    "deserialize",
]

# fmt: off
LAYERS: dict[str, type[Layer]] = {
    c.__name__: c
    for c in (
        Activation, Add, Average, AveragePooling1D, Bidirectional, Concatenate, Conv1D, Dense, Dropout, Embedding,
        Flatten, GlobalAveragePooling1D, GlobalMaxPooling1D, GRU, InputLayer, LayerNormalization, LSTM, Masking,
        MaxPooling1D, MultiHeadAttention, Multiply, RepeatVector, Reshape, RMSNormalization, SimpleRNN,
        SpatialDropout1D, Subtract, TimeDistributed,
    )
}
# fmt: on
MODELS: dict[str, type[Layer]] = {}  # models, by class name: tinyllm.models enters its own. They are layers, too.


def deserialize(config: dict[str, Any], prepare: Callable | None = None) -> Layer:
    """A layer from {"class_name": ..., "config": {...}}. ValueError on an unknown class, listing the known ones.

    prepare: called with every layer before it makes its weights.

    >>> deserialize({"class_name": "Dense", "config": {"units": 2}})
    <Dense dense>
    """
    return lookup("layer", config.get("class_name"), LAYERS | MODELS).from_config(config.get("config", {}), prepare)
