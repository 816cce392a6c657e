"""Bodies: strict JSON, a schema, and one sentence for whatever is wrong."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.helpers import JSON, detail

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
    (b'"text"', "the body is a string of 4 characters"),
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
    (b'{"text": "\\ud800"}', "one half of a surrogate pair"),
    (b'{"text": "\\udc00\\ud800"}', "one half of a surrogate pair"),
    (b'{"text": "\xff"}', "the body is not UTF-8: byte 0xff at position 10"),
    (b'{"text": "\xed\xa0\x80"}', "the body is not UTF-8"),
    ('{"text": "a"}'.encode("utf-16"), "the body is not UTF-8"),
    (b"[" * DEEP, "nested too deeply"),
    (b'{"text":' + b"[" * DEEP + b"]" * DEEP + b"}", "nested too deeply"),
    (b'{"a":' * 10_000, "nested too deeply"),
    (json.dumps({"text": "a" * 5_001}).encode(), "'text' must have at most 5000 characters; found a string of 5001"),
]


@pytest.mark.parametrize(("body", "words"), BAD_BODIES, ids=[repr(body[:30]) for body, _ in BAD_BODIES])
def test_a_bad_body_is_explained(client, body, words):
    assert words in detail(client.post("/predict", data=body, content_type=JSON), 400)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"text": 5}', "#/text"),
        ("{}", "#/text"),
        ('{"text": "", "a/b~c": 1}', "#/a~1b~0c"),
        ('{"text": "", "text": ""}', "#/text"),
        ("[]", "#"),
    ],
)
def test_a_problem_points_at_the_member(client, body, pointer):
    assert client.post("/predict", data=body, content_type=JSON).get_json(force=True)["pointer"] == pointer


@pytest.mark.parametrize("body", ['{"text": "\\ud83d\\ude42"}', '\t{"text" : "\\u0000"}\r\n', '{"text": "\\/"}'])
def test_unusual_json_is_still_json(client, body):
    assert client.post("/predict", data=body, content_type=JSON).status_code == 200


@pytest.mark.parametrize(
    ("body", "words", "pointer"),
    [
        ('{"prompt": 5}', "'prompt' must be a string; found the number 5", "#/prompt"),
        ('{"max_tokens": 0}', "'max_tokens' must be at least 1; found the number 0", "#/max_tokens"),
        ('{"max_tokens": 1001}', "'max_tokens' must be at most 1000; found the number 1001", "#/max_tokens"),
        ('{"max_tokens": true}', "'max_tokens' must be a whole number; found true", "#/max_tokens"),
        ('{"max_tokens": 1.5}', "'max_tokens' must be a whole number; found the number 1.5", "#/max_tokens"),
        ('{"max_tokens": null}', "'max_tokens' must be a whole number; found null", "#/max_tokens"),
        ('{"greedy": 1}', "'greedy' must be true or false; found the number 1", "#/greedy"),
        ('{"temperature": "1"}', "'temperature' must be a number; found a string", "#/temperature"),
        ('{"temperature": 0}', "'temperature' must be at least 1e-06; found the number 0", "#/temperature"),
        ('{"temperature": -1}', "'temperature' must be at least 1e-06; found the number -1", "#/temperature"),
        ('{"temperature": 1e400}', "the number 1e400 is too large", "#"),
        ('{"temperature": false}', "'temperature' must be a number; found false", "#/temperature"),
        ('{"top_k": [1]}', "'top_k' must be a whole number; found a list", "#/top_k"),
        ('{"top_k": 11}', "'top_k' must be at most 10; found the number 11", "#/top_k"),
        ('{"top_p": {}}', "'top_p' must be a number; found an object", "#/top_p"),
        ('{"min_p": 2}', "'min_p' must be at most 1; found the number 2", "#/min_p"),
        ('{"stop": "a"}', "'stop' must be a list of strings; found a string", "#/stop"),
        ('{"stop": ["a", ""]}', "'stop[1]' must not be empty", "#/stop/1"),
        ('{"stop": ["a", 1]}', "'stop[1]' must be a string; found the number 1", "#/stop/1"),
        ('{"stop": ["a", "b", "c", "d", "e"]}', "'stop' must have at most 4 entries", "#/stop"),
        ('{"seed": -1}', "'seed' must be at least 0; found the number -1", "#/seed"),
        ('{"seed": 9223372036854775808}', "'seed' must be at most 9223372036854775807", "#/seed"),
        ('{"seed": ' + "9" * 5000 + "}", "a whole number with 5000 digits is too large", "#"),
        ('{"length": 5}', "unknown member 'length'; this route knows prompt, max_tokens, greedy", "#/length"),
        ('{"prompt": "z"}', "the model's vocabulary lacks 'z'", "#/prompt"),
    ],
)
def test_a_wrong_setting_is_named(letters, body, words, pointer):
    response = letters.post("/generate", data=body, content_type=JSON)
    assert words in detail(response, 400)
    assert response.get_json(force=True)["pointer"] == pointer


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
def test_arbitrary_bytes_are_never_a_500(client, letters, body):
    answered_or_explained(client.post("/predict", data=body, content_type=JSON))
    answered_or_explained(letters.post("/generate", data=body, content_type=JSON))


@QUICK
@given(value=JSON_VALUES, extra=st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=1))
def test_arbitrary_values_are_never_a_500(client, value, extra):
    for content in (value, {"text": value}, {"text": value} | extra):
        answered_or_explained(client.post("/predict", data=json.dumps(content), content_type=JSON))


@QUICK
@given(
    asked=st.fixed_dictionaries(
        {},
        optional={
            "prompt": st.text("abj", max_size=5) | st.text(max_size=3) | JSON_VALUES,
            "max_tokens": st.integers(-1, 20) | JSON_VALUES,
            "greedy": st.booleans() | JSON_VALUES,
            "temperature": st.floats() | st.floats(0, 1) | JSON_VALUES,
            "top_k": st.integers(-1, 6) | JSON_VALUES,
            "top_p": st.floats(0, 1) | JSON_VALUES,
            "min_p": st.floats(0, 1) | JSON_VALUES,
            "repetition_penalty": st.floats(0, 3) | JSON_VALUES,
            "stop": st.lists(st.text(max_size=2), max_size=5) | JSON_VALUES,
            "seed": st.integers() | JSON_VALUES,
        },
    )
)
def test_arbitrary_settings_are_never_a_500(letters, asked):
    answered_or_explained(letters.post("/generate", data=json.dumps(asked), content_type=JSON))


def test_any_text_that_is_allowed_fits_however_it_is_escaped(client, letters):
    text = "\U0001f642" * 5000
    assert client.post("/predict", data=json.dumps({"text": text}), content_type=JSON).status_code == 200
    asked = {"prompt": text, "stop": ["\U0001f642" * 50] * 4}
    assert "vocabulary lacks" in detail(letters.post("/generate", data=json.dumps(asked), content_type=JSON), 400)


def test_one_point_nought_is_a_whole_number(letters):
    asked = '{"prompt": "a", "max_tokens": 2.0, "top_k": 1.0, "seed": 0.0}'
    assert letters.post("/generate", data=asked, content_type=JSON).get_json()["text"] == "abc"
