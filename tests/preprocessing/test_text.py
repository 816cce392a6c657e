"""The tokenizer against Keras's recorded answers, then the corners, then the laws."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.preprocessing.text import TextToIds, Tokenizer, text_to_word_sequence, tokenizer_from_json

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "preprocessing.json").read_text(encoding="utf-8"))
SENTENCES = ["你好，世界！", "今天天气很好。", "我爱中国。"]
MODES = ("binary", "count", "freq", "tfidf")


def fitted(texts=SENTENCES, **kwargs):
    tokenizer = Tokenizer(**kwargs)
    tokenizer.fit_on_texts(texts)
    return tokenizer


def of_case(case):
    tokenizer = Tokenizer(**case["kwargs"])
    for texts in case["fit_calls"]:
        tokenizer.fit_on_texts(texts)
    return tokenizer


def outcome(function, *args, **kwargs):
    """What Keras's record holds: the value under "ok", or the type of the exception under "error"."""
    try:
        return {"ok": function(*args, **kwargs)}
    except Exception as error:
        return {"error": type(error).__name__}


every_case = pytest.mark.parametrize("case", GOLDEN["tokenizer"], ids=lambda case: case["name"])


@every_case
def test_words_are_numbered_and_counted_as_in_keras(case):
    tokenizer, truth = of_case(case), case["result"]["ok"]
    assert [list(pair) for pair in tokenizer.word_index.items()] == truth["word_index"]
    assert [list(pair) for pair in tokenizer.word_counts.items()] == truth["word_counts"]
    assert sorted(map(list, tokenizer.word_docs.items())) == truth["word_docs"]
    assert sorted(map(list, tokenizer.index_docs.items())) == truth["index_docs"]
    assert tokenizer.document_count == truth["document_count"]
    assert tokenizer.index_word == {i: word for word, i in tokenizer.word_index.items()}


@every_case
def test_texts_become_ids_and_words_again_as_in_keras(case):
    tokenizer, truth = of_case(case), case["result"]["ok"]
    assert tokenizer.texts_to_sequences(case["texts"]) == truth["sequences"]
    assert tokenizer.sequences_to_texts(truth["sequences"]) == truth["back_to_texts"]
    assert tokenizer.sequences_to_texts([[0, 1, 999]]) == truth["seq2text_with_0_and_999"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "case", [c for c in GOLDEN["tokenizer"] if "matrix_count" in c["result"]["ok"]], ids=lambda case: case["name"]
)
def test_a_matrix_is_the_one_keras_makes(case, mode):
    found = outcome(of_case(case).texts_to_matrix, case["texts"], mode=mode)
    truth = case["result"]["ok"][f"matrix_{mode}"]
    assert found.keys() == truth.keys()
    if "ok" in truth:
        np.testing.assert_allclose(found["ok"], truth["ok"], rtol=1e-15, strict=False)
    else:
        assert found == {"error": truth["error"]}


@every_case
def test_json_brings_the_same_tokenizer_back(case):
    tokenizer = of_case(case)
    again = tokenizer_from_json(tokenizer.to_json())
    assert again.to_json() == tokenizer.to_json()
    assert vars(again) == vars(tokenizer)
    assert again.texts_to_sequences(case["texts"]) == case["result"]["ok"]["sequences"]


def test_the_configuration_has_the_twelve_keys_of_keras():
    content = json.loads(fitted().to_json(indent=1))
    assert content["class_name"] == "Tokenizer"
    assert sorted(content["config"]) == GOLDEN["tokenizer_json_keys"]
    assert json.loads(content["config"]["index_word"]) == {"1": SENTENCES[0], "2": SENTENCES[1], "3": SENTENCES[2]}


