# %% [markdown] tags=["en"]
# # Exercises to lesson 15: saving and serving
# A seal that notices a single bit, an answer that JSON can carry, and a service that explains what was wrong. Check yourself with
# `tinyllm exercise check lesson_15.py`; `tinyllm exercise hint 15.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 15 课练习：保存与部署
# 一个连一个比特也瞒不过的封印，一个 JSON 装得下的回答，一个会说明错在哪里的服务。用 `tinyllm exercise check lesson_15.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 15.1`。
# %%
import hashlib
import json

import numpy as np

from tinyllm.lessons.grading import Mistake, check, expect, same

# %% [markdown] tags=["en"]
# ## 15.1 A seal
# `seal(data)` returns the bytes `data` with 64 bytes behind them: the SHA-256 of `data` as hexadecimal digits in ASCII, which
# `hashlib.sha256(data).hexdigest().encode()` computes. `unseal(sealed)` returns the data again. If a single bit of the data or of the seal
# differs, or if there is no room for a seal, it raises `ValueError` with a sentence of your own.
# %% [markdown] tags=["zh"]
# ## 15.1 封印
# `seal(data)` 返回字节串 `data`，后面加上 64 个字节：`data` 的 SHA-256，写成 ASCII 的十六进制数字，用
# `hashlib.sha256(data).hexdigest().encode()` 就能算出。`unseal(sealed)` 把数据还回来。只要数据或封印里差了一个比特，或者短得连封印都放不下，
# 就抛出 `ValueError`，里面写一句你自己的话。


# %% tags=["exercise"]
# exercise 15.1 (5 points): a seal
def seal(data):
    """data with its SHA-256 behind it; bytes."""
    ### BEGIN SOLUTION
    return data + hashlib.sha256(data).hexdigest().encode()


def unseal(sealed):
    """The data that seal() sealed; ValueError if anything was changed."""
    data, digits = sealed[:-64], sealed[-64:]
    if hashlib.sha256(data).hexdigest().encode() != digits:
        raise ValueError("the data do not fit their seal: something was changed, or cut off")
    return data
    ### END SOLUTION


# %% tags=["checks"]
def sealed(data):
    return data + hashlib.sha256(data).hexdigest().encode()


@check(
    "15.1",
    points=2,
    catches=[
        Mistake(
            "keeps 32 digits only",
            "return data + hashlib.sha256(data).hexdigest().encode()",
            "return data + hashlib.sha256(data).hexdigest()[:32].encode()",
        ),
        Mistake(
            "seals with raw bytes",
            "return data + hashlib.sha256(data).hexdigest().encode()",
            "return data + hashlib.sha256(data).digest() * 2",
        ),
        Mistake(
            "puts the seal in front",
            "return data + hashlib.sha256(data).hexdigest().encode()",
            "return hashlib.sha256(data).hexdigest().encode() + data",
        ),
        Mistake(
            "returns the seal, too",
            "sealed[:-64], sealed[-64:]\n",
            "sealed[:-64], sealed[-64:]\n    return sealed\n",
            says="unseal",
        ),
    ],
)
def what_was_sealed_comes_back(student, rng):
    """The seal is the SHA-256, and unseal gives the data back; empty data, too."""
    for size in (0, 1, 200):
        data = rng.bytes(size)
        same(student.seal(data), sealed(data), f"seal of {size} bytes")
        same(student.unseal(sealed(data)), data, f"unseal of {size} sealed bytes")


