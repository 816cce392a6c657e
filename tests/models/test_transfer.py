"""What is kept is kept to the last bit, what is frozen does not move, and vectors come into the rows of their words."""

import numpy as np
import pytest

from tinyllm.layers import LSTM, Add, Bidirectional, Dense, Embedding, GlobalAveragePooling1D, Input
from tinyllm.models import LanguageModel, Model, Sequential
from tinyllm.models.transfer import freeze, load_embeddings, read_vectors, replace_head, unfreeze
from tinyllm.preprocessing.text import Tokenizer

X, Y = np.array([[1, 2, 3], [3, 2, 1]]), np.array([0, 1])


def reader():
    layers = [Embedding(5, 4), Bidirectional(LSTM(3)), Dense(1, "sigmoid")]
    model = Sequential(layers)
    model.compile("adam", "binary_crossentropy")
    model.fit(X, Y, verbose=0)
    return model


def train(model):
    model.compile("adam", "binary_crossentropy")
    model.fit(X, Y, epochs=2, verbose=0)


def same(a, b):
    return [np.array_equal(x, y) for x, y in zip(a, b)]


def test_a_frozen_layer_does_not_move_and_the_others_do():
    model = reader()
    before = model.get_weights()
    assert freeze(model, up_to="bidirectional") == ["embedding", "bidirectional"]
    train(model)
    assert same(before, model.get_weights()) == [True] * 7 + [False] * 2


def test_unfreezing_from_the_top_lets_them_move_again():
    model = reader()
    freeze(model, up_to="dense")
    assert unfreeze(model, down_to="bidirectional") == ["bidirectional", "dense"]
    before = model.get_weights()
    train(model)
    assert same(before, model.get_weights()) == [True] + [False] * 8


def test_a_new_head_leaves_every_other_weight_bit_for_bit_and_the_old_model_alone():
    old = reader()
    before = old.get_weights()
    new = replace_head(old, Dense(1, "sigmoid"))
    assert same(before, new.get_weights()) == [True] * 7 + [False, False]
    train(new)
    assert all(same(before, old.get_weights()))


def test_the_head_comes_from_the_seed():
    old = reader()
    heads = [replace_head(old, Dense(2), seed=seed).get_weights()[-2] for seed in (0, 0, 1)]
    assert np.array_equal(heads[0], heads[1]) and not np.array_equal(heads[0], heads[2])


def test_a_language_model_becomes_a_classifier():
    language = LanguageModel(["abab", "ba"], embedding_dim=4, units=5)
    new = replace_head(language, [GlobalAveragePooling1D(), Dense(1, "sigmoid")])
    freeze(new, up_to="lstm")
    before = new.get_weights()
    train(new)
    assert same(before, new.get_weights())[:4] == [True] * 4
    assert all(same(before[:4], language.get_weights()[:4]))
    assert new.predict(X).shape == (2, 1)


def test_frozen_layers_stay_frozen_under_a_new_head_and_after_names_the_last_that_is_kept():
    old = reader()
    freeze(old, up_to="embedding")
    new = replace_head(old, [GlobalAveragePooling1D(), Dense(2)], after="embedding")
    assert len(new.layers) == 3
    assert [layer.trainable for layer in new.layers] == [False, True, True]


def test_what_cannot_be_replaced_is_named():
    model = reader()
    with pytest.raises(ValueError, match="freeze: the model has no layer 'lstm'; its layers: embedding, bidirectional"):
        freeze(model, up_to="lstm")
    with pytest.raises(ValueError, match="has weights of another model"):
        replace_head(model, model.layers[-1])
    with pytest.raises(ValueError, match="found no head"):
        replace_head(model, [])
    with pytest.raises(ValueError, match="the layer 'dense' has no weights yet"):
        replace_head(Sequential([Dense(1)]), Dense(2))


# Vectors


def fitted(**options):
    tokenizer = Tokenizer(**options)
    tokenizer.fit_on_texts(["the cat the dog"])
    return tokenizer


