"""A newer model takes the place of the old one; a bad one does not."""

import threading
import time

import numpy as np
import pytest

from tests.serving.helpers import SENTENCES, chain, classifier
from tinyllm.serving import create_app
from tinyllm.serving.live import Live, watch


def answer(client):
    return client.post("/predict", json={"text": SENTENCES[0]}).get_json()["probability"]


def wait(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def shifted(model, by):
    model.set_weights([*model.get_weights()[:-1], np.full(1, by)])
    return model


def test_a_newer_model_answers_and_a_bad_one_is_refused(tmp_path, caplog):
    path, stop = tmp_path / "model", threading.Event()
    shifted(classifier(), 0.0).save(path)
    app = create_app(classifier())
    client, service = app.test_client(), app.extensions["tinyllm"]
    watch(service.live, path, 0.01, stop)
    try:
        shifted(classifier(), 3.0).save(path)
        wait(lambda: service.live.version == 2)
        assert answer(client)[0] > 0.9
        (path / "manifest.json").write_text("{")
        wait(lambda: "reload refused, the old model goes on: ValueError" in caplog.text)
        assert answer(client)[0] > 0.9 and service.live.version == 2
        text = client.get("/metrics").get_data(as_text=True)
        assert 'tinyllm_reloads_total{result="refused"}' in text and "tinyllm_model_version 2.0" in text
        (path / "manifest.json").unlink()
        shifted(classifier(), -3.0).save(path)
        wait(lambda: service.live.version == 3)
        assert answer(client)[0] < 0.1
    finally:
        stop.set()


def test_a_model_of_another_kind_cannot_take_the_place():
    live = Live(classifier())
    with pytest.raises(ValueError, match="a language model cannot take the place of a classifier"):
        live.swap(chain())
    assert live.version == 1


def test_a_server_that_is_stopping_is_not_ready():
    app = create_app(classifier())
    client = app.test_client()
    assert client.get("/readyz").get_json() == {"status": "ready", "version": 1}
    app.extensions["tinyllm"].live.draining = True
    assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