@check(
    "15.1",
    points=2,
    catches=[
        Mistake("does not compare", "!= digits", "== b''", says="must raise ValueError"),
        Mistake("compares eight digits", "encode() != digits", "encode()[:8] != digits[:8]"),
        Mistake(
            "compares the data's beginning",
            "hashlib.sha256(data).hexdigest().encode() != digits",
            "hashlib.sha256(data).hexdigest().encode() != digits and data[:8] != data[-8:]",
        ),
    ],
)
def one_bit_is_noticed(student, rng):
    """After a change of one bit, in the data or in the seal, unseal raises ValueError."""
    for data in (rng.bytes(40), b"a" * 40):
        whole = bytearray(sealed(data))
        same(student.unseal(bytes(whole)), data, "unseal of what nobody changed")
        for place in [0, 39, 40, len(whole) - 1, *rng.integers(len(whole), size=6).tolist()]:
            bit = 1 << int(rng.integers(8))
            whole[place] ^= bit
            student.raises(ValueError).unseal(bytes(whole))
            whole[place] ^= bit


@check(
    "15.1",
    points=1,
    catches=[
        Mistake(
            "lets short input pass",
            "    if hashlib",
            "    if len(sealed) < 64:\n        return sealed\n    if hashlib",
            says="must raise ValueError",
        ),
        Mistake(
            "fails with another exception",
            "    if hashlib",
            "    assert len(sealed) >= 64\n    if hashlib",
            says="ValueError was asked",
        ),
    ],
)
def what_is_too_short_is_refused(student, rng):
    """Fewer than 64 bytes cannot hold a seal: ValueError; 64 bytes can, of nothing."""
    same(student.unseal(sealed(b"")), b"", "unseal of the seal of nothing")
    for size in (0, 1, 63):
        student.raises(ValueError).unseal(sealed(rng.bytes(64))[-size:] if size else b"")


# %% [markdown] tags=["en", "hint"]
# `sealed[:-64]` is all but the last 64 bytes, `sealed[-64:]` is those. Compute the SHA-256 of the first anew, and compare.
# %% [markdown] tags=["zh", "hint"]
# `sealed[:-64]` 是除最后 64 个字节以外的部分，`sealed[-64:]` 是最后那 64 个。重新计算前者的 SHA-256，再比较。


# %% [markdown] tags=["en"]
# ## 15.2 An answer that JSON can carry
# A classifier gave the probability `p`, a NumPy float32, for a text whose ids are `ids`, an array (words,) in which 0 means "padding or
# unknown". Return a **str**: the JSON object with `"result"`, the class as a whole number, 1 where $p > 0.5$, else 0; `"probability"`, the
# number $p$; and `"known"`, true if at least one id is not 0. Beware: `json.dumps` refuses NumPy's own numbers and booleans.
# %% [markdown] tags=["zh"]
# ## 15.2 JSON 装得下的回答
# 对一段文本，分类器给出概率 `p`（NumPy 的 float32）；文本的编号是数组 `ids`（words,），其中 0 表示“填充或不认识”。返回一个 **str**：
# 一个 JSON 对象，含 `"result"`，即类别，$p > 0.5$ 时为整数 1，否则为 0；`"probability"`，即数 $p$；`"known"`，只要有一个编号不为 0 就是 true。
# 当心：`json.dumps` 不收 NumPy 自己的数和布尔值。


# %% tags=["exercise"]
# exercise 15.2 (4 points): an answer that JSON can carry
def reply(p, ids):
    """The answer as JSON text, for a probability p (float32) and ids (words,)."""
    ### BEGIN SOLUTION
    answer = {"result": int(p > 0.5), "probability": float(p), "known": bool(np.any(ids != 0))}
    return json.dumps(answer)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "15.2",
    points=2,
    catches=[
        Mistake("leaves NumPy's number in", "float(p)", "p", says="JSON"),
        Mistake("leaves NumPy's boolean in", "bool(np.any(ids != 0))", "np.any(ids != 0)", says="JSON"),
        Mistake("takes argmax, as the article does", "int(p > 0.5)", "int(np.argmax([p]))", says="result"),
        Mistake("rounds the probability", "float(p)", "round(float(p), 1)"),
        Mistake("returns a dict, not text", "json.dumps(answer)", "answer"),
        Mistake("answers true and false instead of 1 and 0", "int(p > 0.5)", "bool(p > 0.5)"),
    ],
)
def the_answer_is_json(student, rng):
    """Random probabilities: JSON text with the class and the probability."""
    for p in [*rng.uniform(0.0, 0.45, 2), *rng.uniform(0.55, 1.0, 2), 0.5]:
        p = np.float32(p)
        text = student.reply(p, np.array([3, 0, 0]))
        expect(isinstance(text, str), f"reply({p}, [3, 0, 0]): expected a str of JSON; found a {type(text).__name__}")
        found = parsed(text)
        same(found.get("result"), int(p > 0.5), f"the member 'result' of reply({p}, [3, 0, 0])")
        same(found.get("probability"), float(p), f"the member 'probability' of reply({p}, [3, 0, 0])")


