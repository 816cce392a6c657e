"""Training agrees with Keras number for number, can be repeated bit for bit, and stops before it does harm."""

import doctest
import json
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from tinyllm import losses, metrics
from tinyllm.autograd.graph import is_recording
from tinyllm.callbacks import Callback
from tinyllm.layers import LSTM, Dense, Dropout, Embedding
from tinyllm.metrics import AUC, F1Score, Precision
from tinyllm.models import Sequential
from tinyllm.optimizers import SGD, Adam

TRUTH = json.loads((Path(__file__).parent / "golden" / "document.json").read_text(encoding="utf-8"))
WEIGHTS = ["embedding", "kernel", "recurrent_kernel", "bias", "dense_kernel", "dense_bias"]


def close(found, expected, rtol=1e-10, atol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def all_close(found, expected, **tolerance):
    for a, b in zip(found, expected, strict=True):
        close(a, b, **tolerance)


def made(layers, inputs, length):
    """A float64 model with the recorded weights."""
    model = Sequential(layers, dtype="float64")
    model.build((None, length))
    model.set_weights([np.array(inputs[name]) for name in WEIGHTS])
    return model


# The classifier: Embedding, LSTM, one sigmoid

CLASSIFIER = TRUTH["classifier"]
X, Y = np.array(CLASSIFIER["inputs"]["X"]), np.array(CLASSIFIER["inputs"]["y"])


def classifier(mask_zero=False, optimizer="sgd", metrics=()):
    layers = [Embedding(4, 2, mask_zero=mask_zero), LSTM(3), Dense(1, activation="sigmoid")]
    model = made(layers, CLASSIFIER["inputs"], 5)
    model.compile(optimizer, "binary_crossentropy", metrics)
    return model


@pytest.mark.parametrize("name", CLASSIFIER["cases"])
def test_a_classifier_has_the_values_and_the_gradients_of_keras(name):
    x, y = (np.array(CLASSIFIER["X2"]), Y) if name.startswith("X2") else (X, Y)
    if name == "single_sample_0":
        x, y = x[:1], y[:1]
    model = classifier(mask_zero=name.endswith("true"))
    prediction = model(x, training=True)
    loss = model.loss(y, prediction)
    loss.backward()
    case = CLASSIFIER["cases"][name]
    close(prediction.data, case["pred"])
    close(loss.data, case["loss"])
    all_close([w.grad for w in model.weights], case["grads"])


@pytest.mark.parametrize("y", [[1, 0, 1], np.array([1, 0, 1]), np.array([[1], [0], [1]], bool)], ids=str)
def test_labels_may_be_a_list_a_row_or_a_column(y):
    found = classifier(metrics=["accuracy"]).evaluate(X, y, return_dict=True)
    assert list(found) == list(TRUTH["y_shapes"])
    close(list(found.values()), list(TRUTH["y_shapes"].values()))


EXACT_ADAM = {"learning_rate": 0.0625, "beta_1": 0.875, "beta_2": 0.96875, "epsilon": 2**-20}  # exact in float32 too
TRAJECTORIES = {
    "GD full batch lr0.5 (bs=3)": (lambda: SGD(0.5), 3),
    "SGD bs=1 lr0.5": (lambda: SGD(0.5), 1),
    "Adam bs=1 lr .0625 b1 .875 b2 .96875 eps 2^-20": (lambda: Adam(**EXACT_ADAM), 1),
    "Adam full batch same hparams mask_zero=True": (lambda: Adam(**EXACT_ADAM), 3),
}


@pytest.mark.parametrize("name", TRUTH["trajectories"])
def test_twenty_epochs_follow_the_path_of_keras(name):
    make, batch_size = TRAJECTORIES[name]
    model = classifier(mask_zero="mask_zero=True" in name, optimizer=make())
    history = model.fit(X, Y, batch_size, epochs=20, shuffle=False, verbose=0).history
    expected = TRUTH["trajectories"][name]
    close(history["loss"], expected["loss"], rtol=1e-9)
    close(model.predict(X), expected["final_pred"], rtol=1e-9)
    all_close(model.get_weights(), expected["final_weights"], rtol=1e-8, atol=1e-10)


# A hundred epochs of the article's training, from weights made by a formula


def recorded_start(emb, units):
    """The weights of the recorded runs: NumPy's old generator, which gives the same numbers in every version."""
    draw = np.random.RandomState(1234).uniform
    limit = np.sqrt(6 / (emb + 4 * units))
    embeddings, kernel = draw(-0.05, 0.05, (4, emb)), draw(-limit, limit, (emb, 4 * units))
    recurrent_kernel = draw(-1, 1, (units, 4 * units)) * np.sqrt(3 / (4 * units))
    limit = np.sqrt(6 / (units + 1))
    forget = np.repeat([0.0, 1.0, 0.0, 0.0], units)
    return [embeddings, kernel, recurrent_kernel, forget, draw(-limit, limit, (units, 1)), np.zeros(1)]


@pytest.fixture(scope="module", params=TRUTH["training"])
def hundred_epochs(request):
    case = TRUTH["training"][request.param]
    layers = [Embedding(4, case["emb"], input_length=5), LSTM(case["units"]), Dense(1, activation="sigmoid")]
    model = Sequential(layers, dtype="float64")
    model.set_weights(recorded_start(case["emb"], case["units"]))
    model.compile("adam", "binary_crossentropy", ["accuracy"])
    before = model.predict(X)[:, 0]
    history = model.fit(X, [1, 0, 1], batch_size=1, epochs=100, shuffle=False, verbose=0).history
    return case, model, before, history


def test_a_hundred_epochs_are_those_of_an_independent_program_in_float64(hundred_epochs):
    case, model, before, history = hundred_epochs
    expected = case["numpy_pure_f64"]
    close(before, case["initial_pred"], rtol=0, atol=1e-10)
    close(history["loss"], expected["loss"], rtol=0, atol=1e-10)
    close(model.predict(X)[:, 0], expected["final_pred"], rtol=0, atol=1e-10)
    close(model.predict(np.zeros((1, 5), int))[0, 0], expected["pad_only_pred"], rtol=0, atol=1e-9)
    close([w.sum() for w in model.get_weights()], expected["weight_sums_final"], rtol=1e-8, atol=1e-8)
    close([np.abs(w).sum() for w in model.get_weights()], expected["weight_abs_sums_final"], rtol=1e-8)


def test_a_hundred_epochs_are_those_of_keras_up_to_its_rounded_betas(hundred_epochs):
    case, model, _, history = hundred_epochs
    expected = case["tf_keras"]
    close(history["loss"], expected["loss"], rtol=0, atol=1e-5)
    assert history["accuracy"] == expected["acc"]
    close(model.predict(X), expected["final_pred"], rtol=0, atol=1e-5)
    close(model.evaluate(X, [1, 0, 1]), expected["evaluate"], rtol=0, atol=1e-5)


# The language model: Embedding, LSTM at every step, softmax

LM = TRUTH["lm"]
LM_X, LM_Y = np.array(LM["inputs"]["X"]), np.array(LM["inputs"]["Y"])


def language_model(mask_zero):
    layers = [Embedding(5, 2, mask_zero=mask_zero), LSTM(3, return_sequences=True), Dense(5, activation="softmax")]
    model = made(layers, LM["inputs"], 4)
    model.compile(SGD(0.5), "sparse_categorical_crossentropy", ["accuracy"])
    return model


@pytest.mark.parametrize("mask_zero", [False, True])
def test_a_language_model_has_the_values_and_the_gradients_of_keras(mask_zero):
    model, case = language_model(mask_zero), LM["cases"][f"mask_zero_{str(mask_zero).lower()}"]
    probabilities = model(LM_X, training=True)
    per_token = losses.sparse_categorical_crossentropy(LM_Y, probabilities)
    close(probabilities.data, case["probs"])
    close(per_token.data, case["per_token_loss"])
    close(np.mean(per_token).data, case["mean_all"])
    close(per_token.data[LM_X > 0].mean(), case["mean_valid_only"])
    close(model.evaluate(LM_X, LM_Y), case["evaluate_reports"])
    np.mean(per_token).backward()
    all_close([w.grad for w in model.weights], case["grads_of_mean_all"])


def test_a_masked_loss_is_the_mean_over_the_steps_that_count():
    model = language_model(mask_zero=True)
    prediction = model(LM_X, training=True)
    mask = prediction.mask
    loss = model.loss(LM_Y, prediction, mask=mask)
    loss.backward()
    close(loss.data, LM["masked_mean"]["loss"])
    all_close([w.grad for w in model.weights], LM["masked_mean"]["grads"])


@pytest.mark.parametrize("stack", LM["train_on_batch"])
@pytest.mark.parametrize("masked", [False, True])
def test_one_step_of_gradient_descent_is_that_of_keras(stack, masked):
    model, case = language_model(masked), LM["train_on_batch"][stack][f"mask_{str(masked).lower()}"]
    before = model.get_weights()
    loss = model.train_on_batch(LM_X, LM_Y)[0]
    close(loss, case["loss"])
    implied = [(old - new) / 0.5 for old, new in zip(before, model.get_weights())]
    all_close(implied, case["grads"], rtol=1e-9, atol=1e-11)


# fit, evaluate, predict on a straight line

FIT = TRUTH["fit"]
LINE_X, LINE_Y = np.arange(1.0, 6)[:, None], np.array([1.0, 2, 3, 4, 6])


def line(learning_rate=0.0, **options):
    model = Sequential([Dense(1, input_shape=(1,), weights=[[[0.5]], [0.25]])], dtype="float64")
    model.compile(SGD(learning_rate), "mse", ["mae"], **options)
    return model


def fitted(model, **options):
    return model.fit(LINE_X, LINE_Y, **{"verbose": 0, "shuffle": False} | options).history


def test_a_short_last_batch_counts_for_what_it_holds():
    history = fitted(line(), batch_size=2)
    assert history.keys() == FIT["lr0_bs2_partial_last_batch"].keys()
    for name, expected in FIT["lr0_bs2_partial_last_batch"].items():
        close(history[name], expected)
    close(line().evaluate(LINE_X, LINE_Y, batch_size=2), FIT["evaluate_bs2"])


def test_three_epochs_of_gradient_descent_are_those_of_keras():
    model, expected = line(1 / 64), FIT["sgd_lr_1/64_bs2_3epochs"]
    history = fitted(model, batch_size=2, epochs=3)
    close(history["loss"], expected["history"]["loss"])
    close(history["mae"], expected["history"]["mae"])
    all_close(model.get_weights(), expected["weights"])


def test_the_last_samples_are_held_out_before_any_shuffling():
    for shuffle in (False, True):
        history = fitted(line(), batch_size=2, validation_split=0.4, shuffle=shuffle)
        assert history.keys() == FIT["validation_split0.4_lr0"].keys()
        for name, expected in FIT["validation_split0.4_lr0"].items():
            close(history[name], expected)


def test_the_batch_size_is_32_unless_told_and_the_history_knows_its_epochs():
    epochs, history, params = FIT["default_batch_size32_epoch_keys"]
    model = line()
    found = model.fit(LINE_X, LINE_Y, epochs=2, verbose=0)
    assert found.epoch == epochs and found.history.keys() == history.keys() and model.history is found
    close(found.history["loss"], history["loss"])
    assert found.params == params


def test_sample_weights_multiply_and_the_mean_is_still_over_the_samples():
    history = fitted(line(), batch_size=2, sample_weight=[1, 0, 2, 1, 0.5])
    close(history["loss"], FIT["sample_weight_lr0"]["loss"])
    close(history["mae"], FIT["sample_weight_lr0"]["mae"])


def test_predict_gives_one_row_per_sample_in_any_batch_size():
    for batch_size in (1, 2, 5, 100):
        predicted = line().predict(LINE_X, batch_size=batch_size)
        assert list(predicted.shape) == FIT["predict_shape"]
        close(predicted, FIT["predict"])
    close(line().predict_on_batch(LINE_X), FIT["predict"])


def test_train_on_batch_reports_what_was_before_its_step():
    model = line(1 / 64)
    close(model.train_on_batch(LINE_X, LINE_Y), FIT["train_on_batch_returns"])
    all_close(model.get_weights(), FIT["after_train_on_batch"])
    assert list(model.test_on_batch(LINE_X, LINE_Y, return_dict=True)) == ["loss", "mae"]


def logistic():
    case = FIT["binary_clf_lr0"]
    layer = Dense(1, "sigmoid", input_shape=(1,), weights=[[[case["w"]]], [case["b"]]])
    model = Sequential([layer], dtype="float64")
    model.compile(SGD(0.0), "binary_crossentropy", ["accuracy"])
    return model, np.array(case["X"]), np.array(case["y"]), case


def test_a_binary_classifier_reports_what_keras_reports():
    model, x, y, case = logistic()
    history = model.fit(x, y, batch_size=3, verbose=0).history
    close(history["loss"], case["history"]["loss"])
    close(history["accuracy"], case["history"]["accuracy"])
    close(model.evaluate(x, y), case["evaluate"])
    close(model.predict(x), case["predict"])


def test_class_weights_multiply_the_loss_and_leave_the_accuracy():
    model, x, y, _ = logistic()
    for labels in (y, y[:, None], y.astype(float)):
        history = model.fit(x, labels, class_weight={0: 1.0, 1: 3.0}, verbose=0).history
        close(history["loss"], FIT["class_weight"]["loss"])
        close(history["accuracy"], FIT["class_weight"]["accuracy"])
    history = model.fit(x, y, class_weight={0: 2.0, 1: 6.0}, sample_weight=np.full(4, 0.5), verbose=0).history
    close(history["loss"], FIT["class_weight"]["loss"])


def test_each_sample_gets_the_weight_of_its_own_class():
    model, x, _, case = logistic()
    p, y = np.array(case["predict"])[:, 0], np.array([0, 0, 1, 1])
    expected = np.mean(np.where(y == 1, -5 * np.log(p), -2 * np.log(1 - p)))
    close(model.fit(x, y, class_weight={0: 2.0, 1: 5.0}, verbose=0).history["loss"], [expected])


def test_validation_data_is_used_instead_of_a_split():
    history = fitted(line(), validation_data=(LINE_X[:1], LINE_Y[:1]), validation_split=0.4)
    close(history["val_loss"], [0.0625])
    close(history["loss"], FIT["evaluate_bs2"][0])
    weighted = fitted(line(), validation_data=(LINE_X[:2], LINE_Y[:2], [2.0, 0.0]))
    close(weighted["val_loss"], [0.0625])


@pytest.mark.parametrize(("fraction", "held"), [(0.1, 1), (0.3, 3), (0.7, 7), (0.9, 9), (0.25, 3)])
def test_a_split_is_not_thrown_off_by_rounding(fraction, held):
    model, x = line(), np.ones((10, 1))
    model.fit(x, np.ones(10), batch_size=1, validation_split=fraction, verbose=0)
    assert model.history.params["steps"] == 10 - held


def test_a_loss_and_a_metric_of_ones_own_see_labels_in_the_shape_of_the_predictions():
    model = Sequential([Dense(1, input_shape=(1,), weights=[[[0.5]], [0.25]])], dtype="float64")
    model.compile(SGD(0.0), lambda y, p: np.mean(np.square(p - y), axis=-1), [lambda y, p: np.mean(np.absolute(p - y))])
    history = model.fit(LINE_X, LINE_Y, batch_size=2, verbose=0, shuffle=False).history
    all_close(history.values(), FIT["lr0_bs2_partial_last_batch"].values())


# Freezing


def text_model(**options):
    layers = [Embedding(4, 50, input_length=5, **options), LSTM(100), Dense(1, activation="sigmoid")]
    model = Sequential(layers)
    model.compile("adam", "binary_crossentropy")
    return model


def test_a_frozen_layer_keeps_its_weights_while_the_others_learn(capsys):
    model = text_model(trainable=False)
    model.summary()
    assert f"Trainable params: {TRUTH['freeze']['trainable']:,}" in capsys.readouterr().out
    assert sum(w.size for w in model.trainable_weights) == TRUTH["freeze"]["trainable"]
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    changed = [(a != b).any() for a, b in zip(before, model.get_weights())]
    assert changed == [False, True, True, True, True, True]


def test_thawing_needs_a_new_compile_and_starts_with_a_fresh_gradient():
    frozen_first, fresh = text_model(trainable=False), text_model()
    frozen_first.fit(X, Y, verbose=0)
    frozen_first.layers[0].trainable = True
    with pytest.raises(ValueError, match="compile the model again"):
        frozen_first.fit(X, Y, verbose=0)
    frozen_first.compile(SGD(1.0), "binary_crossentropy")
    fresh.compile(SGD(1.0), "binary_crossentropy")
    fresh.set_weights(frozen_first.get_weights())
    for model in (frozen_first, fresh):
        model.fit(X, Y, shuffle=False, verbose=0)
    for a, b in zip(frozen_first.get_weights(), fresh.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_gradient_left_by_hand_does_not_reach_the_next_step():
    touched, untouched = line(1 / 64), line(1 / 64)
    touched.loss(LINE_Y[:, None], touched(LINE_X)).backward()
    fitted(touched)
    fitted(untouched)
    all_close(touched.get_weights(), untouched.get_weights(), rtol=0, atol=0)


def test_a_model_that_is_frozen_throughout_says_so():
    model = line()
    model.layers[0].trainable = False
    with pytest.raises(RuntimeError, match="nothing to train: every layer is frozen"):
        fitted(model)


# The same program twice


def trained(seed, dtype=None):
    model = Sequential(
        [Embedding(4, 6, input_length=5), LSTM(5), Dropout(0.3), Dense(1, "sigmoid")], seed=seed, dtype=dtype
    )
    model.compile("adam", "binary_crossentropy", ["accuracy"])
    history = model.fit(X, [1, 0, 1], batch_size=2, epochs=5, verbose=0).history
    return model, history


def test_the_same_program_gives_the_same_bits_and_another_seed_others():
    (a, first), (b, again), (c, other) = trained(3), trained(3), trained(4)
    assert first == again != other
    for one, same, another in zip(a.get_weights(), b.get_weights(), c.get_weights()):
        assert one.tobytes() == same.tobytes() != another.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dtype_stays_through_training(dtype):
    model, _ = trained(0, dtype)
    assert {w.dtype.name for w in model.weights} == {w.grad.dtype.name for w in model.weights} == {dtype}
    assert {slot.dtype.name for slots in model.optimizer.get_state() for slot in slots.values()} == {dtype}
    assert model.predict(X).dtype == dtype


def test_the_history_holds_plain_python_numbers():
    json.dumps(trained(0)[1])


def test_shuffling_changes_the_order_but_never_pairs_a_sample_with_anothers_label():
    seen = []

    class Watching(Sequential):
        def train_step(self, x, y, sample_weight=None):
            seen.append((x[:, 0].tolist(), y.tolist(), sample_weight.tolist()))
            return super().train_step(x, y, sample_weight)

    model = Watching([Dense(1)])
    model.compile(SGD(0.0), "mse")
    x = np.arange(20.0)
    model.fit(x[:, None], x, batch_size=6, epochs=2, sample_weight=x, verbose=0)
    assert all(a == b == c for a, b, c in seen)
    first, second = ([value for batch in seen[i : i + 4] for value in batch[0]] for i in (0, 4))
    assert first != second and sorted(first) == sorted(second) == x.tolist()


def test_two_threads_may_predict_with_one_model():
    model = text_model()
    x = np.random.default_rng(0).integers(0, 4, (64, 5))
    expected, found = model.predict(x), []
    threads = [threading.Thread(target=lambda: found.extend(model.predict(x) for _ in range(10))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for each in found:
        np.testing.assert_array_equal(each, expected)


def test_predict_records_nothing_and_draws_nothing():
    class Recorder(Dense):
        def call(self, x):
            recording.append(is_recording())
            return super().call(x)

    recording = []
    watched = Sequential([Recorder(1)])
    watched.predict(LINE_X)
    watched(LINE_X)
    assert recording == [False, True]
    model, _ = trained(0)
    state = model.rng.bit_generator.state
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert model.rng.bit_generator.state == state


# Numbers that are not finite


def test_nan_in_the_data_stops_at_its_batch_with_the_weights_as_they_were():
    weights = []

    class Remember(Callback):
        def on_batch_end(self, batch, logs=None):
            weights.append(self.model.get_weights())

    model, x = line(1 / 64), LINE_X.copy()
    fitted(model, epochs=2)
    x[3] = np.nan
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch 4: the loss is nan; the weights are as they were"):
        model.fit(x, LINE_Y, batch_size=1, shuffle=False, verbose=0, callbacks=[Remember()])
    assert len(weights) == 3
    all_close(model.get_weights(), weights[-1], rtol=0, atol=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_a_label_that_makes_the_loss_infinite_stops_training(bad):
    model, y = line(1 / 64), LINE_Y.copy()
    y[4] = bad
    with (
        np.errstate(over="ignore"),
        pytest.raises(FloatingPointError, match=r"epoch 1, batch 3: the loss is (nan|inf)"),
    ):
        model.fit(LINE_X, y, batch_size=2, shuffle=False, verbose=0)


def test_a_step_that_is_too_long_stops_with_the_history_so_far():
    model = line(1e30)
    with np.errstate(over="ignore"), pytest.raises(FloatingPointError, match=r"epoch \d+, batch 1: .*learning rate"):
        fitted(model, epochs=100)
    assert 1 <= len(model.history.history["loss"]) < 100
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_gradient_that_is_not_finite_stops_before_the_step():
    model = line(1 / 64)
    model.compile(SGD(0.1), lambda y, p: np.sqrt(np.absolute(p * 0)))  # its loss is 0, its slope has none
    before = model.get_weights()
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match="epoch 1, batch 1: the gradient is not finite; the weights"),
    ):
        fitted(model)
    all_close(model.get_weights(), before, rtol=0, atol=0)


def test_nan_in_the_validation_data_is_placed_there():
    with pytest.raises(FloatingPointError, match="epoch 1, validation: batch 1: the loss is nan"):
        fitted(line(), validation_data=([[np.nan]], [1.0]))


def test_nan_among_token_ids_stops_before_the_first_step():
    model = text_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match="token id nan is not a whole number"):
        model.fit(np.where(X == 3, np.nan, X), Y, verbose=0)
    all_close(model.get_weights(), before, rtol=0, atol=0)


# Bad input


def model_without_compile():
    return Sequential([Dense(1, input_shape=(1,))])


@pytest.mark.parametrize("caller", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_training_before_compile_says_what_to_call(caller):
    with pytest.raises(RuntimeError, match=rf"{caller}: call compile\(optimizer, loss\) before {caller}\(\)"):
        getattr(model_without_compile(), caller)(LINE_X, LINE_Y)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"optimizer": "nope", "loss": "mse"}, r"unknown optimizer 'nope'; known: .*adam, .*sgd"),
        ({"loss": "nope"}, r"unknown loss 'nope'; known: bce, binary_crossentropy, .*mse"),
        ({"loss": "mse", "metrics": ["nope"]}, r"unknown metric 'nope'; known: accuracy, .*mae"),
        ({"loss": "mse", "metrics": "nope"}, r"unknown metric 'nope'; known: accuracy, .*mae"),
        ({}, r"compile: choose a loss; known: bce, binary_crossentropy, .*mse"),
        ({"loss": "mse", "metrics": ["mae", "mae"]}, r"compile: two metrics are called 'mae'"),
        ({"loss": losses.MeanSquaredError("none")}, r"compile: .*reduction 'none'.*one number"),
    ],
)
def test_what_compile_does_not_know_shows_at_once(what, message):
    with pytest.raises(ValueError, match=message):
        model_without_compile().compile(**what)


