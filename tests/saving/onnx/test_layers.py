"""An exported model computes the same in ONNX's own reference, at batch sizes and lengths it was not built with."""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from tests.saving.onnx.common import compare, draw, shaken
from tinyllm.layers import (
    GRU,
    LSTM,
    Activation,
    Add,
    Average,
    AveragePooling1D,
    Bidirectional,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    LayerNormalization,
    Masking,
    MaxPooling1D,
    MultiHeadAttention,
    Multiply,
    RepeatVector,
    Reshape,
    RMSNormalization,
    SimpleRNN,
    SpatialDropout1D,
    Subtract,
    TimeDistributed,
)
from tinyllm.models import GPT, Model, Sequential

ACTIVATIONS = (
    "relu sigmoid tanh softmax elu selu softplus softsign exponential leaky_relu hard_sigmoid gelu silu linear"
)
# Of inputs (batch, time, 6), the time open
OPEN = {
    **{f"dense {name}": lambda name=name: [Dense(3, name)] for name in ACTIVATIONS.split()},
    "lstm": lambda: [LSTM(3)],
    "lstm sequences": lambda: [LSTM(4, return_sequences=True)],
    "lstm backwards": lambda: [LSTM(4, return_sequences=True, go_backwards=True)],
    "lstm backwards without bias": lambda: [LSTM(3, go_backwards=True, use_bias=False)],
    "gru": lambda: [GRU(3)],
    "gru reset before": lambda: [GRU(3, reset_after=False)],
    "gru backwards": lambda: [GRU(3, return_sequences=True, go_backwards=True)],
    "rnn": lambda: [SimpleRNN(4)],
    "bidirectional": lambda: [Bidirectional(LSTM(3))],
    "bidirectional mean": lambda: [Bidirectional(GRU(3, return_sequences=True), merge_mode="ave")],
    "bidirectional stack": lambda: [Bidirectional(LSTM(3, return_sequences=True), merge_mode="sum"), LSTM(2)],
    "each step": lambda: [TimeDistributed(Dense(3, "relu"))],
    "convolution": lambda: [Conv1D(4, 3, activation="relu")],
    "causal convolution": lambda: [Conv1D(4, 3, padding="causal", dilation_rate=2)],
    "same convolution": lambda: [Conv1D(4, 3, padding="same", strides=2)],
    "same dilated convolution": lambda: [Conv1D(4, 2, padding="same", dilation_rate=2)],
    "same convolution of even width": lambda: [Conv1D(4, 4, padding="same")],
    "grouped convolution": lambda: [Conv1D(4, 3, groups=2, use_bias=False)],
    "max pooling": lambda: [MaxPooling1D(2)],
    "same max pooling": lambda: [MaxPooling1D(3, strides=2, padding="same")],
    "same mean pooling": lambda: [AveragePooling1D(3, strides=2, padding="same")],
    "max of all": lambda: [GlobalMaxPooling1D()],
    "mean of all": lambda: [GlobalAveragePooling1D(keepdims=True)],
    "layer norm": lambda: [LayerNormalization()],
    "bare layer norm": lambda: [LayerNormalization(center=False, scale=False)],
    "rms norm": lambda: [RMSNormalization()],
    "repeat": lambda: [GlobalMaxPooling1D(), RepeatVector(3)],
    "dropouts": lambda: [Dropout(0.5), SpatialDropout1D(0.3), Activation("tanh")],
    "masked dense": lambda: [Masking(), Dense(3)],
    "lstm relu": lambda: [LSTM(3, "relu", recurrent_activation="hard_sigmoid", return_sequences=True)],
    "gru softsign": lambda: [GRU(3, "softsign", go_backwards=True)],
    "gru elu, reset before": lambda: [GRU(3, "elu", reset_after=False)],
    "rnn linear": lambda: [SimpleRNN(3, None)],
    "two directions, relu": lambda: [Bidirectional(LSTM(3, "relu", return_sequences=True), merge_mode="mul")],
    "same max pooling, strides longer than windows": lambda: [MaxPooling1D(2, strides=3, padding="same")],
    "same mean pooling of every step": lambda: [AveragePooling1D(4, strides=1, padding="same")],
    "max of all, time kept": lambda: [GlobalMaxPooling1D(keepdims=True)],
}
FIXED = {
    "flatten": lambda: [Flatten(), Dense(2)],
    "reshape": lambda: [Reshape((3, -1))],
    "features first, flattened": lambda: [Flatten("channels_first")],
    "features first, convolution": lambda: [Conv1D(3, 2, data_format="channels_first", activation="softmax")],
    "features first, max pooling": lambda: [MaxPooling1D(2, data_format="channels_first")],
    "features first, mean of all": lambda: [GlobalAveragePooling1D("channels_first", keepdims=True)],
    "layer norm of two axes": lambda: [LayerNormalization(axis=[1, 2])],
    "rms norm of two axes": lambda: [RMSNormalization(axis=[1, 2])],
}