def parsed(text):
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        found = None
    expect(isinstance(found, dict), f"reply: expected the text of a JSON object; found {text!r:.80}")
    return found


@check(
    "15.2",
    points=2,
    catches=[
        Mistake("wants every id to be known", "np.any(", "np.all("),
        Mistake("says known always", "bool(np.any(ids != 0))", "True"),
        Mistake("looks at the first id only", "np.any(ids != 0)", "ids[0] != 0"),
    ],
)
def an_unknown_text_is_told(student, rng):
    """Nothing but zeros: not known; one id among zeros, wherever it stands: known. Three members, no more."""
    for place in (None, 0, int(rng.integers(1, 4))):
        ids = np.zeros(4, np.int32)
        if place is not None:
            ids[place] = rng.integers(1, 9)
        found = parsed(student.reply(np.float32(0.7), ids))
        same(found.get("known"), place is not None, f"the member 'known' for ids {ids.tolist()}")
        same(set(found), {"result", "probability", "known"}, "the members of the answer")


# %% [markdown] tags=["en", "hint"]
# `int(...)`, `float(...)` and `bool(...)` make Python's own of NumPy's.
# %% [markdown] tags=["zh", "hint"]
# `int(...)`、`float(...)`、`bool(...)` 把 NumPy 的变成 Python 自己的。


# %% [markdown] tags=["en"]
# ## 15.3 Say what was wrong
# The article's server does `data["text"]` and breaks on whatever is not as it hopes. Write `read(body)`: `body` are bytes that somebody
# sent. Return a pair: `(200, text)` if they are JSON in UTF-8, an object whose member `"text"` is a string; else `(400, sentence)`, with a sentence
# that holds the word that helps: `JSON` if it is no JSON (or no UTF-8), `object` if it is JSON of another kind, `missing` if there is
# no member `"text"`, `string` if that is something else. It must never raise.
# %% [markdown] tags=["zh"]
# ## 15.3 说明错在哪里
# 文章的服务端直接写 `data["text"]`，只要来的东西不合心意就崩溃。请写 `read(body)`：`body` 是别人发来的字节串。返回一对值：如果它是 UTF-8 的
# JSON，是一个对象，并且成员 `"text"` 是字符串，就返回 `(200, text)`；否则返回 `(400, sentence)`，句子里要有那个帮得上忙的词：不是 JSON（或不是 UTF-8）时有
# `JSON`，是 JSON 但不是对象时有 `object`，没有成员 `"text"` 时有 `missing`，它不是字符串时有 `string`。无论如何不许抛出异常。