def test_fitting_on_sequences_counts_each_id_once_a_sequence():
    tokenizer = Tokenizer(num_words=5)
    tokenizer.fit_on_sequences([[1, 2, 2], [1, 3]])
    index_docs, documents = GOLDEN["tokenizer_fit_on_sequences"]["ok"]
    assert sorted(map(list, tokenizer.index_docs.items())) == index_docs
    assert tokenizer.document_count == documents
    weight = (1 + np.log(2)) * np.log(1 + 2 / (1 + 1))
    np.testing.assert_allclose(tokenizer.sequences_to_matrix([[2, 2]], "tfidf"), [[0, 0, weight, 0, 0]], rtol=1e-15)


@pytest.mark.parametrize("case", GOLDEN["text_to_word_sequence"], ids=lambda case: f"{case['text']} {case['kw']}")
def test_a_text_is_split_as_in_keras(case):
    assert text_to_word_sequence(case["text"], **case["kw"]) == case["out"]


def test_the_sentences_of_the_document_by_character():
    truth = GOLDEN["char_level_variant"]
    tokenizer = fitted(char_level=True)
    ids = tokenizer.texts_to_sequences(SENTENCES)
    assert [list(pair) for pair in tokenizer.word_index.items()] == truth["word_index"]
    assert ids == truth["sequences"]
    for truncating in ("pre", "post"):
        padded = TextToIds(tokenizer, maxlen=5, padding="post", truncating=truncating)(SENTENCES)
        np.testing.assert_array_equal(padded, truth[f"padded_maxlen5_post_truncating_{truncating}"])
    np.testing.assert_array_equal(pad_sequences(ids, 7, padding="post"), truth["padded_maxlen7_post"])


# --- Corners -----------------------------------------------------------------------------------------------------


def test_ties_keep_the_order_of_first_sight():
    assert list(fitted(["z y x", "x y z w w w"]).word_index) == ["w", "z", "y", "x"]


def test_an_oov_token_that_is_also_a_word_leaves_id_1_empty():
    tokenizer = fitted(["a unk a unk b"], oov_token="unk")
    assert tokenizer.word_index == {"unk": 3, "a": 2, "b": 4}
    assert tokenizer.texts_to_sequences(["zzz b"]) == [[3, 4]]


def test_num_words_0_means_no_limit():
    assert fitted(["a b"], num_words=0).texts_to_sequences(["a b"]) == [[1, 2]]


def test_the_oov_token_survives_a_limit_below_its_own_id():
    assert fitted(["a b"], num_words=1, oov_token="?").texts_to_sequences(["a zzz"]) == [[1, 1]]


def test_filters_are_characters_and_act_after_lowering():
    assert text_to_word_sequence("aXbxc", filters="X") == ["axbxc"]
    assert text_to_word_sequence("aXbxc", filters="x") == ["a", "b", "c"]
    assert text_to_word_sequence("a!b,c", filters=["!", ","]) == ["a", "b", "c"]


def test_char_level_ignores_filters_and_split():
    assert list(fitted(["A, b"], char_level=True).word_index) == ["a", ",", " ", "b"]


def test_a_list_is_taken_as_words_even_at_char_level():
    tokenizer = fitted([["Ab", "ab", "c d"]], char_level=True)
    assert tokenizer.word_index == {"ab": 1, "c d": 2}


def test_an_empty_word_in_a_list_is_a_word():
    assert fitted([["", "a", ""], []]).word_index == {"": 1, "a": 2}


def test_lowering_one_letter_can_make_two_characters():
    assert list(fitted(["İ"], char_level=True).word_index) == ["i", "\u0307"]


def test_an_analyzer_replaces_the_splitting_but_not_char_level():
    assert fitted(["Ab|c"], analyzer=lambda text: text.split("|")).word_index == {"Ab": 1, "c": 2}
    assert fitted(["ab"], analyzer=str.split, char_level=True).word_index == {"a": 1, "b": 2}


def test_an_analyzer_may_be_a_generator():
    assert fitted(["b a b"], analyzer=lambda text: (word for word in text.split())).word_docs == {"b": 1, "a": 1}