@pytest.mark.parametrize("name", OPEN)
def test_a_layer_computes_the_same(name, tmp_path):
    model = Sequential(OPEN[name]())
    model.build((None, None, 6))
    compare(shaken(model), [draw(1, 5, 6), draw(3, 8, 6)], tmp_path / "model.onnx")


@pytest.mark.parametrize("name", FIXED)
def test_a_layer_of_fixed_size_computes_the_same(name, tmp_path):
    model = Sequential(FIXED[name]())
    model.build((None, 4, 6))
    compare(shaken(model), [draw(1, 4, 6), draw(3, 4, 6)], tmp_path / "model.onnx")


def built_gpt():
    model = GPT(5, 8, 1, 1, 4)
    model.build((None, 3))
    return model


def graph(make, *shapes):
    inputs = [Input(shape) for shape in shapes]
    return shaken(Model(inputs, make(*inputs)))


def test_attention_computes_the_same(tmp_path):
    itself = graph(lambda x: MultiHeadAttention(2, 3)(x, x), (None, 6))
    compare(itself, [[draw(2, 5, 6)], [draw(1, 3, 6)]], tmp_path / "model.onnx")
    causal = graph(lambda x: MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), (None, 6))
    compare(causal, [[draw(2, 5, 6)], [draw(1, 7, 6)]], tmp_path / "model.onnx")
    crossed = graph(MultiHeadAttention(2, 3, value_dim=4), (None, 6), (None, 4))
    compare(crossed, [[draw(2, 5, 6), draw(2, 3, 4)]], tmp_path / "model.onnx")
    wide = graph(MultiHeadAttention(2, 3, output_shape=(2, 5), use_bias=False), (None, 6), (None, 4))
    compare(wide, [[draw(2, 5, 6), draw(2, 3, 4)], [draw(1, 2, 6), draw(1, 6, 4)]], tmp_path / "model.onnx")


def test_states_go_in_and_come_out(tmp_path):
    gru = graph(lambda x, h: GRU(5, return_state=True)(x, initial_state=h), (None, 6), (5,))
    compare(gru, [[draw(2, 5, 6), draw(2, 5)]], tmp_path / "model.onnx")
    lstm = graph(
        lambda x, h, c: LSTM(5, return_state=True, return_sequences=True)(x, initial_state=[h, c]),
        (None, 6),
        (5,),
        (5,),
    )
    compare(lstm, [[draw(2, 5, 6), draw(2, 5), draw(2, 5) + 1]], tmp_path / "model.onnx")


def test_several_inputs_are_merged_and_several_outputs_come_out(tmp_path):
    merging = (Concatenate(), Average(), Multiply(), Subtract())
    model = graph(lambda x, y: [*(layer([x, y]) for layer in merging), Add()([x, y, x])], (6,), (6,))
    compare(model, [[draw(2, 6), draw(2, 6) + 1]], tmp_path / "model.onnx")


def test_a_shared_encoder_of_ids_is_exported(tmp_path):
    encoder = Sequential([Embedding(10, 4), LSTM(3)], name="encoder")
    a, b = Input((None,), dtype="int64"), Input((None,), dtype="int64")
    model = shaken(Model([a, b], Dense(1, "sigmoid")(Concatenate()([encoder(a), encoder(b)]))))
    rng = np.random.default_rng(0)
    file = compare(model, [[rng.integers(0, 10, (3, 4)), rng.integers(0, 10, (3, 6))]], tmp_path / "model.onnx")
    tables = [each for each in file.graph.initializer if list(each.dims) == [10, 4]]
    assert len(tables) == 1  # weights that are shared are written once