def test_a_failed_compile_leaves_the_last_one_in_place():
    model = line()
    before = model.optimizer, model.loss, model.metrics
    with pytest.raises(ValueError, match="unknown metric"):
        model.compile("adam", "binary_crossentropy", ["nope"])
    assert (model.optimizer, model.loss, model.metrics) == before


@pytest.mark.parametrize("caller", ["fit", "evaluate", "train_on_batch"])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((0, 1)), np.ones(0), r"found no samples \(x has shape \(0, 1\)\)"),
        (1.0, 1.0, r"found no samples \(x has shape \(\)\)"),
        (LINE_X, LINE_Y[:3], r"x has 5 samples and y has shape \(3,\)"),
        (LINE_X, None, r"x has 5 samples and y has shape \(\)"),
        ([[1.0], [1.0, 2.0]], [1, 2], r"x is no array: .*pad_sequences"),
        (LINE_X, np.ones((5, 3)), r"mean_squared_error: labels \(5, 3\) do not fit predictions \(5, 1\)"),
        (np.ones((5, 4)), LINE_Y, r"expected inputs \(\.\.\., 1\), found \(5, 4\)"),
    ],
)
def test_data_that_does_not_fit_names_the_shapes(caller, x, y, message):
    with pytest.raises(ValueError, match=message):
        getattr(line(), caller)(x, y)


