"""The article's program, call for call: only `tensorflow.keras` has become `tinyllm`. What it does is written here."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import tinyllm
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import Sequential
from tinyllm.preprocessing.sequence import pad_sequences

TRUTH = json.loads((Path(__file__).parents[1] / "golden" / "document.json").read_text(encoding="utf-8"))["program"]
BANDS = TRUTH["bands"]
SENTENCES = list(TRUTH["word_index"])
LENGTH = 5


def prepare():
    tokenizer = tinyllm.preprocessing.text.Tokenizer()
    tokenizer.fit_on_texts(SENTENCES)
    ids = tokenizer.texts_to_sequences(SENTENCES)
    return tokenizer, pad_sequences(ids, maxlen=LENGTH, padding="post")


def build(tokenizer, **seed):
    model = Sequential(**seed)
    model.add(Embedding(input_dim=len(tokenizer.word_index) + 1, output_dim=50, input_length=LENGTH))
    model.add(LSTM(units=100, activation="tanh"))
    model.add(Dense(units=1, activation="sigmoid"))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def run(**seed):
    tokenizer, ids = prepare()
    model = build(tokenizer, **seed)
    with redirect_stdout(io.StringIO()):
        history = model.fit(ids, np.array([1, 0, 1]), epochs=100, batch_size=1)
    return tokenizer, model, history.history, model.predict(ids)


@pytest.fixture(scope="module")
def program():
    return run()


def test_each_sentence_is_one_word_because_the_tokenizer_splits_at_spaces():
    tokenizer, ids = prepare()
    assert tokenizer.word_index == TRUTH["word_index"]
    assert (ids.tolist(), ids.dtype) == (TRUTH["padded"], TRUTH["padded_dtype"])


def test_the_model_has_60701_parameters(capsys):
    model = build(prepare()[0])
    assert model.count_params() == TRUTH["total_params"] == 60_701
    assert [list(w.shape) for w in model.weights] == TRUTH["weight_shapes"]
    model.summary()
    printed = capsys.readouterr().out
    for name, kind, shape, count in TRUTH["layers"]:
        shown = str(tuple(None if size == "None" else size for size in shape))
        row = next(line for line in printed.splitlines() if f"{name} ({kind})" in line)
        assert shown in row and row.endswith(f" {count:,}")
    assert "Total params: 60,701" in printed and "Non-trainable params: 0" in printed


def test_it_learns_the_three_labels_by_epoch_25_and_keeps_them(program):
    history = program[2]
    assert list(history) == ["loss", "accuracy"] and len(history["loss"]) == 100
    assert set(history["accuracy"][24:]) == {1.0}


def test_the_first_and_the_last_loss_lie_where_44_runs_of_keras_lie(program):
    loss = program[2]["loss"]
    for found, (low, high) in ((loss[0], BANDS["loss_epoch1"]), (loss[-1], BANDS["loss_epoch100"])):
        assert low <= found <= high


def test_the_predictions_lie_where_44_runs_of_keras_lie(program):
    predictions = program[3]
    assert (predictions.shape, predictions.dtype) == ((3, 1), "float32")
    for found, low, high in zip(predictions[:, 0], BANDS["pred_min"], BANDS["pred_max"]):
        assert low <= found <= high


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_any_seed_learns_it(seed):
    _, _, history, predictions = run(seed=seed)
    assert 0.66 < history["loss"][0] < 0.75 and history["loss"][-1] < 2e-3 and history["accuracy"][-1] == 1
    positive, negative, also_positive = predictions[:, 0]
    assert positive > 0.995 and also_positive > 0.995 and negative < 0.005


def test_its_generation_raises_the_type_error_that_keras_raises_and_says_what_to_do(program):
    tokenizer, _, _, predictions = program
    words = [word for word, number in tokenizer.word_index.items() if number != "<PAD>"]
    with pytest.raises(TypeError, match=r"p=predictions\[i\]\[j\]: this is one number.*tinyllm\.models\.LanguageModel"):
        for i in range(len(SENTENCES)):
            for j in range(LENGTH):
                np.random.choice(words, p=predictions[i][j])  # noqa: NPY002 (the article's call)


def test_the_class_is_where_the_probability_is_above_a_half_not_the_argmax(program):
    predictions = program[3]
    assert (predictions[:, 0] > 0.5).astype(int).tolist() == [1, 0, 1]
    assert predictions.argmax(axis=1).flatten().tolist() == [0, 0, 0]
