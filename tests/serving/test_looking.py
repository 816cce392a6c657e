"""The weight of each token, and the gates of an LSTM."""

import numpy as np

from tests.serving.helpers import SENTENCES, classifier
from tinyllm.autograd.tensor import as_array
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import RecurrentLM, Sequential
from tinyllm.ops import sigmoid
from tinyllm.serving import create_app
from tinyllm.serving.looking import gates, lstm_gates, saliency


def test_the_gates_are_those_that_give_the_layers_output():
    layer = LSTM(4, seed=1)
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    output = as_array(layer(x))
    steps = np.moveaxis(lstm_gates(layer, x), 2, 0)
    i, f, g, o = steps[-1].transpose(1, 0, 2)
    c = np.zeros((2, 4))
    for step in steps:
        c = step[:, 1] * c + step[:, 0] * step[:, 2]
    np.testing.assert_allclose(o * np.tanh(c), output, atol=1e-6)
    assert ((i > 0) & (i < 1) & (f > 0) & (f < 1)).all() and (abs(g) < 1).all()


def test_a_tokens_weight_is_what_is_lost_without_it():
    def probability(ids):
        return as_array(sigmoid(ids @ np.array([1.0, 2.0, 0.0])))

    weights = saliency(probability, np.array([[1, 1, 0]]))
    at = [float(as_array(sigmoid(np.float64(z)))) for z in (3, 2, 1)]
    np.testing.assert_allclose(weights, [at[0] - at[1], at[0] - at[2], 0], atol=1e-12)


def test_the_explanation_of_a_classifier_adds_tokens_and_gates_to_the_answer(article, client):
    answer = client.post("/predict", json={"text": SENTENCES[0]}).get_json()
    found = client.post("/explain", json={"text": SENTENCES[0]}).get_json()
    assert {name: found[name] for name in answer} == answer
    assert [(t["id"], t["text"], t["padding"]) for t in found["tokens"]] == [(1, SENTENCES[0], False)] + [
        (0, "", True)
    ] * 4
    without = float(article.predict(np.zeros((1, 5), int))[0, 0])
    assert abs(found["tokens"][0]["saliency"] - (answer["probability"][0] - without)) < 1e-5
    assert {t["saliency"] for t in found["tokens"][1:]} == {0.0}
    assert np.shape(found["gates"]["values"]) == (4, 24, 5) and found["gates"]["units"] == 100


def test_a_model_without_an_lstm_has_no_gates_to_show():
    assert gates(Sequential([Dense(2)]), np.zeros((1, 3))) is None
    for cell in ("gru", "rnn"):
        assert gates(RecurrentLM(5, cell=cell, embedding=3, width=4, depth=2), np.array([[1, 2]])) is None
    assert gates(object(), np.array([[1, 2]])) is None


def test_the_gates_of_a_language_model_are_those_of_its_first_layer():
    found = gates(RecurrentLM(5, embedding=3, width=4, depth=2), np.array([[1, 2, 3]]))
    assert found["layer"] == "lstm_0" and np.shape(found["values"]) == (4, 4, 3)


def test_a_long_text_is_explained_as_far_as_can_be_shown():
    model = classifier(tokenizer=None, maxlen=300)
    found = create_app(model).test_client().post("/explain", json={"text": SENTENCES[0]}).get_json()
    assert len(found["tokens"]) == 100 and np.shape(found["gates"]["values"])[2] == 100


def test_padding_that_is_masked_does_not_change_the_gates_behind_it():
    model = Sequential([Embedding(5, 3, mask_zero=True), LSTM(4)])
    bare = np.array(gates(model, np.array([[1, 2, 3]]))["values"])
    padded = np.array(gates(model, np.array([[0, 0, 1, 2, 3]]))["values"])
    np.testing.assert_array_equal(padded[:, :, 2:], bare)
