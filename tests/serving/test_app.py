"""The server: right answers, a sentence for every wrong request, and nothing left behind when it stops."""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import LanguageModel, Sequential, load_model
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.serving import create_app, running_server, serve

pytest.importorskip("flask")
pytest.importorskip("waitress")

SENTENCES = ["你好，世界！", "今天天气很好。", "我爱中国。"]
LABELS = [1, 0, 1]
JSON = "application/json"
PROBLEM = "application/problem+json"


def tokenizer_of(texts, **options):
    tokenizer = Tokenizer(**options)
    tokenizer.fit_on_texts(texts)
    return tokenizer


def classifier(units=1, activation="sigmoid", tokenizer=None, maxlen=5, input_dim=4):
    """A small untrained model; maxlen=None takes texts of any length."""
    model = Sequential([Embedding(input_dim, 3), LSTM(4), Dense(units, activation=activation)])
    model.preprocess = TextToIds(tokenizer or tokenizer_of(SENTENCES), maxlen=maxlen, padding="post")
    return model


@pytest.fixture(scope="module")
def article():
    """The document's model, trained until it knows its three sentences."""
    model = Sequential([Embedding(4, 50, input_length=5), LSTM(100), Dense(1, activation="sigmoid")])
    model.preprocess = TextToIds(tokenizer_of(SENTENCES), maxlen=5, padding="post")
    model.compile("adam", "binary_crossentropy")
    model.fit(model.preprocess(SENTENCES), np.array(LABELS), batch_size=1, epochs=60, verbose=0)
    return model


@pytest.fixture(scope="module")
def client(article):
    return create_app(article).test_client()


class Parrot:
    """The least that /generate asks of a model."""

    name = "parrot"

    def generate(self, prompt, max_length=100, greedy=False, temperature=1.0, top_k=None, top_p=None, seed=0):
        if "?" in prompt:
            raise ValueError("the model's vocabulary has no '?'")
        return f"{prompt}|{max_length}|{greedy}|{temperature}|{top_k}|{top_p}|{seed}"


@pytest.fixture(scope="module")
def parrot():
    return create_app(Parrot()).test_client()


def detail(response, status):
    """The sentence of a problem (RFC 9457), after checking that it is one."""
    content = response.get_json(force=True)
    assert response.status_code == status, content
    assert response.content_type == PROBLEM
    assert set(content) == {"type", "title", "status", "detail"} and content["status"] == status
    assert content["type"] == "about:blank" and content["title"]
    assert "\n" not in content["detail"] and "Traceback" not in content["detail"]
    return content["detail"]


# -- /predict --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "label"), list(zip(SENTENCES, LABELS)))
def test_the_three_sentences_get_their_labels(article, client, text, label):
    answer = client.post("/predict", json={"text": text}).get_json()
    p = float(article.predict(article.preprocess([text]))[0, 0])
    assert answer == {"result": [label], "probability": [p], "known": True}
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
    assert '{"text": "good"}' in client.get("/").get_json()["example"]


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
    for text, known in (("", False), ("z", False), ("a", True), ("ab" * 5000, True)):
        assert client.post("/predict", json={"text": text}).get_json()["known"] is known


# -- /generate -------------------------------------------------------------------------------------------------------


def test_every_setting_reaches_the_model(parrot):
    asked = {"prompt": "hi", "max_length": 7, "greedy": True, "temperature": 2, "top_k": 3, "top_p": 0.5, "seed": 9}
    assert parrot.post("/generate", json=asked).get_json() == {"text": "hi|7|True|2.0|3|0.5|9"}


def test_an_empty_object_takes_the_defaults(parrot):
    assert parrot.post("/generate", json={}).get_json() == {"text": "|100|False|1.0|None|None|0"}


def test_a_value_error_of_the_model_is_the_callers_to_mend(parrot):
    response = parrot.post("/generate", json={"prompt": "?"})
    assert detail(response, 400) == "the model's vocabulary has no '?'"