@pytest.mark.parametrize("x", [["a", "b"], [b"a"], [None, {}], np.array(["2026-01-01"], "datetime64[D]")])
def test_text_must_become_ids_first(x):
    with pytest.raises(TypeError, match=r"x must hold numbers; found .*preprocessing\.text"):
        line().predict(x)


def test_labels_of_text_are_refused():
    with pytest.raises(TypeError, match="y must hold numbers; found <U1"):
        line().fit(LINE_X, list("abcde"), verbose=0)


@pytest.mark.parametrize("name", ["batch_size", "epochs"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "2", None])
def test_sizes_must_be_positive_whole_numbers(name, value):
    with pytest.raises(ValueError, match=f"fit: {name} must be a positive whole number; found {value!r}"):
        line().fit(LINE_X, LINE_Y, **{name: value})


@pytest.mark.parametrize("caller", ["predict", "evaluate"])
def test_a_wrong_batch_size_is_named_with_its_caller(caller):
    arguments = (LINE_X,) if caller == "predict" else (LINE_X, LINE_Y)
    with pytest.raises(ValueError, match=f"{caller}: batch_size must be a positive whole number; found 0"):
        getattr(line(), caller)(*arguments, batch_size=0)


@pytest.mark.parametrize(
    ("fraction", "left"), [(0.99, (0, 5)), (1, (0, 5)), (1.5, (0, 5)), (-1, (5, 0)), (0.01, (4, 1)), (1e-9, (5, 0))]
)
def test_a_split_that_leaves_a_part_empty_is_refused(fraction, left):
    if all(left):
        assert "val_loss" in fitted(line(), validation_split=fraction)
        return
    message = f"validation_split={fraction} would train on {left[0]} of 5 samples and hold out {left[1]}"
    with pytest.raises(ValueError, match=message):
        fitted(line(), validation_split=fraction)


