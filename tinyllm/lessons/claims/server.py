"""Section 5.4 of the article: saving the model and serving it."""

import importlib.util
import ipaddress
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinyllm.lessons.claims.entry import Claim, tried
from tinyllm.lessons.claims.environment import SENTENCES
from tinyllm.lessons.claims.program import program
from tinyllm.models import load_model
from tinyllm.preprocessing.sequence import pad_sequences

__all__ = ["CLAIMS", "answer", "app_alone"]

METHODS = ["POST"]  # that line 606 lets through
ADDRESS_BAR = "GET"  # what a browser sends for a typed address (HTML Living Standard, "navigate": the default method)
HOST = "0.0.0.0"  # line 617


def comes_back() -> bool:
    """Does a saved model predict the same, bit for bit? As .h5 where h5py is installed, else as a folder."""
    p = program()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("llm_model.h5" if importlib.util.find_spec("h5py") else "llm_model")
        p.model.save(path)
        return np.array_equal(load_model(path).predict(p.padded), p.predictions)


def app_alone(data: Any) -> list[int]:
    """Lines 609 to 614 in a file of their own: what they need has never been made there."""
    ids = tokenizer.texts_to_sequences([data["text"]])  # type: ignore[name-defined]  # noqa: F821
    padded = pad_sequences(ids, maxlen=max_sequence_length, padding="post")  # type: ignore[name-defined]  # noqa: F821
    return model.predict(padded).argmax(axis=1).flatten().tolist()  # type: ignore[name-defined]  # noqa: F821


def answer(data: Any) -> list[int]:
    """The same lines, given the tokenizer and the model."""
    p = program()
    padded = pad_sequences(p.tokenizer.texts_to_sequences([data["text"]]), maxlen=5, padding="post")
    return p.model.predict(padded).argmax(axis=1).flatten().tolist()


def largest_of_one() -> list[int]:
    """Every answer that argmax(axis=1) gives to one probability, from 0.01 to 0.99."""
    return sorted({int(np.array([[p]]).argmax(axis=1)[0]) for p in np.linspace(0.01, 0.99, 99)})


def answered() -> list[bool]:
    """Does the program answer: a text, a request without one, null, a number?"""
    requests: list[Any] = [{"text": SENTENCES[0]}, {}, None, {"text": 5}]
    return [not isinstance(tried(partial(answer, data)), Exception) for data in requests]


def listens() -> list[bool]:
    """Is HOST every address of the machine? Is it one that this machine alone can reach?"""
    address = ipaddress.ip_address(HOST)
    return [address.is_unspecified, address.is_loopback]


# fmt: off
CLAIMS = (
    Claim("S5-26", 595, ("model.save(...) keeps the model", "model.save(...) 保存了模型"), "", "right", "",
          "The weights come back bit for bit; the tokenizer is not saved with them.",
          "权重能逐位还原；但分词器没有一起保存。", comes_back),
    Claim("S5-27", 602, ("python app.py serves the model", "python app.py 就能提供服务"), "", "wrong", "",
          "The file never loads the tokenizer or the model: the first request fails.",
          "文件里没有载入分词器和模型：第一个请求就出错。", lambda: tried(lambda: app_alone({"text": SENTENCES[0]}))),
    Claim("S5-28", 613, ("argmax(axis=1) gives the class", "argmax(axis=1) 给出类别"), "[1]", "wrong", "[0]",
          "One column has its largest entry at 0, whatever is in it; p > 0.5 was meant.",
          "只有一列时，最大值的位置永远是 0；本意应是 p > 0.5。", largest_of_one),
    Claim("S5-29", 640, ("the service answers", "接口的返回"), "[1]", "wrong", "[0]",
          "It answers 0 to every sentence.", "无论什么句子都返回 0。", lambda: answer({"text": SENTENCES[0]})),
    Claim("S5-30", 628, ("a browser's address bar can call the service", "在浏览器地址栏就能调用接口"), "", "wrong", "",
          "A typed address is sent as GET, and the service takes POST alone: 405 Method Not Allowed.",
          "地址栏发出的是 GET，而接口只接受 POST：返回 405。", lambda: ADDRESS_BAR in METHODS),
    Claim("S5-31", 609, ("text = data['text'] answers: a text, a request without one, null, a number",
                         "text = data['text'] 能应答：有文本、缺文本、null、数字"), "", "imprecise", "",
          "Without a text, with null or a number: an exception, status 500; a text it never saw gets an answer.",
          "缺文本、null 或数字都抛出异常：状态码 500；而没见过的文本它照样作答。", answered),
    Claim("S5-32", 617, ("app.run(host='0.0.0.0', port=5000) deploys: it can be reached, by this machine only",
                         "app.run(host='0.0.0.0', port=5000) 即部署：可以访问、只限本机"), "", "imprecise", "",
          "It can be reached from every network that the machine is in, and the server is Flask's for development.",
          "机器所在的每个网络都能访问它，而这只是 Flask 的开发服务器。", listens),
)
# fmt: on
