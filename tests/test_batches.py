"""Batches from arrays, datasets and streams: fit, evaluate and predict take them all, as Keras does."""

import copy
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.batches import ArrayBatches, StreamBatches, is_batches
from tinyllm.layers import Dense
from tinyllm.models import Sequential
from tinyllm.optimizers import SGD

KERAS = json.loads((Path(__file__).parent / "golden" / "training.json").read_text(encoding="utf-8"))
X, Y = np.arange(1.0, 6)[:, None], np.array([1.0, 2, 3, 4, 6])
PAIRS = [(X[:2], Y[:2]), (X[2:4], Y[2:4]), (X[4:], Y[4:])]


def line(rate=1 / 64, **options):
    layer = Dense(1, input_shape=(1,), weights=[[[0.5]], [0.25]], **options)
    model = Sequential([layer], dtype="float64")
    model.compile(SGD(rate), "mse", ["mae"])
    return model


class Pairs:
    """A dataset as Keras wants it."""

    ended = 0

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return X[2 * i : 2 * i + 3], Y[2 * i : 2 * i + 3]

    def on_epoch_end(self):
        self.ended += 1


def stream():
    for i in itertools.count():
        yield X[i % 4 : i % 4 + 2], Y[i % 4 : i % 4 + 2], np.array([1.0, 2.0])


FITS = {
    "a generator": lambda: {"x": stream(), "steps_per_epoch": 3, "epochs": 3},
    "a dataset": lambda: {"x": Pairs(), "epochs": 3},
    "a dataset that is validated with": lambda: {"x": X, "y": Y, "validation_data": Pairs(), "validation_steps": 1},
    "validation_freq 2": lambda: {"x": X, "y": Y, "validation_split": 0.4, "validation_freq": 2, "epochs": 5},
    "validation_freq list": lambda: {"x": X, "y": Y, "validation_split": 0.4, "validation_freq": [1, 4], "epochs": 5},
    "validation_batch_size": lambda: {"x": X, "y": Y, "validation_data": (X, Y), "validation_batch_size": 2},
    "initial_epoch": lambda: {"x": X, "y": Y, "initial_epoch": 2, "epochs": 4},
}


def same(model, history, expected):
    assert history.epoch == expected["epoch"] and history.history.keys() == expected["history"].keys()
    for name, values in expected["history"].items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-6)  # Keras computes some of it in float32
    for found, weights in zip(model.get_weights(), expected["weights"], strict=True):
        np.testing.assert_allclose(found, weights, rtol=1e-6)


@pytest.mark.parametrize("name", KERAS["fits"])
def test_fit_does_what_keras_does_with(name):
    model = line()
    history = model.fit(**FITS[name](), shuffle=False, verbose=0)
    same(model, history, KERAS["fits"][name])


def test_penalties_are_part_of_the_loss_in_training_and_evaluation_as_in_keras():
    model, expected = line(kernel_regularizer="l2", activity_regularizer="l1"), KERAS["penalties"]
    options = {"batch_size": 2, "epochs": 2, "validation_data": (X, Y), "shuffle": False, "verbose": 0}
    same(model, model.fit(X, Y, **options), expected)
    np.testing.assert_allclose(model.evaluate(X, Y, batch_size=2), expected["evaluate"], rtol=1e-6)


@given(size=st.integers(1, 7), samples=st.integers(1, 20), shuffle=st.booleans())
def test_a_pass_over_arrays_takes_every_sample_once(size, samples, shuffle):
    x = np.arange(samples)
    batches = ArrayBatches((x, -x, 2 * x), size, np.random.default_rng(0) if shuffle else None)
    for _ in range(2):
        taken = list(batches)
        assert len(taken) == batches.length and all(len(each[0]) == size for each in taken[:-1])
        a, b, c = (np.concatenate(parts) for parts in zip(*taken))
        assert sorted(a) == x.tolist() and (a == -b).all() and (2 * a == c).all()


