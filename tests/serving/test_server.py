"""The server: sockets, threads and signals; nothing is lost, and nothing is left behind."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serving.helpers import LABELS, SENTENCES, chain, connection, post, raw
from tinyllm.models import LanguageModel
from tinyllm.serving import create_app, running_server, serve


@pytest.fixture(scope="module")
def url(article):
    with running_server(article) as url:
        yield url


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
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
    (b"GET /model HTTP/1.1\r\nHost: \xff\r\n\r\n", [b"200"]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "statuses"), RAW, ids=[repr(data[-40:]) for data, _ in RAW])
def test_raw_bytes_get_their_status(url, data, statuses):
    answer = raw(url, data)
    found = [part.split(b" ")[1] for part in answer.split(b"HTTP/1.")[1:]]
    assert found == statuses
    assert b"Traceback" not in answer
    assert post(url + "/predict", {"text": SENTENCES[0]})["result"] == [1]


@pytest.mark.parametrize("data", [data for data, statuses in RAW if statuses == [b"400"] or statuses == [b"413"]])
def test_what_never_becomes_a_request_is_a_problem_too(url, data):
    head, _, body = raw(url, data).partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] in (400, 413)


def test_a_client_without_a_host_header_gets_an_example_too(url):
    assert f"curl {url}/predict -H".encode() in raw(url, b"GET /model HTTP/1.0\r\n\r\n")


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
    app = create_app(model, generations=8)
    asked = [{"max_tokens": 30, "seed": seed} for seed in range(20)]
    right = [app.test_client().post("/generate", json=each).get_json() for each in asked]
    assert len({each["text"] for each in right}) > 5

    def ask(worker):
        for i in range(20):
            k = (worker + i) % 20
            assert app.test_client().post("/generate", json=asked[k]).get_json() == right[k]

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
        with running_server(chain()) as url:
            assert post(url + "/generate", {"prompt": "a", "max_tokens": 3})["text"] == "abcd"
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
    with pytest.raises(KeyError), running_server(chain()) as url:
        raise KeyError
    with pytest.raises(OSError):
        connection(url)


def test_blas_keeps_to_one_thread_while_serving():
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def blas_threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]

    before = blas_threads()
    with running_server(chain()):
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_leaving_the_block_finishes_the_request_at_work():
    with ThreadPoolExecutor(1) as pool:
        with running_server(chain(lambda: time.sleep(0.03))) as url:
            answer = pool.submit(post, url + "/generate", {"prompt": "a", "max_tokens": 10})
            time.sleep(0.15)
        assert answer.result(5)["text"] == "abcdefghija"


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


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="ulimit as Linux has it")
def test_more_callers_than_files_can_be_opened_do_not_keep_it_from_ending(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "model")]
    with subprocess.Popen(
        ["sh", "-c", 'ulimit -n 80; exec "$@"', "sh", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    ) as child:
        try:
            url = child.stdout.readline().split()[3]
            with contextlib.ExitStack() as callers:
                for _ in range(120):  # some are connected, the others wait at the door
                    callers.enter_context(connection(url)).sendall(HEAD)
                time.sleep(0.5)
                child.send_signal(signal.SIGTERM)
                out, err = child.communicate(timeout=20)
        finally:
            child.kill()
    assert (child.returncode, out) == (0, "stopped\n1\n")
    assert err.count("Too many open files") < 5  # and the log is not filled with what could not be accepted


def test_a_port_in_use_is_one_sentence_and_leaves_nothing_running():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        before = threading.active_count()
        with pytest.raises(OSError) as error:
            serve(chain(), port=port)
        assert str(error.value) == (
            f"port {port} on 127.0.0.1 is in use; choose another, such as port=8000, or port=0 for any free one"
        )
        assert threading.active_count() == before


@pytest.mark.parametrize("port", [-1, 65536, "80", None, True, 80.0])
def test_an_impossible_port_is_refused(port):
    with pytest.raises(ValueError, match=r"port must be in 0\.\.65535"):
        serve(chain(), port=port)


def test_an_address_of_another_machine_is_one_sentence():
    with pytest.raises(OSError, match=r"cannot listen on port 0 on 192\.0\.2\.1: "):
        serve(chain(), host="192.0.2.1", port=0)


def test_every_address_is_asked_at_this_machines_own():
    with running_server(chain(), host="0.0.0.0") as url:
        assert url.startswith("http://127.0.0.1:")
        assert post(url + "/generate", {})["tokens"] == 100


@pytest.mark.parametrize("setting", [{"reload": -1}, {"reload": float("nan")}, {"grace": -1}, {"grace": float("nan")}])
def test_an_impossible_wait_is_refused(setting):
    with pytest.raises(ValueError, match="must be a number of seconds, 0 or more"):
        serve(chain(), port=0, **setting)


@pytest.mark.parametrize("url", ["http://127.0.0.1:abc", "http://a b", "ftp://a"])
def test_asking_at_no_address_is_one_sentence(url):
    from tinyllm.serving.client import ask

    with pytest.raises(ValueError, match="ask: "):
        list(ask(url, "text"))
