"""Requests that nobody means well with, as bytes on a socket."""

HEAD = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
DEEP = 30_000


def posted(body: bytes, path: bytes = b"/predict", headers: bytes = b"") -> bytes:
    """A whole request."""
    return HEAD % path + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


BODIES = [
    b"", b" \r\n\t", b"{", b"}", b"[]", b"[[]]", b"null", b"true", b"0", b'"text"', b"text=hello", b"<xml/>", b"{'text': 'a'}",
    b'{"text"}', b'{"text": }', b'{"text": "a",}', b'{"text": "a"} {}', b'{"text": "a"}\x00', b'{"text": "a\nb"}', b'{"text": "\\x"}',
    b'{"text": null}', b'{"text": 5}', b'{"text": 5.0}', b'{"text": true}', b'{"text": ["a"]}', b'{"text": {"a": 1}}', b'{"Text": "a"}',
    b'{"text": "a", "more": 1}', b'{"text": "a", "text": "b"}', b'{"text": "a", "__proto__": {}}', b'{"": "a"}',
    b'{"text": NaN}', b'{"text": Infinity}', b'{"text": -Infinity}', b'{"text": 1e999}', b'{"text": ' + b"9" * 6000 + b"}",
    b'{"text": "\\ud800"}', b'{"text": "\\udc00\\ud800"}', b'{"\\ud800": 1}', b'{"text": "\xff"}', b'{"text": "\xed\xa0\x80"}',
    b'{"text": "\xc0\xaf"}', b'\xef\xbb\xbf{"text": "a"}', '{"text": "a"}'.encode("utf-16"), '{"text": "a"}'.encode("utf-32"),
    b"[" * DEEP, b'{"text":' + b"[" * DEEP + b"]" * DEEP + b"}", b'{"a":' * 8000, b'{"text": "' + b"a" * 5_001 + b'"}',
    b'{"text": "' + b"\\u0000" * 5_001 + b'"}', b"{" + b'"a":1,' * 9000 + b'"b":1}', b"\x1f\x8b\x08\x00garbage", b"\x00" * 1000,
]  # fmt: skip
WELL = [  # strange, and right
    b'{"text": ""}', b'{"text": "\\u0000"}', b'{"text": "\\ud83d\\ude42"}', '{"text": "\u202e\u0301\ufeff"}'.encode(), b'{"text": "a\\r\\nSet-Cookie: x"}',
    b'{"text": "' + b"\\" * 2 * 4000 + b'"}', b'\r\n\t {"text" : "a" }\r\n', b'{"text": "<script>alert(1)</script>"}', b'{"text": "%s%n{0}${x}"}',
]  # fmt: skip
GOOD = b'{"text": "a"}'
REQUESTS = [
    *[posted(body) for body in BODIES],
    posted(GOOD, headers=b"Content-Encoding: gzip\r\n"),
    posted(GOOD).replace(b"application/json", b"text/plain"),
    posted(GOOD).replace(b"application/json", b"application/json; charset=gbk"),
    posted(GOOD).replace(b"Content-Type: application/json\r\n", b""),
    posted(b'{"prompt": ""}', b"/generate"),
    posted(GOOD, b"/predict/../predict/"),
    posted(GOOD, b"/%2e%2e/%2e%2e/etc/passwd"),
    posted(GOOD, b"//predict"),
    posted(GOOD, b"/predict%00"),
    posted(GOOD, b"/predict;a=b"),
    posted(GOOD, b"/" + b"a" * 7000),
    posted(GOOD).replace(b"POST", b"GET"),
    posted(GOOD).replace(b"POST", b"DELETE"),
    posted(GOOD).replace(b"POST", b"BREW"),
    posted(GOOD).replace(b"POST /predict", b"PUT /"),
    posted(GOOD, headers=b"X: " + b"a" * 300_000 + b"\r\n"),
    posted(GOOD, headers=b"X: y\r\n" * 60_000),
    posted(GOOD).replace(b"Content-Length: 13", b"Content-Length: -1"),
    posted(GOOD).replace(b"Content-Length: 13", b"Content-Length: abc"),
    posted(GOOD).replace(b"Content-Length: 13", b"Content-Length: 13, 13"),
    posted(GOOD).replace(b"Content-Length: 13", b"Content-Length: 1e1"),
    posted(GOOD).replace(b"Content-Length: 13", b"Content-Length: " + b"9" * 400),
    posted(GOOD, headers=b"Content-Length: 14\r\n"),
    posted(GOOD, headers=b"Transfer-Encoding: chunked\r\n"),
    posted(GOOD, headers=b"Transfer-Encoding: gzip, chunked\r\n"),
    posted(GOOD, headers=b"Transfer-Encoding: identity, chunked\r\n"),
    HEAD % b"/predict" + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    HEAD % b"/predict" + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n{}",
    HEAD % b"/predict" + b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b" " * 65_535 + b"\r\n" + b"0\r\n\r\n",
    posted(b" " * 70_000),
    posted(b'{"text": "' + b"a" * 10_000_000 + b'"}'),
    HEAD % b"/predict"
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 160
    + b"0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET /nothing HTTP/1.1\r\nHost: \xff\r\n\r\n",
    b"\r\n\r\n\r\nPOST /predict\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: a\r\n folded: header\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost : a\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\nContent-Length: 2\n\n{}",
    b"\x00\xff\x00\r\n\r\n",
]