@pytest.mark.parametrize("x", [PAIRS, iter(PAIRS), (pair for pair in PAIRS)], ids=type)
def test_batches_in_any_form_train_like_the_arrays_they_hold(x):
    ours, plain = line(), line()
    ours.fit(x, shuffle=False, verbose=0)
    plain.fit(X, Y, batch_size=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(ours.get_weights()[0], plain.get_weights()[0])


class Ordered:
    """PAIRS as a dataset."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return PAIRS[i]


def test_an_epoch_of_so_many_steps_goes_on_where_the_last_one_stopped():
    seen = []

    class Watching(Sequential):
        def train_step(self, x, y, sample_weight=None):
            seen.append(x[:, 0].tolist())
            return super().train_step(x, y, sample_weight)

    model = Watching([Dense(1)])
    model.compile(SGD(0.0), "mse")
    model.fit(X, Y, batch_size=2, steps_per_epoch=2, epochs=3, shuffle=False, verbose=0)
    assert seen == [[1, 2], [3, 4], [5], [1, 2], [3, 4], [5]]
    assert model.history.params["steps"] == 2


def test_a_dataset_is_shuffled_by_batches_and_told_when_a_pass_is_over():
    seen = []

    class Watching(Pairs):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            seen.append(i)
            return X, Y

    dataset = Watching()
    line().fit(dataset, epochs=2, verbose=0)
    first, second = seen[:20], seen[20:]
    assert sorted(first) == sorted(second) == list(range(20)) and first != second
    assert dataset.ended == 1


def test_evaluate_and_predict_take_batches_too():
    model = line()
    assert model.evaluate(PAIRS) == model.evaluate(iter(PAIRS)) == model.evaluate(X, Y, batch_size=2)
    assert model.evaluate(PAIRS, steps=1) == model.evaluate(X[:2], Y[:2])
    for x in (iter(PAIRS), (pair[0] for pair in PAIRS), Ordered()):
        np.testing.assert_array_equal(model.predict(x), model.predict(X, batch_size=2))


def test_class_weights_count_in_batches_and_in_train_on_batch():
    y = np.array([0, 1, 1, 0, 1])
    weights = np.array([1.0, 3, 3, 1, 3])
    by_class, by_sample = line(), line()
    by_class.fit([(X, y)], class_weight={0: 1.0, 1: 3.0}, verbose=0)
    by_class.train_on_batch(X, y, class_weight={0: 1.0, 1: 3.0})
    by_sample.fit(X, y, sample_weight=weights, shuffle=False, verbose=0)
    by_sample.train_on_batch(X, y, sample_weight=weights)
    np.testing.assert_array_equal(by_class.get_weights()[0], by_sample.get_weights()[0])


def test_a_generator_that_ends_early_says_so_and_the_history_has_the_epochs_it_lasted_for():
    model = line()
    with pytest.warns(UserWarning, match="fit: x ended after 3 batches; there were none for epoch 3"):
        history = model.fit(iter(PAIRS), steps_per_epoch=2, epochs=9, verbose=0)
    assert history.epoch == [0, 1]


def test_a_model_keeps_nothing_of_the_data_it_was_trained_with():
    model = line()
    model.fit(iter(PAIRS), verbose=0)
    assert model.progress is None
    copy.deepcopy(model)  # a generator could not be copied


def test_a_stream_that_is_set_back_is_read_up_to_there():
    batches = StreamBatches(iter(PAIRS), lambda batch: batch)
    batches.set_state({"position": 2})
    assert batches.take() is PAIRS[2] and batches.take() is None
    with pytest.raises(ValueError, match="the stream ended after 3 batches; the checkpoint was made after 5"):
        batches.set_state({"position": 5})


@pytest.mark.parametrize("x", [X, X.tolist(), (1, 2), [1.0], "text", 5])
def test_samples_are_not_taken_for_batches(x):
    assert not is_batches(x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": iter(PAIRS), "y": Y}, "fit: x holds batches, and y and sample_weight come with them: leave both out"),
        ({"x": iter([X])}, r"fit: a batch must be \(x, y\) or \(x, y, sample_weight\); found ndarray"),
        ({"x": [(X, Y, Y, Y)]}, "fit: a batch must be .*; found 4 parts"),
        ({"x": [(X, Y[:2])]}, r"fit: x has 5 samples and y has shape \(2,\)"),
        ({"x": iter([])}, "fit: x gave no batches"),
        ({"x": PAIRS, "validation_split": 0.5}, "fit: validation_split needs arrays"),
        ({"x": PAIRS, "validation_data": iter(PAIRS)}, "validation_data is a generator: say how many validation_steps"),
        ({"x": PAIRS, "validation_freq": 0}, "fit: validation_freq must be a positive whole number; found 0"),
        ({"x": PAIRS, "steps_per_epoch": 0}, "fit: steps_per_epoch must be a positive whole number; found 0"),
    ],
)
def test_what_cannot_be_a_stream_of_batches_is_explained(options, message):
    with pytest.raises(ValueError, match=message):
        line().fit(**options, verbose=0)
