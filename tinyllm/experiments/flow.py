"""How gradients travel: through layers and through time, and how well they are known at the far end."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.autograd import grad
from tinyllm.autograd.gradcheck.differences import METHODS, slope
from tinyllm.autograd.kernels import lstm, lstm_step
from tinyllm.initializers import Orthogonal
from tinyllm.layers import LSTM
from tinyllm.pictures import COLOURS, INK, Experiment, at_least, caption, colours, progress, table

__all__ = ["Flow", "Growth", "depth", "gradient_flow", "sequence_length"]

EPS = float(np.finfo(np.float64).eps)
LOWEST = 1e-60  # a gradient below it is drawn there, one of 0 too


# -- the further, the smaller, the harder to check ------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Growth(Experiment):
    """What depth() or sequence_length() found, one number for each size; errors are relative to the gradient."""

    what: str
    sizes: np.ndarray
    gradient: np.ndarray
    float32: np.ndarray
    central: np.ndarray
    richardson: np.ndarray

    def layout(self):
        return 1, 2, (9.0, 4.0)

    def __str__(self) -> str:
        columns = self.sizes, self.gradient, self.float32, self.central, self.richardson
        rows = [[int(n), *map(float, errors)] for n, *errors in zip(*columns)]
        return table([self.what, "gradient", "float32 error", "central error", "Richardson error"], rows)

    def draw(self, *axes: Any) -> None:
        left, right = axes
        gradient = np.maximum(self.gradient, LOWEST)
        left.loglog(self.sizes, gradient, "o-", color=INK)
        left.set(xlabel=self.what, ylabel="norm of the gradient at the far end")
        left.set_ylim(float(gradient.min()) / 5, float(gradient.max()) * 5)
        ends = f"from {self.gradient[0]:.0e} to {self.gradient[-1]:.0e}"
        caption(left, f"Gradient {ends} over {self.sizes[-1]} {self.what}", 56)
        lines = {"engine in float32": self.float32, "central": self.central, "Richardson": self.richardson}
        for (text, errors), colour in zip(lines.items(), COLOURS):
            right.loglog(self.sizes, np.clip(errors, 1e-17, 1 / LOWEST), "o-", color=colour, label=text)
        unseen = EPS ** (2 / 3) / gradient
        right.loglog(self.sizes, unseen, ":", color=INK, label="eps^(2/3) / gradient")
        right.set(xlabel=self.what, ylabel="relative error of the gradient")
        right.set_ylim(top=1e3 * max(1.0, float(np.max(unseen))))
        right.legend(loc="upper left", ncols=2)
        blind = np.flatnonzero(self.central > 0.1)
        found = f"are blind from {self.sizes[blind[0]]} {self.what} on" if len(blind) else "still see the gradient"
        caption(right, f"Central differences {found}", 56)
        for ax in axes:
            ax.set_xticks(self.sizes, [str(n) for n in self.sizes])
            ax.minorticks_off()


def depth(
    depths: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128), units: int = 16, gain: float = 1.0, seed: int = 0
) -> Growth:
    """The gradient at a network's input, and how well it is known, against the number of layers.

    Each layer is h = tanh(h @ kernel + bias), the kernel orthogonal times `gain`, the bias normal with deviation 0.5;
    the loss is a random weighted sum of the last h. The engine's float64 gradient is the truth for its own float32 and
    for differences along random directions. Raises ValueError unless depths and units are positive whole numbers.

    >>> depth((1, 4)).sizes
    array([1, 4])
    """
    sizes = _sizes("depth", "depths", depths)
    units = at_least("depth", "units", units)
    rng = np.random.default_rng(seed)
    kernels = [gain * Orthogonal()((units, units), rng, np.float64) for _ in range(max(sizes))]
    biases = 0.5 * rng.standard_normal((max(sizes), units))
    upstream = rng.standard_normal(units) / np.sqrt(units)

    def network(layers: int) -> Callable:
        def loss(h: Any) -> Any:
            for kernel, bias in zip(kernels[:layers], biases):
                h = np.tanh(h @ kernel.astype(h.dtype) + bias.astype(h.dtype))
            return np.sum(h * upstream.astype(h.dtype))

        return loss

    return _grow("layers", sizes, network, rng.standard_normal(units), rng)


def sequence_length(
    lengths: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128), units: int = 8, forget_bias: float = 1.0, seed: int = 0
) -> Growth:
    """The gradient at an LSTM's first states, and how well it is known, against the number of time steps.

    As depth(), for the states (h, c) before the first step; the inputs are normal, (lengths, 4). What is far back is
    small, and a difference cannot see what is smaller than the rounding of the loss: about eps^(2/3) for central ones.

    >>> sequence_length((1, 4)).sizes
    array([1, 4])
    """
    sizes = _sizes("sequence_length", "lengths", lengths)
    units = at_least("sequence_length", "units", units)
    rng = np.random.default_rng(seed)
    weights = _lstm_weights(4, units, forget_bias, 1.0, seed)
    inputs = rng.standard_normal((1, max(sizes), 4))
    upstream = rng.standard_normal((1, units)) / np.sqrt(units)

    def network(steps: int) -> Callable:
        def loss(states: Any) -> Any:
            x, *w = (a.astype(states.dtype) for a in (inputs[:, :steps], *weights))
            _, h, _ = lstm(x, states[0], states[1], *w)
            return np.sum(h * upstream.astype(states.dtype))

        return loss

    return _grow("time steps", sizes, network, 0.5 * rng.standard_normal((2, 1, units)), rng)


def _grow(what: str, sizes: list[int], network: Callable, x: np.ndarray, rng: np.random.Generator) -> Growth:
    """The gradient of network(n) at x for each size n, in double and single precision and by differences."""
    found = []
    directions = [v / np.linalg.norm(v) for v in rng.standard_normal((8, *x.shape))]
    for n in progress(sizes, what):
        f = network(n)
        true, single = grad(f)(x), grad(f)(x.astype(np.float32))
        errors = [np.linalg.norm(single - true)]
        for method in ("central", "richardson"):
            h = METHODS[method].best_step()
            apart = [float(slope(f, x, v, h, method)) - float(np.sum(true * v)) for v in directions]
            errors.append(np.linalg.norm(apart) * np.sqrt(x.size / len(directions)))
        found.append((np.linalg.norm(true), *errors))
    gradient, *absolute = np.array(found).T
    with np.errstate(divide="ignore", invalid="ignore"):  # a gradient that vanished altogether: nothing is right of it
        relative = [np.where(gradient > 0, e / gradient, np.inf) for e in absolute]
    return Growth(what, np.array(sizes), gradient, *relative)


def _sizes(caller: str, name: str, sizes: Sequence[int]) -> list[int]:
    if not len(sizes):
        raise ValueError(f"{caller}: {name} is empty; give a few numbers such as (1, 2, 4)")
    return sorted({at_least(caller, name, n) for n in sizes})


def _lstm_weights(features: int, units: int, forget_bias: float, recurrent_scale: float, seed: int) -> list:
    layer = LSTM(units, dtype="float64", seed=seed)
    layer.ensure_built((None, None, features))
    kernel, recurrent_kernel, bias = layer.get_weights()
    bias[units : 2 * units] = forget_bias
    return [kernel, recurrent_scale * recurrent_kernel, bias]


# -- through time ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Flow(Experiment):
    """What gradient_flow() found: norms of d loss / d state before step t + 1, for t = 0 .. steps.

    hidden, cell (forget biases, steps + 1) belong to the LSTM, plain (steps + 1,) to the tanh network.
    """

    forget_biases: np.ndarray
    hidden: np.ndarray
    cell: np.ndarray
    plain: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """For each forget bias, the gradient at the first state over the gradient at the last, h and c together."""
        both = np.hypot(self.hidden, self.cell)
        return both[:, 0] / both[:, -1]

    def __str__(self) -> str:
        rows = [[f"LSTM, forget bias {b:g}", float(k)] for b, k in zip(self.forget_biases, self.kept)]
        rows.append(["plain tanh network", float(self.plain[0] / self.plain[-1])])
        return table(["network", "gradient kept"], rows)

    def draw(self, *axes: Any) -> None:
        (ax,) = axes
        steps = len(self.plain) - 1
        t = np.arange(steps + 1)
        for bias, h, c, colour in zip(self.forget_biases, self.hidden, self.cell, colours(len(self.hidden))):
            if len(self.hidden) == 1:
                ax.semilogy(t, h, "--", color=colour, label="LSTM, hidden state h")
                ax.semilogy(t[:-1], c[:-1], color=colour, label="LSTM, cell state c")
            else:
                ax.semilogy(t, np.hypot(h, c), color=colour, label=f"forget bias {bias:g}")
        ax.semilogy(t, self.plain, ":", color=INK, label="plain tanh network")
        ax.set(xlabel="time step t (the loss is at the last)", ylabel="norm of d loss / d state at t")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        least, most = int(np.argmin(self.kept)), int(np.argmax(self.kept))
        found = f"{self.kept[least]:.1g} at forget bias {self.forget_biases[least]:g}"
        if least != most:
            found += f", {self.kept[most]:.1g} at {self.forget_biases[most]:g}"
        caption(ax, f"Gradient kept over {steps} steps: {found}", 76)


def gradient_flow(
    forget_bias: float | Iterable[float] = (-2.0, 0.0, 1.0, 2.0, 5.0),
    units: int = 32,
    steps: int = 50,
    recurrent_scale: float = 1.0,
    seed: int = 0,
) -> Flow:
    """How much of a loss at the last step reaches the states before it, through an LSTM and a plain tanh network.

    The cell state is multiplied by sigmoid(forget gate) at each step, so its gradient is too: a bias of 1 keeps about
    0.73 a step, a bias of 5 0.993 (F. Gers et al. 2000; R. Jozefowicz et al. 2015, section 2). The weights are those of
    a new layers.LSTM, the recurrent ones times recurrent_scale; beyond 1 the gradient may explode. The loss is
    a random weighted sum of the last h, inputs are normal, the mean square is taken over a batch of 8.

    >>> few, many = gradient_flow([-2, 5], units=8, steps=20).kept
    >>> bool(few < 1e-6 and many > 0.1)
    True
    """
    given = np.atleast_1d(np.asarray(forget_bias))
    biases = given.astype(float).tolist() if given.ndim == 1 and given.dtype.kind in "iuf" else []
    if not biases or not np.isfinite(biases).all():
        raise ValueError(f"gradient_flow: forget_bias must be a finite number or a list of them; found {forget_bias!r}")
    units, steps = at_least("gradient_flow", "units", units), at_least("gradient_flow", "steps", steps)
    rng, features, batch = np.random.default_rng(seed), 8, 8
    x = rng.standard_normal((batch, steps, features))
    upstream = rng.standard_normal((batch, units))
    upstream /= np.linalg.norm(upstream, axis=-1, keepdims=True)
    nudge = np.zeros((steps + 1, batch, units))  # added to each state: its gradient is the gradient of the state

    def through_lstm(dh: Any, dc: Any, weights: list) -> Any:
        kernel, recurrent_kernel, bias = weights
        h, c = dh[0], dc[0]
        for t in range(steps):
            h, c = lstm_step(x[:, t] @ kernel + bias, h, c, recurrent_kernel)
            h, c = h + dh[t + 1], c + dc[t + 1]
        return np.sum(h * upstream)

    def through_plain(dh: Any) -> Any:
        kernel, recurrent_kernel, _ = _lstm_weights(features, units, 0.0, recurrent_scale, seed)
        h = dh[0]
        for t in range(steps):
            h = np.tanh(x[:, t] @ kernel[:, :units] + h @ recurrent_kernel[:, :units]) + dh[t + 1]
        return np.sum(h * upstream)

    def size(gradient: Any) -> np.ndarray:
        return np.sqrt(np.mean(np.sum(np.square(gradient), axis=-1), axis=-1))

    hidden, cell = [], []
    for b in progress(biases, "forget bias"):
        weights = _lstm_weights(features, units, b, recurrent_scale, seed)
        dh, dc = grad(lambda dh, dc, w=weights: through_lstm(dh, dc, w), (0, 1))(nudge, nudge)
        hidden.append(size(dh))
        cell.append(size(dc))
    return Flow(np.array(biases), np.array(hidden), np.array(cell), size(grad(through_plain)(nudge)))
