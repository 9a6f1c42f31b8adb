"""The query string of a tracker request, as bytes: infohashes and peer ids are no text."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from btresearch.peer.errors import RemoteProtocolError


def read(query: str, *, max_bytes: int, max_fields: int) -> dict[bytes, list[bytes]]:
    """Every value of each field, in order. Raises RemoteProtocolError for more than the bounds allow."""
    # An HTTP server may hand over a stranger's raw bytes as surrogates.
    raw = query.encode("utf-8", "surrogateescape")
    if len(raw) > max_bytes:
        raise RemoteProtocolError(f"query over {max_bytes} bytes")
    if raw.count(b"&") >= max_fields:
        raise RemoteProtocolError(f"query of over {max_fields} fields")
    fields: dict[bytes, list[bytes]] = {}
    for pair in raw.split(b"&"):
        key, _, value = pair.partition(b"=")
        fields.setdefault(unquote_to_bytes(key), []).append(unquote_to_bytes(value.replace(b"+", b" ")))
    return fields