@pytest.mark.parametrize("held_out", [(LINE_X,), (LINE_X, LINE_Y, None, None), LINE_X])
def test_validation_data_is_a_pair_or_a_triple(held_out):
    with pytest.raises(ValueError, match=r"fit: validation_data must be \(x, y\) or \(x, y, sample_weight\)"):
        fitted(line(), validation_data=held_out)


def test_wrong_validation_data_shows_before_the_first_epoch():
    with pytest.raises(ValueError, match=r"fit: validation_data: x has 5 samples and y has shape \(3,\)"):
        fitted(line(), validation_data=(LINE_X, LINE_Y[:3]))


def test_a_sample_weight_of_the_wrong_length_is_named():
    with pytest.raises(ValueError, match=r"fit: x has 5 samples and sample_weight has shape \(3,\)"):
        fitted(line(), sample_weight=np.ones(3))


def test_a_class_without_a_weight_is_named():
    with pytest.raises(ValueError, match=r"class_weight has no weight for the label 1\.0; it has \[0\]"):
        fitted(line(), class_weight={0: 1.0})


def test_class_weights_need_one_label_per_sample():
    model = Sequential([Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"class_weight needs one label per sample; found labels \(4, 2\)"):
        model.fit(np.ones((4, 3)), np.ones((4, 2)), class_weight={0: 1, 1: 2}, verbose=0)


def test_an_id_beyond_the_table_stops_training_with_the_remedy():
    with pytest.raises(IndexError, match=r"token id 9 is outside 0\.\.3 .*input_dim must be at least 10"):
        text_model().fit(np.full((2, 5), 9), [0, 1], verbose=0)


def test_the_length_of_the_sequences_may_change():
    model = text_model()
    assert model.predict(np.ones((2, 7), int)).shape == (2, 1)


# Metrics: with a state, weighted, masked


def watched(metrics=(), weighted_metrics=()):
    """A classifier of points that is right about most, and its data in an order that makes batches unlike."""
    x = np.array([-2.0, -1.5, 0.2, -0.5, 1.0, 0.7, -0.1, 2.0, 0.4, -1.0])[:, None]
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 1])
    model = Sequential([Dense(1, "sigmoid", input_shape=(1,), weights=[[[1.5]], [0.0]])], dtype="float64")
    model.compile(SGD(0.0), "binary_crossentropy", metrics, weighted_metrics)
    return model, x, y


