"""Training that was cut off and resumed ends with the same bits; what cannot be resumed says why."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kill import chain
from tinyllm import checkpoints, schedules
from tinyllm.callbacks import Callback, Checkpoint, EarlyStopping, LearningRateScheduler, ModelCheckpoint
from tinyllm.layers import GRU, LSTM, Bidirectional, Dense, Dropout, Embedding
from tinyllm.metrics import AUC
from tinyllm.models import Sequential
from tinyllm.optimizers import SGD, Adam, Nadam

RNG = np.random.default_rng(0)
X = RNG.integers(1, 9, (20, 4))
Y = (X.sum(axis=1) > 18).astype(int)


class Crash(Exception):
    pass


class CrashAt(Callback):
    """What a kill does, without a process to kill; tests/kill.py has the real thing."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.progress.step == self.step:
            raise Crash


def classifier(optimizer=None, layers=None, metrics=("accuracy",), built=True):
    model = Sequential(layers or [Embedding(9, 3), Dropout(0.5), LSTM(3), Dense(1, "sigmoid")], seed=1)
    if built:
        model.build((None, 4))
    model.compile(optimizer or Adam(0.01), "binary_crossentropy", list(metrics))
    return model


def ended(model):
    slots = [slot.tobytes() for slots in model.optimizer.get_state() for slot in slots.values()]
    weights = [w.tobytes() for w in model.get_weights()]
    return weights, slots, model.optimizer.iterations, model.history.epoch, model.history.history


def run(make, folder=None, crash=None, callbacks=list, every=2, data=None, **options):
    """The model at the end of a training, with or without checkpoints and a crash."""
    model, watchers = make(), list(callbacks())
    if folder is not None:
        watchers += [Checkpoint(folder, every)]
        options["resume"] = folder
    if crash is not None:
        watchers.append(CrashAt(crash))
    x, y = (X, Y) if data is None else (data(), None)
    options = {"batch_size": 6, "epochs": 4, "verbose": 0, "validation_data": (X[:5], Y[:5])} | options
    try:
        model.fit(x, y, callbacks=watchers, **options)
    except Crash:
        return None
    return model


class Dataset:
    """A dataset that draws its own batches, and lets a checkpoint keep the generator."""

    def __init__(self):
        self.rng = np.random.default_rng(5)

    def __len__(self):
        return 3

    def __getitem__(self, i):
        rows = self.rng.permutation(20)[:7]
        return X[rows], Y[rows]

    def get_state(self):
        return {"rng": self.rng.bit_generator.state}

    def set_state(self, state):
        self.rng.bit_generator.state = state["rng"]


def stateful():
    layers = [Embedding(9, 3), LSTM(3, stateful=True, return_sequences=True), Bidirectional(GRU(2, dropout=0.5))]
    return classifier(layers=[*layers, Dense(1, "sigmoid")])


