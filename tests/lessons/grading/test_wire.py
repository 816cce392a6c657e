"""What crosses between the grader and a student's process comes back as it was; nothing else comes through."""

import base64
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinyllm.lessons.grading import wire
from tinyllm.lessons.grading.wire import WireError, decode, encode

plain = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.complex_numbers()),
    *(st.text(), st.binary()),
)
dtypes = st.one_of(
    *(arrays.boolean_dtypes(), arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), arrays.floating_dtypes()),
    *(arrays.complex_number_dtypes(), arrays.unicode_string_dtypes(), arrays.byte_string_dtypes()),
)
every_array = arrays.arrays(dtypes, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
values = st.recursive(
    plain | every_array,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
) | st.sets(st.integers() | st.text())


def crossed(*message):
    file = io.BytesIO()
    wire.write(file, list(message))
    file.seek(0)
    return wire.read(file)


def assert_same(a, b):
    if isinstance(a, np.ndarray):
        assert type(b) is np.ndarray and (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, list | tuple):
        assert type(a) is type(b) and len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    else:
        assert type(a) is type(b) and (a == b or a != a)


@given(values)
def test_a_value_comes_back_as_it_was(value):
    assert_same([value], crossed(value))


@pytest.mark.parametrize("value", [np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("ja"), np.complex64(1j)])
def test_a_number_of_numpy_stays_one(value):
    (back,) = crossed(value)
    assert type(back) is type(value) and back == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 1e-308, 5e-324])
def test_every_float_keeps_its_bits(value):
    (back,) = crossed(value)
    assert np.float64(back).tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_a_generator_crosses_as_a_copy_of_its_state(kind):
    rng = np.random.Generator(getattr(np.random, kind)(7))
    rng.normal(size=3)
    (copy,) = crossed(rng)
    np.testing.assert_array_equal(copy.normal(size=5), rng.normal(size=5))


def test_views_and_other_byte_orders_cross_with_their_values():
    for value in (np.arange(12.0).reshape(3, 4)[::-1, ::2].T, np.arange(3, dtype=">i4"), np.broadcast_to(1.5, (2, 2))):
        (back,) = crossed(value)
        np.testing.assert_array_equal(back, value)
        back += 1  # it is the receiver's own


class Text(str):
    __hash__ = str.__hash__

    def __eq__(self, other):
        return True


class Whole(int):
    __hash__ = int.__hash__

    def __eq__(self, other):
        return True


class Named(dict):
    __hash__ = None

    def __eq__(self, other):
        return True


@pytest.mark.parametrize("value", [Text("a"), Whole(3), Named(a=1)])
def test_a_subclass_arrives_as_the_plain_value(value):
    (back,) = crossed(value)
    assert type(back) is type(value).__mro__[1]
    assert back != "something else"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "type object cannot be handed over"),
        (len, "type builtin_function_or_method"),
        (np.array([1, "a", None], dtype=object), "dtype object"),
        (np.array(["2026-01-01"], dtype="M8[D]"), "dtype datetime64"),
        (np.zeros(2, [("a", "f8")]), "dtype"),
        (np.ma.masked_array([1.0], [True]), "type MaskedArray"),
        (10**5000, "4300"),
        (np.zeros(2**27, np.uint8), "more than 64 MB"),
        ("a" * 2**26, "more than 64 MB"),
        (list(range(600_000)) + [","] * 500_000, "more than 1,000,000 values"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_cross_is_named(value, message):
    file = io.BytesIO()
    with pytest.raises(WireError, match=message):
        wire.write(file, [value])
    assert file.getvalue() == b""


def test_a_nest_without_end_is_refused():
    nest: list = []
    nest.append(nest)
    with pytest.raises(WireError, match="50 lists in lists"):
        encode(nest)


# -- hostile bytes ----------------------------------------------------------------------------------------------------


def framed(data: bytes) -> io.BytesIO:
    return io.BytesIO(len(data).to_bytes(4, "big") + data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["array", "scalar", "tuple", "set", "dict", "float", "bytes", "complex", "generator", "x"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=12,
)
PLAIN = (type(None), bool, int, float, complex, str, bytes, list, tuple, dict, set, np.ndarray, np.random.Generator)


def assert_plain(value):
    assert type(value) in PLAIN or (isinstance(value, np.generic) and value.dtype.kind in wire.KINDS)
    if isinstance(value, np.ndarray):
        assert value.dtype.kind in wire.KINDS
    elif isinstance(value, list | tuple | set):
        for each in value:
            assert_plain(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            assert_plain(key)
            assert_plain(each)


@given(json_values)
def test_any_json_is_plain_values_or_refused(data):
    try:
        value = decode(data)
    except WireError:
        return
    assert_plain(value)


@given(
    st.sampled_from(["array", "scalar"]),
    st.text(max_size=4) | st.sampled_from(["|O8", "<f8", ">U1", "|b1", "<M8", "|V8", "<U0", "|S0", "<f999999999"]),
    st.lists(st.integers(-(2**70), 2**70) | st.integers(0, 2), max_size=40) | st.text() | st.none(),
    st.binary(max_size=64),
)
def test_a_forged_array_is_an_array_of_its_size_or_refused(tag, dtype, shape, data):
    try:
        value = decode({tag: [dtype, shape, base64.b64encode(data).decode()]})
    except WireError:
        return
    assert_plain(value)
    assert value.nbytes == len(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(data):
    for file in (io.BytesIO(data), framed(data)):
        try:
            message = wire.read(file)
        except (WireError, EOFError):
            continue
        assert_plain(message)


@pytest.mark.parametrize(
    "data",
    [
        b"[NaN]",
        b"[Infinity]",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" + b"1" * 5000 + b"]",
        b'[{"array": ["<U1", [1], "////fw=="]}]',
        b'[{"array": ["|O8", [1], "AAAAAAAAAAA="]}]',
        b'[{"set": [[1]]}]',
        b'[{"dict": [[[], 1]]}]',
        b'[{"generator": {"dict": [["bit_generator", "default_rng"]]}}]',
        b'[{"tuple": [1], "set": [2]}]',
        b'[{"eval": "1"}]',
        b"{}",
        b"\xff\xfe",
        b"[" + b"[]," * 600_000 + b"[]]",
    ],
    ids=range(15),
)
def test_hostile_json_is_refused(data):
    with pytest.raises(WireError):
        wire.read(framed(data))


def test_an_announced_size_costs_nothing_before_it_is_there():
    with pytest.raises(WireError, match="64 MB"):
        wire.read(io.BytesIO(b"\xff\xff\xff\xff"))
    with pytest.raises(EOFError):
        wire.read(io.BytesIO((wire.LARGEST).to_bytes(4, "big") + b"[]"))


def test_what_is_written_is_ascii_json():
    file = io.BytesIO()
    wire.write(file, ["é", np.ones(1), math.nan])
    assert json.loads(file.getvalue()[4:].decode("ascii"))[0] == "é"
