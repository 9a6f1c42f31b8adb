"""Flow tables and packets made by hand for the detectors' tests."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from btresearch.flow import SCHEMA

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETHERNET_TCP_HEADER_BYTES = 54
LINKTYPE_ETHERNET = 1

Message = tuple[int, bytes]  # +1 c2s or -1 s2c, and the payload


def _default(type_: pa.DataType) -> Any:
    if pa.types.is_list(type_):
        inner = type_.value_type
        return np.array([], dtype=object if pa.types.is_binary(inner) else inner.to_pandas_dtype())
    if pa.types.is_boolean(type_):
        return False
    return "" if pa.types.is_string(type_) else b"" if pa.types.is_binary(type_) else 0


def flow(**facts: Any) -> dict[str, Any]:
    """One row of a flow table: a TCP flow about which only `facts` are known."""
    row = {field.name: _default(field.type) for field in SCHEMA}
    row |= {"proto": "tcp", "ip_version": 4, "linktype": LINKTYPE_ETHERNET, "capture": "made"}
    row |= dict.fromkeys(("tls_version", "tls_cipher", "tls_record_version", "rtt_ns"), -1)
    return row | facts


def table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """A flow table of such rows, under an index that is not 0, 1, 2 ..."""
    frame = pd.DataFrame(list(rows), columns=SCHEMA.names)
    frame["flow_id"] = range(len(frame))
    frame.index = pd.Index([10 + 3 * i for i in range(len(frame))])
    return frame


def talk(messages: Sequence[Message], *, handshake: bool = True, step_ns: int = 10**6) -> dict[str, Any]:
    """The packet columns of a TCP conversation: handshake, then a packet per message, PSH and ACK set."""
    opening = [(1, b"", SYN), (-1, b"", SYN | ACK), (1, b"", ACK)] if handshake else []
    packets = opening + [(way, payload, PSH | ACK) for way, payload in messages]
    first = {way: next((p for w, p in messages if w == way), b"") for way in (1, -1)}
    n = len(packets)
    return {
        "syn_seen": handshake,
        "handshake_seen": handshake,
        "pkt_dir": np.array([way for way, _, _ in packets], np.int8),
        "pkt_len": np.array([len(payload) for _, payload, _ in packets], np.int32),
        "pkt_ip_len": np.array([40 + len(payload) for _, payload, _ in packets], np.int32),
        "pkt_iat_ns": np.array([0] + [step_ns] * (n - 1), np.int64)[:n],
        "pkt_flags": np.array([flags for _, _, flags in packets], np.uint8),
        "pkt_payload_offset": np.full(n, ETHERNET_TCP_HEADER_BYTES, np.int32),
        "pkt_payload": [payload for _, payload, _ in packets],
        "first_payload_c2s": first[1],
        "first_payload_s2c": first[-1],
        "stream_head_c2s": b"".join(p for way, p in messages if way == 1)[:16384],
        "stream_head_s2c": b"".join(p for way, p in messages if way == -1)[:16384],
    }


def records(lengths: Sequence[tuple[int, int]], version: int = 0x0304) -> dict[str, Any]:
    """The TLS columns of application-data records, as (direction, length in the header)."""
    return {
        "is_tls": True,
        "tls_version": version,
        "tls_dir": np.array([way for way, _ in lengths], np.int8),
        "tls_type": np.full(len(lengths), 23, np.uint8),
        "tls_len": np.array([length for _, length in lengths], np.int32),
        "tls_t_ns": np.arange(len(lengths), dtype=np.int64),
    }


def _sum16(data: bytes) -> int:
    words = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    words = (words & 0xFFFF) + (words >> 16)
    return ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF


def _segment(way: int, ports: tuple[int, int], numbers: tuple[int, int], flags: int, payload: bytes) -> bytes:
    ends = (b"\x0a\x4d\x00\x02", b"\x0a\x4d\x00\x01")
    (source, target), (sport, dport) = (ends, ports) if way == 1 else (ends[::-1], ports[::-1])
    tcp = struct.pack(">HHIIBBHHH", sport, dport, *numbers, 5 << 4, flags, 64240, 0, 0) + payload
    pseudo = source + target + struct.pack(">BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", _sum16(pseudo + tcp)) + tcp[18:]
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, source, target)
    ip = ip[:10] + struct.pack(">H", _sum16(ip)) + ip[12:]
    return b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00" + ip + tcp


def frames(
    messages: Sequence[Message], *, ports: tuple[int, int] = (40000, 46881), mss: int = 1448
) -> list[bytes]:
    """Ethernet frames of a whole TCP conversation: handshake, messages cut at `mss`, FIN both ways."""
    at = {1: 1000, -1: 5000}
    made: list[bytes] = []

    def send(way: int, flags: int, payload: bytes = b"") -> None:
        made.append(_segment(way, ports, (at[way], at[-way] if flags & ACK else 0), flags, payload))
        at[way] += len(payload) + bool(flags & (SYN | FIN))

    send(1, SYN), send(-1, SYN | ACK), send(1, ACK)
    for way, message in messages:
        for start in range(0, len(message), mss):
            send(way, ACK | (PSH if start + mss >= len(message) else 0), message[start : start + mss])
        send(-way, ACK)
    send(1, FIN | ACK), send(-1, FIN | ACK), send(1, ACK)
    return made


def pcap(conversations: Iterable[Sequence[bytes]], *, gap_ns: int = 10**6) -> bytes:
    """A nanosecond capture of the conversations' frames, one conversation after the other."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET)]
    t_ns = 1_700_000_000 * 10**9
    for conversation in conversations:
        for frame in conversation:
            parts += [struct.pack("<IIII", *divmod(t_ns, 10**9), len(frame), len(frame)), frame]
            t_ns += gap_ns
    return b"".join(parts)


