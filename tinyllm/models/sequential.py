"""Sequential: layers one after another."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinyllm import activations
from tinyllm.autograd import Tensor
from tinyllm.layers import Layer, deserialize
from tinyllm.layers.base import Shape, assign_weights
from tinyllm.models.predictions import Predictions
from tinyllm.saving import save_model
from tinyllm.training import Trainable

__all__ = ["Sequential"]


class Sequential(Trainable):
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
        self, layers: Iterable[Layer] | Layer = (), name: str = "sequential", seed: int = 0, dtype: Any = None
    ):
        self.name = name
        self.seed = seed
        self.dtype = dtype
        self.rng = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        self.preprocess: Callable | None = None  # from texts to arrays (preprocessing.text.TextToIds); saved along
        for layer in [layers] if isinstance(layers, Layer) else layers:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Put a layer at the end. Weights are made at once where the input's shape is known."""
        if not isinstance(layer, Layer):
            raise TypeError(f"add: expected a layer; found {layer!r:.60}: give one such as Dense(1)")
        if layer in self.layers:
            raise ValueError(f"add: the layer '{layer.name}' is in this model already")
        names = {each.name for each in self.layers}
        if layer.name in names:
            if layer.named:
                raise ValueError(f"add: there is a layer called '{layer.name}' already; names must differ")
            layer.name = next(f"{layer.name}_{i}" for i in range(1, 10**6) if f"{layer.name}_{i}" not in names)
        if self.dtype is not None and not layer.dtype_given:
            layer.dtype = np.dtype(self.dtype)
        if layer.rng is None:
            layer.rng = self.rng.spawn(1)[0]
        shape = layer.batch_input_shape
        if self.layers:
            before = self.layers[-1]
            shape = before.compute_output_shape(before.input_shape) if before.input_shape is not None else None
        if shape is not None:
            layer.ensure_built(shape)
        self.layers.append(layer)  # only now: a layer that does not fit is not in the model

    def build(self, input_shape: Shape) -> None:
        """Make all weights for inputs of this shape, for example (None, 5)."""
        for layer in self.layers:
            layer.ensure_built(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def forward(self, x: Any, training: bool = False) -> tuple[Tensor, Any]:
        if not self.layers:
            raise RuntimeError("this model has no layers; add() some")
        expected = self.layers[0].input_shape
        if expected is not None and np.ndim(x) == len(expected) - 1:
            raise ValueError(f"expected inputs of shape {expected}, found {np.shape(x)}: one sample goes in as x[None]")
        mask = None
        for layer in self.layers:
            y = layer(x, mask=mask, training=training)
            if isinstance(y, list):
                raise ValueError(f"the layer '{layer.name}' returns {len(y)} outputs; a Sequential passes one on")
            mask = layer.compute_mask(x, mask)
            x = y
        return x, mask

    def __call__(self, x: Any, training: bool = False) -> Tensor:
        return self.forward(x, training)[0]

    def predict(self, x: Any, batch_size: int = 32, verbose: Any = 0) -> np.ndarray:
        y = super().predict(x, batch_size, verbose)
        last = getattr(self.layers[-1], "activation", None)
        return y.view(Predictions) if last is activations.sigmoid and y.shape[1:] == (1,) else y

    # -- weights ----------------------------------------------------------------------------------------------------

    @property
    def named_weights(self) -> dict[str, Tensor]:
        """All weights as "layer/weight"; RuntimeError while some layer does not know its input's shape."""
        unbuilt = [layer.name for layer in self.layers if not layer.built]
        if unbuilt:
            raise RuntimeError(
                f"the layer '{unbuilt[0]}' has no weights yet: give the first layer an input_shape, "
                "call build(shape), or show the model some data"
            )
        return {f"{layer.name}/{name}": w for layer in self.layers for name, w in layer.parameters.items()}

    @property
    def weights(self) -> list[Tensor]:
        """All weights, layer by layer."""
        return list(self.named_weights.values())

    @property
    def trainable_weights(self) -> list[Tensor]:  # type: ignore[override]
        """The weights of the layers that are not frozen."""
        return [w for layer in self.layers for w in layer.trainable_weights]

    def count_params(self) -> int:
        """How many numbers all weights hold."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, layer by layer."""
        return [w.data.copy() for w in self.weights]

    def set_weights(self, values: list) -> None:
        """Overwrite all weights. ValueError if their number or a shape differs; then nothing is changed."""
        assign_weights(f"model '{self.name}'", self.named_weights, values)

    # -- what it looks like -----------------------------------------------------------------------------------------

    @property
    def output_shape(self) -> Shape:
        """The output's shape, None where it is not known yet."""
        last = self.layers[-1] if self.layers else None
        return (None,) if last is None or last.input_shape is None else last.compute_output_shape(last.input_shape)

    def summary(self) -> None:
        """Print the layers with their output shapes and numbers of parameters."""
        rows = [("Layer (type)", "Output shape", "Param #")]
        for layer in self.layers:
            shape = layer.compute_output_shape(layer.input_shape) if layer.input_shape is not None else "?"
            count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
            rows.append((f"{layer.name} ({type(layer).__name__})", str(shape), count))
        wide = [max(len(row[i]) for row in rows) for i in range(3)]
        line = "-" * (sum(wide) + 6)
        print(f'Model: "{self.name}"')
        for i, (name, shape, count) in enumerate(rows):
            print(line if i < 2 else "", end="\n" if i < 2 else "")
            print(f" {name:<{wide[0]}}  {shape:<{wide[1]}}  {count:>{wide[2]}}")
        total = sum(layer.count_params() for layer in self.layers)
        trainable = sum(w.size for w in self.trainable_weights)
        print(line)
        print(f"Total params: {total:,}")
        print(f"Trainable params: {trainable:,}")
        print(f"Non-trainable params: {total - trainable:,}")

    def save(self, path: Any) -> None:
        """Write the model to a folder, or to an HDF5 file that Keras reads if the path ends in .h5; see save_model."""
        save_model(self, path)

    def get_config(self) -> dict[str, Any]:
        """What makes a model like this one (without its weights), as JSON."""
        return {
            "name": self.name,
            "seed": self.seed,
            "layers": [{"class_name": type(each).__name__, "config": each.get_config()} for each in self.layers],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Sequential":
        """The model that get_config() described, with fresh weights."""
        layers = [deserialize(each) for each in config["layers"]]
        return cls(layers, name=config.get("name", "sequential"), seed=config.get("seed", 0))
