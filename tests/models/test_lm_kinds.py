"""Every language model keeps the contract: no look ahead, files, gradients, and the loss it says it has."""

import numpy as np
import pytest

from tinyllm import gradcheck
from tinyllm.autograd import Tensor
from tinyllm.corpus import IGNORED, lines_of
from tinyllm.losses import SparseCategoricalCrossentropy
from tinyllm.models import BERT, GPT, MLPLM, Bigram, NGram, RecurrentLM, load_model
from tinyllm.preprocessing.tokenizers import BPETokenizer, CharacterTokenizer

V = 7
KINDS = {
    "bigram": lambda **o: Bigram(V, **o),
    "mlp": lambda **o: MLPLM(V, context=3, embedding=4, width=5, **o),
    "rnn": lambda **o: RecurrentLM(V, "rnn", 4, 5, **o),
    "gru": lambda **o: RecurrentLM(V, "gru", 4, 5, **o),
    "lstm": lambda **o: RecurrentLM(V, "lstm", 4, 5, depth=3, **o),
    "lstm tied": lambda **o: RecurrentLM(V, "lstm", 5, 5, tied=True, **o),
    "gpt": lambda **o: GPT(V, context=8, depth=2, heads=2, width=4, **o),
    "gpt with biases": lambda **o: GPT(V, context=8, depth=1, heads=1, width=4, bias=True, **o),
}
IDS = np.random.default_rng(0).integers(0, V, (3, 8))


def shaken(model):
    rng = np.random.default_rng(1)
    for w in model.weights:
        w.data = (w.data + rng.normal(size=w.shape) * 0.5).astype(w.dtype)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_token_changes_no_earlier_logit(kind):
    model = shaken(KINDS[kind]())
    before = model.scores(IDS)
    changed = IDS.copy()
    changed[:, 5:] = (changed[:, 5:] + 1) % V
    after = model.scores(changed)
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert before.shape == (3, 8, V) and not np.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_every_weight_is_right(kind):
    model = shaken(KINDS[kind](dtype="float64"))
    model.compile("sgd", SparseCategoricalCrossentropy(from_logits=True))
    report = gradcheck(model, IDS[:2, :6], IDS[:2, 1:7], elements=20)
    assert report.ok, str(report)


@pytest.mark.parametrize("kind", KINDS)
def test_nats_are_the_mean_cross_entropy_of_windows_from_a_fresh_start(kind):
    model = shaken(KINDS[kind](dtype="float64"))
    text = np.random.default_rng(2).integers(0, V, 30)
    width = 5 if model.context is None or model.context > 5 else None
    logits = [model.scores(text[None, i : min(i + (width or 29), 29)])[0] for i in range(0, 29, width or 29)]
    flat = np.concatenate(logits)
    log_p = flat - np.log(np.exp(flat).sum(axis=-1, keepdims=True))
    expected = -log_p[np.arange(29), text[1:]].mean()
    np.testing.assert_allclose(model.nats(text, width), expected, rtol=1e-12)


