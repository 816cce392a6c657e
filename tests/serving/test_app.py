"""The application: right answers, and a sentence for every wrong request."""

import logging
import subprocess
import sys

import numpy as np
import pytest

from tests.serving.helpers import JSON, LABELS, SENTENCES, chain, classifier, detail, tokenizer_of
from tinyllm.layers import Dense, Embedding
from tinyllm.models import LanguageModel, Sequential, load_model
from tinyllm.preprocessing.text import TextToIds
from tinyllm.serving import create_app

# -- /predict --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "label"), list(zip(SENTENCES, LABELS)))
def test_the_three_sentences_get_their_labels(article, client, text, label):
    answer = client.post("/predict", json={"text": text}).get_json()
    p = float(article.predict(article.preprocess([text]))[0, 0])
    assert answer == {"result": [label], "probability": [p], "probabilities": [1 - p, p], "known": True}
    assert abs(p - label) < 0.01


def test_a_text_without_a_known_word_says_so(client):
    for text in ("", "不认识", "你好", "\x00", "🙂" * 5000):
        answer = client.post("/predict", json={"text": text}).get_json()
        assert answer["known"] is False and answer["result"] in ([0], [1])


def test_the_stand_in_for_unknown_words_is_not_a_known_word():
    model = classifier(tokenizer=tokenizer_of(["good film"], oov_token="<OOV>"))
    client = create_app(model).test_client()
    assert client.post("/predict", json={"text": "bad book"}).get_json()["known"] is False
    assert client.post("/predict", json={"text": "bad film"}).get_json()["known"] is True
    assert '{"text": "good"}' in client.get("/model").get_json()["example"]


def test_softmax_gives_the_most_probable_class_and_its_probability():
    model = classifier(units=3, activation="softmax")
    model.set_weights([*model.get_weights()[:-1], [0, 1, 2]])  # a bias for the last class
    p = model.predict(model.preprocess(SENTENCES))
    client = create_app(model).test_client()
    for row, text in zip(p, SENTENCES):
        answer = client.post("/predict", json={"text": text}).get_json()
        assert answer["result"] == [2]
        np.testing.assert_allclose(answer["probability"], [row.max()], rtol=1e-5)


def test_several_sigmoids_are_several_yes_or_no_answers():
    model = classifier(units=3)
    p = model.predict(model.preprocess(SENTENCES[:1]))[0]
    answer = create_app(model).test_client().post("/predict", json={"text": SENTENCES[0]}).get_json()
    assert answer["result"] == (p > 0.5).astype(int).tolist()
    np.testing.assert_allclose(answer["probability"], p, rtol=1e-5)


def test_without_maxlen_any_length_is_answered():
    characters = tokenizer_of(["ab"], char_level=True)
    client = create_app(classifier(tokenizer=characters, maxlen=None)).test_client()
    for text, known in (("", False), ("z", False), ("a", True), ("ab" * 2500, True)):
        assert client.post("/predict", json={"text": text}).get_json()["known"] is known


# -- /generate and /explain: see test_writing.py ----------------------------------------------------------------------


def test_the_language_model_writes():
    model = LanguageModel(SENTENCES, embedding_dim=8, units=16)
    model.fit_texts(SENTENCES, epochs=150, learning_rate=0.03, verbose=0)
    client = create_app(model).test_client()
    response = client.post("/generate", json={"prompt": "我", "greedy": True})
    assert response.get_json() == {"text": "我爱中国。", "written": "爱中国。", "reason": "stop", "tokens": 4}
    assert "我爱中国。".encode() in response.data  # UTF-8, no \\u escapes
    assert "vocabulary has no 'Z'" in detail(client.post("/generate", json={"prompt": "Z"}), 400)


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "ÿ;=;"],
)
def test_another_content_type_is_refused(client, content_type):
    words = detail(client.post("/predict", data=b'{"text": "a"}', content_type=content_type), 415)
    assert "send JSON in UTF-8 with the header 'Content-Type: application/json'" in words