def test_counts_of_words_never_seen_are_0_and_asking_does_not_add_them():
    tokenizer = fitted(["a"])
    assert (tokenizer.word_docs["b"], tokenizer.index_docs[9]) == (0, 0)
    assert (tokenizer.word_docs, tokenizer.index_docs) == ({"a": 1}, {1: 1})


def test_a_loaded_tokenizer_can_be_fitted_further():
    tokenizer = tokenizer_from_json(fitted(["a b"]).to_json())
    tokenizer.fit_on_texts(["b c c c"])
    assert tokenizer.word_index == {"c": 1, "b": 2, "a": 3}
    assert tokenizer.word_docs == {"a": 1, "b": 2, "c": 1}


def test_texts_may_come_from_a_generator_or_an_array():
    assert fitted(text for text in SENTENCES).to_json() == fitted(np.array(SENTENCES)).to_json() == fitted().to_json()


def test_ids_may_be_numpy_integers():
    tokenizer = fitted()
    ids = np.array([[1, 0], [3, 2]], dtype=np.int32)
    assert tokenizer.sequences_to_texts(ids) == [SENTENCES[0], f"{SENTENCES[2]} {SENTENCES[1]}"]
    np.testing.assert_array_equal(tokenizer.sequences_to_matrix(ids), [[1, 1, 0, 0], [0, 0, 1, 1]])
    tokenizer.fit_on_sequences(ids)
    assert json.loads(tokenizer.get_config()["index_docs"]) == {"1": 2, "2": 2, "3": 2, "0": 1}


def test_a_matrix_of_no_texts_has_no_rows():
    assert [fitted().sequences_to_matrix([], mode).shape for mode in MODES] == [(0, 4)] * 4


def test_the_generators_are_lazy():
    tokenizer = fitted()
    assert next(tokenizer.texts_to_sequences_generator(iter([SENTENCES[1], None]))) == [2]
    assert next(tokenizer.sequences_to_texts_generator(iter([[1], None]))) == SENTENCES[0]


# --- Errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit_on_texts", "texts_to_sequences", "texts_to_matrix"])
@pytest.mark.parametrize("texts", ["你好", b"ab", None, 3])
def test_one_text_instead_of_a_list_is_refused(method, texts):
    with pytest.raises(TypeError, match=r"expected a list of texts, found .*one text goes in a list"):
        getattr(fitted(), method)(texts)


@pytest.mark.parametrize("kwargs", [{}, {"lower": False}, {"char_level": True}, {"char_level": True, "lower": False}])
@pytest.mark.parametrize(
    ("text", "named"), [(None, "is None"), (7, "is int 7"), (b"x", "is bytes"), (("x",), "tuple"), (["a", 7], "int 7")]
)
def test_a_text_that_is_not_one_is_named_with_its_place(kwargs, text, named):
    tokenizer = fitted(**kwargs)
    before = tokenizer.to_json()
    with pytest.raises(TypeError, match=rf"fit_on_texts: texts\[1\].*{named}"):
        tokenizer.fit_on_texts(["fine", text])
    assert tokenizer.to_json() == before, "a refused fit must leave no trace"
    with pytest.raises(TypeError, match=rf"texts_to_sequences: texts\[0\].*{named}"):
        tokenizer.texts_to_sequences([text])


def test_a_sequence_that_is_not_one_is_named_with_its_place():
    for method in (Tokenizer().fit_on_sequences, fitted().sequences_to_texts, fitted().sequences_to_matrix):
        for bad in (3, None, "12"):
            with pytest.raises(TypeError, match=r"sequences\[1\] is .*expected a list of ids"):
                method([[1], bad])


def test_a_matrix_needs_a_width_a_known_mode_and_for_tfidf_a_fit():
    with pytest.raises(ValueError, match="width is unknown"):
        Tokenizer().texts_to_matrix(["a"])
    with pytest.raises(ValueError, match="unknown mode 'x'; the modes are binary, count, freq, tfidf"):
        fitted().texts_to_matrix([], mode="x")
    with pytest.raises(ValueError, match="fit the tokenizer first"):
        Tokenizer(num_words=3).texts_to_matrix(["a"], mode="tfidf")
    assert Tokenizer(num_words=3).texts_to_matrix(["a"]).tolist() == [[0, 0, 0]]