def test_vectors_come_into_the_rows_of_their_words_and_other_rows_stay():
    layer, before = Embedding(4, 2), Embedding(4, 2)
    before.ensure_built((None, None))
    coverage = load_embeddings(layer, {"the": [1, 2], "dog": [3, 4], "bird": [5, 6]}, fitted())
    rows = layer.get_weights()[0]
    np.testing.assert_array_equal(rows[[1, 3]], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(rows[[0, 2]], before.get_weights()[0][[0, 2]])
    assert (coverage.words, coverage.found, coverage.missing, coverage.running) == (3, 2, ("cat",), 0.75)


def test_only_words_that_the_tokenizer_gives_an_id_to_count():
    assert load_embeddings(Embedding(3, 1), {"the": [1.0]}, fitted(num_words=2)).words == 1
    assert load_embeddings(Embedding(5, 1), {"the": [1.0]}, fitted(oov_token="<OOV>")).words == 3


@pytest.mark.parametrize("header", [b"", b"3 2\n", b"\xef\xbb\xbf3 2\r\n"])
def test_a_file_of_either_format_is_read(tmp_path, header):
    (tmp_path / "v.txt").write_bytes(header + "the 1 2\r\n. . 3 -4e-1 \n\n猫\u3000 5 6".encode())
    found = read_vectors(tmp_path / "v.txt", dimension=2)
    assert {word: v.tolist() for word, v in found.items()} == {
        "the": [1, 2],
        ". .": [3, np.float32(-0.4)],
        "猫\u3000": [5, 6],
    }


def test_a_file_is_loaded_for_the_vocabulary_and_read_no_further_than_needed(tmp_path):
    (tmp_path / "v.txt").write_bytes(b"bird x y\nthe 1 2\nthe 9 9\ncat 3 4\ndog 5 6\n\xff\xff broken")
    layer = Embedding(4, 2)
    assert load_embeddings(layer, tmp_path / "v.txt", fitted()).share == 1
    np.testing.assert_array_equal(layer.get_weights()[0][1:], [[1, 2], [3, 4], [5, 6]])
    assert list(read_vectors(tmp_path / "v.txt", ["the"], limit=2)) == ["the"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a 1 2\nb 1\n", "line 2: expected a word and 2 numbers; found 2 fields"),
        (b"a 1 2\nb 1 2 3\n", "line 2: expected 2 numbers after the word; found 3"),
        (b"a 1 2\nb 1 x\n", "line 2: 'x' is no number"),
        (b"a 1 2\n\xff 1 2\n", "line 2: not UTF-8 .byte 0xFF.; is it compressed"),
        (b"a 1 nan\n", "line 1: a number is not finite"),
        (b"a 1 1e39\n", "line 1: a number is not finite, or too large"),
        (b"word\n", "line 1: expected a word and 1 numbers; found 1 fields"),
        (b"3 2\na 1 2\n", "line 1 announces 3 vectors, the file ends after 1"),
        (b"3 0\na\n", "line 1: the vectors have 0 numbers; expected at least 1"),
        (b"", "found no vectors"),
        (b"a " + b"1" * 1_000_001, "line 1: longer than 1,000,000 bytes"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, data, message):
    (tmp_path / "v.txt").write_bytes(data)
    with pytest.raises(ValueError, match=message) as error:
        read_vectors(tmp_path / "v.txt")
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not there; give the path of a text file"):
        read_vectors(tmp_path / "none.txt")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_vectors(tmp_path)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"the": [1, 2, 3]}, r"the vector of 'the' has shape \(3,\); expected \(2,\)"),
        ({"the": [1, 2], "cat": [1e39, 0]}, "the vector of 'cat' is not finite in float32"),
        ({"THE": [1, 2]}, "none of the 3 words, such as 'the', has a vector"),
    ],
)
def test_wrong_vectors_change_nothing(vectors, message):
    layer = Embedding(4, 2)
    layer.ensure_built((None, None))
    before = layer.get_weights()[0]
    with pytest.raises(ValueError, match=message):
        load_embeddings(layer, vectors, fitted())
    np.testing.assert_array_equal(before, layer.get_weights()[0])


def test_a_table_that_is_too_small_is_named():
    with pytest.raises(
        ValueError, match=r"the word 'dog' has id 3 and the table rows 0..2; input_dim must be at least 4"
    ):
        load_embeddings(Embedding(3, 2), {}, fitted())


def test_the_head_of_a_graph_is_replaced_where_its_layers_follow_each_other():
    x = Input((3,))
    old = Model(x, Dense(1)(Dense(3, name="base")(x)))
    new = replace_head(old, Dense(2))
    np.testing.assert_array_equal(new.get_weights()[0], old.get_weights()[0])
    assert new.predict(np.ones((2, 3))).shape == (2, 2)


def test_a_model_that_branches_loops_or_is_a_class_of_ones_own_keeps_its_head():
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.last, self.first = Dense(1), Dense(3)  # not in the order of call()

        def call(self, x, training=False):
            return self.last(self.first(x))

    x, twice = Input((3,)), Dense(3)
    hidden = Dense(3)(x)
    own = Own()
    own.build((None, 3))
    for model in (own, Model(x, Dense(1)(Add()([x, hidden]))), Model(x, Dense(1)(twice(twice(x))))):
        with pytest.raises(ValueError, match="do not simply follow each other; make a Model"):
            replace_head(model, Dense(2))


def test_a_vector_that_is_text_is_named():
    with pytest.raises(ValueError, match="the vector of 'cat' does not hold numbers"):
        load_embeddings(Embedding(3, 2), {"cat": ["x", "y"]}, {"cat": 1})
