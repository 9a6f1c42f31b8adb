"""The signature engines: each rule at its borders, and what none of them may say."""

from __future__ import annotations

import numpy as np
import pytest

from btresearch.detect import select
from btresearch.detect.proxy_sniff import entropy_bits, extensions_end, shows_vc
from btresearch.detect.wireshark import wireshark
from tests.detect.wire import (
    PEER_HANDSHAKE,
    clear_conversation,
    flow,
    http_conversation,
    mse_conversation,
    table,
    talk,
    tls_conversation,
)

ENGINES = ("et_p2p", "ipp2p", "l7filter", "libprotoident", "proxy_sniff", "wireshark")
STRING = b"BitTorrent protocol"


def udp(*messages, **facts):
    """A UDP flow: no handshake, no flags."""
    return flow(**(talk(messages, handshake=False) | {"proto": "udp"} | facts))


def tcp(*messages, **facts):
    return flow(**(talk(messages) | facts))


def ask(engine, row):
    [detector] = [engine] if not isinstance(engine, str) else select([engine])
    return detector(table([row])[list(detector.sees)]).iloc[0]


def utp(kind=4, version=1, extension=0, window=0x100000, rest=b""):
    header = bytes([kind << 4 | version, extension]) + b"\x12\x34" + bytes.fromhex("00000001") + bytes(4)
    return header + window.to_bytes(4, "big") + b"\0\1\0\0" + rest


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_names_clear_text_and_says_which_rule(engine):
    answer = ask(engine, tcp(*clear_conversation()))
    assert answer["verdict"] == "bittorrent"
    assert answer["score"] == 1.0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "row",
    [tcp(*mse_conversation(3)), tcp(*http_conversation()), tcp(*tls_conversation("lab.test", [1400] * 5))],
    ids=["mse", "http", "tls"],
)
def test_no_engine_names_mse_http_or_tls(engine, row):
    assert ask(engine, row)["verdict"] == "other"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flow_without_payload_is_abstained_on(engine):
    assert ask(engine, tcp())["verdict"] == "abstain"


CASES = [
    # engine, flow, verdict; the second of each pair is one step beside the rule
    ("wireshark", tcp((1, b"\x13" + STRING)), "bittorrent"),
    ("wireshark", tcp((1, b"\x13" + STRING[:-1])), "other"),
    ("wireshark", tcp((1, b"\x14" + STRING)), "other"),
    ("wireshark", udp((1, b"\x13" + STRING)), "other"),
    ("wireshark", udp((1, b"d1:ad2:id20:")), "bittorrent"),
    ("wireshark", udp((1, b"d2:ip6:")), "bittorrent"),
    ("wireshark", udp((1, b"d1:qd2:")), "other"),
    ("wireshark", udp((1, utp())), "other"),  # its heuristic is off by default
    ("ipp2p", tcp((1, b"\x13" + STRING)), "other"),  # 20 bytes; the list asks for more
    ("ipp2p", tcp((1, b"\x13" + STRING + b"\0")), "bittorrent"),
    ("ipp2p", tcp((1, bytes.fromhex("0000000d06") + bytes(12))), "other"),  # 17 bytes: unreachable
    ("ipp2p", tcp((1, b"GET /announce?info_hash=aaaa HTTP/1.0\r\n\r\n")), "bittorrent"),
    ("ipp2p", tcp((1, b"GET /x?passkey=1 HTTP/1.0\r\n\r\n")), "bittorrent"),
    ("ipp2p", tcp((1, b"POST /announce?info_hash=aaaa HTTP/1.0\r\n\r\n")), "other"),
    ("ipp2p", udp((1, bytes(8) + bytes.fromhex("00000400") + bytes(24))), "bittorrent"),
    ("ipp2p", udp((1, bytes(8) + bytes.fromhex("00000400") + bytes(25))), "other"),
    ("ipp2p", udp((1, bytes.fromhex("00000417271019800000000000000000"))), "other"),  # 16 bytes: under the gate
    ("ipp2p", udp((1, bytes.fromhex("0000082737502950") + bytes(36))), "bittorrent"),
    ("ipp2p", udp((1, b"d1:ad2:id20:" + bytes(20))), "bittorrent"),
    ("l7filter", tcp((1, b"\x13bIttOrrent PROTOCOL")), "bittorrent"),
    ("l7filter", tcp((1, b"x\x13BitTorrent protocol")), "other"),
    ("l7filter", tcp((1, b"GET /announce?info_hash=a HTTP/1.0\r\n")), "other"),  # the missing bar
    ("l7filter", udp((1, b"xx"), (-1, b"yyd1:ad2:id20:")), "bittorrent"),
    ("l7filter", tcp((1, b"\0\0\x13BitTorrent protocol")), "bittorrent"),  # NUL bytes are left out
    ("libprotoident", tcp((1, b"\x13Bit"), (-1, b"\x13Bi")), "bittorrent"),
    ("libprotoident", tcp((1, b"\x13Bit"), (-1, b"HTTP")), "bittorrent"),  # the "invalid" module
    ("libprotoident", tcp((1, b"\x13Bix"), (-1, b"HTTP")), "other"),
    ("libprotoident", tcp((1, bytes.fromhex("00004009")), (-1, b"xxxx")), "bittorrent"),
    ("libprotoident", tcp((1, bytes.fromhex("0000000d")), (-1, bytes.fromhex("00000001"))), "bittorrent"),
    ("libprotoident", tcp((1, bytes.fromhex("0000000d")), (-1, bytes.fromhex("00000002"))), "other"),
    ("libprotoident", udp((1, b"\x41\x00" + bytes(18)), (-1, b"\x21\x00" + bytes(18))), "bittorrent"),
    ("libprotoident", udp((1, b"\x41\x00" + bytes(19)), (-1, b"\x21\x00" + bytes(18))), "other"),
    ("libprotoident", udp((1, b"d1:ad2:id"), (-1, b"d1:rd2:id")), "bittorrent"),
    ("libprotoident", udp((1, bytes(98)), (-1, bytes.fromhex("00000001"))), "bittorrent"),
    ("libprotoident", udp((1, bytes(97)), (-1, bytes.fromhex("00000001"))), "other"),
    ("et_p2p", tcp((1, bytes.fromhex("0000000d0600") + bytes(11)), dport=7681), "bittorrent"),
    ("et_p2p", tcp((1, bytes.fromhex("0000000d0600") + bytes(11)), dport=7680), "other"),
    ("et_p2p", tcp((-1, bytes.fromhex("0000400907000000") + bytes(99))), "bittorrent"),
    ("et_p2p", tcp((1, PEER_HANDSHAKE), dport=6881), "bittorrent"),
    ("et_p2p", tcp((1, PEER_HANDSHAKE), dport=6889), "bittorrent"),
    ("et_p2p", tcp((1, PEER_HANDSHAKE), dport=6890), "other"),
    ("et_p2p", tcp((1, PEER_HANDSHAKE), dport=6880), "other"),
    ("et_p2p", udp((1, bytes.fromhex("000004172710198000000000") + bytes(4))), "bittorrent"),
    ("et_p2p", udp((1, bytes.fromhex("000004172710198000000000") + bytes(8))), "other"),  # 20 bytes
    ("et_p2p", udp((1, b"d1:rd2:id20:" + bytes(20) + b"5:nodes208:")), "bittorrent"),
    ("et_p2p", udp((1, b"d1:rd2:id20:" + bytes(20) + b"5:token")), "other"),
    ("et_p2p", tcp((1, b"GET /a HTTP/1.1\r\nUser-Agent: uTorrent/3.5\r\n\r\n")), "bittorrent"),
    ("et_p2p", tcp((1, b"GET /a HTTP/1.1\r\nUser-Agent: Mozilla/5.0 uTorrent\r\n\r\n")), "other"),
    ("et_p2p", tcp((1, b"GET /a.torrent HTTP/1.1\r\nHost: x\r\n\r\n")), "bittorrent"),
    ("et_p2p", tcp((1, b"GET /a HTTP/1.1\r\nReferer: /a.torrent\r\n\r\n")), "other"),
    ("et_p2p", tcp((1, b"GET /a HTTP/1.1\r\n\r\n"), (-1, b"HTTP/1.1 200 OK\r\n\r\nd8:announce3:abc")), "bittorrent"),
    ("proxy_sniff", udp((1, utp())), "bittorrent"),
    ("proxy_sniff", udp((1, utp(kind=5))), "other"),
    ("proxy_sniff", udp((1, utp(version=2))), "other"),
    ("proxy_sniff", udp((1, utp(extension=1, rest=b"\0\4abcd"))), "bittorrent"),
    ("proxy_sniff", udp((1, utp(extension=1, rest=b"\0\5abcd"))), "other"),  # ends past the packet
    ("proxy_sniff", udp((1, (0x41727101980).to_bytes(8, "big") + bytes(8))), "bittorrent"),
    ("proxy_sniff", udp((1, (0x41727101980).to_bytes(8, "big") + b"\0\0\0\1" + bytes(4))), "other"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "row", "verdict"), CASES)
