"""Writes training.json: what Keras's fit and callbacks do. Needs Keras with PyTorch:

KERAS_BACKEND=torch python -m tests.golden.keras_training
"""

import json
from pathlib import Path

import keras
import numpy as np

X, Y = np.arange(1.0, 6)[:, None], np.array([1.0, 2, 3, 4, 6])
DESCENT = [1.0, 0.9, 0.95, 0.8, 0.8, 0.79, 0.85, 0.7, 0.71, 0.72, 0.73, 0.69, 0.74, 0.75, 0.76, 0.77]
STOPPING = [
    {},
    {"patience": 2},
    {"patience": 3, "min_delta": 0.05},
    {"patience": 2, "mode": "max"},
    {"patience": 2, "baseline": 0.75},
    {"patience": 2, "start_from_epoch": 4},
    {"patience": 3, "restore_best_weights": True, "min_delta": 0.02},
]
PLATEAUS = [
    {"patience": 1},
    {"patience": 2, "factor": 0.5, "cooldown": 2},
    {"patience": 0, "factor": 0.5, "min_lr": 0.01},
    {"patience": 1, "factor": 0.5, "min_delta": 0.1},
    {"patience": 3, "factor": 0.5, "mode": "max"},
]


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return X[2 * i : 2 * i + 3], Y[2 * i : 2 * i + 3]


def stream():
    i = 0
    while True:
        yield X[i % 4 : i % 4 + 2], Y[i % 4 : i % 4 + 2], np.array([1.0, 2.0])
        i += 1


FITS = {
    "a generator": lambda: {"x": stream(), "steps_per_epoch": 3, "epochs": 3},
    "a dataset": lambda: {"x": Pairs(), "epochs": 3},
    "a dataset that is validated with": lambda: {"x": X, "y": Y, "validation_data": Pairs(), "validation_steps": 1},
    "validation_freq 2": lambda: {"x": X, "y": Y, "validation_split": 0.4, "validation_freq": 2, "epochs": 5},
    "validation_freq list": lambda: {"x": X, "y": Y, "validation_split": 0.4, "validation_freq": [1, 4], "epochs": 5},
    "validation_batch_size": lambda: {"x": X, "y": Y, "validation_data": (X, Y), "validation_batch_size": 2},
    "initial_epoch": lambda: {"x": X, "y": Y, "initial_epoch": 2, "epochs": 4},
}


def line(regularizer=None):
    kernel, bias = keras.initializers.Constant(0.5), keras.initializers.Constant(0.25)
    layer = keras.layers.Dense(
        1, kernel_initializer=kernel, bias_initializer=bias, dtype="float64", kernel_regularizer=regularizer
    )
    if regularizer:
        layer.activity_regularizer = keras.regularizers.get("l1")
    model = keras.Sequential([keras.Input((1,), dtype="float64"), layer])
    model.compile(keras.optimizers.SGD(1 / 64), "mse", metrics=["mae"])
    return model


def ended(model, history):
    weights = [w.tolist() for w in model.get_weights()]
    return {"epoch": history.epoch, "history": history.history, "weights": weights}


def watched(callback):
    """(epochs run, epoch by epoch the learning rate) where val_loss goes the way of DESCENT."""
    model = line()
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(DESCENT):
        callback.on_epoch_end(epoch, {"val_loss": value})
        rates.append(float(model.optimizer.learning_rate))
        if model.stop_training:
            break
    return rates


def main():
    keras.backend.set_floatx("float64")
    golden = {"descent": DESCENT, "stopping": [], "plateaus": [], "fits": {}}
    for options in STOPPING:
        callback = keras.callbacks.EarlyStopping(**options)
        epochs = len(watched(callback))
        found = {"epochs": epochs, "stopped_epoch": callback.stopped_epoch, "best_epoch": callback.best_epoch}
        golden["stopping"].append({"options": options, **found})
    for options in PLATEAUS:
        rates = watched(keras.callbacks.ReduceLROnPlateau(**options))
        golden["plateaus"].append({"options": options, "rates": rates})
    for name, options in FITS.items():
        model = line()
        golden["fits"][name] = ended(model, model.fit(**options(), shuffle=False, verbose=0))
    model = line("l2")
    found = ended(model, model.fit(X, Y, batch_size=2, epochs=2, validation_data=(X, Y), shuffle=False, verbose=0))
    golden["penalties"] = found | {"evaluate": model.evaluate(X, Y, batch_size=2, verbose=0)}
    path = Path(__file__).with_name("training.json")
    path.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
