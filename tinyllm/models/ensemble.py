"""Several models that answer as one: the mean of their probabilities, or the majority of their votes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor, no_grad
from tinyllm.autograd.tensor import as_array
from tinyllm.layers.base import mask_of
from tinyllm.training import Trainable

__all__ = ["Ensemble", "hard_vote", "soft_vote"]


def soft_vote(probabilities: Any, weights: Sequence[float] | None = None) -> np.ndarray:
    """The (weighted) mean over the members: p = sum_m w_m p_m / sum_m w_m.

    probabilities (members, ..., 1) of a sigmoid or (members, ..., classes) of a softmax; the result has no first axis.

    >>> soft_vote([[[0.9], [0.2]], [[0.7], [0.4]]]).round(2)
    array([[0.8],
           [0.3]])
    """
    p = _probabilities("soft_vote", probabilities)
    return np.tensordot(_weights("soft_vote", weights, len(p)), p, 1)


def hard_vote(probabilities: Any, weights: Sequence[float] | None = None) -> np.ndarray:
    """Each member votes for one class; the majority is 1 and the others 0, in the shape that soft_vote has.

    A sigmoid votes for 1 where p > 0.5, a softmax for its largest p. At a tie the larger mean probability
    decides, and where these are equal, too, the smaller class. Weighted, a member's vote counts as often as its weight.

    >>> hard_vote([[[0.9], [0.6]], [[0.7], [0.3]], [[0.8], [0.4]]])
    array([[1.],
           [0.]])
    """
    p = _probabilities("hard_vote", probabilities)
    w = _weights("hard_vote", weights, len(p))
    binary = p.shape[-1] == 1
    if binary:
        p = np.concatenate([1 - p, p], axis=-1)
    classes = np.arange(p.shape[-1])
    ballots = np.argmax(p, axis=-1)[..., None] == classes  # argmax takes the first: p = 0.5 is a vote for 0
    votes, mean = np.tensordot(w, ballots, 1), np.tensordot(w, p, 1)
    tied = votes >= votes.max(axis=-1, keepdims=True) - 1e-9  # 0.1 + 0.2 and 0.3 are a tie
    best = np.where(tied, mean, -1.0)
    winner = np.argmax(best >= best.max(axis=-1, keepdims=True) - 1e-12, axis=-1)[..., None]
    return (winner == 1).astype(float) if binary else (winner == classes).astype(float)


class Ensemble(Trainable):
    """Trained models with outputs of one shape, (n, 1) of a sigmoid or (n, classes) of a softmax, as one model.

    vote     "soft": predict() returns the mean of the probabilities; "hard": 1 for the class with most votes, else 0
    weights  how much each model counts, by default alike

    predict and evaluate are any model's; loss and metrics are the first model's unless compile() is called. A hard vote
    has no probabilities: under it look at accuracies, a cross-entropy is large or 0. (L. K. Hansen & P. Salamon 1990,
    "Neural network ensembles".)

    >>> from tinyllm.layers import Dense
    >>> from tinyllm.models import Sequential
    >>> models = [Sequential([Dense(1, "sigmoid", input_shape=(2,))], seed=seed) for seed in range(3)]
    >>> Ensemble(models).predict(np.zeros((4, 2))).shape
    (4, 1)
    """

    def __init__(self, models: Sequence[Any], vote: str = "soft", weights: Sequence[float] | None = None):
        self.models = list(models)
        if not self.models:
            raise ValueError("Ensemble: found no models; give at least one, better three")
        stranger = next((each for each in self.models if not isinstance(each, Trainable)), None)
        if stranger is not None:
            raise TypeError(f"Ensemble: a member is a model such as Sequential; found {stranger!r:.60}")
        if vote not in ("soft", "hard"):
            raise ValueError(f"Ensemble: vote is 'soft' or 'hard'; found {vote!r}")
        self.vote = vote
        _weights("Ensemble", weights, len(self.models))
        self.weights = None if weights is None else [float(w) for w in weights]
        first = self.models[0]
        self.optimizer, self.loss = first.optimizer, first.loss
        self.metrics, self.weighted_metrics = first.metrics, first.weighted_metrics

    def __call__(self, x: Any, *, training: bool = False) -> Tensor:
        """The vote, with the first model's mask. Nothing is recorded: an ensemble is not trained."""
        with no_grad():
            outputs = [model(x) for model in self.models]
        shapes = [output.shape for output in outputs]
        if len(set(shapes)) > 1:
            other = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
            raise ValueError(
                f"Ensemble: model 0 answers {shapes[0]} and model {other} {shapes[other]}; they must agree"
            )
        decide = soft_vote if self.vote == "soft" else hard_vote
        answer = decide([output.data for output in outputs], self.weights)
        voted = Tensor(answer.astype(outputs[0].dtype))
        voted.mask = mask_of(outputs[0])
        return voted

    def checked_input(self, caller: str, x: Any) -> Any:
        """The inputs as the first model takes them: one, or several."""
        return self.models[0].checked_input(caller, x)

    def fit(self, *data: Any, **options: Any) -> Any:
        """Raises TypeError: the members are trained one by one, before."""
        raise TypeError("fit: an Ensemble only asks its models; train each of them with its own fit()")

    def train_step(self, *batch: Any) -> Any:
        self.fit()


def _probabilities(caller: str, values: Any) -> np.ndarray:
    values = [as_array(each) for each in values]
    shapes = set(map(np.shape, values))
    if len(shapes) != 1:
        raise ValueError(f"{caller}: the members' probabilities must have one shape; found {sorted(shapes)}")
    p = np.asarray(values, float)
    if p.ndim < 2 or not p.shape[-1]:
        raise ValueError(f"{caller}: expected (members, ..., 1 or classes); found {p.shape}: write p[..., None]")
    if not ((p >= 0) & (p <= 1 + 1e-5)).all():
        wrong = p[~((p >= 0) & (p <= 1 + 1e-5))][0]
        raise ValueError(f"{caller}: {wrong} is no probability; end each model with a sigmoid or a softmax")
    if p.shape[-1] > 1 and (np.abs(p.sum(axis=-1) - 1) > 1e-3).any():
        total = p.sum(axis=-1).ravel()[np.argmax(np.abs(p.sum(axis=-1) - 1))]
        raise ValueError(f"{caller}: the probabilities of the classes add up to {total:.4g}; end each with a softmax")
    return p


def _weights(caller: str, weights: Any, members: int) -> np.ndarray:
    if weights is None:
        return np.full(members, 1 / members)
    w = np.asarray(weights, float)
    if w.shape != (members,) or not np.isfinite(w).all() or (w < 0).any() or not w.sum() > 0:
        raise ValueError(f"{caller}: weights must be {members} numbers of at least 0, not all 0; found {weights!r:.60}")
    return w / w.max() / (w / w.max()).sum()
