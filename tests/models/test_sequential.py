"""Sequential: layers one after another, weights that can be read and written, errors before anything is changed."""

import numpy as np
import pytest

from tinyllm.layers import LSTM, Dense, Dropout, Embedding, Input, Layer
from tinyllm.models import Sequential


def two_layers(**options):
    return Sequential([Dense(3, "relu", input_shape=(2,)), Dense(1)], **options)


# Building


def test_weights_are_made_at_once_where_the_shape_is_known():
    assert [w.shape for w in two_layers().weights] == [(2, 3), (3,), (3, 1), (1,)]
    assert [w.shape for w in Sequential([Input((2,)), Dense(3)]).weights] == [(2, 3), (3,)]


def test_otherwise_they_are_made_by_build_or_by_the_first_data():
    by_hand, by_data = Sequential([Dense(3), Dense(1)]), Sequential([Dense(3), Dense(1)])
    by_hand.build((None, 2))
    by_data.predict(np.ones((1, 2)))
    for a, b, c in zip(by_hand.get_weights(), by_data.get_weights(), two_layers().get_weights()):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


@pytest.mark.parametrize("what", ["weights", "get_weights", "count_params", "set_weights"])
def test_before_that_the_weights_are_missing_and_the_layer_is_named(what):
    def ask(model):
        found = getattr(model, what)
        return found([]) if what == "set_weights" else found()

    with pytest.raises(
        RuntimeError, match=r"the layer 'dense' has no weights yet: give the first layer an input_shape"
    ):
        ask(Sequential([Dense(3)]))


def test_a_model_trains_without_ever_being_told_its_shape():
    model = Sequential([Dense(3, "tanh"), Dense(1)])
    model.compile("adam", "mse")
    losses = model.fit(np.ones((8, 2)), np.ones(8), epochs=50, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_names_are_made_different_and_given_names_must_be():
    model = Sequential([Dense(1), Dense(1), Dense(1), Dropout(0.1)])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dense_2", "dropout"]
    with pytest.raises(ValueError, match="there is a layer called 'dense_1' already; names must differ"):
        model.add(Dense(1, name="dense_1"))


def test_a_layer_goes_in_once():
    layer = Dense(1)
    with pytest.raises(ValueError, match="the layer 'dense' is in this model already"):
        Sequential([layer, layer])


@pytest.mark.parametrize("wrong", ["dense", Dense, None, np.tanh])
def test_only_layers_can_be_added(wrong):
    with pytest.raises(TypeError, match="add: expected a layer; found"):
        Sequential().add(wrong)


def test_a_layer_that_does_not_fit_is_not_left_in_the_model():
    model = two_layers()
    with pytest.raises(ValueError, match=r"LSTM 'lstm': expected inputs \(batch, time, features\), found 2 axes"):
        model.add(LSTM(3))
    assert len(model.layers) == 2
    assert model.predict(np.ones((1, 2))).shape == (1, 1)


def test_a_layer_that_returns_its_states_does_not_belong_in_a_sequence():
    with pytest.raises(ValueError, match="the layer 'lstm' returns 3 outputs; a Sequential passes one on"):
        Sequential([LSTM(3, return_state=True), Dense(1)]).predict(np.ones((1, 2, 2)))


# A model without layers


@pytest.mark.parametrize("what", ["predict", "fit", "call"])
def test_a_model_without_layers_says_so(what):
    model = Sequential()
    model.compile("sgd", "mse")
    x, y = np.ones((2, 1)), np.ones(2)
    with pytest.raises(RuntimeError, match=r"this model has no layers; add\(\) some"):
        {"predict": lambda: model.predict(x), "fit": lambda: model.fit(x, y, verbose=0), "call": lambda: model(x)}[
            what
        ]()


def test_the_output_shape_is_none_where_it_is_not_known():
    assert Sequential().output_shape == Sequential([Dense(1)]).output_shape == (None,)
    assert two_layers().output_shape == (None, 1)


def test_a_model_without_layers_has_a_summary(capsys):
    Sequential().summary()
    assert "Total params: 0" in capsys.readouterr().out


# Summary


def test_the_summary_has_a_row_per_layer_and_three_totals(capsys):
    model = Sequential([Embedding(4, 50, input_length=5), LSTM(100), Dropout(0.5), Dense(1)], name="mine")
    model.layers[0].trainable = False
    model.summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'Model: "mine"'
    rows = [line.split("  ") for line in lines if "(None" in line]
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
        ["embedding (Embedding)", "(None, 5, 50)", "200"],
        ["lstm (LSTM)", "(None, 100)", "60,400"],
        ["dropout (Dropout)", "(None, 100)", "0"],
        ["dense (Dense)", "(None, 1)", "101"],
    ]
    assert lines[-3:] == ["Total params: 60,701", "Trainable params: 60,501", "Non-trainable params: 200"]
    assert len({len(line) for line in lines if set(line) == {"-"}}) == 1