@pytest.mark.parametrize(
    "content_type", [JSON, "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"']
)
def test_json_in_utf8_is_accepted(client, content_type):
    assert client.post("/predict", data=b'{"text": "a"}', content_type=content_type).status_code == 200


def test_a_compressed_body_is_refused(client):
    response = client.post("/predict", data=b"\x1f\x8b", content_type=JSON, headers={"Content-Encoding": "gzip"})
    assert "compressed" in detail(response, 415)


def test_64_kib_is_the_most_a_body_may_hold(client):
    body = b'{"text": "a"}'
    assert client.post("/predict", data=body.ljust(65536), content_type=JSON).status_code == 200
    assert "larger than 65536 bytes" in detail(client.post("/predict", data=body.ljust(65537), content_type=JSON), 413)


def test_the_wrong_method_is_told_the_right_one(client):
    for method in ("GET", "PUT", "DELETE", "BREW"):
        response = client.open("/predict", method=method)
        assert "use POST" in detail(response, 405)
        assert "POST" in response.headers["Allow"]
    assert "use GET" in detail(client.post("/"), 405)


def test_an_unknown_route_names_the_one_there_is(client, letters):
    assert "a classifier has no /generate; it answers POST /predict, /explain" in detail(
        client.post("/generate", json={}), 404
    )
    assert "a language model has no /predict; it answers POST /generate" in detail(
        letters.post("/predict", json={"text": "a"}), 404
    )
    for path in ("/predict/", "/static/app.py", "/../etc/passwd", "/%ff%00", "/" + "a" * 5000):
        assert len(detail(client.get(path), 404)) < 300


def test_the_description_can_be_followed(client, letters):
    content = client.get("/model", base_url="http://example.org:81").get_json()
    assert "POST /predict" in content["routes"]
    assert content["example"] == (
        "curl http://example.org:81/predict -H 'Content-Type: application/json' -d '{\"text\": \"你好，世界！\"}'"
    )
    assert "POST /generate" in letters.get("/model").get_json()["routes"]
    assert client.get("/healthz").get_json() == {"status": "ok"}
    curl = client.application.extensions["tinyllm"].curl("http://[::1]:5000")
    assert curl.startswith("curl 'http://[::1]:5000/predict' -H")  # a shell would take the brackets for a pattern


@pytest.mark.parametrize("host", ["$(reboot)", "a b", "'; reboot", "a:b:c", "\xff", ""])
def test_a_strange_host_header_gets_no_command_into_the_example(client, host):
    response = client.get("/model", headers={"Host": host})
    assert response.status_code in (200, 400)
    assert "reboot" not in response.get_data(as_text=True)


def test_without_a_usable_host_header_the_example_names_the_usual_address(client):
    assert "curl http://127.0.0.1:5000/predict" in client.get("/model", headers={"Host": "a b"}).get_json()["example"]


def test_a_mistake_inside_is_logged_and_kept_from_the_caller(caplog):
    model = chain()
    client = create_app(model).test_client()
    model.step = lambda *a, **k: 1 / 0
    with caplog.at_level(logging.ERROR):
        words = detail(client.post("/generate", json={}), 500)
    assert "ZeroDivision" not in words
    assert "ZeroDivisionError" in caplog.text


def test_weights_that_became_nan_are_a_mistake_inside(caplog):
    model = classifier()
    client = create_app(model).test_client()
    model.set_weights([w * np.nan for w in model.get_weights()])
    detail(client.post("/predict", json={"text": "a"}), 500)
    assert "NaN among its weights" in caplog.text


# -- models that cannot be served ------------------------------------------------------------------------------------


def test_a_classifier_that_cannot_read_is_refused(article):
    model = Sequential(article.layers)
    with pytest.raises(
        ValueError, match=r'set model\.preprocess = TextToIds\(tokenizer, maxlen=\.\.\., padding="post"\)'
    ):
        create_app(model)


def test_scores_are_no_probabilities():
    with pytest.raises(ValueError, match="activation is linear, so its output is not a probability"):
        create_app(classifier(activation=None))


def test_an_output_per_time_step_is_refused():
    model = Sequential([Embedding(4, 3), Dense(2, activation="softmax")])
    model.preprocess = TextToIds(tokenizer_of(SENTENCES), maxlen=5)
    with pytest.raises(ValueError, match=r"output of shape \(texts, classes\); found \(1, 5, 2\)"):
        create_app(model)


def test_a_tokenizer_with_more_words_than_the_model_is_refused():
    with pytest.raises(ValueError, match=r"do not belong together.*token id 5 is outside 0\.\.3"):
        create_app(classifier(tokenizer=tokenizer_of(["a b c d e"])))
    create_app(classifier(tokenizer=tokenizer_of(["a b c d e"], num_words=4)))  # ids 1..3 only


@pytest.mark.parametrize("thing", [5, None, object(), "model.h5"])
def test_something_that_is_no_model_is_refused(thing):
    with pytest.raises(TypeError, match=r"expected a model with predict\(\) or generate\(\); found"):
        create_app(thing)


@pytest.mark.parametrize("package", ["flask", "waitress", "pydantic", "prometheus_client"])
def test_a_missing_package_says_how_to_get_it(package):
    code = f"import sys; sys.modules[{package!r}] = None; from tinyllm.serving import running_server; running_server(0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: serving needs") and "pip install 'tinyllm-numpy[serve]'" in last
    assert package in last


def test_importing_serving_needs_numpy_only():
    code = "import sys, tinyllm.serving; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert not {"flask", "werkzeug", "waitress", "threadpoolctl"} & set(done.stdout.split())


def test_a_saved_model_gives_the_same_answers(article, client, tmp_path):
    article.save(tmp_path / "classifier")
    loaded = create_app(load_model(tmp_path / "classifier")).test_client()
    for text in [*SENTENCES, "不认识"]:
        assert loaded.post("/predict", json={"text": text}).data == client.post("/predict", json={"text": text}).data


def test_a_model_that_remembers_from_one_request_to_the_next_is_refused():
    model = classifier()
    model.layers[1].stateful = True
    with pytest.raises(ValueError, match="stateful"):
        create_app(model)
