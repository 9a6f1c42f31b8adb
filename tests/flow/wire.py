"""Test material: packets built by scapy, a pcap writer, TLS hellos byte by byte, and real TLS exchanges."""

from __future__ import annotations

import contextlib
import datetime
import ssl
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 443)
T0_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000
MSS = 1448
C2S, S2C = 1, -1
Exchange = Sequence[tuple[int, bytes]]


def tcp(
    direction: int, flags: str, seq: int, ack: int, payload: bytes = b"", *, port: int = CLIENT[1]
) -> Packet:
    """An IPv4 TCP packet between CLIENT (with `port`) and SERVER."""
    client, server = (CLIENT[0], port), SERVER
    (src, sport), (dst, dport) = (client, server) if direction == C2S else (server, client)
    numbers = {"seq": seq % 2**32, "ack": ack % 2**32}
    packet = IP(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags, **numbers)
    return packet / Raw(payload) if payload else packet


def udp(direction: int, payload: bytes) -> Packet:
    """An IPv4 UDP packet between CLIENT and SERVER."""
    (src, sport), (dst, dport) = (CLIENT, SERVER) if direction == C2S else (SERVER, CLIENT)
    return IP(src=src, dst=dst) / UDP(sport=sport, dport=dport) / Raw(payload)


def over_ipv6(packet: Packet, *headers: Packet) -> Packet:
    """The same transport packet over IPv6 behind extension headers."""
    six = IPv6(src="2001:db8::1", dst="2001:db8::2")
    if packet[IP].src == SERVER[0]:
        six.src, six.dst = six.dst, six.src
    for header in headers:
        six = six / header
    return six / packet[IP].payload.copy()


def connection(
    exchange: Exchange, *, isns: tuple[int, int] = (1000, 9000), mss: int = MSS, port: int = CLIENT[1]
) -> list[Packet]:
    """A whole TCP connection that carries `exchange`: handshake, segments with ACKs, FINs."""
    seqs = {C2S: isns[0], S2C: isns[1]}
    packets = [tcp(C2S, "S", seqs[C2S], 0, port=port), tcp(S2C, "SA", seqs[S2C], seqs[C2S] + 1, port=port)]
    seqs = {way: seq + 1 for way, seq in seqs.items()}
    packets.append(tcp(C2S, "A", seqs[C2S], seqs[S2C], port=port))
    for way, data in exchange:
        for at in range(0, len(data), mss):
            part = data[at : at + mss]
            packets.append(tcp(way, "PA", seqs[way], seqs[-way], part, port=port))
            seqs[way] += len(part)
        packets.append(tcp(-way, "A", seqs[-way], seqs[way], port=port))
    packets.append(tcp(C2S, "FA", seqs[C2S], seqs[S2C], port=port))
    packets.append(tcp(S2C, "FA", seqs[S2C], seqs[C2S] + 1, port=port))
    packets.append(tcp(C2S, "A", seqs[C2S] + 1, seqs[S2C] + 1, port=port))
    return packets


def ethernet(packets: Iterable[Packet]) -> list[bytes]:
    """Ethernet frames, padded to the 60 bytes that the medium asks for."""
    frames = (bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet) for packet in packets)
    return [frame.ljust(60, b"\0") for frame in frames]


def write(
    path: Path,
    frames: Iterable[bytes],
    *,
    linktype: int = 1,
    times_ns: Iterable[int] | None = None,
    snap: int = 262_144,
) -> Path:
    """A nanosecond pcap of `frames`, a millisecond apart, cut to `snap` bytes."""
    frames = list(frames)
    times = list(times_ns) if times_ns is not None else [T0_NS + STEP_NS * i for i in range(len(frames))]
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snap, linktype))
        for frame, t_ns in zip(frames, times, strict=True):
            kept = frame[:snap]
            file.write(struct.pack("<IIII", *divmod(t_ns, 10**9), len(kept), len(frame)) + kept)
    return path


def vector(length_bytes: int, body: bytes) -> bytes:
    """A TLS vector: its length, then its body."""
    return len(body).to_bytes(length_bytes, "big") + body


def numbers(length_bytes: int, values: Iterable[int], size: int = 2) -> bytes:
    """A TLS vector of numbers."""
    return vector(length_bytes, b"".join(value.to_bytes(size, "big") for value in values))


def client_hello(
    version: int, ciphers: Iterable[int], extensions: Iterable[tuple[int, bytes]] | None
) -> bytes:
    """A ClientHello message with its handshake header; None leaves the extension block out."""
    body = version.to_bytes(2, "big") + bytes(32) + vector(1, b"") + numbers(2, ciphers) + b"\x01\x00"
    if extensions is not None:
        body += vector(2, b"".join(kind.to_bytes(2, "big") + vector(2, data) for kind, data in extensions))
    return b"\x01" + vector(3, body)


def server_hello(version: int, cipher: int, extensions: Iterable[tuple[int, bytes]]) -> bytes:
    """A ServerHello message with its handshake header."""
    body = version.to_bytes(2, "big") + bytes(32) + vector(1, b"") + cipher.to_bytes(2, "big") + b"\0"
    body += vector(2, b"".join(kind.to_bytes(2, "big") + vector(2, data) for kind, data in extensions))
    return b"\x02" + vector(3, body)


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    """One TLS record."""
    return bytes([kind]) + version.to_bytes(2, "big") + vector(2, body)


def tls_exchange(
    messages: Exchange, folder: Path, *, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, alpn: str = "h2"
) -> list[tuple[int, bytes]]:
    """What a real TLS client and server of the standard library send each other to carry `messages`."""
    sides = {C2S: _client(alpn, maximum), S2C: _server(folder, alpn)}
    incoming = {C2S: ssl.MemoryBIO(), S2C: ssl.MemoryBIO()}
    outgoing = {C2S: ssl.MemoryBIO(), S2C: ssl.MemoryBIO()}
    ends = {
        way: context.wrap_bio(
            incoming[way], outgoing[way], server_side=way == S2C,
            server_hostname="tracker.example" if way == C2S else None,
        )
        for way, context in sides.items()
    }  # fmt: skip
    exchange: list[tuple[int, bytes]] = []

    def move(way: int) -> None:
        data = outgoing[way].read()
        if data:
            incoming[-way].write(data)
            exchange.append((way, data))

    for way in (C2S, S2C) * 4:
        with contextlib.suppress(ssl.SSLWantReadError):
            ends[way].do_handshake()
        move(way)
    for way, message in messages:
        ends[way].write(message)
        move(way)
    return exchange


def _client(alpn: str, maximum: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = maximum
    context.set_alpn_protocols([alpn, "http/1.1"])
    return context


def _server(folder: Path, alpn: str) -> ssl.SSLContext:
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]),
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.set_alpn_protocols([alpn])
    return context


def records_of(stream: bytes) -> list[tuple[int, int]]:
    """Type and length of every record of a whole TLS stream, read the simple way."""
    found = []
    while stream:
        size = int.from_bytes(stream[3:5], "big")
        found.append((stream[0], size))
        stream = stream[5 + size :]
    return found


def joined(exchange: Exchange, way: int) -> bytes:
    """Everything that one side of an exchange sends."""
    return b"".join(data for direction, data in exchange if direction == way)