STATEFUL = [Precision(), "Recall", AUC(), F1Score("macro", threshold=0.5), AUC(None, name="exact")]


@pytest.mark.parametrize("metric", STATEFUL, ids=lambda m: getattr(m, "name", m))
def test_a_metric_with_a_state_is_that_of_all_samples_and_not_the_mean_of_batches(metric):
    model, x, y = watched([metric])
    expected = metrics.get(metric)(y, model.predict(x))
    by_batch = [model.test_on_batch(x[i : i + 3], y[i : i + 3])[1] for i in range(0, 10, 3)]
    name = metrics.get(metric).name
    close(model.evaluate(x, y, batch_size=3, return_dict=True)[name], expected)
    history = model.fit(x, y, batch_size=3, epochs=2, validation_data=(x, y), verbose=0).history
    close(history[name], [expected] * 2)
    close(history[f"val_{name}"], [expected] * 2)
    assert abs(np.nanmean(by_batch) - expected) > 0.01


def test_weights_count_in_weighted_metrics_only():
    model, x, y = watched(["accuracy", "mae"], ["mae", Precision(name="trust")])
    weight = np.linspace(0.1, 2, 10)
    p = model.predict(x)[:, 0]
    found = model.evaluate(x, y, batch_size=4, sample_weight=weight, return_dict=True)
    assert list(found) == ["loss", "accuracy", "mae", "weighted_mae", "trust"]
    close(found["mae"], np.abs(p - y).mean())
    close(found["accuracy"], ((p > 0.5) == y).mean())
    close(found["weighted_mae"], np.average(np.abs(p - y), weights=weight))
    close(found["trust"], weight[(p > 0.5) & (y == 1)].sum() / weight[p > 0.5].sum())
    assert model.test_on_batch(x, y, sample_weight=weight) == pytest.approx(list(found.values()))


