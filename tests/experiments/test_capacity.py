"""The sweep measures what evaluate() measures, the same on every run; the lowest held-out loss wins."""

import numpy as np
import pytest

from tinyllm.experiments.capacity import Capacity, capacity_sweep
from tinyllm.layers import Dense
from tinyllm.models import Sequential

X = np.random.default_rng(0).standard_normal((12, 2))
Y = X[:, :1] * X[:, 1:]
TASK = {"train": (X[:8], Y[:8]), "held_out": (X[8:], Y[8:]), "epochs": 2, "seeds": 2}


def build(size, seed):
    model = Sequential([Dense(size, "tanh", input_shape=(2,)), Dense(1)], seed=seed)
    model.compile("adam", "mse")
    return model


def test_each_loss_is_that_of_a_model_trained_by_hand():
    found = capacity_sweep((1, 3), build, **TASK)
    model = build(3, 1)
    model.fit(X[:8], Y[:8], epochs=2, verbose=0)
    assert found.train[1, 1] == model.evaluate(X[:8], Y[:8])
    assert found.held_out[1, 1] == model.evaluate(X[8:], Y[8:])
    assert found.parameters.tolist() == [5, 13]


def test_the_same_sweep_gives_the_same_numbers():
    assert capacity_sweep((1, 2), build, **TASK).to_dict() == capacity_sweep((1, 2), build, **TASK).to_dict()


def test_a_model_that_is_too_large_learns_the_noise_by_heart():
    found = capacity_sweep((1, 4, 16), seeds=2)
    train, held_out = found.train.mean(axis=0), found.held_out.mean(axis=0)
    assert train[2] < train[1] < train[0]
    assert held_out[2] > held_out[1] < held_out[0] and found.best == 4


def test_the_winner_has_the_lowest_mean_and_is_the_smaller_one_at_a_tie():
    losses = np.array([[3.0, 1.0, 2.0], [3.0, 3.0, 2.0]])
    found = Capacity(np.array([1, 2, 4]), np.array([5, 9, 17]), losses, losses)
    assert found.best == 2
    assert str(found).split("\n")[2].endswith("<") and str(found).count("<") == 1


def test_the_picture_names_the_winner():
    found = capacity_sweep((1, 2), build, **TASK)
    title = found.plot().axes[0].get_title(loc="left")
    assert f"size {found.best}" in title.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ()}, "sizes must grow"),
        ({"sizes": (2, 1)}, r"sizes must grow, such as \(1, 2, 4\); found \[2, 1\]"),
        ({"sizes": (0, 1)}, "a size must be a whole number of at least 1; found 0"),
        ({"seeds": 0}, "seeds must be a whole number of at least 1"),
        ({"build": build}, "give build, train and held_out together"),
        ({"build": lambda size, seed: Sequential([Dense(1)]), **TASK}, "must return a compiled model"),
    ],
)
def test_a_sweep_that_cannot_be_made_is_named(options, message):
    with pytest.raises(ValueError, match=f"capacity_sweep: .*{message}"):
        capacity_sweep(**options)