def test_a_negative_id_has_no_column():
    with pytest.raises(IndexError, match="id -1 is negative"):
        fitted().sequences_to_matrix([[1, -1]])


def test_an_oov_token_without_an_id_is_not_silently_none():
    with pytest.raises(ValueError, match="call fit_on_texts first"):
        Tokenizer(oov_token="?").texts_to_sequences(["a"])


def test_splitting_needs_something_to_split_at():
    with pytest.raises(ValueError, match="char_level=True"):
        text_to_word_sequence("ab", split="")
    with pytest.raises(TypeError, match="'' to filter nothing"):
        text_to_word_sequence("ab", filters=None)
    with pytest.raises(TypeError, match="expected one str, found list"):
        text_to_word_sequence(["ab"])


def test_a_tokenizer_keeps_a_whole_number_of_words():
    with pytest.raises(ValueError, match="num_words is -1"):
        Tokenizer(num_words=-1)
    with pytest.raises(TypeError):
        Tokenizer(num_words=2.5)
    with pytest.raises(TypeError, match="nb_word"):
        Tokenizer(nb_word=3)


@pytest.mark.parametrize("content", ["[1]", "{}", '{"config": {"num_words": 3}}', "no json"])
def test_json_of_something_else_is_refused(content):
    with pytest.raises(ValueError, match=r"tokenizer_from_json|from_config|Expecting value"):
        tokenizer_from_json(content)


# --- TextToIds ---------------------------------------------------------------------------------------------------


def test_text_to_ids_is_the_program_of_the_document():
    ids = TextToIds(fitted(), maxlen=5, padding="post")(SENTENCES)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, [[1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [3, 0, 0, 0, 0]])


def test_text_to_ids_travels_as_json():
    to_ids = TextToIds(fitted(char_level=True, oov_token="?"), maxlen=np.int64(4), truncating="post")
    again = TextToIds.from_config(json.loads(json.dumps(to_ids.get_config())))
    texts = ["你好！！", "坏", "", "今天天气很好。"]
    np.testing.assert_array_equal(again(texts), to_ids(texts))
    assert again.get_config() == to_ids.get_config()


def test_text_to_ids_without_maxlen_is_as_wide_as_the_longest_text():
    to_ids = TextToIds(fitted(char_level=True))
    assert to_ids(["你好", "好"]).tolist() == [[4, 1], [0, 1]]
    assert to_ids([""]).shape == (1, 0)


def test_text_to_ids_wants_a_fitted_tokenizer_and_sound_padding():
    with pytest.raises(TypeError, match="expected a fitted Tokenizer, found None"):
        TextToIds(None)
    with pytest.raises(ValueError, match="knows no words"):
        TextToIds(Tokenizer())
    with pytest.raises(ValueError, match="padding is 'middle'; choose \"pre\""):
        TextToIds(fitted(), padding="middle")
    with pytest.raises(ValueError, match="maxlen is -1"):
        TextToIds(fitted(), maxlen=-1)
    with pytest.raises(TypeError, match="one text goes in a list"):
        TextToIds(fitted())("你好")


def test_an_analyzer_cannot_be_saved():
    with pytest.raises(ValueError, match="analyzer is a function"):
        TextToIds(fitted(["a"], analyzer=str.split)).get_config()


# --- Laws --------------------------------------------------------------------------------------------------------

words = st.text("abAB ,.你好。İ\ud800", max_size=12)
documents = st.lists(st.one_of(words, st.lists(words, max_size=4)), max_size=6)
settings = st.fixed_dictionaries(
    {},
    optional={
        "num_words": st.integers(0, 5),
        "lower": st.booleans(),
        "char_level": st.booleans(),
        "oov_token": st.sampled_from(["?", "a", "你"]),
        "split": st.sampled_from([",", "ab"]),
        "filters": st.sampled_from(["", "a。"]),
    },
)