STREAM = [(X[:6], Y[:6]), (X[6:], Y[6:], np.linspace(0, 1, 14))]
TRAININGS = {
    "Adam, dropout, shuffling": (classifier, {}),
    "a model that is built by its first batch": (lambda: classifier(built=False), {}),
    "states of recurrent layers": (stateful, {"batch_size": 5}),
    "Nadam, a metric with arrays in it": (lambda: classifier(Nadam(0.01), metrics=[AUC(name="auc")]), {}),
    "SGD with momentum, a schedule": (
        lambda: classifier(SGD(schedules.CosineDecay(0.1, 16), momentum=0.9)),
        {"shuffle": False},
    ),
    "rates by epoch": (classifier, {"callbacks": lambda: [LearningRateScheduler(lambda epoch, rate: rate * 0.7)]}),
    "early stopping": (
        lambda: classifier(Adam(0.2)),
        {"callbacks": lambda: [EarlyStopping("val_loss", patience=1, restore_best_weights=True)], "epochs": 12},
    ),
    "a generator": (classifier, {"data": lambda: (b for _ in range(10) for b in STREAM), "steps_per_epoch": 5}),
    "a list of batches": (classifier, {"data": lambda: STREAM, "epochs": 8}),
    "a dataset with a state": (classifier, {"data": Dataset, "epochs": 5}),
    "epochs that cut passes": (classifier, {"steps_per_epoch": 3, "epochs": 5}),
    "a frozen layer": (lambda: classifier(layers=[Embedding(9, 3, trainable=False), LSTM(3), Dense(1, "sigmoid")]), {}),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_crash_at_any_step_changes_no_bit(name, tmp_path):
    make, options = TRAININGS[name]
    expected = ended(run(make, **options))
    for step in (1, 5, 8, 11):
        folder = tmp_path / str(step)
        assert run(make, folder, crash=step, **options) is None
        assert ended(run(make, folder, **options)) == expected


@pytest.mark.parametrize("every", ["epoch", 1, 3, 4])
def test_several_crashes_in_one_training_change_no_bit(every, tmp_path):
    expected = ended(run(classifier))
    for step in (5, 6, 10, 13):
        assert run(classifier, tmp_path, crash=step, every=every) is None
    assert ended(run(classifier, tmp_path, every=every)) == expected


def test_killed_at_random_moments_training_ends_with_the_same_bits(tmp_path):
    found = chain(tmp_path, kills=3, seed=int.from_bytes(os.urandom(4)))
    assert found.equal and found.unreadable == 0


def test_a_training_that_is_resumed_after_its_end_is_at_its_end(tmp_path):
    first = ended(run(classifier, tmp_path))
    assert ended(run(classifier, tmp_path)) == first


def test_more_epochs_may_follow(tmp_path):
    run(classifier, tmp_path, epochs=2)
    assert ended(run(classifier, tmp_path, epochs=5)) == ended(run(classifier, epochs=5))


def test_a_training_that_stopped_early_is_not_taken_up_again(tmp_path):
    class StopAt(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.progress.step == 6:
                self.model.stop_training = True

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1 and crashes:
                raise crashes.pop()

    crashes = []
    expected = ended(run(classifier, callbacks=lambda: [StopAt()]))
    crashes = [Crash()]
    for every in (2, "epoch"):
        assert run(classifier, tmp_path / str(every), callbacks=lambda: [StopAt()], every=every) is None or not crashes
        for _ in range(2):  # once more after its end
            found = run(classifier, tmp_path / str(every), callbacks=lambda: [StopAt()], every=every)
            assert ended(found) == expected


def test_a_best_model_that_was_saved_is_not_overwritten_by_a_worse_one_after_resuming(tmp_path):
    def best():
        return [ModelCheckpoint(tmp_path / "best.safetensors", "loss", save_best_only=True, save_weights_only=True)]

    options = {"callbacks": best, "epochs": 4}
    run(lambda: classifier(SGD(5.0)), tmp_path / "run", crash=11, **options)
    resumed = run(lambda: classifier(SGD(5.0)), tmp_path / "run", **options)
    kept = (tmp_path / "best.safetensors").read_bytes()
    run(lambda: classifier(SGD(5.0)), **options)
    assert resumed is not None and kept == (tmp_path / "best.safetensors").read_bytes()


# Files


def files(folder):
    return sorted(os.listdir(folder))


def test_the_newest_checkpoints_stay_and_no_pickle_is_among_them(tmp_path):
    run(classifier, tmp_path)
    assert files(tmp_path) == [f"step-{n:08d}.{kind}" for n in (14, 16) for kind in ("json", "safetensors")]
    assert json.loads((tmp_path / "step-00000016.json").read_text())["format"] == "tinyllm-checkpoint"


@pytest.mark.parametrize("kind", ["json", "safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "link"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_the_end_is_the_same(kind, damage, tmp_path):
    expected = ended(run(classifier))
    run(classifier, tmp_path, crash=9)
    path = tmp_path / f"step-00000008.{kind}"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes({"cut": data[:-9], "flip": data, "empty": b"", "link": b""}[damage])
    if damage == "link":
        path.unlink()
        path.symlink_to(tmp_path / f"step-00000006.{kind}")
    with pytest.warns(UserWarning, match=rf"resume: step-00000008\.{kind}: .*; going on from step 6"):
        model = run(classifier, tmp_path)
    assert ended(model) == expected
    assert "step-00000008.json" not in files(tmp_path)


def test_a_checkpoint_that_cannot_be_read_does_not_push_out_one_that_can(tmp_path):
    run(classifier, tmp_path, crash=9)
    (tmp_path / "step-00000008.json").write_bytes(b"x")
    model = classifier()
    options = {"batch_size": 6, "epochs": 4, "verbose": 0, "validation_data": (X[:5], Y[:5])}
    with pytest.warns(UserWarning, match="going on from step 6"), pytest.raises(Crash):
        model.fit(X, Y, callbacks=[Checkpoint(tmp_path, every=1, keep=1), CrashAt(8)], resume=tmp_path, **options)
    assert checkpoints.steps_in(tmp_path) == [7]
    assert ended(run(classifier, tmp_path)) == ended(run(classifier))


def test_where_no_checkpoint_can_be_read_nothing_is_trained(tmp_path):
    run(classifier, tmp_path, crash=5)
    for name in files(tmp_path):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=r"resume: none of the checkpoints in '.*' can be read: step-00000004\.json"):
        run(classifier, tmp_path)


def test_arrays_without_their_json_are_those_of_a_save_that_was_cut(tmp_path):
    run(classifier, tmp_path, crash=5)
    (tmp_path / "step-00000004.json").unlink()
    assert ended(run(classifier, tmp_path)) == ended(run(classifier))


def test_an_empty_folder_means_the_beginning_and_is_told(tmp_path, capsys):
    run(classifier, tmp_path / "none", verbose=2)
    assert "there is no checkpoint in" in capsys.readouterr().out


def test_checkpoints_of_an_older_training_are_neither_mixed_with_nor_overwritten(tmp_path):
    run(classifier, tmp_path)
    before = files(tmp_path)
    with pytest.raises(FileExistsError, match=r"holds checkpoints already: go on from them with fit\(\.\.\., resume="):
        classifier().fit(X, Y, callbacks=Checkpoint(tmp_path), verbose=0)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: classifier(Adam(0.02)), {}, "its optimizer's learning_rate is 0.01, here 0.02"),
        (lambda: classifier(SGD(0.01)), {}, "its optimizer is Adam, here SGD"),
        (classifier, {"batch_size": 5}, "its data's batch_size is 6, here 5"),
        (classifier, {"shuffle": False}, "its data's shuffle is True, here False"),
        (classifier, {"data": Dataset}, r"its data's x is int64 \(20, 4\), here none"),
        (lambda: classifier(metrics=["accuracy", "mae"]), {}, "metrics"),
        (
            lambda: classifier(layers=[Embedding(9, 3), Dropout(0.5), LSTM(4), Dense(1, "sigmoid")]),
            {},
            r"another model's: its 'lstm/kernel' is float32 \(3, 12\), this model's float32 \(3, 16\)",
        ),
        (
            lambda: classifier(layers=[Embedding(9, 3), LSTM(3), Dense(2), Dense(1, "sigmoid")]),
            {},
            r"another model's: its 'dense/kernel' is float32 \(3, 1\), this model's float32 \(3, 2\)",
        ),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_in_one_line(make, options, message, tmp_path):
    run(classifier, tmp_path, crash=6)
    with pytest.raises(ValueError, match=message) as caught:
        run(make, tmp_path, **options)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("resume: the checkpoint")


def test_what_a_checkpoint_cannot_hold_is_named(tmp_path):
    class Odd(Callback):
        kept = ("thing",)
        thing = object()

    with pytest.raises(TypeError, match=r"checkpoint: callbacks/0/1/thing is <object .*; kept are numbers, text, arr"):
        run(classifier, tmp_path, callbacks=lambda: [Odd()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 0}, "Checkpoint: keep must be a positive whole number; found 0"),
        ({"every": 0}, "Checkpoint: every must be 'epoch' or a positive number of batches; found 0"),
        ({"every": "step"}, "Checkpoint: every must be 'epoch' or a positive number of batches; found 'step'"),
    ],
)
def test_settings_of_a_checkpoint_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint("somewhere", **options)


# Values

numbers = st.none() | st.booleans() | st.integers(-(2**128), 2**128) | st.floats(allow_nan=False) | st.text()
arrays = hnp.arrays(st.sampled_from(["f4", "f8", "i8", "u1", "bool"]), hnp.array_shapes(min_dims=0, min_side=0))
values = st.recursive(
    numbers | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3).filter(lambda key: not key.startswith("$")), inner, max_size=3)
    ),
    max_leaves=8,
)


def equal(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and (a.hex() == b.hex() if isinstance(a, float) else a == b)


@given(value=values)
def test_what_is_kept_comes_back_to_the_last_bit(value):
    tensors = {}
    text = json.dumps(checkpoints.encode(value, "", tensors), allow_nan=False)
    assert equal(value, checkpoints.decode(json.loads(text), tensors))
