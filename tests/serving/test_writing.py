"""Texts on demand: whole or in pieces, so many at once, so long at most, and only while somebody listens."""

import json
import re
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serving.helpers import JSON, chain, connection, detail, post
from tinyllm.models import RecurrentLM
from tinyllm.preprocessing.tokenizers import BPETokenizer
from tinyllm.serving import create_app, running_server


def events(text):
    """Server-sent events as (name, data)."""
    found = []
    for block in text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((lines.get("event", "message"), json.loads(lines["data"])))
    return found


def metric(client, name):
    text = client.get("/metrics").get_data(as_text=True)
    return sum(float(m[1]) for m in re.finditer(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def test_a_text_comes_whole_with_its_reason(letters):
    asked = {"prompt": "a", "max_tokens": 3}
    assert letters.post("/generate", json=asked).get_json() == {
        "text": "abcd",
        "written": "bcd",
        "reason": "length",
        "tokens": 3,
    }
    found = letters.post("/generate", json=asked | {"stop": ["cd"]}).get_json()
    assert found == {"text": "ab", "written": "b", "reason": "stop", "tokens": 1}


def test_without_a_prompt_it_begins_by_itself(letters):
    assert letters.post("/generate", json={"max_tokens": 2}).get_json()["written"] == "bc"


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 2.0, "seed": 5}, {"top_k": 2}, {"min_p": 0.5}, {"greedy": True}]
)
def test_a_stream_is_the_same_text_in_pieces(letters, settings):
    asked = {"prompt": "a", "max_tokens": 9, **settings}
    whole = letters.post("/generate", json=asked).get_json()
    response = letters.post("/generate", json=asked | {"stream": True})
    assert response.content_type.startswith("text/event-stream")
    *pieces, last = events(response.get_data(as_text=True))
    assert "".join(data["text"] for _, data in pieces) == whole["written"]
    assert last == ("end", {"reason": whole["reason"], "tokens": whole["tokens"]})


def test_greedy_does_not_mind_what_else_is_set(letters):
    asked = {"prompt": "a", "max_tokens": 5, "greedy": True, "temperature": 3, "top_k": 2, "top_p": 0.1, "min_p": 0.2}
    assert letters.post("/generate", json=asked).get_json()["text"] == "abcdef"


def test_a_stream_of_bytes_never_holds_half_a_character():
    text = "我爱中国。今天天气很好。" * 20
    tokenizer = BPETokenizer.train(text, vocab_size=270)
    client = create_app(RecurrentLM(tokenizer.vocab_size, width=8, embedding=8, tokenizer=tokenizer)).test_client()
    response = client.post("/generate", json={"prompt": "我", "max_tokens": 60, "stream": True})
    pieces = [data["text"] for name, data in events(response.data.decode("utf-8")) if name == "message"]
    assert pieces and all(pieces)
    whole = client.post("/generate", json={"prompt": "我", "max_tokens": 60}).get_json()["written"]
    assert "".join(pieces) == whole


def test_an_explanation_lists_what_could_have_come(letters):
    found = letters.post("/explain", json={"prompt": "ab", "max_tokens": 2, "top_k": 1}).get_json()
    assert found["written"] == "cd" and found["prompt"] == ["a", "b"] and found["gates"] is None
    first, second = found["steps"]
    assert (first["candidates"][0]["text"], second["candidates"][0]["text"]) == ("c", "d")
    assert first["chosen"] == 2 and first["candidates"][0]["after"] == 1
    assert {c["after"] for c in first["candidates"][1:]} == {0}
    assert "at most 50" in detail(letters.post("/explain", json={"max_tokens": 51}), 400)


def test_a_place_is_given_back_whatever_happened():
    model = chain()
    client = create_app(model, generations=1).test_client()
    for asked in ({"max_tokens": 2}, {"prompt": "?"}, {"max_tokens": 2, "stream": True}, {"stop": [""]}):
        client.post("/generate", json=asked).close()
    step, model.step = model.step, lambda *a, **k: 1 / 0
    assert client.post("/generate", json={}).status_code == 500
    model.step = step
    unread = client.post("/generate", json={"stream": True}, buffered=False)
    unread.close()
    assert client.post("/generate", json={"max_tokens": 2}).status_code == 200
    assert metric(client, "tinyllm_generations_running") == 0


def test_beyond_the_places_the_answer_is_to_come_again():
    with running_server(chain(lambda: time.sleep(0.02)), generations=2) as url, ThreadPoolExecutor(8) as pool:
        long = [pool.submit(post, url + "/generate", {"prompt": "a", "max_tokens": 40}) for _ in range(2)]
        time.sleep(0.2)
        with pytest.raises(urllib.error.HTTPError) as error:
            post(url + "/generate", {"prompt": "a"})
        assert error.value.code == 503 and error.value.headers["Retry-After"] == "1"
        assert json.load(error.value)["detail"].startswith("2 texts are being written")
        assert json.load(urllib.request.urlopen(url + "/healthz", timeout=5)) == {"status": "ok"}
        assert [each.result(10)["tokens"] for each in long] == [40, 40]
        assert post(url + "/generate", {"prompt": "a", "max_tokens": 1})["tokens"] == 1


def test_at_the_deadline_the_text_ends_as_it_is():
    client = create_app(chain(lambda: time.sleep(0.01)), deadline=0.1).test_client()
    found = client.post("/generate", json={"prompt": "a", "max_tokens": 1000}).get_json()
    assert found["reason"] == "deadline" and 0 < found["tokens"] < 100
    last = events(client.post("/generate", json={"max_tokens": 1000, "stream": True}).get_data(as_text=True))[-1]
    assert last[0] == "end" and last[1]["reason"] == "deadline"


@pytest.mark.parametrize("stream", [False, True])
def test_who_hangs_up_is_not_written_for(stream):
    with running_server(chain(lambda: time.sleep(0.005)), generations=3) as url:
        body = json.dumps({"prompt": "a", "max_tokens": 1000, "stream": stream}).encode()
        callers = [connection(url) for _ in range(3)]
        for sock in callers:
            head = f"POST /generate HTTP/1.1\r\nHost: a\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
            sock.sendall(head.encode() + body)
        time.sleep(0.3)
        running = urllib.request.urlopen(url + "/metrics", timeout=5).read()
        assert b"tinyllm_generations_running 3.0" in running
        for sock in callers:
            sock.close()
        end = time.monotonic() + 1
        while b"tinyllm_generations_running 0.0" not in urllib.request.urlopen(url + "/metrics", timeout=5).read():
            assert time.monotonic() < end, "still writing a second after everybody has hung up"
            time.sleep(0.02)