def test_class_weights_are_weights_of_weighted_metrics():
    model, x, y = watched(["mae"], [metrics.MeanAbsoluteError("fair")])
    p = model.predict(x)[:, 0]
    logs = model.fit(x, y, batch_size=4, class_weight={0: 1.0, 1: 3.0}, verbose=0).history
    close(logs["fair"], [np.average(np.abs(p - y), weights=np.where(y, 3, 1))])
    close(logs["mae"], [np.abs(p - y).mean()])


def test_masked_steps_count_in_no_metric_weighted_or_not():
    model = language_model(mask_zero=True)
    perplexity = metrics.Perplexity()
    model.compile(SGD(0.0), model.loss, ["accuracy", perplexity], ["accuracy"])
    p, keep, weight = model.predict(LM_X), LM_X > 0, np.array([1.0, 5.0])
    right, nats = p.argmax(-1) == LM_Y, -np.log(np.take_along_axis(p, LM_Y[..., None], -1)[..., 0])
    for given in (weight, weight[:, None], np.repeat(weight[:, None], LM_X.shape[1], axis=1)):
        found = model.evaluate(LM_X, LM_Y, sample_weight=given, batch_size=1, return_dict=True)
        close(found["accuracy"], right[keep].mean())
        close(found["perplexity"], np.exp(nats[keep].mean()))
        close(found["weighted_accuracy"], np.average(right, weights=keep * weight[:, None]))


