"""The character language model: the article's three sentences to their floor, and what it refuses."""

import math

import numpy as np
import pytest

from tinyllm.layers import Dense
from tinyllm.models import LanguageModel, load_model
from tinyllm.preprocessing.text import Tokenizer

SENTENCES = ["你好，世界！", "今天天气很好。", "我爱中国。"]
FLOOR = 3 * math.log(3) / 21  # 21 characters and line ends, of which the three first ones are a guess among three


@pytest.fixture(scope="module")
def trained():
    model = LanguageModel(SENTENCES, units=32)
    model.fit_texts(SENTENCES, epochs=250, learning_rate=0.02, verbose=0)
    return model


def test_it_reaches_the_floor_on_the_three_sentences(trained):
    assert FLOOR < trained.nats(SENTENCES) <= 0.158


def test_it_reproduces_every_sentence_from_its_first_character(trained):
    assert [trained.generate(s[0], greedy=True) for s in SENTENCES] == SENTENCES


def test_the_three_first_characters_are_equally_likely(trained):
    logits, _ = trained.step([trained.bos], None)
    p = np.exp(logits - np.logaddexp.reduce(logits))
    np.testing.assert_allclose([p[trained.encode(s[0])[0]] for s in SENTENCES], 1 / 3, atol=0.01)


def test_sampling_writes_whole_sentences_and_in_time_all_of_them(trained):
    written = {trained.generate(seed=seed) for seed in range(20)}
    assert written == set(SENTENCES)


def test_the_layout_is_bos_characters_eos(trained):
    x, y = trained.arrays(SENTENCES)
    assert (trained.bos, trained.eos, trained.vocab_size) == (16, 17, 18)
    np.testing.assert_array_equal(
        x, [[16, 4, 1, 5, 6, 7, 8, 0], [16, 9, 2, 2, 10, 11, 1, 3], [16, 12, 13, 14, 15, 3, 0, 0]]
    )
    np.testing.assert_array_equal(
        y, [[4, 1, 5, 6, 7, 8, 17, 0], [9, 2, 2, 10, 11, 1, 3, 17], [12, 13, 14, 15, 3, 17, 0, 0]]
    )


def test_the_carried_state_gives_the_logits_of_reading_all_again(trained):
    ids = [trained.bos, *trained.encode("今天天气")]
    whole, _ = trained.step(ids, None)
    state = None
    for token in ids:
        logits, state = trained.step([token], state)
    np.testing.assert_allclose(logits, whole, atol=1e-5)


def test_padding_does_not_count_in_the_loss():
    model = LanguageModel(["ab", "abcdefgh"], embedding_dim=4, units=4)
    alone, together = model.nats(["ab"]), model.nats(["ab", "abcdefgh"])
    np.testing.assert_allclose(together, (3 * alone + 9 * model.nats(["abcdefgh"])) / 12, rtol=1e-6)


def test_an_untrained_model_guesses_about_evenly():
    model = LanguageModel(SENTENCES)
    assert abs(model.nats(SENTENCES) - math.log(model.vocab_size)) < 0.1


def test_the_same_program_gives_the_same_text_and_another_seed_another():
    def write(seed):
        model = LanguageModel(["abcabc", "acbacb"], units=8, seed=seed)
        model.fit_texts(["abcabc", "acbacb"], epochs=3, verbose=0)
        return model.generate(max_length=40, seed=1), model.get_weights()

    (a, weights_a), (b, weights_b), (_, weights_c) = write(0), write(0), write(1)
    assert a == b
    assert all(np.array_equal(p, q) for p, q in zip(weights_a, weights_b))
    assert not np.array_equal(weights_a[0], weights_c[0])


def test_max_length_bounds_the_text(trained):
    assert trained.generate("今", max_length=4, greedy=True) == "今天天气"
    assert trained.generate("今天天气", max_length=2, greedy=True) == "今天天气"


def test_encode_and_decode_are_inverse(trained):
    assert [trained.decode(trained.encode(s)) for s in SENTENCES] == SENTENCES
    assert trained.decode([0, trained.bos, 4, 1, trained.eos, 0]) == "你好"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": "x"}, "the model's vocabulary has no 'x'; it knows 15 characters"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"top_k": 99}, "top_k must be in 1..18"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"max_length": 0}, "max_length must be a positive whole number; found 0"),
        ({"max_length": 2.5}, "max_length must be a positive whole number"),
    ],
)
def test_what_it_cannot_do_is_said(trained, arguments, message):
    with pytest.raises(ValueError, match=message):
        trained.generate(**arguments)


@pytest.mark.parametrize("texts", [[], [""]])
def test_texts_without_a_character_are_refused(texts):
    with pytest.raises(ValueError, match="no character to learn from"):
        LanguageModel(texts)


def test_held_out_lines_are_watched_while_training():
    history = LanguageModel(["ab", "ba"], units=4).fit_texts(["ab"], epochs=2, validation_texts=["ba"], verbose=0)
    assert set(history.history) == {"loss", "val_loss"}


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda m: m.generate(3), TypeError, "reads a str; found int 3"),
        (lambda m: m.nats([]), ValueError, "nats: found no texts"),
        (lambda m: m.nats("你好"), TypeError, "nats: expected a list of texts"),
        (lambda m: m.fit_texts([]), ValueError, "found no texts"),
        (lambda m: m.fit_texts("你好"), TypeError, "expected a list of texts"),
        (lambda m: m.add(Dense(2)), ValueError, "complete with its three layers"),
        (lambda _: LanguageModel("你好"), TypeError, "expected a list of texts"),
        (lambda _: LanguageModel(Tokenizer()), ValueError, "reads words; give it Tokenizer\\(char_level=True\\)"),
    ],
)
def test_a_misuse_is_said_in_one_line(trained, action, error, message):
    with pytest.raises(error, match=message):
        action(trained)


def test_training_goes_on_with_the_rate_it_had_or_the_one_given():
    model = LanguageModel(["ab"], units=4)
    rates = []
    for options in ({}, {"learning_rate": 0.5}, {}):
        model.fit_texts(["ab"], epochs=1, verbose=0, **options)
        rates.append(model.optimizer.learning_rate)
    assert rates == [0.01, 0.5, 0.5]
    assert model.optimizer.iterations == 3


def test_double_precision_survives_saving(tmp_path):
    model = LanguageModel(["ab"], units=4, dtype="float64")
    model.save(tmp_path / "model")
    assert [w.dtype for w in load_model(tmp_path / "model").weights] == ["float64"] * 6