def test_half_a_character_in_a_models_text_is_still_valid_json():
    class Broken(Parrot):
        def generate(self, prompt, **options):
            return "好\ud800"

    response = create_app(Broken()).test_client().post("/generate", json={})
    assert response.data == '{"text": "好\\ud800"}'.encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"prompt": 5}', "'prompt' must be a string; found the number 5"),
        ('{"max_length": 0}', "'max_length' must be in 1..1000; found 0"),
        ('{"max_length": 1001}', "'max_length' must be in 1..1000; found 1001"),
        ('{"max_length": true}', "'max_length' must be a whole number; found true"),
        ('{"max_length": 1.0}', "'max_length' must be a whole number; found the number 1.0"),
        ('{"max_length": null}', "'max_length' must be a whole number; found null"),
        ('{"greedy": 1}', "'greedy' must be true or false; found the number 1"),
        ('{"temperature": "1"}', "'temperature' must be a number; found a string"),
        ('{"temperature": 1e-320}', "'temperature' is 1e-320, too small to compute with"),
        ('{"temperature": 1e400}', "the number 1e400 is too large"),
        ('{"temperature": false}', "'temperature' must be a number; found false"),
        ('{"top_k": [1]}', "'top_k' must be a whole number; found a list"),
        ('{"top_p": {}}', "'top_p' must be a number; found an object"),
        ('{"seed": -1}', "'seed' must be in 0..9223372036854775807; found -1"),
        ('{"seed": ' + "9" * 5000 + "}", "a whole number with 5000 digits is too large"),
        ('{"length": 5}', "unknown member 'length'; this route knows prompt, max_length, greedy"),
    ],
)
def test_a_wrong_setting_is_named(parrot, body, words):
    assert words in detail(parrot.post("/generate", data=body, content_type=JSON), 400)


def test_the_language_model_writes():
    model = LanguageModel(SENTENCES, embedding_dim=8, units=16)
    model.fit_texts(SENTENCES, epochs=150, learning_rate=0.03, verbose=0)
    client = create_app(model).test_client()
    response = client.post("/generate", json={"prompt": "我", "greedy": True})
    assert response.get_json() == {"text": "我爱中国。"}
    assert "我爱中国。".encode() in response.data  # UTF-8, no \u escapes
    for asked in (
        {"temperature": 1.5, "seed": 3},
        {"top_k": 2},
        {"top_p": 0.5},
        {"temperature": 1e308},
        {"top_p": 1e-6},
    ):
        assert client.post("/generate", json=asked).get_json() == {"text": model.generate(**asked)}
    for asked in ({"prompt": "Z"}, {"temperature": 0}, {"temperature": -1}, {"top_k": 99}, {"top_p": 2}, {"top_p": -1}):
        with pytest.raises(ValueError) as error:
            model.generate(**asked)
        assert detail(client.post("/generate", json=asked), 400).replace(".0", "") == str(error.value).replace(".0", "")


# -- what is refused -------------------------------------------------------------------------------------------------

DEEP = 30_000

BAD_BODIES = [
    (b"", "the body is empty"),
    (b" \n", "the body is empty"),
    (b"{", "the body is not JSON: Expecting property name"),
    (b"text=hello", "the body is not JSON"),
    (b'{"text": "a"} x', "the body is not JSON: Extra data (line 1, column 15)"),
    (b"{'text': 'a'}", "the body is not JSON"),
    (b'{"text": "a\nb"}', "the body is not JSON: Invalid control character"),
    (b"\xef\xbb\xbf{}", "the body is not JSON: Unexpected UTF-8 BOM"),
    (b"null", "the body is null; send a JSON object such as"),
    (b"[]", "the body is a list"),
    (b'"text"', "the body is a string"),
    (b"1", "the body is the number 1"),
    (b"{}", "the member 'text' is missing"),
    (b'{"text": null}', "'text' must be a string; found null"),
    (b'{"text": 5}', "'text' must be a string; found the number 5"),
    (b'{"text": true}', "'text' must be a string; found true"),
    (b'{"text": ["a"]}', "'text' must be a string; found a list"),
    (b'{"text": {"text": "a"}}', "'text' must be a string; found an object"),
    (b'{"text": "a", "Text": "b"}', "unknown member 'Text'; this route knows text"),
    (b'{"text": "a", "\\ud800": 1}', "unknown member '\\ud800'"),
    (b'{"text": "a", "text": "b"}', "the member 'text' occurs twice"),
    (b'{"text": NaN}', "NaN is not JSON"),
    (b'{"text": -Infinity}', "-Infinity is not JSON"),
    (b'{"text": 1e999}', "the number 1e999 is too large"),
    (b'{"text": "\\ud800"}', "'text' holds '\\ud800', one half of a surrogate pair"),
    (b'{"text": "\\udc00\\ud800"}', "one half of a surrogate pair"),
    (b'{"text": "\xff"}', "the body is not UTF-8: byte 0xff at position 10"),
    (b'{"text": "\xed\xa0\x80"}', "the body is not UTF-8"),
    ('{"text": "a"}'.encode("utf-16"), "the body is not UTF-8"),
    (b"[" * DEEP, "nested too deeply"),
    (b'{"text":' + b"[" * DEEP + b"]" * DEEP + b"}", "nested too deeply"),
    (b'{"a":' * 10_000, "nested too deeply"),
    (json.dumps({"text": "a" * 10_001}).encode(), "'text' has 10001 characters; send at most 10000"),
]


