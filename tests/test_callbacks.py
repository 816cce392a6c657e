"""Callbacks: who is told what and when; a bar on a terminal, plain lines elsewhere."""

import io
import itertools
import json
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tinyllm import callbacks, checkpoints
from tinyllm.callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    LivePlot,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from tinyllm.layers import Dense
from tinyllm.models import Sequential, load_model
from tinyllm.optimizers import SGD
from tinyllm.schedules import CosineDecay

KERAS = json.loads((Path(__file__).parent / "golden" / "training.json").read_text(encoding="utf-8"))

X, Y = np.arange(4.0)[:, None], np.arange(4.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def model():
    made = Sequential([Dense(1, input_shape=(1,))])
    made.compile("sgd", "mse", ["mae"])
    return made


def shown(stream, monkeypatch, **options):
    monkeypatch.setattr(sys, "stdout", stream)
    model().fit(X, Y, batch_size=1, **{"epochs": 2} | options)
    return stream.getvalue()


class Diary(Callback):
    def __init__(self):
        self.pages = []

    def on_train_begin(self, logs=None):
        self.pages.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.pages.append(f"epoch {epoch}")

    def on_batch_end(self, batch, logs=None):
        self.pages.append(f"batch {batch}: {' '.join(logs)}")

    def on_epoch_end(self, epoch, logs=None):
        self.pages.append(f"end of {epoch}: {' '.join(logs)}")

    def on_train_end(self, logs=None):
        self.pages.append("end")


# Callbacks


@pytest.mark.parametrize("verbose", [0, 2])
def test_a_callback_hears_of_everything_in_order_whatever_is_shown(verbose, capsys):
    diary = Diary()
    model().fit(X, Y, batch_size=2, verbose=verbose, callbacks=[diary], validation_data=(X, Y))
    assert diary.pages == [
        "begin",
        "epoch 0",
        "batch 0: loss mae",
        "batch 1: loss mae",
        "end of 0: loss mae val_loss val_mae",
        "end",
    ]


def test_a_callback_knows_the_model_and_may_stop_it_after_the_epoch():
    class Enough(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    trained = model()
    assert trained.fit(X, Y, epochs=9, verbose=0, callbacks=[Enough()]).epoch == [0, 1]
    assert trained.fit(X, Y, epochs=3, verbose=0).epoch == [0, 1, 2]  # the next fit is not stopped


def test_what_a_callback_raises_comes_through_and_the_history_stays():
    class Interrupt(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    trained = model()
    with pytest.raises(KeyboardInterrupt):
        trained.fit(X, Y, epochs=9, verbose=0, callbacks=[Interrupt()])
    assert trained.history.epoch == [0]


def test_training_may_go_on_from_an_epoch():
    assert model().fit(X, Y, initial_epoch=3, epochs=5, verbose=0).epoch == [3, 4]


def test_the_history_keeps_a_list_per_name():
    history = History()
    for epoch, loss in enumerate([2.0, 1.0]):
        history.on_epoch_end(epoch, {"loss": loss})
    assert (history.epoch, history.history) == ([0, 1], {"loss": [2.0, 1.0]})


@pytest.mark.parametrize("callbacks", [None, [], (), [Callback()]])
def test_there_may_be_no_callbacks(callbacks):
    assert model().fit(X, Y, verbose=0, callbacks=callbacks).epoch == [0]


# What is printed


def test_a_file_gets_one_plain_line_per_epoch(monkeypatch):
    lines = shown(io.StringIO(), monkeypatch).splitlines()
    assert [line.split()[:2] for line in lines] == [["Epoch", "1/2"], ["Epoch", "2/2"]]
    assert all(" - loss: " in line and " - mae: " in line and line.isprintable() for line in lines)


def test_a_terminal_gets_a_bar_that_each_epoch_overwrites(monkeypatch):
    monkeypatch.setattr(ProgressBar, "SECONDS_BETWEEN_DRAWINGS", -1)
    first = shown(Terminal(), monkeypatch).split("\n")[0].split("\r")
    assert [part.split("[")[1].split("]")[0] for part in first if "[" in part and "s left" in part] == [
        "#" * 5 + "." * 15,
        "#" * 10 + "." * 10,
        "#" * 15 + "." * 5,
        "#" * 20,
    ]
    assert first[-1].startswith("Epoch 1/2 ") and "[#" not in first[-1]


def test_a_terminal_is_not_written_to_more_than_ten_times_a_second(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    model().fit(np.ones((2000, 1)), np.ones(2000), batch_size=1)
    assert stream.getvalue().count("\r") < 40


def test_verbose_2_draws_no_bar_even_on_a_terminal(monkeypatch):
    assert "\r" not in shown(Terminal(), monkeypatch, verbose=2)


def test_verbose_0_prints_nothing(monkeypatch):
    assert shown(io.StringIO(), monkeypatch, verbose=0) == ""


@pytest.mark.parametrize("verbose", ["auto", 1, True])
def test_the_usual_ways_to_ask_for_progress(monkeypatch, verbose):
    assert shown(io.StringIO(), monkeypatch, verbose=verbose).count("Epoch") == 2


def test_everything_printed_is_ascii(monkeypatch):
    monkeypatch.setattr(ProgressBar, "SECONDS_BETWEEN_DRAWINGS", -1)
    assert shown(Terminal(), monkeypatch).isascii()


def test_evaluate_prints_one_line_if_asked(capsys):
    model().evaluate(X, Y, verbose=1)
    assert capsys.readouterr().out.startswith("loss: ")


def test_fit_takes_one_callback_or_many_and_nothing_else():
    model = Sequential([Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    watcher = History()
    model.fit(np.ones((2, 1)), np.ones(2), epochs=2, verbose=0, callbacks=watcher)
    assert watcher.epoch == [0, 1]
    with pytest.raises(TypeError, match=r"fit: a callback is an object of .* found 'adam'"):
        model.fit(np.ones((2, 1)), np.ones(2), verbose=0, callbacks=["adam"])


# Every hook


def test_every_event_has_its_two_ends_in_keras_order():
    events = []

    def note(name):
        return lambda *where: events.append(f"{name} {where[0]}" if isinstance(where[0], int) else name)

    names = [
        name for name in dir(Callback) if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end")
    ]
    watcher = LambdaCallback(**{name: lambda *where, name=name: note(name)(*where, None) for name in names})
    model().fit(X, Y, batch_size=2, verbose=0, callbacks=watcher, validation_data=(X, Y))
    assert events == [
        "on_train_begin",
        "on_epoch_begin 0",
        "on_train_batch_begin 0",
        "on_train_batch_end 0",
        "on_train_batch_begin 1",
        "on_train_batch_end 1",
        "on_test_begin",
        "on_test_batch_begin 0",
        "on_test_batch_end 0",
        "on_test_batch_begin 1",
        "on_test_batch_end 1",
        "on_test_end",
        "on_epoch_end 0",
        "on_train_end",
    ]


def test_a_lambda_callback_knows_its_events():
    with pytest.raises(
        TypeError, match=r"LambdaCallback: unknown event 'on_monday'; known: on_batch_begin, .*on_train_end"
    ):
        LambdaCallback(on_monday=print)


def test_stopping_ends_the_epoch_after_its_batch():
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)
            self.model.stop_training = True

    seen = []
    assert model().fit(X, Y, batch_size=1, epochs=3, verbose=0, callbacks=Stop()).epoch == [0]
    assert seen == [0]


def test_callbacks_of_evaluate_hear_its_batches():
    heard = []
    watcher = LambdaCallback(on_test_batch_end=lambda batch, logs: heard.append((batch, list(logs))))
    model().evaluate(X, Y, batch_size=2, callbacks=[watcher])
    assert heard == [(0, ["loss", "mae"]), (1, ["loss", "mae"])]


# Watching a number


def followed(callback):
    """The rate after each epoch where val_loss goes the way of KERAS["descent"]."""
    made = Sequential([Dense(1, input_shape=(1,))])
    made.compile(SGD(1 / 64), "mse")
    callback.model = made
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(KERAS["descent"]):
        callback.on_epoch_end(epoch, {"val_loss": value})
        rates.append(made.optimizer.learning_rate)
        if made.stop_training:
            break
    return rates


@pytest.mark.parametrize("case", KERAS["stopping"], ids=lambda case: str(case["options"]))
def test_early_stopping_stops_where_keras_stops(case):
    callback = EarlyStopping(**case["options"])
    epochs = len(followed(callback))
    found = {"epochs": epochs, "stopped_epoch": callback.stopped_epoch, "best_epoch": callback.best_epoch}
    assert case == {"options": case["options"], **found}


@pytest.mark.parametrize("case", KERAS["plateaus"], ids=lambda case: str(case["options"]))
def test_the_rate_falls_on_the_plateaus_on_which_it_falls_in_keras(case):
    np.testing.assert_allclose(followed(ReduceLROnPlateau(**case["options"])), case["rates"], rtol=1e-6)


class Watched:
    """What a callback asks of a model."""

    metrics = ()

    def __init__(self, optimizer):
        self.optimizer, self.stop_training, self.weights = optimizer, False, None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def watched(callback, optimizer, values):
    """(the rate after each epoch, the epoch whose weights are there at the end, what the callback says of itself)"""
    watched, rates = Watched(optimizer), []
    if isinstance(callback, Callback):
        callback.model = watched
    else:
        callback.set_model(watched)  # Keras's
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        watched.weights = epoch
        callback.on_epoch_end(epoch, {"val_loss": value})
        rates.append(float(optimizer.learning_rate))
        if watched.stop_training:
            break
    callback.on_train_end()
    return rates, watched.weights, getattr(callback, "stopped_epoch", None), getattr(callback, "best_epoch", None)


MONITORS = {
    "EarlyStopping": {"baseline": (None, 0.75), "restore_best_weights": (False, True), "start_from_epoch": (0, 2)},
    "ReduceLROnPlateau": {"factor": (0.5, 0.125), "cooldown": (0, 2), "min_lr": (0.0, 0.01)},
}
EIGHTHS = [
    [8, 7, 6, 6, 5, 6, 6, 4, 4, 3, 3, 3],
    [1, 2, 3, 4, 3, 2, 5, 5, 5, 5],
    [4] * 8,
]  # exact in float32, as Keras has it


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MONITORS)
def test_every_setting_of_a_monitor_does_what_it_does_in_keras(name):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    settings = MONITORS[name] | {"min_delta": (0, 0.125), "patience": (0, 1, 2, 3), "mode": ("auto", "min", "max")}
    for eighths, *chosen in itertools.product(EIGHTHS, *settings.values()):
        options, values = dict(zip(settings, chosen)), np.array(eighths) / 8
        theirs = keras.optimizers.SGD(0.25)
        theirs.build([])
        found = watched(getattr(callbacks, name)(**options), SGD(0.25), values)
        expected = watched(getattr(keras.callbacks, name)(**options), theirs, values)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, err_msg=str(options))
        assert found[1:] == expected[1:], options


def test_a_loss_that_never_improves_ends_training_after_four_epochs_with_patience_three():
    made = model()
    made.compile(SGD(0.0), "mse")
    stopping = EarlyStopping(monitor="loss", patience=3)
    assert len(made.fit(X, Y, epochs=10, batch_size=1, shuffle=False, verbose=0, callbacks=stopping).epoch) == 4
    assert stopping.stopped_epoch == 3


def test_the_weights_of_the_best_epoch_come_back():
    weights = []
    made = Sequential([Dense(1, input_shape=(1,))], dtype="float64")
    made.compile(SGD(0.3), "mse")  # too long a step: every epoch is worse
    remember = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(made.get_weights()))
    stopping = EarlyStopping("loss", patience=3, restore_best_weights=True)
    made.fit(X, Y, epochs=9, verbose=0, callbacks=[remember, stopping])
    assert len(weights) == 4 and stopping.best_epoch == 0
    np.testing.assert_array_equal(made.get_weights()[0], weights[0][0])
    assert weights[0][0] != weights[3][0]


@pytest.mark.parametrize(
    ("name", "upwards"),
    [
        ("val_loss", False),
        ("val_accuracy", True),
        ("mae", False),
        ("val_auc", True),
        ("categorical_crossentropy", False),
    ],
)
def test_the_name_tells_whether_more_is_better(name, upwards):
    assert EarlyStopping(name).upwards == upwards
    assert EarlyStopping(name, mode="max").upwards and not EarlyStopping(name, mode="min").upwards


def test_a_name_that_does_not_tell_needs_a_mode():
    with pytest.raises(ValueError, match="EarlyStopping: is a larger 'val_points' better\\? Say mode='max' if so"):
        EarlyStopping("val_points")
    with pytest.raises(ValueError, match="mode must be 'auto', 'min' or 'max'; found 'up'"):
        EarlyStopping(mode="up")


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_number_that_is_not_there_is_missed_aloud(kind):
    with pytest.warns(UserWarning, match=f"{kind.__name__}: there is no 'val_loss' in the logs; found loss"):
        assert model().fit(X, Y, verbose=0, epochs=1, callbacks=kind()).epoch == [0]


# Learning rates


def test_the_history_shows_the_rate_of_each_epoch():
    made = model()
    scheduler = LearningRateScheduler(lambda epoch, rate: rate / 2)
    assert made.fit(X, Y, epochs=3, verbose=0, callbacks=scheduler).history["learning_rate"] == [0.005, 0.0025, 0.00125]
    by_epoch = LearningRateScheduler(lambda epoch: 0.1 if epoch < 1 else 0.01)
    assert made.fit(X, Y, epochs=2, verbose=0, callbacks=by_epoch).history["learning_rate"] == [0.1, 0.01]


def test_what_cannot_be_a_rate_is_refused():
    with pytest.raises(ValueError, match="learning_rate must be 0 or a positive number; found -1"):
        model().fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch: -1))
    with pytest.raises(TypeError, match="LearningRateScheduler: schedule must return a number; found <built-in"):
        model().fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch: print))
    with pytest.raises(ValueError, match="factor must be between 0 and 1; found 1"):
        ReduceLROnPlateau(factor=1)
    scheduled = model()
    scheduled.compile(SGD(CosineDecay(0.1, 5)), "mse")
    with pytest.raises(ValueError, match="the optimizer's rate is a schedule; give the optimizer a number"):
        scheduled.fit(X, Y, verbose=0, callbacks=ReduceLROnPlateau("loss"))


