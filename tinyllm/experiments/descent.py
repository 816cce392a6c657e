"""How an optimiser comes down: clipping where gradients explode, and the loss around the path it took."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.autograd import no_grad, value_and_grad
from tinyllm.autograd.tensor import as_array
from tinyllm.callbacks import Callback
from tinyllm.initializers import Orthogonal
from tinyllm.pictures import COLOURS, INK, Experiment, at_least, caption, progress, table

__all__ = ["Clipping", "Landscape", "WeightPath", "clipping", "landscape", "record_path"]


CEILING = 1e4  # what explodes leaves the picture here


# -- clipping -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Clipping(Experiment):
    """What clipping() found, for "none", "norm" and "value": at each step the loss, and the gradient's norm as it came
    (norms) and as it was used (used). NaN after a step whose loss or gradient is not finite."""

    losses: dict[str, np.ndarray]
    norms: dict[str, np.ndarray]
    used: dict[str, np.ndarray]
    clip_norm: float
    clip_value: float

    def layout(self):
        return 1, 2, (9.0, 4.0)

    def __str__(self) -> str:
        rows = [
            [kind, float(loss[-1]), float(np.nanmax(self.norms[kind])), float(np.nanmax(self.used[kind]))]
            for kind, loss in self.losses.items()
        ]
        return table(["clipping", "last loss", "largest gradient", "largest used"], rows)

    def draw(self, *axes: Any) -> None:
        left, right = axes
        names = {
            "none": "no clipping",
            "value": f"by value, {self.clip_value:g}",
            "norm": f"by norm, {self.clip_norm:g}",
        }
        for (kind, name), colour in zip(names.items(), (COLOURS[1], COLOURS[2], COLOURS[0])):
            left.semilogy(self.losses[kind], color=colour, label=name)
            right.semilogy(self.used[kind], color=colour, label=name)
        left.set(xlabel="step", ylabel="loss")
        right.set(xlabel="step", ylabel="norm of the gradient that was used")
        for ax, series in zip(axes, (self.losses, self.used)):
            values = np.concatenate(list(series.values()))
            low, high = np.nanmin(values) / 3, min(np.nanmax(values), CEILING)
            ax.set_ylim(low, high * (high / low) ** 0.2)
            ax.minorticks_off()
            ax.legend(loc="upper left", ncols=3, columnspacing=1)
        plain = self.losses["none"]
        lost = np.flatnonzero(~(plain < 10 * plain[0]))
        found = f"Step {lost[0]} explodes unclipped" if len(lost) else f"Unclipped, the loss ends at {plain[-1]:.2g}"
        caption(left, f"{found}; by norm, the loss ends at {self.losses['norm'][-1]:.2g}", 58)
        longest, free = (float(np.nanmax(self.used[kind])) for kind in ("norm", "none"))
        caption(right, f"Longest gradient: {longest:.2g} by norm, {free:.0e} unclipped", 56)


def clipping(
    clip_norm: float = 0.25,
    clip_value: float = 0.025,
    learning_rate: float = 0.4,
    recurrent_scale: float = 1.6,
    steps: int = 100,
    seed: int = 0,
) -> Clipping:
    """Three trainings of one recurrent network whose gradients explode: unclipped, clipped by norm, clipped by value.

    By norm: g = g min(1, clip_norm / |g|), all weights together, so the direction stays (R. Pascanu et al. 2013,
    algorithm 1). By value: each element of g between -clip_value and clip_value, so the direction may turn. The network
    is h = tanh(x_t kernel + h recurrent_kernel + bias), 16 units, 20 steps; it learns the sign of the sum of the first
    five inputs, by plain gradient descent. Raises ValueError unless both bounds are positive.

    >>> result = clipping(steps=10)
    >>> bool(np.max(result.used["norm"]) <= 0.25 + 1e-12)
    True
    """
    for name, bound in (("clip_norm", clip_norm), ("clip_value", clip_value)):
        if not bound > 0:
            raise ValueError(f"clipping: {name} must be positive; found {bound}: 0 would stop training")
    steps = at_least("clipping", "steps", steps)
    cut = {
        "none": lambda g: g,
        "norm": lambda g: [a * min(1.0, clip_norm / _norm(g)) for a in g],
        "value": lambda g: [np.clip(a, -clip_value, clip_value) for a in g],
    }
    found = [_train(cut[kind], kind, learning_rate, recurrent_scale, steps, seed) for kind in cut]
    losses, norms, used = (dict(zip(cut, series)) for series in zip(*found))
    return Clipping(losses, norms, used, clip_norm, clip_value)


def _train(cut: Any, name: str, learning_rate: float, recurrent_scale: float, steps: int, seed: int) -> np.ndarray:
    """(loss, norm before, norm after) at each step."""
    rng, units, batch, length = np.random.default_rng(seed), 16, 32, 20
    x = rng.standard_normal((batch, length, 1))
    y = 0.8 * np.sign(x[:, :5].sum(axis=1))
    recurrent_kernel = recurrent_scale * Orthogonal()((units, units), rng, np.float64)
    kernel, readout = 0.3 * rng.standard_normal((1, units)), rng.standard_normal((units, 1)) / np.sqrt(units)

    def loss(kernel: Any, recurrent_kernel: Any, bias: Any, readout: Any) -> Any:
        h = np.zeros((batch, units))
        for t in range(length):
            h = np.tanh(x[:, t] @ kernel + h @ recurrent_kernel + bias)
        return np.mean(np.square(h @ readout - y))

    step, weights = value_and_grad(loss, (0, 1, 2, 3)), [kernel, recurrent_kernel, np.zeros(units), readout]
    found = np.full((3, steps), np.nan)
    for i in progress(range(steps), f"clipping: {name}"):
        with np.errstate(all="ignore"):
            value, gradient = step(*weights)
            clipped = cut(gradient)
            found[:, i] = float(value), _norm(gradient), _norm(clipped)
            weights = [w - learning_rate * g for w, g in zip(weights, clipped)]
        if not np.isfinite(found[:, i]).all():
            found[:, i] = np.nan
            break
    return found


def _norm(arrays: Any) -> float:
    return float(np.sqrt(sum(np.sum(np.square(a)) for a in arrays)))


# -- the path -------------------------------------------------------------------------------------------------------


class WeightPath(Callback):
    """Keeps the trainable weights, flat, at the start of training and after every `every`-th update (fit's callbacks=).

    >>> WeightPath(every=10).weights.shape
    (0, 0)
    """

    def __init__(self, every: int = 1):
        self.every = at_least("WeightPath", "every", every)
        self.points: list[np.ndarray] = []
        self.updates = 0

    @property
    def weights(self) -> np.ndarray:
        """(points, numbers): the first row the weights before training, the last those after it."""
        return np.stack(self.points) if self.points else np.zeros((0, 0))

    def on_train_begin(self, logs=None):
        self.points, self.updates = [], 0
        if all(layer.built for layer in getattr(self.model, "layers", [])):
            self.points.append(_flat(self.model))

    def on_batch_end(self, batch, logs=None):
        self.updates += 1
        if self.updates % self.every == 0:
            self.points.append(_flat(self.model))

    def on_train_end(self, logs=None):
        if self.updates % self.every:
            self.points.append(_flat(self.model))


def record_path(model: Any, x: Any, y: Any, epochs: int = 10, every: int = 1, **options: Any) -> np.ndarray:
    """model.fit(x, y, ...), and the way the weights took: (points, numbers), for landscape(path=...).

    The first row is the start (for a model that is built), the last the end; `every` keeps every so many updates only.
    """
    path = WeightPath(every)
    model.fit(x, y, epochs=epochs, verbose=options.pop("verbose", 0), callbacks=[path], **options)
    return path.weights


def _flat(model: Any) -> np.ndarray:
    return np.concatenate([w.data.ravel() for w in model.trainable_weights])


# -- the landscape --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Landscape(Experiment):
    """What landscape() found: losses[i, j] at the model's weights + a[j] first + b[i] second direction.

    The model itself is at (0, 0). path (points, 2) are the coordinates of the way in this plane, explained the share
    of its squared distance from the model along each direction; None and zeros without a path.
    """

    a: np.ndarray
    b: np.ndarray
    losses: np.ndarray
    path: np.ndarray | None
    explained: np.ndarray

    def layout(self):
        return 1, 1, (6.2, 4.6)

    @property
    def loss(self) -> float:
        """The model's own loss, in the middle of the grid or at the end of the path."""
        return float(self.losses[np.argmin(np.abs(self.b)), np.argmin(np.abs(self.a))])

    def __str__(self) -> str:
        rows = [["at the model", self.loss], ["lowest", float(np.nanmin(self.losses))]]
        rows.append(["highest", float(np.nanmax(self.losses))])
        if self.path is not None:
            rows.append(["share of the path in this plane", float(np.sum(self.explained))])
        return table(["loss", "value"], rows)

    def draw(self, *axes: Any) -> None:
        (ax,) = axes
        low, high = float(np.nanmin(self.losses)), float(np.nanmax(self.losses))
        logarithmic = low > 0 and high > 10 * low
        levels = np.geomspace(low, high, 20) if logarithmic else np.linspace(low, high if high > low else low + 1, 20)
        filled = ax.contourf(
            self.a, self.b, self.losses, levels, cmap="viridis", norm="log" if logarithmic else "linear"
        )
        ax.contour(self.a, self.b, self.losses, levels, colors="white", linewidths=0.4)
        bar = ax.figure.colorbar(filled, ax=ax, ticks=levels[::4], format=lambda v, _: f"{v:.2g}")
        bar.set_label("loss")
        bar.ax.minorticks_off()
        ax.grid(visible=False)
        ax.plot(
            0,
            0,
            "*",
            color="white",
            markeredgecolor=INK,
            markersize=13,
            zorder=4,
            label="the model" if self.path is None else "end: the model",
        )
        if self.path is None:
            ax.set(xlabel="first random direction", ylabel="second random direction")
            caption(ax, f"The model's loss is {self.loss:.3g}; around it, from {low:.3g} to {high:.3g}", 64)
        else:
            ax.plot(*self.path.T, ".-", color=COLOURS[1], markersize=3, linewidth=1.2, label="path")
            ax.plot(*self.path[0], "o", color="white", markeredgecolor=INK, label="start", zorder=4)
            first, second = self.explained
            ax.set(
                xlabel=f"first principal direction ({first:.0%})", ylabel=f"second principal direction ({second:.0%})"
            )
            caption(
                ax, f"{first + second:.1%} of the path lies in this plane; it ends at a loss of {self.loss:.2g}", 64
            )
        ax.legend(loc="best")


def landscape(
    model: Any,
    x: Any,
    y: Any,
    path: np.ndarray | None = None,
    resolution: int = 25,
    span: float = 1.0,
    seed: int = 0,
) -> Landscape:
    """The loss of a compiled model over (x, y) in a plane through its weights.

    Without a path the plane is spanned by two random directions, filter-normalised: each column of a kernel (what one
    unit reads) and each bias is scaled to the norm of the model's own, so that the pictures of two models can be
    compared (H. Li et al. 2018, "Visualizing the loss landscape of neural nets", section 4); it reaches `span` times
    the weights to each side. With the path of record_path() it is spanned by the path's two principal directions
    (section 7 there), and holds the whole path. Layers are run as in predict (no dropout). The weights are put back.
    Raises RuntimeError for a model that is not compiled, ValueError for a path of another number of weights.
    """
    if getattr(model, "loss", None) is None:
        raise RuntimeError("landscape: call model.compile(optimizer, loss) first: without a loss there is no height")
    resolution = at_least("landscape", "resolution", resolution, 3)
    if not 0 < span < np.inf:
        raise ValueError(f"landscape: span must be a positive number; found {span}")
    x, y = model.checked_input("landscape", x), np.asarray(as_array(y))
    weights = model.trainable_weights
    if sum(w.size for w in weights) < 2:
        raise ValueError("landscape: a plane needs a model with at least two trainable numbers")
    centre = _flat(model).astype(np.float64)
    explained, steps = np.zeros(2), None
    if path is None:
        directions = _random_directions(weights, np.random.default_rng(seed))
        bounds = [(-span, span)] * 2
    else:
        directions, steps, explained = _principal_directions(np.asarray(path, np.float64), centre)
        margin = [0.25 * np.ptp([*s, 0.0]) for s in steps.T]
        margin[1] = max(margin[1], 0.2 * margin[0])  # of a straight path the second direction is arbitrary
        bounds = [(min(s.min(), 0.0) - m, max(s.max(), 0.0) + m) for s, m in zip(steps.T, margin)]
    a, b = (_through_zero(low, high, resolution) for low, high in bounds)
    kept = [w.data.copy() for w in weights]
    losses = np.empty((len(b), len(a)))
    try:
        with no_grad(), np.errstate(all="ignore"):
            for i in progress(range(len(b)), "landscape: row"):
                for j in range(len(a)):
                    _put(weights, centre + a[j] * directions[0] + b[i] * directions[1])
                    losses[i, j] = _loss(model, x, y)
            for w, value in zip(weights, kept):
                w.data[...] = value
            losses[np.argmin(np.abs(b)), np.argmin(np.abs(a))] = _loss(model, x, y)
    finally:
        for w, value in zip(weights, kept):
            w.data[...] = value
    return Landscape(a, b, losses, steps, explained)


def _through_zero(low: float, high: float, n: int) -> np.ndarray:
    """n evenly spaced numbers from about low to about high, one of them 0."""
    step = (high - low) / (n - 1)
    return (np.arange(n) - round(-low / step)) * step


def _random_directions(weights: list, rng: np.random.Generator) -> np.ndarray:
    directions = []
    for _ in range(2):
        parts = []
        for w in weights:
            d, axis = rng.standard_normal(w.shape), 0 if w.ndim > 1 else None
            size = np.linalg.norm(d, axis=axis, keepdims=True)
            parts.append((d / size * np.linalg.norm(w.data, axis=axis, keepdims=True)).ravel())
        directions.append(np.concatenate(parts))
    return np.array(directions)


def _principal_directions(path: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two orthonormal directions, the path's coordinates along them, the share of its squared length along each."""
    if path.ndim != 2 or path.shape[1] != centre.size or len(path) < 3:
        raise ValueError(
            f"landscape: path must be (points, {centre.size}) with at least 3 points; found {path.shape}: "
            "take it from record_path() on this model"
        )
    offsets = path - centre
    _, sizes, directions = np.linalg.svd(offsets, full_matrices=False)
    if not sizes[0] > 0:
        raise ValueError("landscape: the path does not move, so it has no directions; was the learning rate 0?")
    return directions[:2], offsets @ directions[:2].T, np.square(sizes[:2]) / np.sum(np.square(sizes))


def _put(weights: list, flat: np.ndarray) -> None:
    start = 0
    for w in weights:
        w.data[...] = flat[start : start + w.size].reshape(w.shape)
        start += w.size


def _loss(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """The loss over all samples; NaN where it is not finite, which the picture leaves white."""
    try:
        return model.test_step(x, y)[0]
    except FloatingPointError:
        return np.nan
