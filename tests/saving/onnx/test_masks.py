"""Masks are exported: padding at the end, at the beginning and in the middle is skipped as it is here."""

import numpy as np
import pytest

from tests.saving.onnx.common import compare, draw, shaken
from tinyllm.layers import (
    GRU,
    LSTM,
    Add,
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
    MultiHeadAttention,
    SimpleRNN,
    TimeDistributed,
)
from tinyllm.models import Model, Sequential

# Padded at the end, at the beginning, in the middle, nowhere, and altogether
IDS = np.array(
    [[3, 1, 4, 0, 0, 0], [0, 0, 2, 6, 5, 3], [5, 0, 0, 2, 0, 1], [2, 6, 4, 3, 1, 5], [0, 0, 0, 0, 0, 0]], "float32"
)
LAYERS = {
    "lstm": lambda: [LSTM(4)],
    "lstm sequences": lambda: [LSTM(4, return_sequences=True)],
    "lstm backwards": lambda: [LSTM(4, return_sequences=True, go_backwards=True)],
    "lstm backwards, the last": lambda: [LSTM(4, go_backwards=True)],
    "lstm with zeros": lambda: [LSTM(4, return_sequences=True, zero_output_for_mask=True)],
    "lstm without bias": lambda: [LSTM(4, use_bias=False)],
    "gru": lambda: [GRU(4)],
    "gru sequences": lambda: [GRU(4, return_sequences=True)],
    "gru reset before": lambda: [GRU(4, reset_after=False)],
    "gru without bias": lambda: [GRU(4, use_bias=False)],
    "rnn": lambda: [SimpleRNN(4)],
    "bidirectional": lambda: [Bidirectional(LSTM(4))],
    "bidirectional sequences": lambda: [Bidirectional(GRU(4, return_sequences=True))],
    "stack": lambda: [LSTM(4, return_sequences=True), Dropout(0.5), LayerNormalization(), Dense(3), GRU(2)],
    "mean": lambda: [GlobalAveragePooling1D()],
    "mean, time kept": lambda: [Dense(3), GlobalAveragePooling1D(keepdims=True)],
    "max": lambda: [GlobalMaxPooling1D()],
    "each step": lambda: [TimeDistributed(Dense(3)), LSTM(2)],
    "convolution ends it": lambda: [Conv1D(4, 2), LSTM(2)],
}


@pytest.mark.parametrize("name", LAYERS)
def test_padding_anywhere_is_skipped(name, tmp_path):
    model = Sequential([Embedding(7, 3, mask_zero=True), *LAYERS[name]()])
    model.build((None, None))
    compare(shaken(model), [IDS, IDS[:1], IDS[3:4], IDS[4:], IDS[:2, :4]], tmp_path / "model.onnx")


def test_masking_reads_the_mask_from_the_values(tmp_path):
    model = Sequential([Masking(0.5), LSTM(4, return_sequences=True), GlobalAveragePooling1D()])
    model.build((None, None, 3))
    x = draw(3, 5, 3)
    x[0, 2:], x[1, 1], x[2, 0, :2] = 0.5, 0.5, 0.5
    compare(shaken(model), [x, x[:1, :4]], tmp_path / "model.onnx")


def test_a_mask_within_each_step_reaches_the_inner_layer(tmp_path):
    table = Embedding(7, 3, mask_zero=True, input_shape=(None, 6))
    model = Sequential([table, TimeDistributed(LSTM(4)), GlobalMaxPooling1D()])
    compare(shaken(model), [IDS[None], np.stack([IDS, IDS[::-1]])], tmp_path / "model.onnx")


def masked(x):
    return Embedding(7, 6, mask_zero=True)(x)


def graph(make, count=1):
    inputs = [Input((None,)) for _ in range(count)]
    return shaken(Model(inputs, make(*inputs)))


@pytest.mark.parametrize("causal", [False, True])
def test_attention_does_not_look_at_padding(causal, tmp_path):
    def attend(a):
        x = masked(a)
        return MultiHeadAttention(2, 3)(x, x, use_causal_mask=causal)

    itself = graph(attend)
    compare(itself, [[IDS], [IDS[:1, :3]]], tmp_path / "model.onnx")
    crossed = graph(lambda a, b: MultiHeadAttention(2, 3)(masked(a), masked(b), use_causal_mask=causal), 2)
    compare(crossed, [[IDS, IDS[::-1, :4]]], tmp_path / "model.onnx")
    three = graph(lambda a, b, c: MultiHeadAttention(2, 3)(masked(a), masked(b), masked(c), use_causal_mask=causal), 3)
    compare(three, [[IDS, IDS[::-1, :4], np.roll(IDS, 1, axis=0)[:, :4]]], tmp_path / "model.onnx")


def test_double_precision_stays_double(tmp_path):
    layers = [Embedding(7, 3, mask_zero=True, dtype="float64"), LSTM(4, return_sequences=True, dtype="float64")]
    model = Sequential([*layers, GlobalAveragePooling1D(dtype="float64")])
    model.build((None, None))
    compare(shaken(model), [IDS.astype(float)], tmp_path / "model.onnx", 1e-12)


def test_attention_takes_masks_in_its_call(tmp_path):
    def attend(x, key, allowed, seen):
        return MultiHeadAttention(2, 3)(x, key, attention_mask=allowed, value_mask=seen)

    inputs = [Input((None, 6)), Input((None, 6)), Input((None, None)), Input((None,))]
    model = shaken(Model(inputs, attend(*inputs)))
    rng = np.random.default_rng(0)
    allowed, seen = (rng.integers(0, 2, shape).astype("float32") for shape in [(3, 4, 5), (3, 5)])
    compare(model, [[draw(3, 4, 6), draw(3, 5, 6), allowed, seen]], tmp_path / "model.onnx")


def test_states_of_a_masked_sequence_come_out_and_go_in(tmp_path):
    def seq2seq(source, target):
        x, h, c = LSTM(4, return_state=True)(masked(source))
        return [x, *LSTM(4, return_sequences=True, return_state=True)(masked(target), initial_state=[h, c])]

    compare(graph(seq2seq, 2), [[IDS, IDS[::-1, :4]]], tmp_path / "model.onnx")


def test_two_directions_take_and_give_their_states(tmp_path):
    def both(source, target):
        first = Bidirectional(GRU(4, return_state=True))(masked(source))
        again = Bidirectional(GRU(4, return_state=True, return_sequences=True), merge_mode="mul")
        return again(Embedding(7, 5)(target), initial_state=first[1:])

    compare(graph(both, 2), [[IDS, IDS[::-1, :4]]], tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "join", [Add, Concatenate, lambda: Concatenate(axis=1)], ids=["added", "side by side", "one after another"]
)
@pytest.mark.parametrize("second", [True, False], ids=["both masked", "one masked"])
def test_joined_inputs_join_their_masks(join, second, tmp_path):
    def joined(a, b):
        return LSTM(4)(join()([masked(a), Embedding(7, 6, mask_zero=second)(b)]))

    model = graph(joined, 2)
    compare(model, [[IDS, IDS[::-1]], [IDS, np.roll(IDS, 1, axis=0)]], tmp_path / "model.onnx")


def test_a_layer_that_ends_the_mask_ends_it_in_the_file(tmp_path):
    model = Sequential([Embedding(7, 3, mask_zero=True, input_length=6), Flatten(), Dense(2)])
    compare(shaken(model), [IDS], tmp_path / "model.onnx")
