"""Sequential: layers one after another."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinyllm import activations
from tinyllm.layers import Layer, deserialize
from tinyllm.layers.base import Shape
from tinyllm.layers.inner import unique_names
from tinyllm.layers.symbolic import SymbolicTensor
from tinyllm.models.model import Model
from tinyllm.models.predictions import Predictions

__all__ = ["Sequential"]


class Sequential(Model):
    """A model whose layers feed each other in order.

    layers  the layers, one layer, or none: add() them
    seed    of the initial weights, the shuffling and dropout: the same program gives the same numbers on every run
    dtype   of the layers that do not name their own: "float32", or "float64" for experiments

    >>> from tinyllm.layers import Dense
    >>> model = Sequential([Dense(1, input_shape=(2,))])
    >>> model.predict(np.zeros((3, 2))).shape
    (3, 1)
    """

    def __init__(
        self,
        layers: Iterable[Layer] | Layer = (),
        name: str | None = None,
        seed: int = 0,
        dtype: Any = None,
        trainable: bool = True,
    ):
        super().__init__(name=name, seed=seed, dtype=dtype, trainable=trainable)
        self._layers: list[Layer] = []
        for layer in [layers] if isinstance(layers, Layer) else layers:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Put a layer at the end. Weights are made at once where the input's shape is known."""
        if isinstance(layer, SymbolicTensor):
            layer = layer.call.layer  # Input((5,))
        if not isinstance(layer, Layer):
            raise TypeError(f"add: expected a layer; found {layer!r:.60}: give one such as Dense(1)")
        if layer in self._layers:
            raise ValueError(f"add: the layer '{layer.name}' is in this model already")
        unique_names("add", [*self._layers, layer])
        self.supply(layer)
        shape = layer.batch_input_shape
        if self._layers:
            shape = _onward(self._layers[-1], self._layers[-1].input_shape)
        if shape is not None:
            layer.ensure_built(shape)
        self._layers = [*self._layers, layer]  # only now: a layer that does not fit is not in the model
        self.input_shape = self._layers[0].input_shape
        self.built = all(each.built for each in self._layers)

    def build(self, input_shape: Shape) -> None:
        """Make all weights for inputs of this shape, for example (None, 5)."""
        self.input_shape = input_shape
        for layer in self._layers:
            layer.ensure_built(input_shape)
            input_shape = _onward(layer, input_shape)
        self.built = True

    def call(self, x: Any, mask: Any = None, training: bool = False) -> Any:  # type: ignore[override]
        if not self._layers:
            raise RuntimeError("this model has no layers; add() some")
        expected = self._layers[0].input_shape
        if expected is not None and np.ndim(x) == len(expected) - 1:
            raise ValueError(f"expected inputs of shape {expected}, found {np.shape(x)}: one sample goes in as x[None]")
        for layer in self._layers:
            x = layer(x, mask=mask, training=training)
            mask = None  # from here on it travels with x
        return x

    def predict(self, x: Any, batch_size: int = 32, verbose: Any = 0) -> np.ndarray:
        y = super().predict(x, batch_size, verbose)
        last = getattr(self._layers[-1], "activation", None)
        return y.view(Predictions) if last is activations.sigmoid and y.shape[1:] == (1,) else y

    @property
    def output_shape(self) -> Shape:
        """The output's shape, None where it is not known yet."""
        return (_onward(self._layers[-1], self._layers[-1].input_shape) if self._layers else None) or (None,)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        for layer in self._layers:
            input_shape = _onward(layer, input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What makes a model like this one (without its weights), as JSON."""
        return {
            "name": self.name,
            "seed": self.seed,
            **({} if self.trainable else {"trainable": False}),
            "layers": [{"class_name": type(each).__name__, "config": each.get_config()} for each in self.layers],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], prepare: Callable | None = None) -> "Sequential":
        """The model that get_config() described, with fresh weights; prepare as in Layer.from_config."""
        layers = [deserialize(each, prepare) for each in config["layers"]]
        return cls(layers, **{name: config[name] for name in ("name", "seed", "trainable") if name in config})


def _onward(layer: Layer, shape: Any) -> Any:
    """The shape that a layer passes on; None where its input's is not known."""
    after = None if shape is None else layer.compute_output_shape(shape)
    if isinstance(after, list):
        raise ValueError(f"the layer '{layer.name}' returns {len(after)} outputs; a Sequential passes one on")
    return after
