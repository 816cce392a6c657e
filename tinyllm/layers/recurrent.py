"""SimpleRNN, GRU and LSTM: layers that read a sequence step by step and remember.

Each exists twice on purpose: a readable recurrence, one step after another (the ..._from_rules of tinyllm.autograd),
and a fused kernel, which is several times as fast. `fused` picks one of the two; the tests hold them equal.
"""

from typing import Any, ClassVar

import numpy as np

from tinyllm import activations, initializers, regularizers
from tinyllm.autograd.kernels import embedding_lookup, lstm, lstm_from_rules
from tinyllm.autograd.recurrent_kernels import gru, gru_from_rules, simple_rnn, simple_rnn_from_rules
from tinyllm.autograd.tensor import Tensor, as_array, origin
from tinyllm.layers.arguments import fraction, positive
from tinyllm.layers.base import Layer, Shape
from tinyllm.layers.dropout import dropout_mask

__all__ = ["GRU", "LSTM", "Recurrent", "SimpleRNN"]

USUAL = {"activation": activations.tanh, "recurrent_activation": activations.sigmoid}  # those that a kernel computes


class Recurrent(Layer):
    """What recurrent layers share: weights, states, masks, dropout, and the direction in which they read.

    x (batch, time, features); kernel (features, gates units); recurrent_kernel (units, gates units);
    bias (gates units,). Returns the last output (batch, units); with return_sequences all of them (batch, time, units);
    with return_state a list [output, *states].

    return_sequences      every step's output, not the last one alone
    return_state          the last states, too: initial_state= of another call takes them
    go_backwards          read from the end (the outputs come in the order in which they are made)
    stateful              start each batch where the last one stopped; reset_states() to forget
    dropout               of the input, while training: one mask per sequence, the same at every step
    recurrent_dropout     of the state, in the same way, with a mask for each gate (Gal & Ghahramani 2016)
    zero_output_for_mask  a skipped step's output is zero, not the one before it
    fused                 by the kernel, where it can (tanh, sigmoid, no recurrent_dropout); False: step by step
    unroll                accepted for Keras's sake; changes nothing

    Where the mask is False the step is skipped: the states stay, and the output repeats (zero before the first step).

    Raises ValueError unless x has three axes.
    """

    gates: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        fused: bool = True,
        **options: Any,
    ):
        super().__init__(**options)
        kind = type(self).__name__
        self.units = positive(kind, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.dropout = fraction(kind, "dropout", dropout)
        self.recurrent_dropout = fraction(kind, "recurrent_dropout", recurrent_dropout)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.fused = fused
        self.states: list | None = None

    def over_time(self, *arguments: Any, keep: tuple | None) -> tuple:
        """All outputs and the last states, from x, the states, the weights and the mask. A subclass writes it."""
        raise NotImplementedError(f"{type(self).__name__} has no over_time()")

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def build(self, input_shape):
        if len(input_shape) != 3:
            found = f"found {len(input_shape)} axes"
            raise ValueError(f"{self._who}: expected inputs (batch, time, features), {found}")
        width = self.gates * self.units
        self.kernel = self.add_weight("kernel", (input_shape[-1], width), self.kernel_initializer)
        self.recurrent_kernel = self.add_weight("recurrent_kernel", (self.units, width), self.recurrent_initializer)
        self.bias = self.add_weight("bias", self.bias_shape, self.bias_initializer) if self.use_bias else None

    def call(self, x, mask=None, initial_state=None, training=False):
        features = self.kernel.shape[0]
        if x.ndim != 3 or x.shape[-1] != features:
            raise ValueError(f"{self._who}: expected inputs (batch, time, {features}), found {x.shape}")
        if x.shape[1] == 0:
            raise ValueError(f"{self._who}: found a sequence of length 0")
        states = self._start(len(x), initial_state)
        mask = self._checked(mask, x.shape[:2])
        if self.go_backwards:
            x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
        x, keep = self._dropped(x) if training else (x, None)
        x, kernel = one_hot_product(x, self.kernel) if self.fused and keep is None else (x, self.kernel)
        outputs, *states = self.over_time(x, *states, kernel, self.recurrent_kernel, self.bias, mask, keep=keep)
        if self.stateful:
            self.states = [as_array(state) for state in states]
        if mask is not None and self.zero_output_for_mask:
            outputs = np.where(mask[..., None], outputs, np.zeros((), outputs.dtype))
        last = states[0] if mask is None else outputs[:, -1]  # they differ in a row that is masked from end to end
        output = outputs if self.return_sequences else last
        return [output, *states] if self.return_state else output

    def reset_states(self) -> None:
        """Forget where the last batch stopped (stateful=True)."""
        self.states = None

    def _dropped(self, x: Tensor) -> tuple[Tensor, tuple | None]:
        """x with dropout; or x, and masks for the input and the state at each gate, where the state has dropout too."""
        batch, _, features = x.shape
        if not self.recurrent_dropout:
            return x * dropout_mask(self, (batch, 1, features), self.dropout) if self.dropout else x, None
        of_x = dropout_mask(self, (self.gates, batch, 1, features), self.dropout) if self.dropout else None
        return x, (of_x, dropout_mask(self, (self.gates, batch, self.units), self.recurrent_dropout))

    def _start(self, batch: int, initial_state: Any) -> list:
        if initial_state is None and self.stateful:
            initial_state = self.states
        if initial_state is None:
            return [np.zeros((batch, self.units), self.dtype) for _ in self.state_names]
        given = initial_state if isinstance(initial_state, list | tuple) else [initial_state]
        states = [s if isinstance(s, Tensor) else np.asarray(s, self.dtype) for s in given]
        if len(states) != len(self.state_names) or any(s.shape != (batch, self.units) for s in states):
            expected = "one state" if len(self.state_names) == 1 else "two states"
            raise ValueError(
                f"{self._who}: expected {expected} of shape {(batch, self.units)}, found {[s.shape for s in states]}"
                + ("; call reset_states() when the batch size changes" if self.stateful else "")
            )
        return states

    def _checked(self, mask: Any, shape: tuple[int, int]) -> np.ndarray | None:
        if mask is None:
            return None
        mask = np.asarray(as_array(mask), bool)
        if mask.shape != shape:
            raise ValueError(f"{self._who}: expected a mask of shape {shape}, found {mask.shape}")
        return None if mask.all() else mask

    @property
    def _who(self) -> str:
        return f"{type(self).__name__} '{self.name}'"

    def compute_mask(self, x, mask=None):
        after = mask if self.return_sequences else None
        return [after, *[None] * len(self.state_names)] if self.return_state else after

    def compute_output_shape(self, input_shape: Shape) -> Any:
        state = (input_shape[0], self.units)
        output = (*input_shape[:2], self.units) if self.return_sequences else state
        return [output, *[state] * len(self.state_names)] if self.return_state else output

    def get_config(self):
        config = super().get_config()
        if self.fused:
            del config["fused"]  # Keras knows no such argument, and reads our files
        return config


def one_hot_product(x: Tensor, kernel: Tensor) -> tuple[Any, Tensor]:
    """An x and a kernel with the same x @ kernel, in fewer operations where x was just looked up in a small table.

    Row i of table @ kernel is what token i adds to the gates, and one_hot @ (table @ kernel) looks it up. A step then
    multiplies as many numbers as there are tokens, not features, and the gradient of x is never needed.
    """
    table = origin(x, embedding_lookup)
    if table is None or x.node is None or not len(table) <= min(x.shape[-1], x.shape[0] * x.shape[1] / 4):
        return x, kernel
    return np.eye(len(table), dtype=x.dtype)[x.node.args[1]], table @ kernel


class SimpleRNN(Recurrent):
    """A simple recurrent network (Elman 1990): h = tanh(x_t @ kernel + h @ recurrent_kernel + bias).

    x (batch, time, features); kernel (features, units); recurrent_kernel (units, units); bias (units,).
    Its other arguments are those of Recurrent.

    >>> SimpleRNN(3)(np.ones((2, 5, 4))).shape
    (2, 3)
    """

    def over_time(self, *arguments, keep):
        if self.fused and keep is None and self.activation is activations.tanh:
            return simple_rnn(*arguments)
        return simple_rnn_from_rules(*arguments, activation=self.activation, keep=keep or (None, None))


class GRU(Recurrent):
    """A gated recurrent unit (Cho et al. 2014).

        z = sigmoid(x_t @ K_z + b_z + h @ R_z + d_z)             update: how much of the state stays
        r = sigmoid(x_t @ K_r + b_r + h @ R_r + d_r)             reset: how much of it the candidate hears
        n = tanh(x_t @ K_n + b_n + r * (h @ R_n + d_n))          candidate, reset_after=True
        n = tanh(x_t @ K_n + b_n + (r * h) @ R_n)                candidate, reset_after=False
        h = z * h + (1 - z) * n

    x (batch, time, features); kernel (features, 3 units): K_z, K_r and K_n side by side; recurrent_kernel
    (units, 3 units) in the same way; bias (2, 3 units): b and d, or without reset_after b alone, (3 units,).
    Its other arguments are those of Recurrent.

    >>> GRU(3)(np.ones((2, 5, 4))).shape
    (2, 3)
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        *,
        reset_after: bool = True,
        **options: Any,
    ):
        super().__init__(units, activation, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    @property
    def bias_shape(self):
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def over_time(self, *arguments, keep):
        chosen = {"activation": self.activation, "recurrent_activation": self.recurrent_activation}
        if self.fused and keep is None and chosen == USUAL:
            return gru(*arguments, self.reset_after)
        return gru_from_rules(*(*arguments, self.reset_after), **chosen, keep=keep or (None, None))


class LSTM(Recurrent):
    """A long short-term memory layer (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

        i, f, g, o = split(x_t @ kernel + h @ recurrent_kernel + bias)      input, forget, candidate, output
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)                           the cell remembers
        h = sigmoid(o) * tanh(c)                                            the state is what it shows

    x (batch, time, features); kernel (features, 4 units); recurrent_kernel (units, 4 units); bias (4 units,), of which
    unit_forget_bias starts the forget gate's at 1. The states are h and c. Its other arguments are those of Recurrent.

    >>> LSTM(3)(np.ones((2, 5, 4))).shape
    (2, 3)
    >>> [y.shape for y in LSTM(3, return_sequences=True, return_state=True)(np.ones((2, 5, 4)))]
    [(2, 5, 3), (2, 3), (2, 3)]
    """

    gates = 4
    state_names = ("h", "c")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        *,
        unit_forget_bias: bool = True,
        **options: Any,
    ):
        super().__init__(units, activation, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def build(self, input_shape):
        super().build(input_shape)
        if self.bias is not None and self.unit_forget_bias:
            self.bias.data[self.units : 2 * self.units] = 1

    def over_time(self, *arguments, keep):
        chosen = {"activation": self.activation, "recurrent_activation": self.recurrent_activation}
        if self.fused and keep is None and chosen == USUAL:
            return lstm(*arguments)
        return lstm_from_rules(*arguments, **chosen, keep=keep or (None, None))