# %% tags=["exercise"]
# exercise 15.3 (5 points): say what was wrong
def read(body):
    """(200, the text) or (400, a sentence that says what was wrong) for the bytes of a request."""
    ### BEGIN SOLUTION
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return 400, "the body is not JSON in UTF-8"
    if not isinstance(data, dict):
        return 400, "the body must be a JSON object"
    if "text" not in data:
        return 400, "the member 'text' is missing"
    if not isinstance(data["text"], str):
        return 400, "'text' must be a string"
    return 200, data["text"]
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "15.3",
    points=1,
    catches=[
        Mistake("returns the whole object", '200, data["text"]', "200, data"),
        Mistake("strips the text", '200, data["text"]', '200, data["text"].strip()'),
        Mistake("refuses an empty text", 'if "text" not in data', 'if not data.get("text")'),
    ],
)
def a_right_request_gives_its_text(student, rng):
    """The text comes back as it was sent: Chinese, empty, with spaces, beside other members."""
    for text in ["你好，世界！", "", f" {rng.integers(10**6)} "]:
        body = json.dumps({"text": text, "more": 1}, ensure_ascii=False).encode()
        same(student.read(body), (200, text), f"read of a request with the text {text!r}")


def refused(student, body, word):
    found = student.read(body)
    is_pair = isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], str)
    expect(is_pair, f"read({body[:40]!r}): expected (400, a sentence); found {found!r:.80}")
    same(found[0], 400, f"the status of read({body[:40]!r})")
    expect(
        word.lower() in found[1].lower(),
        f"read({body[:40]!r}): the sentence must hold {word!r}; found {found[1]!r:.80}",
    )


@check(
    "15.3",
    points=2,
    catches=[
        Mistake("takes whatever is in the text", 'isinstance(data["text"], str)', "data", says="found (200"),
        Mistake("turns everything into a string", 'isinstance(data["text"], str)', 'str(data["text"])'),
        Mistake(
            "asks for the member before looking for it",
            'if "text" not in data',
            'if data["text"] is None',
            says="KeyError",
        ),
        Mistake("always says the same", "the member 'text' is missing", "a string is needed"),
    ],
)
def the_wrong_member_is_named(student, rng):
    """Without 'text': missing; with a number, null, a list, an object or true for it: string."""
    refused(student, b"{}", "missing")
    refused(student, json.dumps({"Text": "a", "n": int(rng.integers(9))}).encode(), "missing")
    for value in [int(rng.integers(100)), None, ["a"], {"text": "a"}, True]:
        refused(student, json.dumps({"text": value}).encode(), "string")


@check(
    "15.3",
    points=2,
    catches=[
        Mistake(
            "does not catch what is no JSON", "except (ValueError, RecursionError)", "except KeyError", says="raised"
        ),
        Mistake(
            "does not catch bytes that are no UTF-8",
            "except (ValueError, RecursionError)",
            "except json.JSONDecodeError",
            says="raised",
        ),
        Mistake(
            "does not catch brackets that are too deep",
            "except (ValueError, RecursionError)",
            "except ValueError",
            says="RecursionError",
        ),
        Mistake("forgets that JSON need not be an object", "if not isinstance(data, dict)", "if data is None"),
        Mistake(
            "takes a list that holds the word for an object", "isinstance(data, dict)", "isinstance(data, dict | list)"
        ),
    ],
)
def what_is_no_object_is_named(student, rng):
    """No JSON, half of it, other encodings, 100,000 brackets: JSON. A list, null, a number, a string: object."""
    for body in [b"", b'{"text": ', b"text", b"\xff\xfe", '{"text": "你好"}'.encode("gbk"), b"[" * 100_000]:
        refused(student, body, "JSON")
    for value in [["text"], None, int(rng.integers(100)), "text"]:
        refused(student, json.dumps(value).encode(), "object")


# %% [markdown] tags=["en", "hint"]
# Four questions, one after another, each with a `return 400, ...` of its own. `json.loads` raises `ValueError` for what is no JSON, and so
# does `bytes.decode` for what is no UTF-8; 100,000 brackets in one another end in a `RecursionError`.
# %% [markdown] tags=["zh", "hint"]
# 四个问题，一个接一个，各自 `return 400, ...`。不是 JSON 时 `json.loads` 抛出 `ValueError`，不是 UTF-8 时 `bytes.decode` 也一样；十万个括号层层相套，则以 `RecursionError` 告终。
