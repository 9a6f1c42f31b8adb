"""The bytes of one flow in words: what a detector saw, for a human to check.

scapy dissects hellos and packets; everything is bounded, for a capture is a stranger's.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from btresearch.detect.cells import blob, blobs, items, text

HEX_BYTES, HEX_ROW_BYTES = 256, 16
PACKETS_SHOWN, PACKET_BYTES, SIZES_SHOWN, LINES_SHOWN = 6, 64, 40, 120
SCALAR_CHARACTERS = 200
CONTENT_TYPES = {20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application_data"}


class Section(NamedTuple):
    """One thing that was looked at: its columns, and itself as lines of text."""

    columns: tuple[str, ...]
    title: str
    body: str


def hexdump(data: bytes, limit: int = HEX_BYTES) -> str:
    """Offset, hex and printable characters, 16 bytes a line; at most `limit` bytes."""
    shown = data[:limit]
    lines = [
        f"{at:06x}  {row.hex(' '):<47}  {''.join(chr(b) if 32 <= b < 127 else '.' for b in row)}"
        for at in range(0, len(shown), HEX_ROW_BYTES)
        for row in (shown[at : at + HEX_ROW_BYTES],)
    ]
    more = [f"... {len(data) - limit} more bytes"] if len(data) > limit else []
    return "\n".join(lines + more)


def sections(flow: Mapping[str, Any]) -> Iterator[Section]:
    """What the row of a flow table holds, thing by thing; empty things are left out."""
    for columns, title, show in THINGS:
        if set(columns) <= set(flow) and (body := show(flow)):
            yield Section(columns, title, bounded(body))


def bounded(body: str) -> str:
    """At most LINES_SHOWN lines."""
    lines = body.splitlines()
    more = [f"... {len(lines) - LINES_SHOWN} more lines"] if len(lines) > LINES_SHOWN else []
    return "\n".join(lines[:LINES_SHOWN] + more)


def _hello(column: str, name: str) -> Callable[[Mapping[str, Any]], str]:
    def show(flow: Mapping[str, Any]) -> str:
        message = blob(flow[column])
        return "\n".join(filter(None, (_dissected(name, message), hexdump(message)))) if message else ""

    return show


def _dissected(name: str, data: bytes) -> str:
    """What scapy's layer of this name makes of the bytes; empty without scapy, or where it gives up."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ciphers that scapy names and `cryptography` would drop
            from scapy.layers.l2 import Ether
            from scapy.layers.tls.handshake import TLSClientHello, TLSServerHello

            layers = {"client": TLSClientHello, "server": TLSServerHello, "frame": Ether}
            packet = layers[name](data)
            return str(packet.summary() if name == "frame" else packet.show(dump=True)).rstrip()
    except (ImportError, ValueError, TypeError, LookupError, AttributeError, struct.error):
        return ""


def _frames(flow: Mapping[str, Any]) -> str:
    frames = blobs(flow["raw_frames"])
    parts = [f"frame {i}: {_dissected('frame', f)}" for i, f in enumerate(frames[: 2 * PACKETS_SHOWN], 1)]
    return "\n".join(parts)


def _payloads(flow: Mapping[str, Any]) -> str:
    ways, lengths, kept = (items(flow[name]) for name in ("pkt_dir", "pkt_len", "pkt_payload"))
    bearing = [(w, n, blob(p)) for w, n, p in zip(ways, lengths, kept, strict=False) if n > 0]
    return "\n".join(
        f"payload packet {i}, {_way(way)}, {length} B\n{hexdump(data, PACKET_BYTES)}"
        for i, (way, length, data) in enumerate(bearing[:PACKETS_SHOWN], 1)
    )


def _sizes(flow: Mapping[str, Any]) -> str:
    pairs = zip(items(flow["pkt_dir"]), items(flow["pkt_len"]), strict=False)
    signed = [f"{way * size:+d}" for way, size in pairs if size > 0]
    more = " ..." if len(signed) > SIZES_SHOWN else ""
    return " ".join(signed[:SIZES_SHOWN]) + more


def _records(flow: Mapping[str, Any]) -> str:
    columns = (items(flow[name]) for name in ("tls_dir", "tls_type", "tls_len"))
    found = list(zip(*columns, strict=False))
    lines = [f"{_way(way)}  {CONTENT_TYPES.get(kind, kind)}  {size} B" for way, kind, size in found]
    return "\n".join(lines[:SIZES_SHOWN] + (["..."] if len(lines) > SIZES_SHOWN else []))


def _bytes_of(column: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda flow: hexdump(blob(flow[column]))


def _text_of(column: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda flow: text(flow[column])[:SCALAR_CHARACTERS]


def _way(way: int) -> str:
    return "c2s" if way > 0 else "s2c"


THINGS: tuple[tuple[tuple[str, ...], str, Callable[[Mapping[str, Any]], str]], ...] = (
    (("pkt_dir", "pkt_len"), "payload sizes, + c2s, - s2c", _sizes),
    (("first_payload_c2s",), "first payload c2s", _bytes_of("first_payload_c2s")),
    (("first_payload_s2c",), "first payload s2c", _bytes_of("first_payload_s2c")),
    (("stream_head_c2s",), "head of the stream c2s", _bytes_of("stream_head_c2s")),
    (("stream_head_s2c",), "head of the stream s2c", _bytes_of("stream_head_s2c")),
    (("pkt_dir", "pkt_len", "pkt_payload"), "payload packets", _payloads),
    (("raw_frames",), "frames", _frames),
    (("sni",), "server name", _text_of("sni")),
    (("alpn",), "ALPN", _text_of("alpn")),
    (("ja3",), "JA3", _text_of("ja3")),
    (("ja3s",), "JA3S", _text_of("ja3s")),
    (("ja4",), "JA4", _text_of("ja4")),
    (("client_hello",), "ClientHello", _hello("client_hello", "client")),
    (("tls_dir", "tls_type", "tls_len"), "TLS records", _records),
)
