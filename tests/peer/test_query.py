"""The query string of a tracker request."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import RemoteProtocolError, query


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_every_byte_survives_and_repeats_are_kept(first: bytes, second: bytes) -> None:
    text = f"a={quote_from_bytes(first, safe='')}&a={quote_from_bytes(second, safe='')}&b=1+2"
    assert query.read(text, max_bytes=1000, max_fields=3) == {b"a": [first, second], b"b": [b"1 2"]}


@pytest.mark.parametrize("text", ["\udcff", "\u65e5"])
def test_raw_bytes_are_no_exception(text: str) -> None:
    """aiohttp hands over what is no UTF-8 as surrogates."""
    assert query.read(text, max_bytes=9, max_fields=1) == {text.encode("utf-8", "surrogateescape"): [b""]}


def test_bounds() -> None:
    with pytest.raises(RemoteProtocolError, match="query over 8 bytes"):
        query.read("\u65e5\u65e5\u65e5", max_bytes=8, max_fields=1)
    with pytest.raises(RemoteProtocolError, match="query of over 2 fields"):
        query.read("a&b&c", max_bytes=8, max_fields=2)