def test_labels_that_the_loss_ignores_count_in_no_metric():
    model = language_model(mask_zero=False)
    model.compile(SGD(0.0), losses.SparseCategoricalCrossentropy(ignore_class=-1), ["accuracy", "perplexity"])
    y, p = np.where(LM_X > 0, LM_Y, -1), model.predict(LM_X)
    found = model.evaluate(LM_X, y, return_dict=True)
    close(found["accuracy"], (p.argmax(-1) == y)[y >= 0].mean())
    close(np.log(found["perplexity"]), found["loss"])


def test_every_epoch_starts_to_count_anew():
    model, x, y = watched([metrics.TruePositives()])
    history = model.fit(x, y, batch_size=3, epochs=3, validation_data=(x[:4], y[:4]), verbose=0).history
    assert history["true_positives"] == [3, 3, 3] and history["val_true_positives"] == [0, 0, 0]
    assert model.train_on_batch(x, y)[1] == model.train_on_batch(x, y)[1] == 3


def test_a_metric_that_is_no_single_number_is_refused_with_what_to_do():
    model, x, y = watched([Precision(thresholds=[0.2, 0.8])])
    with pytest.raises(ValueError, match=r"the metric 'precision' is an array \(2,\), .* one threshold"):
        model.fit(x, y, verbose=0)