def test_before_building_the_summary_says_what_is_not_known_yet(capsys):
    Sequential([Dense(3)]).summary()
    assert "0 (unbuilt)" in capsys.readouterr().out


# Weights


def test_a_round_trip_of_the_weights_changes_no_prediction():
    x = np.random.default_rng(0).normal(size=(4, 2))
    one, other = two_layers(seed=1), two_layers(seed=2)
    assert (one.predict(x) != other.predict(x)).any()
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(one.predict(x), other.predict(x))


def test_a_trained_model_and_a_copy_made_from_its_weights_predict_the_same_bits():
    x = np.random.default_rng(0).integers(0, 4, (3, 5))
    trained, copy = (Sequential([Embedding(4, 50, input_length=5), LSTM(100), Dense(1)]) for _ in range(2))
    trained.compile("adam", "mse")
    trained.fit(x, [1, 0, 1], verbose=0)
    copy.set_weights(trained.get_weights())
    np.testing.assert_array_equal(copy.predict(x), trained.predict(x))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([np.ones((1, 1))], "Sequential 'sequential' has 4 weights, found a list of 1"),
        ([np.ones((2, 3)), np.ones(3), np.ones((1, 3)), np.ones(1)], r"weight 'dense_1/kernel' has shape \(3, 1\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_changes(values, message):
    model = two_layers()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.set_weights(values)
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_the_seed_decides_the_weights_and_a_layers_own_seed_goes_first():
    kernels = [two_layers(seed=seed).get_weights()[0] for seed in (0, 0, 1)]
    assert (kernels[0] == kernels[1]).all() and (kernels[0] != kernels[2]).any()
    own = [Sequential([Dense(3, seed=7, input_shape=(2,))], seed=seed).get_weights()[0] for seed in (0, 1)]
    assert (own[0] == own[1]).all()


def test_two_layers_alike_start_with_different_weights():
    a, b = Sequential([Dense(3, input_shape=(3,)), Dense(3)]).layers
    assert (a.kernel.data != b.kernel.data).any()


def test_the_dtype_of_the_model_is_that_of_the_layers_that_name_none():
    model = Sequential([Dense(2, input_shape=(2,)), Dense(1, dtype="float32")], dtype="float64")
    assert [layer.dtype.name for layer in model.layers] == ["float64", "float32"]


# Masks and training


def test_a_mask_travels_from_the_embedding_to_the_loss():
    model = Sequential([Embedding(4, 2, mask_zero=True), Dropout(0.1), LSTM(3, return_sequences=True), Dense(4)])
    ids = np.array([[1, 2, 0]])
    assert model(ids).mask.tolist() == [[True, True, False]]
    assert Sequential([Embedding(4, 2, mask_zero=True), LSTM(3)])(ids).mask is None


def test_training_reaches_the_layers_that_ask_for_it():
    heard = []

    class Ear(Layer):
        def call(self, x, training=False):
            heard.append(training)
            return x

    model = Sequential([Ear(), Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((1, 1)), np.ones(1)
    model.build((None, 1))
    heard.clear()  # Ear has no compute_output_shape, so it was tried
    model.fit(x, y, verbose=0)
    model.evaluate(x, y)
    model.predict(x)
    assert heard == [True, False, False]


# Configuration


def test_a_configuration_makes_a_model_like_it_with_fresh_weights():
    model = Sequential([Embedding(4, 2, input_length=5), LSTM(3), Dropout(0.5), Dense(1, "sigmoid")], "mine", seed=5)
    again = Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)  # the same seed


def test_a_text_is_refused_with_a_hint():
    with pytest.raises(TypeError, match=r"predict: x must hold numbers; found <U5: turn texts into ids first"):
        two_layers().predict(["hello"])


def test_one_layer_needs_no_list():
    assert len(Sequential(Dense(1)).layers) == 1


def test_one_sample_without_a_batch_axis_is_refused():
    model = Sequential([Dense(1, input_shape=(2,))])
    with pytest.raises(ValueError, match=r"of shape \(None, 2\), found \(2,\): one sample goes in as x\[None\]"):
        model.predict(np.ones(2))
    assert model.predict(np.ones(2)[None]).shape == (1, 1)


def test_scores_where_probabilities_belong_stop_training():
    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile("sgd", "binary_crossentropy")
    with pytest.raises(ValueError, match="from_logits=True"):
        model.fit(np.full((2, 2), 50.0), [0, 1], verbose=0, epochs=9)