# Conversations with a known answer.

PEER_HANDSHAKE = b"\x13BitTorrent protocol" + bytes(8) + bytes(range(20)) + b"-XX0001-abcdefghijkl"


def mse_first_message(random: np.random.Generator) -> bytes:
    """A 96-byte public key and 0..511 bytes of padding, all of them noise (MSE, PadA as libtorrent pads)."""
    return random.bytes(96 + int(random.integers(0, 512)))


def clear_conversation(blocks: int = 8) -> list[Message]:
    """Handshakes, interested, unchoke, then requests and pieces (BEP 3)."""
    talk_: list[Message] = [
        (1, PEER_HANDSHAKE),
        (-1, PEER_HANDSHAKE),
        (1, b"\0\0\0\1\2"),
        (-1, b"\0\0\0\1\1"),
    ]
    for i in range(blocks):
        where = struct.pack(">II", 0, i << 14)
        talk_.append((1, b"\0\0\0\x0d\6" + where + struct.pack(">I", 1 << 14)))
        talk_.append((-1, struct.pack(">IB", 9 + (1 << 14), 7) + where + bytes(1 << 14)))
    return talk_


def mse_conversation(seed: int) -> list[Message]:
    """Noise in MSE's message sizes: two keys with padding, then an encrypted handshake and pieces."""
    random = np.random.default_rng(seed)
    opening = [(1, mse_first_message(random)), (-1, mse_first_message(random))]
    return [*opening, *((way, random.bytes(size)) for way, size in ((1, 330), (-1, 30), (1, 68), (-1, 1400)))]


def http_conversation() -> list[Message]:
    """A request and a page."""
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2000\r\n\r\n" + b"hello web " * 200
    return [(1, b"GET /index.html HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\n\r\n"), (-1, page)]


def client_hello(sni: str) -> bytes:
    """A TLS 1.3 ClientHello in its record: two suites, server name, supported versions."""
    name = struct.pack(">HBH", len(sni) + 3, 0, len(sni)) + sni.encode()
    extensions = struct.pack(">HH", 0, len(name)) + name + bytes.fromhex("002b0003020304")
    body = b"\x03\x03" + bytes(32) + b"\0" + bytes.fromhex("000413011302") + b"\1\0"
    return _handshake(1, body + struct.pack(">H", len(extensions)) + extensions)


def server_hello() -> bytes:
    """A ServerHello that selects TLS 1.3, in its record."""
    body = b"\x03\x03" + bytes(range(32)) + b"\0\x13\x02\0" + bytes.fromhex("0006002b00020304")
    return _handshake(2, body)


def _handshake(kind: int, body: bytes) -> bytes:
    message = struct.pack(">I", kind << 24 | len(body)) + body
    return struct.pack(">BHH", 22, 0x0301, len(message)) + message


def tls_conversation(sni: str, lengths: Sequence[int]) -> list[Message]:
    """Hellos, then application-data records of these lengths from the server."""
    data = [struct.pack(">BHH", 23, 0x0303, length) + bytes(length) for length in lengths]
    return [(1, client_hello(sni)), (-1, server_hello()), *((-1, record) for record in data)]