def test_an_input_may_have_any_name(tmp_path):
    for name in ("output", "constant", "matmul", "identity"):
        x = Input((4,), name=name)
        file = compare(shaken(Model(x, Dense(2)(x))), [draw(3, 4)], tmp_path / "model.onnx")
        assert file.graph.input[0].name == name


def test_outputs_with_names_keep_them(tmp_path):
    x = Input((4,))
    model = shaken(Model(x, {"left": Dense(2)(x), "right": Dense(3)(x)}))
    model.export(tmp_path / "model.onnx")
    found = dict(
        zip(model.outputs, ReferenceEvaluator(str(tmp_path / "model.onnx")).run(None, {x.call.layer.name: draw(2, 4)}))
    )
    names = [each.name for each in onnx.load(tmp_path / "model.onnx").graph.output]
    assert names == ["left", "right"]
    for name, y in model.predict(draw(2, 4)).items():
        np.testing.assert_allclose(found[name], y, rtol=1e-5, atol=1e-5)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; choose a name for a file"):
        Sequential([Dense(1, input_shape=(2,))]).export(tmp_path)


def test_dropout_that_is_switched_off_by_hand_is_exported(tmp_path):
    compare(graph(lambda x: Dropout(0.5)(Dense(3)(x), training=False), (4,)), [[draw(2, 4)]], tmp_path / "model.onnx")


def test_a_small_transformer_is_exported(tmp_path):
    def block(ids):
        x = Embedding(9, 6)(ids)
        x = Add()([x, MultiHeadAttention(2, 3)(LayerNormalization()(x), LayerNormalization()(x), use_causal_mask=True)])
        x = Add()([x, Dense(6)(Dense(12, "gelu")(LayerNormalization()(x)))])
        return Dense(9, "softmax")(LayerNormalization()(x))

    ids = np.random.default_rng(0).integers(0, 9, (3, 7)).astype("float32")
    compare(graph(block, (None,)), [[ids], [ids[:1, :4]], [ids[:, :1]]], tmp_path / "model.onnx")


def test_the_articles_classifier_is_exported_with_its_names(tmp_path):
    model = shaken(Sequential([Embedding(4, 50, input_length=5), LSTM(100), Dense(1, "sigmoid")], name="article"))
    file = compare(model, [np.array([[1, 0, 0, 0, 0], [2, 3, 1, 1, 1]], "float32")], tmp_path / "model.onnx")
    assert file.graph.name == "article" and file.producer_name == "tinyllm"
    assert [each.name for each in file.graph.input] == ["embedding_input"]
    axes = file.graph.input[0].type.tensor_type.shape.dim
    assert (axes[0].dim_param, axes[1].dim_value) == ("batch", 5)


def test_double_precision_stays_double(tmp_path):
    model = Sequential([LSTM(3, return_sequences=True, input_shape=(None, 6)), Dense(2, "tanh")], dtype="float64")
    compare(shaken(model), [draw(2, 5, 6).astype(float)], tmp_path / "model.onnx", 1e-12, runtime=False)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Sequential([GRU(3, lambda x: x, input_shape=(4, 2))]), "'gru' .*its activation <lambda>"),
        (lambda: graph(lambda x: Dropout(0.5)(x, training=True), (4,)), "'dropout' .*it is called with training="),
        (lambda: Sequential([LSTM(3, stateful=True, input_shape=(4, 2))]), "'lstm' .*stateful=True"),
        (lambda: Sequential([Dense(3, lambda x: x, input_shape=(2,))]), "'dense' .*its activation <lambda>"),
        (lambda: Sequential([LayerNormalization(axis=1, input_shape=(4, 2))]), "it normalises axis 1, not the last"),
        (
            lambda: Sequential([Conv1D(3, 2, padding="same", strides=2, dilation_rate=2, input_shape=(4, 2))]),
            "'conv1d' .*both strides and dilation_rate above 1",
        ),
        (lambda: Sequential([Dense(3)]), "has no weights yet"),
        (built_gpt, "GPT is a class of your own"),
    ],
)
def test_what_has_no_exact_counterpart_is_refused_in_one_line_and_nothing_is_written(make, message, tmp_path):
    with pytest.raises((TypeError, RuntimeError), match=message) as caught:
        make().export(tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_another_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the format is 'onnx'; found 'tf_saved_model'"):
        Sequential([Dense(1, input_shape=(2,))]).export(tmp_path / "x", format="tf_saved_model")