def test_one_metric_cannot_count_twice():
    same = Precision()
    for plain, weighted in (([same, same], []), ([same], [same]), (["mae", "mae"], []), ([], ["mae", "mae", "mae"])):
        with pytest.raises(ValueError, match=r"compile: two metrics are called '.*'; give one another name"):
            watched(plain, weighted)


# Keras itself


def keras_on_pytorch():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = pytest.importorskip("keras")
        if keras.config.backend() != "torch":
            pytest.skip("needs Keras on PyTorch")
    return keras


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")  # Keras's own
@pytest.mark.parametrize("weights", ["none", "sample_weight", "class_weight"])
def test_fit_and_evaluate_report_what_keras_reports(weights):
    keras = keras_on_pytorch()
    model, x, y = watched()
    theirs = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, "sigmoid")])
    theirs.set_weights(model.get_weights())
    weight = np.linspace(0.1, 2, 10) if weights == "sample_weight" else None
    fit = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, "sample_weight": weight}
    fit |= {"class_weight": {0: 1.0, 1: 3.0}} if weights == "class_weight" else {}
    logs = []
    for each, m, sgd in ((model, metrics, SGD(0.5)), (theirs, keras.metrics, keras.optimizers.SGD(0.5))):
        chosen = ["accuracy", m.Precision(name="p"), m.Recall(name="r"), m.AUC(name="a"), m.AUC(curve="PR", name="pr")]
        by_weight = ["accuracy", m.F1Score("micro", threshold=0.5, name="f"), m.AUC(name="wa"), "mse"]
        each.compile(sgd, "binary_crossentropy", metrics=chosen, weighted_metrics=by_weight)
        labels = y[:, None].astype("float32")
        history = each.fit(x, labels, validation_data=(x, labels), **fit).history
        evaluated = each.evaluate(x, labels, batch_size=4, sample_weight=weight, return_dict=True, verbose=0)
        logs.append({**history, **{f"{name}, evaluated": value for name, value in evaluated.items()}})
    assert set(logs[0]) == set(logs[1])
    for name, values in logs[0].items():
        close(values, logs[1][name], rtol=2e-5, atol=1e-6)


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("weighted", [False, True])
def test_masked_sequences_are_counted_like_in_keras(weighted):
    keras = keras_on_pytorch()
    model = language_model(mask_zero=True)
    layers = keras.layers
    theirs = keras.Sequential(
        [
            layers.Embedding(5, 2, mask_zero=True),
            layers.LSTM(3, return_sequences=True),
            layers.Dense(5, activation="softmax"),
        ]
    )
    theirs.build((None, LM_X.shape[1]))
    theirs.set_weights(model.get_weights())
    weight = np.linspace(0.5, 2, LM_X.size).reshape(LM_X.shape) if weighted else None
    found = []
    for each in (model, theirs):
        each.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
        found.append(each.evaluate(LM_X, LM_Y, batch_size=2, sample_weight=weight, return_dict=True, verbose=0))
    assert set(found[0]) == set(found[1]) == {"loss", "accuracy", "weighted_accuracy"}
    close([found[1][name] for name in found[0]], list(found[0].values()), rtol=1e-5)


# The page about training


def test_the_page_about_training_runs():
    page = Path(__file__).parents[1] / "docs" / "training.md"
    results = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert results.failed == 0 and results.attempted > 20


def test_no_metrics_may_be_none_and_class_weights_take_one_hot_labels():
    def trained(y, loss):
        model = Sequential([Dense(3, "softmax", input_shape=(2,))], dtype="float64")
        model.compile("sgd", loss, metrics=None, weighted_metrics=None)
        return model.fit(X3, y, class_weight={0: 1.0, 1: 2.0, 2: 3.0}, epochs=2, verbose=0).history["loss"]

    X3, labels = np.random.default_rng(0).normal(size=(6, 2)), np.array([0, 1, 2, 2, 1, 0])
    one_hot = trained(np.eye(3)[labels], "categorical_crossentropy")
    np.testing.assert_allclose(one_hot, trained(labels, "sparse_categorical_crossentropy"), rtol=1e-12)