# Files


def test_a_model_is_saved_after_every_epoch_under_its_numbers(tmp_path):
    saver = ModelCheckpoint(tmp_path / "deep" / "{epoch:02d}-{loss:.1f}", verbose=1)
    made = model()
    losses = made.fit(X, Y, epochs=2, verbose=0, callbacks=saver).history["loss"]
    assert sorted(os.listdir(tmp_path / "deep")) == [f"{i:02d}-{loss:.1f}" for i, loss in enumerate(losses, 1)]
    last = load_model(tmp_path / "deep" / f"02-{losses[1]:.1f}")
    np.testing.assert_array_equal(last.predict(X), made.predict(X))


def test_only_the_best_model_is_kept(tmp_path):
    made, path = model(), tmp_path / "best.safetensors"
    losses = iter([3.0, 1.0, 2.0, 0.5, 0.9])
    weights = []

    class Pretend(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = next(losses)
            weights.append(self.model.get_weights())

    saver = ModelCheckpoint(path, save_best_only=True, save_weights_only=True)
    made.fit(X, Y, epochs=5, verbose=0, callbacks=[Pretend(), saver])
    made.load_weights(path)
    np.testing.assert_array_equal(made.get_weights()[0], weights[3][0])


def test_a_threshold_must_be_beaten_first(tmp_path):
    saver = ModelCheckpoint(tmp_path / "m", "loss", save_best_only=True, initial_value_threshold=-1.0)
    model().fit(X, Y, verbose=0, callbacks=saver)
    assert not (tmp_path / "m").exists()


def test_a_model_may_be_saved_every_few_batches(tmp_path):
    saver = ModelCheckpoint(tmp_path / "{mae:.6f}", save_freq=3)
    model().fit(X, Y, batch_size=1, epochs=2, verbose=0, callbacks=saver)
    assert len(os.listdir(tmp_path)) == 2  # after batches 3 and 6 of 8
    with pytest.raises(ValueError, match="ModelCheckpoint: save_freq must be 'epoch' or a positive number of batches"):
        ModelCheckpoint("m", save_freq=0)


def test_a_path_that_names_what_is_not_logged_says_what_is(tmp_path):
    with pytest.raises(ValueError, match=r"names 'val_loss'; the logs have \['loss', 'mae'\]"):
        model().fit(X, Y, verbose=0, callbacks=ModelCheckpoint(tmp_path / "{val_loss}"))


def test_weights_of_another_model_do_not_load_and_change_nothing(tmp_path):
    made, other = model(), Sequential([Dense(1, name="other", input_shape=(1,))])
    other.save_weights(tmp_path / "w")
    before = made.get_weights()
    with pytest.raises(
        ValueError, match="load_weights: 'dense/bias' is in the model only; the names of the layers must"
    ):
        made.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(made.get_weights()[0], before[0])
    with pytest.raises(ValueError, match=r"save_weights: writes safetensors; found the name 'w\.h5'"):
        made.save_weights("w.h5")


def test_a_table_has_a_line_per_epoch_and_is_begun_anew_or_added_to(tmp_path):
    path = tmp_path / "log.csv"
    history = model().fit(X, Y, epochs=2, verbose=0, callbacks=CSVLogger(path)).history
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,mae,val_loss,val_mae" and len(lines) == 3
    assert lines[2] == f"1,{history['loss'][1]},{history['mae'][1]},NA,NA"
    model().fit(X, Y, epochs=1, verbose=0, callbacks=CSVLogger(path, append=True))
    assert path.read_text().splitlines()[:3] == lines and len(path.read_text().splitlines()) == 4
    model().fit(X, Y, epochs=1, verbose=0, validation_data=(X, Y), callbacks=CSVLogger(path, separator=";"))
    assert path.read_text().startswith("epoch;loss;mae;val_loss;val_mae") and len(path.read_text().splitlines()) == 2


def test_a_nan_that_a_train_step_lets_through_stops_training(capsys):
    class Careless(Sequential):
        def train_step(self, x, y, sample_weight=None):
            return float("nan"), *super().train_step(x, y, sample_weight)[1:]

    made = Careless([Dense(1)])
    made.compile("sgd", "mse")
    assert made.fit(X, Y, batch_size=1, epochs=5, verbose=0, callbacks=TerminateOnNaN()).epoch == [0]
    assert capsys.readouterr().out == "Batch 1: the loss is nan; training stops\n"


# Pictures


def test_curves_are_drawn_into_a_file_and_shown_nowhere_outside_a_notebook(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    plot = LivePlot()
    model().fit(X, Y, epochs=3, verbose=0, callbacks=plot, validation_data=(X, Y), validation_freq=2)
    plot.save(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert plot.epochs == {"loss": [1, 2, 3], "mae": [1, 2, 3], "val_loss": [2], "val_mae": [2]}
    assert capsys.readouterr().out == ""


def test_in_a_notebook_one_picture_is_drawn_anew_each_epoch(monkeypatch):
    pytest.importorskip("matplotlib")
    display = pytest.importorskip("IPython.display")
    shown = []

    class Shown:
        def update(self, image):
            shown.append(image.data[:4])

    monkeypatch.setattr("IPython.get_ipython", type("Shell", (), {"kernel": True}))
    monkeypatch.setattr(display, "display", lambda image, display_id: shown.append(image.data[:4]) or Shown())
    model().fit(X, Y, epochs=3, verbose=0, callbacks=LivePlot("loss"))
    assert shown == [b"\x89PNG"] * 3


def test_a_picture_of_nothing_says_what_there_is():
    pytest.importorskip("matplotlib")
    plot = LivePlot("accuracy")
    model().fit(X, Y, verbose=0, callbacks=plot)
    with pytest.raises(ValueError, match="LivePlot: nothing to draw of accuracy; the logs have loss, mae"):
        plot.save(io.BytesIO())


# Ctrl-C


def pressing(step):
    """Ctrl-C in the midst of this step."""

    class Pressed(Sequential):
        def compute_loss(self, *arguments):
            if self.progress.step == step - 1:
                signal.raise_signal(signal.SIGINT)
            return super().compute_loss(*arguments)

    made = Pressed([Dense(1, input_shape=(1,))], seed=3)
    made.compile("adam", "mse")
    return made


def test_ctrl_c_ends_training_after_its_batch_with_the_history_of_whole_epochs(capsys):
    ended = []
    watcher = LambdaCallback(on_train_end=lambda logs=None: ended.append(True))
    made = pressing(7)
    history = made.fit(X, Y, batch_size=1, epochs=9, callbacks=watcher, verbose=2)
    assert history.epoch == [0] and made.optimizer.iterations == 7 and ended == [True]
    assert (
        "Ctrl-C: training ended after epoch 2, batch 3; the history of whole epochs is kept" in capsys.readouterr().out
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait():
    class Twice(Callback):
        def on_train_batch_end(self, batch, logs=None):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pressing(1).fit(X, Y, batch_size=1, epochs=2, verbose=0, callbacks=Twice())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("step", [2, 4])
def test_after_ctrl_c_training_goes_on_from_the_checkpoint_it_left_to_the_same_end(step, tmp_path):
    whole, torn, resumed = pressing(0), pressing(step), pressing(0)
    options = {"batch_size": 1, "epochs": 2, "verbose": 0}
    history = whole.fit(X, Y, **options).history
    torn.fit(X, Y, callbacks=Checkpoint(tmp_path, every=100), **options)
    assert checkpoints.steps_in(tmp_path) == [step]
    assert resumed.fit(X, Y, callbacks=Checkpoint(tmp_path), resume=tmp_path, **options).history == history
    assert resumed.get_weights()[0].tobytes() == whole.get_weights()[0].tobytes()


def test_outside_the_main_thread_signals_are_left_alone():
    errors = []

    def train():
        try:
            model().fit(X, Y, verbose=0)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert not errors


# The bar


def test_where_the_number_of_batches_is_not_known_they_are_counted(monkeypatch):
    monkeypatch.setattr(ProgressBar, "SECONDS_BETWEEN_DRAWINGS", -1)
    monkeypatch.setattr(sys, "stdout", Terminal())
    model().fit(iter([(X, Y), (X, Y)]))
    assert "Epoch 1/1 batch 2 - loss" in sys.stdout.getvalue()


def test_all_callbacks_are_public():
    assert all(issubclass(getattr(callbacks, name), Callback) for name in callbacks.__all__)


def test_nan_is_no_improvement_and_any_number_improves_on_it(tmp_path):
    stopping = EarlyStopping("q", mode="min", patience=5)
    best = ModelCheckpoint(
        tmp_path / "{epoch}.safetensors", "q", mode="min", save_best_only=True, save_weights_only=True
    )
    stopping.model = best.model = model()
    stopping.on_train_begin()
    for epoch, value in enumerate([float("nan"), 2.0, float("nan"), 1.0]):
        for each in (stopping, best):
            each.on_epoch_end(epoch, {"q": value})
    assert (stopping.best, stopping.best_epoch) == (1.0, 3)
    assert sorted(os.listdir(tmp_path)) == ["2.safetensors", "4.safetensors"]


@pytest.mark.parametrize("name", ["{}", "{epoch:zz}", "{"])
def test_a_file_name_that_cannot_be_filled_in_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"ModelCheckpoint: '.*'.*; write, say, \{epoch:02d\}"):
        model().fit(X, Y, verbose=0, callbacks=ModelCheckpoint(tmp_path / name))


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="LambdaCallback: on_epoch_end is a function; found 3"):
        LambdaCallback(on_epoch_end=3)
    with pytest.raises(TypeError, match=r"schedule is a function of the epoch; found 0\.1"):
        LearningRateScheduler(0.1)


def test_a_callback_may_train_the_model_too(tmp_path):
    class Again(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if len(self.model.progress.callbacks) > 1:  # the outer fit's
                self.model.fit(X, Y, verbose=0, callbacks=())

    made = model()
    made.fit(X, Y, batch_size=2, verbose=0, epochs=2, callbacks=[Again(), Checkpoint(tmp_path, every=1)])
    assert checkpoints.steps_in(str(tmp_path)) == [4, 3]
    assert made.progress is None