@given(documents, documents, settings)
def test_fitting_in_two_parts_is_fitting_at_once(first, second, kwargs):
    parts = fitted(first, **kwargs)
    parts.fit_on_texts(second)
    assert vars(parts) == vars(fitted(first + second, **kwargs))


@given(documents, documents, settings)
def test_a_saved_tokenizer_reads_as_before(seen, unseen, kwargs):
    tokenizer = fitted(seen, **kwargs)
    again = tokenizer_from_json(tokenizer.to_json())
    assert vars(again) == vars(tokenizer)
    assert again.texts_to_sequences(unseen) == tokenizer.texts_to_sequences(unseen)


@given(documents)
def test_known_characters_survive_the_way_there_and_back(texts):
    tokenizer = fitted(texts, lower=False, char_level=True)
    back = tokenizer.sequences_to_texts(tokenizer.texts_to_sequences(texts))
    assert back == [" ".join(text) for text in texts]


@given(documents, documents, settings)
def test_an_oov_token_keeps_every_word_in_its_place(seen, unseen, kwargs):
    ids = fitted(seen, **kwargs | {"oov_token": "?"}).texts_to_sequences(unseen)
    everything = fitted(seen + unseen, **kwargs | {"oov_token": None, "num_words": None})
    assert list(map(len, ids)) == list(map(len, everything.texts_to_sequences(unseen)))


@given(documents, settings)
def test_ids_are_dense_frequent_first_and_below_num_words(texts, kwargs):
    tokenizer = fitted(texts, **kwargs | {"oov_token": None})
    counts = [tokenizer.word_counts[tokenizer.index_word[i + 1]] for i in range(len(tokenizer.word_counts))]
    assert counts == sorted(counts, reverse=True)
    limit = tokenizer.num_words or np.inf
    assert all(0 < i < limit for ids in tokenizer.texts_to_sequences(texts) for i in ids)


@given(documents, settings)
def test_the_rows_of_a_matrix_add_up(texts, kwargs):
    tokenizer = fitted([*texts, "x"], **kwargs | {"num_words": None})
    ids = tokenizer.texts_to_sequences(texts)
    count, freq, binary = (tokenizer.texts_to_matrix(texts, mode) for mode in ("count", "freq", "binary"))
    width = count.shape[1]  # one column too few when the oov token is a word of the texts: Keras's own width
    assert count.sum(axis=1).tolist() == [sum(i < width for i in row) for row in ids]
    assert binary.tolist() == np.minimum(count, 1).tolist()
    np.testing.assert_allclose(freq * [[max(len(row), 1)] for row in ids] if ids else freq, count, rtol=1e-15)


# --- Keras itself ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras_text():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras.src.legacy.preprocessing.text")


@pytest.mark.interop
@given(seen=documents, unseen=documents, kwargs=settings)
def test_keras_reads_writes_and_computes_the_same(keras_text, seen, unseen, kwargs):
    theirs, ours = keras_text.Tokenizer(**kwargs), fitted(seen, **kwargs)
    theirs.fit_on_texts(seen)
    crossed = keras_text.tokenizer_from_json(ours.to_json()), tokenizer_from_json(theirs.to_json())
    for a, b in [(theirs, ours), crossed]:
        assert list(a.word_index.items()) == list(b.word_index.items())
        assert a.texts_to_sequences(unseen) == b.texts_to_sequences(unseen)
        assert a.sequences_to_texts([range(9)]) == b.sequences_to_texts([range(9)])
        for mode in MODES:
            found, truth = (outcome(t.texts_to_matrix, unseen, mode) for t in (b, a))
            assert found.keys() == truth.keys()
            if "ok" in truth:
                np.testing.assert_allclose(found["ok"], truth["ok"], rtol=1e-15)