def test_rules_at_their_borders(engine, row, verdict):
    answer = ask(engine, row)
    assert answer["verdict"] == verdict, answer["why"]


@pytest.mark.parametrize(
    ("packet", "verdict"),
    [
        (utp(kind=4), "bittorrent"),
        (utp(kind=5), "other"),
        (utp(window=0x380000), "bittorrent"),
        (utp(window=0x380001), "other"),
        (utp(extension=3, rest=b"\0\4abcd"), "other"),
        (utp(extension=1, rest=b"\0\3abc"), "other"),
        (utp(extension=1, rest=b"\0\4abcd"), "bittorrent"),
    ],
)
def test_wiresharks_utp_heuristic_when_switched_on(packet, verdict):
    assert ask(wireshark(heuristic_utp=True), udp((1, packet)))["verdict"] == verdict


def test_the_published_mse_rule_never_fires_on_mse():
    """2000 handshakes with the clear-text fields that it looks for encrypted, as they are on the wire."""
    random = np.random.default_rng(1)
    rows = table([tcp((1, random.bytes(96 + int(random.integers(0, 512))))) for _ in range(2000)])
    [detector] = select(["proxy_sniff"])
    assert (detector(rows[list(detector.sees)])["verdict"] == "other").all()


def test_the_published_mse_rule_is_replayed_and_not_merely_off():
    key = bytes(range(96))  # every value once: 6.585 bits
    assert entropy_bits(key) > 6.5
    assert ask("proxy_sniff", tcp((1, key + bytes(8) + b"\0\0\0\2")))["verdict"] == "bittorrent"
    assert ask("proxy_sniff", tcp((1, key + bytes(8) + b"\0\0\0\4")))["verdict"] == "other"


def test_its_parts():
    assert not shows_vc(bytes(range(1, 109)))
    assert extensions_end(utp())
    assert not extensions_end(utp(extension=1))
    assert entropy_bits(b"") == 0.0


def test_the_earliest_packet_decides_and_is_named():
    answer = ask("et_p2p", tcp((1, b"hello"), (1, bytes.fromhex("0000000d0600") + bytes(11))))
    assert answer["why"].startswith("2000334 request message: TCP payload packet 2, c2s, 17 B")
