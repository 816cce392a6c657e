"""Callbacks: who is told what and when; a bar on a terminal, plain lines elsewhere."""

import io
import sys

import numpy as np
import pytest

from tinyllm.callbacks import Callback, History, ProgressBar
from tinyllm.layers import Dense
from tinyllm.models import Sequential

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
