"""LSTM: a layer that reads a sequence step by step and remembers."""

from typing import Any

import numpy as np

from tinyllm import activations, initializers
from tinyllm.autograd.kernels import lstm, lstm_from_rules
from tinyllm.autograd.tensor import as_array
from tinyllm.layers.base import Layer, Shape
from tinyllm.layers.dense import positive

__all__ = ["LSTM"]


class LSTM(Layer):
    """A long short-term memory layer (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

        i, f, g, o = split(x_t @ kernel + h @ recurrent_kernel + bias)      input, forget, candidate, output
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)                           the cell remembers
        h = sigmoid(o) * tanh(c)                                            the state is what it shows

    x (batch, time, features); kernel (features, 4 units); recurrent_kernel (units, 4 units); bias (4 units,).
    Returns the last h (batch, units); with return_sequences every h (batch, time, units); with return_state a list
    [output, h, c]. Where the mask is False the step is skipped: the states stay, the output repeats (0 before the first
    step). go_backwards reads from the end; stateful starts each batch where the last one stopped (reset_states() to
    forget); unit_forget_bias starts the forget gate at 1. `unroll` is accepted for Keras's sake and changes nothing.

    Raises ValueError unless x has three axes.

    >>> LSTM(3)(np.ones((2, 5, 4))).shape
    (2, 3)
    >>> [y.shape for y in LSTM(3, return_sequences=True, return_state=True)(np.ones((2, 5, 4)))]
    [(2, 5, 3), (2, 3), (2, 3)]
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        self.units = positive("LSTM", "units", units)
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.unit_forget_bias = unit_forget_bias
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.states: list | None = None

    def build(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError(
                f"LSTM '{self.name}': expected inputs (batch, time, features), found {len(input_shape)} axes"
            )
        u = self.units
        self.kernel = self.add_weight("kernel", (input_shape[-1], 4 * u), self.kernel_initializer)
        self.recurrent_kernel = self.add_weight("recurrent_kernel", (u, 4 * u), self.recurrent_initializer)
        self.bias = self.add_weight("bias", (4 * u,), self.bias_initializer) if self.use_bias else None
        if self.bias is not None and self.unit_forget_bias:
            self.bias.data[u : 2 * u] = 1

    def call(self, x, mask=None, initial_state=None):
        features = self.kernel.shape[0]
        if x.ndim != 3 or x.shape[-1] != features:
            raise ValueError(f"LSTM '{self.name}': expected inputs (batch, time, {features}), found {x.shape}")
        if x.shape[1] == 0:
            raise ValueError(f"LSTM '{self.name}': found a sequence of length 0")
        h, c = self._start(len(x), initial_state)
        mask = self._checked(mask, x.shape[:2])
        if self.go_backwards:
            x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
        weights = self.kernel, self.recurrent_kernel, self.bias
        if self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid:
            outputs, h, c = lstm(x, h, c, *weights, mask)
        else:
            outputs, h, c = lstm_from_rules(x, h, c, *weights, mask, self.activation, self.recurrent_activation)
        if self.stateful:
            self.states = [as_array(h), as_array(c)]
        last = h if mask is None else outputs[:, -1]  # they differ in a row that is masked from end to end
        output = outputs if self.return_sequences else last
        return [output, h, c] if self.return_state else output

    def reset_states(self) -> None:
        """Forget where the last batch stopped (stateful=True)."""
        self.states = None

    def _start(self, batch: int, initial_state: Any) -> list:
        if initial_state is None and self.stateful:
            initial_state = self.states
        if initial_state is None:
            return [np.zeros((batch, self.units), self.dtype)] * 2
        states = [s if hasattr(s, "node") else np.asarray(s, self.dtype) for s in initial_state]
        if len(states) != 2 or any(s.shape != (batch, self.units) for s in states):
            shapes = [tuple(s.shape) for s in states]
            raise ValueError(
                f"LSTM '{self.name}': expected two states of shape {(batch, self.units)}, found {shapes}"
                + ("; call reset_states() when the batch size changes" if self.stateful else "")
            )
        return states

    def _checked(self, mask: Any, shape: tuple[int, int]) -> np.ndarray | None:
        if mask is None:
            return None
        mask = np.asarray(as_array(mask), bool)
        if mask.shape != shape:
            raise ValueError(f"LSTM '{self.name}': expected a mask of shape {shape}, found {mask.shape}")
        return None if mask.all() else mask

    def compute_mask(self, x, mask=None):
        return mask if self.return_sequences else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:2], self.units) if self.return_sequences else (input_shape[0], self.units)

    def get_config(self):
        return super().get_config() | {
            "units": self.units,
            "activation": activations.name_of(self.activation),
            "recurrent_activation": activations.name_of(self.recurrent_activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "unit_forget_bias": self.unit_forget_bias,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
        }
