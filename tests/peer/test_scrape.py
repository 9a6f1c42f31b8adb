"""The scrape, the tracker's end."""

from __future__ import annotations

import pytest

from btresearch.peer import RemoteProtocolError, bencode, scrape


def test_infohashes_are_read_as_bytes_and_bounded() -> None:
    assert scrape.parse_query("info_hash=%00%ff&x=y&info_hash=a") == [b"\x00\xff", b"a"]
    assert scrape.parse_query("") == []
    assert len(scrape.parse_query("&".join(["info_hash=a"] * 100))) == scrape.MAX_INFOHASHES
    with pytest.raises(RemoteProtocolError, match="query over 8192 bytes"):
        scrape.parse_query("a" * 8193)


def test_response() -> None:
    """BEP 48: a dictionary `files` of infohash to its three counts."""
    counts = {b"complete": 1, b"downloaded": 2, b"incomplete": 3}
    files = {b"b" * 20: counts, b"a" * 20: counts}
    body = scrape.encode_response(files)
    assert bencode.decode(body) == {b"files": files}
    assert body.startswith(b"d5:filesd20:aaaa")