@pytest.mark.parametrize(("body", "words"), BAD_BODIES, ids=[repr(body[:30]) for body, _ in BAD_BODIES])
def test_a_bad_body_is_explained(client, body, words):
    assert words in detail(client.post("/predict", data=body, content_type=JSON), 400)


@pytest.mark.parametrize("body", ['{"text": "\\ud83d\\ude42"}', '\t{"text" : "\\u0000"}\r\n', '{"text": "\\/"}'])
def test_unusual_json_is_still_json(client, body):
    assert client.post("/predict", data=body, content_type=JSON).status_code == 200


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


def test_an_unknown_route_names_the_one_there_is(client, parrot):
    assert "this model answers POST /predict" in detail(client.post("/generate", json={}), 404)
    assert "this model answers POST /generate" in detail(parrot.post("/predict", json={"text": "a"}), 404)
    for path in ("/predict/", "/static/app.py", "/../etc/passwd", "/%ff%00", "/" + "a" * 5000):
        assert len(detail(client.get(path), 404)) < 300


def test_the_description_can_be_followed(client, parrot):
    content = client.get("/", base_url="http://example.org:81").get_json()
    assert "POST /predict" in content["routes"]
    assert content["example"] == (
        "curl http://example.org:81/predict -H 'Content-Type: application/json' -d '{\"text\": \"你好，世界！\"}'"
    )
    assert "POST /generate" in parrot.get("/").get_json()["routes"]
    assert client.get("/health").get_json() == {"status": "ok"}
    curl = client.application.extensions["tinyllm"].curl("http://[::1]:5000")
    assert curl.startswith("curl 'http://[::1]:5000/predict' -H")  # a shell would take the brackets for a pattern


@pytest.mark.parametrize("host", ["$(reboot)", "a b", "'; reboot", "a:b:c", "\xff", ""])
def test_a_strange_host_header_gets_no_command_into_the_example(client, host):
    response = client.get("/", headers={"Host": host})
    assert response.status_code in (200, 400)
    assert "reboot" not in response.get_data(as_text=True)


def test_without_a_usable_host_header_the_example_names_the_usual_address(client):
    assert "curl http://127.0.0.1:5000/predict" in client.get("/", headers={"Host": "a b"}).get_json()["example"]


def test_a_mistake_inside_is_logged_and_kept_from_the_caller(caplog):
    model = Parrot()
    client = create_app(model).test_client()
    model.generate = lambda *a, **k: 1 / 0
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


# -- anything at all -------------------------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def answered_or_explained(response):
    if response.status_code == 200:
        assert response.content_type == JSON and response.get_json()
    else:
        assert response.status_code in (400, 413)
        detail(response, response.status_code)


@QUICK
@given(body=st.binary(max_size=200))
def test_arbitrary_bytes_are_never_a_500(client, parrot, body):
    answered_or_explained(client.post("/predict", data=body, content_type=JSON))
    answered_or_explained(parrot.post("/generate", data=body, content_type=JSON))


@QUICK
@given(value=JSON_VALUES, extra=st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=1))
def test_arbitrary_values_are_never_a_500(client, value, extra):
    for content in (value, {"text": value}, {"text": value} | extra):
        answered_or_explained(client.post("/predict", data=json.dumps(content), content_type=JSON))


@pytest.fixture(scope="module")
def writer():
    return create_app(LanguageModel(["ab", "ba"], embedding_dim=2, units=2)).test_client()


@QUICK
@given(
    asked=st.fixed_dictionaries(
        {},
        optional={
            "prompt": st.text("ab", max_size=5) | st.text(max_size=3) | JSON_VALUES,
            "max_length": st.integers(-1, 20) | JSON_VALUES,
            "greedy": st.booleans() | JSON_VALUES,
            "temperature": st.floats() | st.floats(0, 1) | JSON_VALUES,
            "top_k": st.integers(-1, 6) | JSON_VALUES,
            "top_p": st.floats(0, 1) | JSON_VALUES,
            "seed": st.integers() | JSON_VALUES,
        },
    )
)
def test_arbitrary_settings_are_never_a_500(writer, asked):
    answered_or_explained(writer.post("/generate", data=json.dumps(asked), content_type=JSON))


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


