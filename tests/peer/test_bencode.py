"""Bencoding: BEP 3's examples, what is refused and where, bounds, and libtorrent as a second opinion."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.peer import bencode

# BEP 3, section "bencoding"
BEP_3_EXAMPLES = [
    (b"4:spam", b"spam"),
    (b"i3e", 3),
    (b"i-3e", -3),
    (b"i0e", 0),
    (b"l4:spam4:eggse", [b"spam", b"eggs"]),
    (b"d3:cow3:moo4:spam4:eggse", {b"cow": b"moo", b"spam": b"eggs"}),
    (b"d4:spaml1:a1:bee", {b"spam": [b"a", b"b"]}),
]

REFUSED = [
    (b"", 0, "a value"),
    (b"i-0e", 0, "an integer"),
    (b"i03e", 0, "an integer"),
    (b"ie", 0, "an integer"),
    (b"i-e", 0, "an integer"),
    (b"i+1e", 0, "an integer"),
    (b"i1_0e", 0, "an integer"),
    (b"i1", 0, "an integer"),
    (b"i" + b"9" * 20 + b"e", 0, "an integer"),
    (b"04:spam", 0, "a string's length"),
    (b"4spam", 0, "a string's length"),
    (b"5:spam", 0, "5 bytes of string, with 4 left"),
    (b"99999999999:x", 0, "a string's length"),
    (b"-1:x", 0, "a value"),
    (b"l4:spam", 7, "a value"),
    (b"d3:cowe", 6, "a value"),
    (b"di1ei2ee", 1, "a key"),
    (b"d1:ai1e1:ai2ee", 7, "each key once"),
    (b"4:spamx", 6, "the end of the data"),
    (b"x", 0, "a value"),
]

values = st.recursive(
    st.integers(-(2**62), 2**62) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(("encoded", "value"), BEP_3_EXAMPLES)
def test_examples_of_bep_3(encoded: bytes, value: bencode.Value) -> None:
    assert bencode.decode(encoded) == value
    assert bencode.encode(value) == encoded


@pytest.mark.parametrize(("encoded", "offset", "expected"), REFUSED)
def test_refusals_name_the_byte_and_what_was_expected(encoded: bytes, offset: int, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        bencode.decode(encoded, source="here")
    assert caught.value.offset == offset
    assert caught.value.expected.startswith(expected)
    assert str(caught.value).startswith(f"here: byte {offset}: expected ")


@settings(deadline=None, max_examples=100)
@given(values)
def test_round_trip(value: bencode.Value) -> None:
    encoded = bencode.encode(value)
    assert bencode.decode(encoded) == value
    assert bencode.decode_prefix(encoded + b"trailing") == (value, len(encoded))


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200) | st.text("dlie0123:-", max_size=60).map(str.encode))
def test_only_input_error_escapes(data: bytes) -> None:
    try:
        value = bencode.decode(data)
    except InputError as error:
        assert error.offset is not None
        assert 0 <= error.offset <= len(data)
    else:
        assert bencode.decode(bencode.encode(value)) == value


def test_depth_is_bounded() -> None:
    assert bencode.decode(b"l" * 64 + b"e" * 64)
    with pytest.raises(InputError, match="64 levels"):
        bencode.decode(b"l" * 65 + b"e" * 65)
    with pytest.raises(InputError, match="64 levels"):
        bencode.decode(b"d1:a" * 100_000)


def test_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bencode, "MAX_ITEMS", 100)
    with pytest.raises(InputError, match="at most 100 values"):
        bencode.decode(b"l" + b"le" * 100 + b"e")


def test_keys_out_of_order_are_read_and_reported() -> None:
    document = bencode.read(b"d1:bi1e1:ai2ee")
    assert document.value == {b"b": 1, b"a": 2}
    assert document.unsorted_at == (7,)


def test_spans_give_the_bytes_as_they_came() -> None:
    data = b"d4:infod1:bi1e1:ai2ee3:endi7ee"
    start, end = bencode.read(data).spans[b"info"]
    assert data[start:end] == b"d1:bi1e1:ai2ee"  # out of order: a re-encoding would differ
    assert bencode.encode({b"info": bencode.Raw(data[start:end]), b"end": 7}) != data
    assert bencode.encode({b"info": bencode.Raw(data[start:end])}) == b"d4:info" + data[start:end] + b"e"


def test_encoding_sorts_keys_and_takes_text() -> None:
    assert bencode.encode({"b": ("x", 1), "a": "é"}) == "d1:a2:é1:bl1:xi1eee".encode()
    with pytest.raises(TypeError, match="float"):
        bencode.encode(1.5)  # type: ignore[arg-type]


@pytest.mark.interop
@settings(deadline=None, max_examples=100)
@given(values)
def test_libtorrent_reads_and_writes_the_same(value: bencode.Value) -> None:
    libtorrent = pytest.importorskip("libtorrent")
    assert libtorrent.bdecode(bencode.encode({b"v": value})) == {b"v": value}
    assert libtorrent.bencode({b"v": value}) == bencode.encode({b"v": value})
