"""Model: graphs of calls with several inputs and shared layers, classes of one's own, models inside models."""

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.test_training import keras_on_pytorch
from tinyllm import Tensor, gradcheck
from tinyllm.callbacks import Checkpoint
from tinyllm.layers import (
    GRU,
    LSTM,
    Add,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Layer,
    LayerNormalization,
    MultiHeadAttention,
    TimeDistributed,
)
from tinyllm.models import Model, Sequential, load_model

RNG = np.random.default_rng(0)
X = [RNG.integers(0, 10, (20, 6)), RNG.integers(0, 10, (20, 6))]
Y = (X[0].sum(axis=1) > X[1].sum(axis=1)) * 1.0


def pair(dropout=0.2, seed=0, **options):
    """Two texts through one encoder, compared."""
    question, answer = Input((6,), name="question"), Input((6,), name="answer")
    table, encoder = Embedding(10, 4, mask_zero=True, **options), LSTM(5, **options)
    both = Concatenate(**options)([encoder(table(question)), encoder(table(answer))])
    hidden = Dropout(dropout, **options)(Dense(3, "tanh", **options)(both))
    model = Model([question, answer], Dense(1, "sigmoid", **options)(hidden), seed=seed)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def own_class():
    class Block(Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = units
            self.inside = [Dense(units, "relu"), Dense(units)]

        def call(self, x):
            first, second = self.inside
            return x + second(first(x))

    class Own(Model):
        def __init__(self):
            super().__init__(seed=1)
            self.first, self.again = Block(3), Block(3)
            self.last = Dense(1)

        def call(self, x, training=False):
            return self.last(self.again(self.first(x)))

    return Own()


# Graphs


def test_a_graph_computes_what_its_layers_compute_and_a_shared_layer_has_its_weights_once():
    model = pair(dropout=0.0)
    table, encoder, both, hidden, last = (
        model.get_layer(n) for n in ("embedding", "lstm", "concatenate", "dense", "dense_1")
    )
    by_hand = last(hidden(both([encoder(table(X[0])), encoder(table(X[1]))])))
    np.testing.assert_array_equal(model.predict(X), by_hand.data)
    assert list(model.named_weights) == [
        "embedding/embeddings",
        *[f"lstm/{name}" for name in ("kernel", "recurrent_kernel", "bias")],
        *[f"{layer}/{name}" for layer in ("dense", "dense_1") for name in ("kernel", "bias")],
    ]


def test_the_gradient_of_a_shared_layer_is_the_sum_over_its_calls():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    shared = Dense(1, use_bias=False)
    model = Model([a, b], Add()([shared(a), shared(b)]))
    x = [np.array([[1.0, 2.0, 3.0]]), np.array([[10.0, 20.0, 30.0]])]
    np.sum(model(x)).backward()
    np.testing.assert_array_equal(shared.kernel.grad[:, 0], [11, 22, 33])


def test_inputs_are_a_list_in_order_or_a_dict_by_name():
    model = pair()
    expected = model.predict(X)
    np.testing.assert_array_equal(model.predict(tuple(X)), expected)
    np.testing.assert_array_equal(model.predict({"answer": X[1], "question": X[0]}), expected)
    assert not np.array_equal(model.predict(X[::-1]), expected)


def test_fit_takes_several_inputs_as_arrays_or_in_batches():
    whole, in_batches = pair(dropout=0.0), pair(dropout=0.0)
    a = whole.fit(X, Y, epochs=3, batch_size=5, shuffle=False, validation_split=0.5, verbose=0)
    batches = [([X[0][i : i + 5], X[1][i : i + 5]], Y[i : i + 5]) for i in (0, 5)]
    held_out = ({"question": X[0][10:], "answer": X[1][10:]}, Y[10:])
    b = in_batches.fit(iter(batches * 3), epochs=3, steps_per_epoch=2, validation_data=held_out, verbose=0)
    for name, values in a.history.items():
        np.testing.assert_allclose(values, b.history[name], rtol=1e-5, err_msg=name)
    assert whole.evaluate(X, Y) == whole.test_on_batch(X, Y) == whole.evaluate({"question": X[0], "answer": X[1]}, Y)


def test_several_outputs_are_predicted_as_a_list_and_one_is_trained():
    x = Input((2,))
    hidden = Dense(3)(x)
    both = Model(x, [hidden, Dense(1)(hidden)])
    assert [y.shape for y in both.predict(np.ones((4, 2)))] == [(4, 3), (4, 1)]
    both.compile("sgd", "mse")
    with pytest.raises(TypeError, match="the model has 2 outputs and a compiled loss takes one"):
        both.fit(np.ones((4, 2)), np.ones(4), verbose=0)


def test_a_mask_goes_through_the_graph():
    ids = Input((4,))
    masked = Model(ids, LSTM(3)(Embedding(5, 2, mask_zero=True)(ids)))
    padded, short = masked.predict(np.array([[1, 2, 0, 0]])), masked([[1, 2, 0, 0]])
    np.testing.assert_array_equal(padded, short.data)
    table, recurrent = masked.layers[1:]
    np.testing.assert_allclose(padded, recurrent(table(np.array([[1, 2]]))).data, rtol=1e-6)


def test_an_initial_state_is_an_input_like_others():
    x, start = Input((4, 3)), Input((5,))
    model = Model([x, start], GRU(5)(x, initial_state=start))
    state = RNG.normal(size=(2, 5))
    expected = model.get_layer("gru")(np.ones((2, 4, 3)), initial_state=state)
    np.testing.assert_array_equal(model.predict([np.ones((2, 4, 3)), state]), expected.data)


def test_a_model_may_be_cut_out_of_another():
    x = Input((2,))
    hidden = Dense(3, name="hidden")(x)
    whole = Model(x, Dense(1)(hidden))
    features, head = Model(x, hidden), Model(hidden, whole.outputs)
    data = RNG.normal(size=(4, 2))
    np.testing.assert_array_equal(head.predict(features.predict(data)), whole.predict(data))
    assert features.layers[1] is whole.layers[1]


def test_models_are_layers_of_models():
    encoder = Sequential([Embedding(10, 4, mask_zero=True), LSTM(3)], name="encoder")
    a, b = Input((6,), name="a"), Input((None,), name="b")
    model = Model([a, b], Dense(1)(Concatenate()([encoder(a), encoder(b)])))
    assert model.predict([X[0], X[1][:, :2]]).shape == (20, 1)
    assert [n.split("/")[0] for n in model.named_weights] == ["encoder"] * 4 + ["dense"] * 2
    encoder.trainable = False
    assert [w.shape for w in model.trainable_weights] == [(6, 1), (1,)]
    each_step = Sequential([TimeDistributed(Sequential([Dense(3, "relu"), Dense(2)])), LSTM(2)])
    assert each_step.predict(np.ones((2, 5, 4))).shape == (2, 2)


def test_the_same_seed_gives_the_same_model_and_another_another():
    first, second, other = (pair(seed=seed).get_weights() for seed in (0, 0, 1))
    for a, b, c in zip(first, second, other):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or not np.array_equal(a, c)  # biases start alike


def test_the_gradient_of_a_transformer_block_is_right():
    x = Input((4, 6))
    attended = LayerNormalization()(Add()([x, MultiHeadAttention(2, 3)(x, x)]))
    model = Model(x, GlobalAveragePooling1D()(Dense(5, "tanh")(attended)))
    report = gradcheck(model, RNG.normal(size=(2, 4, 6)), elements=30)
    assert report.ok, str(report)


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda m: m.predict(X[0]), r"expected 2 inputs \(question, answer\); found one, ndarray \(20, 6\)"),
        (lambda m: m.predict([X[0]]), "expected 2 inputs .*; found a list of 1"),
        (lambda m: m.predict([X[0], X[1][:3]]), "as many samples; found 20 in input 0, 3 in input 1"),
        (lambda m: m.predict([X[0], X[1][:, :3]]), r"the input 'answer' is \(None, 6\); found \(20, 3\)"),
        (lambda m: m.predict({"question": X[0]}), "its inputs are question, answer; found question"),
        (lambda m: m.fit(X, Y[:3]), r"x has 20 samples and y has shape \(3,\)"),
        (lambda m: m(*X), "several inputs go into one list; found 2 arguments"),
        (lambda m: m.get_layer("dens"), "there is no layer 'dens'; there are: question, answer, embedding"),
        (lambda m: Model(m.inputs[:1], m.outputs), "the outputs need the Input 'answer', which is not among"),
        (lambda m: Model([m.inputs[0]] * 2, m.outputs), "the same symbolic tensor is given twice"),
        (lambda m: Model(1, 2), "inputs are symbolic tensors, such as .* gives; found 1"),
        (lambda m: Model().predict(X[0]), "Model has no call"),
        (lambda m: Dense(1)(m.inputs[0], when=1), "Dense 'dense': unknown argument 'when' in a call"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(ask, message):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=message) as caught:
        ask(pair())
    assert "\n" not in str(caught.value)


