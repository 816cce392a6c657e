"""How large should a model be? Models of growing size on one training set, measured on what they have not seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.pictures import COLOURS, INK, Experiment, at_least, caption, progress, table

__all__ = ["Capacity", "capacity_sweep"]


@dataclass(frozen=True, repr=False, eq=False)
class Capacity(Experiment):
    """What capacity_sweep() found: the loss of each seed's model of each size, (seeds, sizes), after training."""

    sizes: np.ndarray
    parameters: np.ndarray
    train: np.ndarray
    held_out: np.ndarray

    @property
    def best(self) -> int:
        """The size of the lowest held-out loss, the mean over the seeds; the smaller one at a tie."""
        return int(self.sizes[np.argmin(self.held_out.mean(axis=0))])

    def __str__(self) -> str:
        columns = self.sizes, self.parameters, self.train.mean(axis=0), self.held_out.mean(axis=0)
        rows = [[int(s), int(n), float(t), float(h), "<" if s == self.best else ""] for s, n, t, h in zip(*columns)]
        return table(["size", "parameters", "train loss", "held-out loss", "best"], rows)

    def draw(self, *axes: Any) -> None:
        (ax,) = axes
        for losses, colour, name in ((self.train, COLOURS[0], "train"), (self.held_out, COLOURS[1], "held out")):
            ax.plot(self.parameters, losses.mean(axis=0), color=colour, label=name)
            for row in losses:
                ax.plot(self.parameters, row, ".", color=colour, markersize=4, alpha=0.6)
        i = int(np.flatnonzero(self.sizes == self.best)[0])
        low = float(self.held_out[:, i].mean())
        ax.plot(self.parameters[i], low, "*", color="white", markeredgecolor=INK, markersize=13, label="best")
        ax.set(xscale="log", xlabel="parameters", ylabel="loss (line: mean over the seeds)")
        ax.legend(loc="best")
        last, train = self.held_out[:, -1].mean(), self.train[:, -1].mean()
        most = f"the largest has {last:.2g} there and {train:.2g} in training"
        caption(ax, f"Best held out: size {self.best}, {low:.2g}; {most}", 60)


def capacity_sweep(
    sizes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    build: Callable[[int, int], Any] | None = None,
    train: tuple[Any, Any] | None = None,
    held_out: tuple[Any, Any] | None = None,
    epochs: int = 150,
    batch_size: int = 32,
    seeds: int = 3,
) -> Capacity:
    """Train build(size, seed), a compiled model, on train = (x, y) for each size and seed; measure it on both sets.

    The training loss falls with the size; the held-out loss falls and, where a model can learn the noise by heart,
    rises again (Goodfellow et al. 2016, "Deep Learning", section 5.2). Without arguments: one hidden layer of `size`
    units on 60 points in the plane, a tenth of whose labels are wrong. Raises ValueError unless build, train and
    held_out are given together, and unless the sizes grow.

    >>> result = capacity_sweep(sizes=(1, 4), epochs=2, seeds=1)
    >>> result.train.shape, list(result.parameters)
    ((1, 2), [np.int64(5), np.int64(17)])
    """
    sizes = [at_least("capacity_sweep", "a size", size) for size in sizes]
    if not sizes or sizes != sorted(set(sizes)):
        raise ValueError(f"capacity_sweep: sizes must grow, such as (1, 2, 4); found {sizes}")
    epochs, seeds = (
        at_least("capacity_sweep", "epochs", epochs),
        at_least("capacity_sweep", "seeds", seeds),
    )
    given = [each is not None for each in (build, train, held_out)]
    if any(given) and not all(given):
        raise ValueError("capacity_sweep: give build, train and held_out together, or none of them")
    if build is None or train is None or held_out is None:
        build, train, held_out = _network, _noisy_points(60, 1), _noisy_points(500, 2)
    losses = np.empty((2, seeds, len(sizes)))
    parameters = np.zeros(len(sizes), int)
    runs = [(i, seed) for i in range(len(sizes)) for seed in range(seeds)]
    for i, seed in progress(runs, "capacity: model"):
        model = build(sizes[i], seed)
        if getattr(model, "loss", None) is None:
            raise ValueError("capacity_sweep: build(size, seed) must return a compiled model: call compile() in it")
        try:
            model.fit(*train, epochs=epochs, batch_size=batch_size, verbose=0)
            losses[:, seed, i] = [model.evaluate(*each, return_dict=True)["loss"] for each in (train, held_out)]
        except FloatingPointError as error:
            raise FloatingPointError(f"capacity_sweep: size {sizes[i]}, seed {seed}: {error}") from None
        parameters[i] = model.count_params()
    return Capacity(np.array(sizes), parameters, losses[0], losses[1])


def _network(size: int, seed: int) -> Any:
    from tinyllm.layers import Dense  # only the built-in task needs them
    from tinyllm.models import Sequential
    from tinyllm.optimizers import Adam

    model = Sequential([Dense(size, "tanh", input_shape=(2,)), Dense(1, "sigmoid")], seed=seed)
    model.compile(Adam(0.05), "binary_crossentropy")
    return model


def _noisy_points(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in the plane, 1 inside a ring and 0 outside; one label in ten, on average, is the other one."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 2))
    y = np.hypot(*x.T) < 1.4
    return x, (y ^ (rng.random(n) < 0.1)).astype(int)