def test_a_model_that_cannot_write_is_told_at_the_start():
    class Deaf:
        def generate(self):
            return ""

    with pytest.raises(TypeError, match="generate"):
        create_app(Deaf())


@pytest.mark.parametrize("package", ["flask", "waitress"])
def test_a_missing_package_says_how_to_get_it(monkeypatch, article, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match="pip install flask waitress"):
        running_server(article)  # at once, not when the block is entered


def test_importing_serving_needs_numpy_only():
    code = "import sys, tinyllm.serving; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert not {"flask", "werkzeug", "waitress", "threadpoolctl"} & set(done.stdout.split())


# -- over real sockets -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(article):
    with running_server(article) as url:
        yield url


def post(url, content):
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": JSON})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def raw(url, data):
    """Everything the server sends back for these bytes, until it closes."""
    with connection(url) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        parts = []
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def connection(url):
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"

RAW = [
    (HEAD + b"Content-Length: abc\r\n\r\n{}", [b"400"]),
    (HEAD + b"Content-Length: -1\r\n\r\n{}", [b"400"]),
    (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", [b"400"]),
    (HEAD + b"Content-Length: 2000000\r\n\r\n{}", [b"413"]),
    (HEAD + b"Content-Length: 70000\r\n\r\n" + b" " * 70000, [b"413"]),
    (HEAD + b"Content-Length: 2\r\n\r\n{}", [b"400"]),
    (HEAD + b"\r\n", [b"400"]),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nd\r\n{\"text\": \"a\"}\r\n0\r\n\r\n", [b"200"]),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", [b"400"]),
    (HEAD + b"Content-Length: 13\r\n\r\n{\"text\": \"a\"}" + HEALTH, [b"200", b"200"]),
    (HEALTH + b"\x16\x03\x01garbage\r\n\r\n", [b"200", b"400"]),
    (b"\x00\xff\x00\r\n\r\n", [b"400"]),
    (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", [b"400"]),
    (b"GET //evil.com/%2e%2e HTTP/1.1\r\nHost: a\r\n\r\n", [b"404"]),
    (b"GET / HTTP/1.0\r\n\r\n", [b"200"]),
    (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", [b"200"]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "statuses"), RAW, ids=[repr(data[-40:]) for data, _ in RAW])
def test_raw_bytes_get_their_status(url, data, statuses):
    answer = raw(url, data)
    found = [part.split(b" ")[1] for part in answer.split(b"HTTP/1.")[1:]]
    assert found == statuses
    assert b"Traceback" not in answer
    assert post(url + "/predict", {"text": SENTENCES[0]})["result"] == [1]


def test_a_client_without_a_host_header_gets_an_example_too(url):
    assert f"curl {url}/predict -H".encode() in raw(url, b"GET / HTTP/1.0\r\n\r\n")


def test_clients_that_hang_up_or_wait_block_nobody(url):
    waiting = [connection(url) for _ in range(20)]  # more than there are threads
    for sock in waiting:
        sock.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    with connection(url) as gone:
        gone.sendall(HEAD + b'Content-Length: 13\r\n\r\n{"text": "a"}')
    assert post(url + "/predict", {"text": SENTENCES[1]})["result"] == [0]
    for sock in waiting:
        sock.close()
    assert post(url + "/predict", {"text": SENTENCES[2]})["result"] == [1]


def test_eight_threads_get_the_right_answers(url, article):
    right = article.predict(article.preprocess(SENTENCES))[:, 0]

    def ask(worker):
        for i in range(50):
            k = (worker + i) % 3
            answer = post(url + "/predict", {"text": SENTENCES[k]})
            assert answer["result"] == [LABELS[k]]
            assert abs(answer["probability"][0] - right[k]) < 1e-6

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_eight_threads_write_what_one_would():
    model = LanguageModel(["abcdefgh", "hgfedcba"], embedding_dim=8, units=16)
    client = create_app(model)
    right = [model.generate(max_length=30, seed=seed) for seed in range(20)]

    def ask(worker):
        for i in range(20):
            seed = (worker + i) % 20
            answer = client.test_client().post("/generate", json={"max_length": 30, "seed": seed}).get_json()
            assert answer == {"text": right[seed]}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def open_files():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def hung_up(sock):
    """Whether the server ended this connection, politely or (with bytes it has not read) by a reset."""
    with sock, contextlib.suppress(ConnectionResetError):
        return sock.recv(1) == b""
    return True


def test_a_closed_server_leaves_no_thread_and_no_socket_behind():
    for _ in range(2):  # the first round pays for what is opened once
        before = set(threading.enumerate())
        files = open_files()
        with running_server(Parrot()) as url:
            assert post(url + "/generate", {}) == {"text": "|100|False|1.0|None|None|0"}
            idle, half = connection(url), connection(url)
            half.sendall(HEAD)
            start = time.monotonic()
        assert time.monotonic() - start < 3
        assert hung_up(idle) and hung_up(half)
        with pytest.raises(OSError):
            connection(url)
        for thread in set(threading.enumerate()) - before:
            thread.join(2)
        assert set(threading.enumerate()) <= before
    assert open_files() == files


def test_an_error_in_the_block_closes_the_server_too():
    with pytest.raises(KeyError), running_server(Parrot()) as url:
        raise KeyError
    with pytest.raises(OSError):
        connection(url)


def test_blas_keeps_to_one_thread_while_serving():
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def blas_threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]

    before = blas_threads()
    with running_server(Parrot()):
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_leaving_the_block_finishes_the_request_at_work():
    class Slow(Parrot):
        def generate(self, prompt, **options):
            time.sleep(0.3 if prompt else 0)
            return "done"

    with ThreadPoolExecutor(1) as pool:
        with running_server(Slow()) as url:
            answer = pool.submit(post, url + "/generate", {"prompt": "a"})
            time.sleep(0.15)
        assert answer.result(5) == {"text": "done"}


# -- serve() ---------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, threading, time
from tinyllm.layers import Dense, Embedding, LSTM
from tinyllm.models import Sequential
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.serving import serve
tokenizer = Tokenizer()
tokenizer.fit_on_texts(["你好"])
model = Sequential([Embedding(2, 2), LSTM(2), Dense(1, activation="sigmoid")])
model.preprocess = TextToIds(tokenizer, maxlen=2)
model.save(sys.argv[1])
serve(sys.argv[1], port=0)
time.sleep(0.05)
print(threading.active_count())
"""


@pytest.mark.skipif(os.name == "nt", reason="signals to a child differ on Windows")
@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "你好"), ("cp1252", r"\u4f60\u597d")])
def test_serve_prints_where_it_is_and_ends_cleanly_on_ctrl_c(tmp_path, encoding, shown):
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-c", PROGRAM, str(tmp_path / "model")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding=encoding,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    ) as child:
        try:
            line = child.stdout.readline()
            assert line.startswith("tinyllm answers on http://127.0.0.1:")
            url = line.split()[3]
            assert f"curl {url}/predict -H 'Content-Type: application/json' -d '{{\"text\": \"{shown}\"}}'" in line
            assert post(url + "/predict", {"text": "你好"})["known"] is True
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=10)
        finally:
            child.kill()
    assert (child.returncode, out, err) == (0, "stopped\n1\n", "")


def test_a_port_in_use_is_one_sentence_and_leaves_nothing_running():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        before = threading.active_count()
        with pytest.raises(OSError) as error:
            serve(Parrot(), port=port)
        assert str(error.value) == (
            f"port {port} on 127.0.0.1 is in use; choose another, such as port=8000, or port=0 for any free one"
        )
        assert threading.active_count() == before


@pytest.mark.parametrize("port", [-1, 65536, "80", None, True, 80.0])
def test_an_impossible_port_is_refused(port):
    with pytest.raises(ValueError, match=r"port must be in 0\.\.65535"):
        serve(Parrot(), port=port)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "4", True])
def test_an_impossible_number_of_threads_is_refused(threads):
    with pytest.raises(ValueError, match="threads must be a positive whole number"):
        serve(Parrot(), threads=threads)


def test_an_address_of_another_machine_is_one_sentence():
    with pytest.raises(OSError, match=r"cannot listen on port 0 on 192\.0\.2\.1: "):
        serve(Parrot(), host="192.0.2.1", port=0)


def test_every_address_is_asked_at_this_machines_own():
    with running_server(Parrot(), host="0.0.0.0") as url:
        assert url.startswith("http://127.0.0.1:")
        assert post(url + "/generate", {})["text"].startswith("|100")


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