def test_a_shared_layer_with_a_penalty_on_its_output_is_refused():
    x = Input((2,))
    layer = Dense(2, activity_regularizer="l2")
    with pytest.raises(ValueError, match="the layer 'dense' has an activity_regularizer and is called more than once"):
        Model(x, layer(layer(x)))


# Files


def test_a_graph_comes_back_from_its_file_and_training_goes_on_alike(tmp_path):
    model = pair()
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    for each in (model, again):
        each.fit(X, Y, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_nested_models_and_several_calls_come_back(tmp_path):
    encoder = Sequential([Dense(3, "tanh"), Dropout(0.5)], name="encoder")
    a, b, start = Input((4, 2), name="a"), Input((4, 2), name="b"), Input((3,), name="start")
    recurrent = LSTM(3, return_state=True)
    first, *states = recurrent(encoder(a))
    second, _, _ = recurrent(encoder(b), initial_state=states)
    model = Model({"a": a, "b": b, "start": start}, [Add()([first, start]), second, states])
    data = [RNG.normal(size=(2, 4, 2)), RNG.normal(size=(2, 4, 2)), RNG.normal(size=(2, 3))]
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    flat = lambda y: [part.data for each in y for part in (each if isinstance(each, list) else [each])]  # noqa: E731
    for x, y in zip(flat(model(data)), flat(again(data))):
        np.testing.assert_array_equal(x, y)


def test_training_of_a_graph_is_resumed_bitwise(tmp_path):
    def train(epochs, **options):
        model = pair()
        model.fit(X, Y, epochs=epochs, batch_size=4, verbose=0, **options)
        return model.get_weights()

    train(2, callbacks=Checkpoint(tmp_path, every=3))
    resumed = train(5, callbacks=Checkpoint(tmp_path, every=3), resume=tmp_path)
    for a, b in zip(resumed, train(5)):
        np.testing.assert_array_equal(a, b)


# Classes of one's own


def test_a_class_of_ones_own_learns_and_its_inner_layers_have_different_names():
    model = own_class()
    model.compile("adam", "mse")
    x = RNG.normal(size=(32, 3))
    losses = model.fit(x, x.sum(axis=1), epochs=100, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    assert [n for n in model.named_weights if n.endswith("kernel")] == [
        "block/dense/kernel",
        "block/dense_1/kernel",
        "block_1/dense/kernel",
        "block_1/dense_1/kernel",
        "dense/kernel",
    ]
    assert len({w.data.tobytes() for w in model.weights if w.ndim == 2}) == 5


def test_its_weights_go_into_a_file_and_the_class_does_not(tmp_path):
    model, again = own_class(), own_class()
    x = RNG.normal(size=(5, 3))
    expected = model.predict(x)
    model.save_weights(tmp_path / "weights.safetensors")
    with pytest.raises(RuntimeError, match="has no weights yet"):
        again.load_weights(tmp_path / "weights.safetensors")
    again.build((None, 3))
    for w in again.weights:
        w.data = w.data + 1
    again.load_weights(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(again.predict(x), expected)
    with pytest.raises(ValueError, match=r"does not know the class Own; .*save_weights\(\) keeps the weights"):
        model.save(tmp_path / "model")


def test_its_training_is_resumed_bitwise(tmp_path):
    x = RNG.normal(size=(12, 3))

    def train(epochs, **options):
        model = own_class()
        model.compile("adam", "mse")
        model.fit(x, x.sum(axis=1), epochs=epochs, batch_size=4, verbose=0, **options)
        return model.get_weights()

    train(2, callbacks=Checkpoint(tmp_path))
    for a, b in zip(train(4, callbacks=Checkpoint(tmp_path), resume=tmp_path), train(4)):
        np.testing.assert_array_equal(a, b)


def test_call_may_take_a_list_or_a_dict():
    class Two(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(1)

        def call(self, x, training=False):
            a, b = (x["a"], x["b"]) if isinstance(x, dict) else x
            return self.dense(a) - self.dense(b)

    model = Two()
    a, b = np.ones((4, 2)), np.zeros((4, 2))
    np.testing.assert_array_equal(model.predict([a, b]), model.predict({"a": a, "b": b}))
    model.compile("sgd", "mse")
    model.fit([a, b], np.ones(4), epochs=2, verbose=0)


def test_a_mask_travels_through_a_class_of_ones_own():
    class Masked(Model):
        def __init__(self):
            super().__init__()
            self.table, self.recurrent = Embedding(5, 2, mask_zero=True), LSTM(3, return_sequences=True)

        def call(self, x, training=False):
            return self.recurrent(self.table(x))

    assert Masked()([[1, 0, 2]]).mask.tolist() == [[True, False, True]]


def test_a_tensor_has_no_mask_unless_a_layer_gives_it_one():
    x = Tensor(np.ones((2, 3)))
    assert x.mask is None
    y = Dropout(0.5)(x, mask=np.array([[True, False]]))
    assert y.mask is not None and x.mask is None


# Keras


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_graph_trains_like_keras():
    keras = keras_on_pytorch()
    question, answer = keras.Input((6,), name="question"), keras.Input((6,), name="answer")
    table = keras.layers.Embedding(10, 4, mask_zero=True, dtype="float64")
    encoder = keras.layers.LSTM(5, dtype="float64")
    both = keras.layers.Concatenate(dtype="float64")([encoder(table(question)), encoder(table(answer))])
    hidden = keras.layers.Dense(3, "tanh", dtype="float64")(both)
    theirs = keras.Model([question, answer], keras.layers.Dense(1, "sigmoid", dtype="float64")(hidden))
    theirs.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    ours = pair(0.0, dtype="float64")
    ours.set_weights(theirs.get_weights())
    settings = {"epochs": 4, "batch_size": 6, "shuffle": False, "verbose": 0, "validation_split": 0.25}
    expected = theirs.fit(X, Y, **settings).history
    found = ours.fit(X, Y, **settings).history
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)


# What Keras's guides write


def test_outputs_may_be_a_dict():
    x = Input((3,))
    model = Model(x, {"one": Dense(1)(x), "two": [Dense(2)(x)]})
    found = model.predict(np.ones((40, 3)))
    assert (found["one"].shape, found["two"][0].shape) == ((40, 1), (40, 2))
    with pytest.raises(TypeError, match="returns a dict of outputs, which only the outermost model may"):
        model(Input((3,)))


def test_the_keys_of_a_dict_of_inputs_are_their_names():
    first, second = Input((3,)), Input((3,), name="other")
    model = Model(inputs={"u": first, "v": second}, outputs=Add()([first, second]))
    x = {"v": np.full((2, 3), 5.0), "u": np.ones((2, 3))}
    np.testing.assert_array_equal(model.predict(x), np.full((2, 3), 6.0))
    with pytest.raises(ValueError, match="its inputs are u, v; found u, other"):
        model.predict({"u": x["u"], "other": x["v"]})


def test_a_class_of_ones_own_may_be_called_in_a_graph():
    class Block(Model):
        def __init__(self):
            super().__init__()
            self.hidden = Dense(7)

        def call(self, inputs, training=False):
            return self.hidden(inputs)

    x = Input((3,))
    model = Model(x, Dense(1)(Block()(x)))
    assert [layer.input_shape for layer in model.layers[1:]] == [(None, 3), (None, 7)]
    assert model.predict(np.ones((2, 3))).shape == (2, 1)


def test_a_layer_inside_two_models_is_trained_once_a_step():
    shared = Dense(1, use_bias=False, kernel_initializer="ones", name="shared")
    inputs = [Input((1,)) for _ in range(3)]
    first, second = (Model(x, shared(x), name=name) for x, name in zip(inputs, "ab"))
    model = Model(inputs[2], Add()([first(inputs[2]), second(inputs[2])]))
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((1, 1)), np.zeros(1))
    assert model.count_params() == 1
    assert shared.get_weights()[0] == pytest.approx(1 - 0.01 * 2 * 2 * 2)  # (2 w)^2 falls with 8 w
    with pytest.raises(ValueError, match="'a/shared' and 'b/shared' are one layer"):
        model.get_config()


def test_a_model_cut_out_of_another_comes_back_from_its_description():
    x = Input((3,))
    ends = [Dense(4)(x), Dense(4)(x)]
    model = Model(ends, Dense(1)(Add()(ends)))
    again = Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    data = [np.ones((2, 4)), np.zeros((2, 4))]
    np.testing.assert_array_equal(again.predict(data), model.predict(data))


def test_a_description_whose_output_nothing_gives_is_refused():
    config = pair().get_config()
    config["outputs"] = {"tensor": ["nobody", 0, 0]}
    with pytest.raises(ValueError, match=r"Model: nothing gives \('nobody', 0, 0\)"):
        Model.from_config(config)


def test_a_deep_model_can_be_copied_and_the_copy_has_weights_of_its_own():
    x = y = Input((2,))
    for _ in range(200):
        y = Dense(2)(y)
    model = Model(x, y)
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(twin.predict(np.ones((1, 2))), model.predict(np.ones((1, 2))))
    twin.set_weights([w * 0 for w in twin.get_weights()])
    assert model.predict(np.ones((1, 2))).any()


def test_input_and_output_are_what_the_model_was_made_with():
    model = pair()
    assert model.input is model.inputs
    assert model.output is model.outputs


def test_a_graph_may_be_applied_at_each_time_step():
    step = Input((4,))
    inner = Model(step, Dense(2)(step))
    x = Input((5, 4))
    model = Model(x, TimeDistributed(inner)(x))
    data = RNG.normal(size=(3, 5, 4))
    expected = inner.predict(data.reshape(15, 4)).reshape(3, 5, 2)
    np.testing.assert_allclose(model.predict(data), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["layer", "sequential", "own"])
def test_threads_that_meet_an_unbuilt_model_build_it_once(kind):
    class Slow(Layer):
        def build(self, input_shape):
            time.sleep(0.02)  # long enough for the other threads to arrive
            self.w = self.add_weight("w", (input_shape[-1], 2))

        def call(self, x):
            return x @ self.w

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 2)

    class Own(Model):
        def __init__(self):
            super().__init__()
            self.slow = Slow()

        def call(self, x, training=False):
            return self.slow(x)

    model = {"layer": Slow, "sequential": lambda: Sequential([Slow(), Slow()]), "own": Own}[kind]()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: model(np.ones((1, 3))).data, range(4)))
    for each in found:
        np.testing.assert_array_equal(each, found[0])
