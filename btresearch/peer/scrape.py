"""The HTTP tracker's scrape, the tracker's end, without I/O: BEP 48."""

from __future__ import annotations

from collections.abc import Mapping

from btresearch.peer import bencode, query

MAX_QUERY_BYTES = 8192
MAX_INFOHASHES = 74  # what fits a query of 8 KiB


def parse_query(text: str) -> list[bytes]:
    """The infohashes that a client asks for, the first 74. Raises RemoteProtocolError if it is too long."""
    fields = query.read(text, max_bytes=MAX_QUERY_BYTES, max_fields=MAX_QUERY_BYTES)
    return fields.get(b"info_hash", [])[:MAX_INFOHASHES]


def encode_response(counts: Mapping[bytes, Mapping[bytes, int]]) -> bytes:
    """The body of an answer; `counts` maps infohash to complete, downloaded and incomplete."""
    return bencode.encode({b"files": counts})