def test_a_carried_state_sees_the_whole_text():
    model = shaken(RecurrentLM(V, "lstm", 4, 5, dtype="float64"))
    text = np.random.default_rng(2).integers(0, V, 600)  # more than is read at a time
    whole = model.scores(text[None, :-1])[0]
    log_p = whole - np.log(np.exp(whole).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(model.nats(text), -log_p[np.arange(599), text[1:]].mean(), rtol=1e-12)


def test_a_state_is_not_carried_from_one_part_of_a_batch_to_another():
    model = RecurrentLM(V, "lstm", 4, 5, carry=True)
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    model.accumulate = 3
    with pytest.raises(ValueError, match="accumulate: a part of a batch cannot carry on the state of another"):
        model.train_step(IDS[:, :-1], IDS[:, 1:])


def test_an_mlp_sees_its_whole_context_however_long_the_text():
    model = shaken(MLPLM(V, context=3, embedding=4, width=5, dtype="float64"))
    text = np.random.default_rng(2).integers(0, V, 9000)  # more than is scored at a time
    scores = model.scores(text[None, :-1])[0]
    log_p = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(model.nats(text), -log_p[np.arange(8999), text[1:]].mean(), rtol=1e-12)


def test_judging_does_not_disturb_the_state_that_training_carries():
    model = RecurrentLM(V, "lstm", 4, 5, carry=True)
    model(IDS)
    kept = [[np.array(s) for s in layer.states] for layer in model.cells]
    model.nats(np.arange(V))
    model.scores(IDS)
    model.step(IDS[:1])
    for layer, states in zip(model.cells, kept):
        for a, b in zip(layer.states, states):
            np.testing.assert_array_equal(a, b)


def test_lines_count_only_what_is_to_be_predicted():
    model = shaken(MLPLM(V, context=3, embedding=4, width=5, dtype="float64"))
    x, y = lines_of([[1, 2, 3], [4]], boundary=0)
    expected = (model.nats(np.array([0, 1, 2, 3, 0])) * 4 + model.nats(np.array([0, 4, 0])) * 2) / 6
    np.testing.assert_allclose(model.nats_of_lines(x, y), expected, rtol=1e-12)


@pytest.mark.parametrize("tokenizer", [None, CharacterTokenizer("abcdefg"), BPETokenizer([(97, 98)])])
@pytest.mark.parametrize("kind", [*KINDS, "ngram"])
def test_a_model_comes_back_from_its_file_with_its_tokenizer(kind, tokenizer, tmp_path):
    model = NGram(V, 3, tokenizer=tokenizer) if kind == "ngram" else shaken(KINDS[kind](tokenizer=tokenizer))
    if kind == "ngram":
        model.count(IDS.ravel())
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.scores(IDS), model.scores(IDS))
    assert again.tokenizer == tokenizer


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("weight", [None, np.arange(1.0, 7.0)])
def test_parts_of_a_batch_make_the_step_of_the_whole(padded, weight):
    whole, parts = (shaken(GPT(V, 8, 1, 1, 4, dtype="float64")) for _ in range(2))
    x, y = np.repeat(IDS, 2, axis=0)[:, :7], np.repeat(IDS, 2, axis=0)[:, 1:]
    if padded:  # the parts have 12, 8 and 4 labels that count
        y = np.where(np.arange(7) < np.array([6, 6, 4, 4, 2, 2])[:, None], y, IGNORED)
    for model in (whole, parts):
        model.compile("adam", SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORED))
    parts.accumulate = 3
    np.testing.assert_allclose(whole.train_step(x, y, weight)[0], parts.train_step(x, y, weight)[0], rtol=1e-12)
    for a, b in zip(whole.weights, parts.weights):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-7, atol=1e-12)
    parts.accumulate = 4
    with pytest.raises(ValueError, match="6 rows do not divide into 4 equal parts"):
        parts.train_step(x, y)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GPT(V, width=10, heads=4), "width 10 is no multiple of heads 4; width 8 is one"),
        (lambda: GPT(1), "vocab_size must be a whole number of at least 2; found 1"),
        (lambda: GPT(V, 4, 1, 1, 4)(np.zeros((1, 5), int)), "5 tokens are more than its context of 4"),
        (lambda: RecurrentLM(V, "tcn"), "unknown cell 'tcn'; known: gru, lstm, rnn"),
        (lambda: RecurrentLM(V, tied=True), "tied needs embedding and width to be equal; found 128 and 256"),
        (lambda: GPT(V, heads=0), "GPT: heads must be a positive whole number; found 0"),
        (lambda: GPT(V, width=1.5), "GPT: width must be a positive whole number; found 1.5"),
        (lambda: BERT(V, depth=0), "BERT: depth must be a positive whole number; found 0"),
        (lambda: RecurrentLM(V, depth=0), "RecurrentLM: depth must be a positive whole number; found 0"),
        (lambda: MLPLM(V, context=0), "MLPLM: context must be a positive whole number; found 0"),
        (lambda: Bigram(V).nats([1]), "needs a row of at least 2 ids"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


# GPT


def test_nanogpts_cpu_model_has_its_number_of_parameters():
    assert GPT(65, context=64, depth=4, heads=4, width=128).count_params() == 804_096


def test_what_is_added_to_the_stream_starts_smaller_the_deeper_the_model():
    model = GPT(V, context=8, depth=8, heads=2, width=64)
    block = model.blocks[0]
    _ = model.weights
    assert 0.018 < block.mlp.kernel.data.std() < 0.022
    assert 0.018 / 4 < block.mlp_output.kernel.data.std() < 0.022 / 4  # sqrt(2 depth) = 4


def test_a_bigram_learns_the_counts():
    text = np.array([0, 1, 2, 0, 1, 3] * 20)
    model = Bigram(4)
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.learning_rate = 0.1
    for _ in range(200):
        model.train_step(text[None, :-1], text[None, 1:])
    p = np.exp(model.scores(np.array([[1]]))[0, 0])
    np.testing.assert_allclose((p / p.sum())[2:], [0.5, 0.5], atol=0.03)
    assert isinstance(model(np.array([[1]])), Tensor)
