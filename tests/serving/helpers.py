"""Models and questions that the tests of the service share."""

import json
import socket
import urllib.request

import numpy as np
import pytest

from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import Bigram, Sequential
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.preprocessing.tokenizers import CharacterTokenizer

pytest.importorskip("flask")
pytest.importorskip("waitress")
pytest.importorskip("pydantic")
pytest.importorskip("prometheus_client")

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


def trained():
    """The document's model, trained until it knows its three sentences."""
    model = Sequential([Embedding(4, 50, input_length=5), LSTM(100), Dense(1, activation="sigmoid")])
    model.preprocess = TextToIds(tokenizer_of(SENTENCES), maxlen=5, padding="post")
    model.compile("adam", "binary_crossentropy")
    model.fit(model.preprocess(SENTENCES), np.array(LABELS), batch_size=1, epochs=60, verbose=0)
    return model


def chain(wait=None):
    """The least model that writes: after a letter comes the next one, a to j and round again. wait() at each token."""

    class Chain(Bigram):
        def step(self, ids, state=None):
            if wait is not None:
                wait()
            return super().step(ids, state)

    model = Chain(10, tokenizer=CharacterTokenizer("abcdefghij"))
    model(np.zeros((1, 1), int))
    model.set_weights([20 * np.roll(np.eye(10), 1, axis=1).astype("float32")])
    return model


def detail(response, status):
    """The sentence of a problem (RFC 9457), after checking that it is one."""
    content = response.get_json(force=True)
    assert response.status_code == status, content
    assert response.content_type == PROBLEM
    assert (
        {"type", "title", "status", "detail"}
        <= set(content)
        <= {"type", "title", "status", "detail", "pointer", "request"}
    )
    assert content["type"] == "about:blank" and content["title"] and content["status"] == status
    assert "\n" not in content["detail"] and "Traceback" not in content["detail"]
    return content["detail"]


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
