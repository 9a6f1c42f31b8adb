"""Every form in which an infohash may stand in clear, and none in noise."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256
from urllib.parse import quote_from_bytes

import numpy as np
import pytest

from btresearch.detect.infohash_scan import DETECTOR, PLACES, InfohashScan, promising
from tests.detect.wire import PEER_HANDSHAKE, flow, table

INFOHASH = bytes.fromhex("6590369d57d9a4f068b73f5bced7222a487e8bef")
V2 = INFOHASH + bytes(12)
LONG = sha256(b"a v2 torrent").digest()
KNOWING = InfohashScan(infohashes=frozenset({INFOHASH}))
PERCENT = "".join(f"%{value:02x}" for value in INFOHASH).encode()


def ask(detector: InfohashScan, **facts: object) -> tuple[str, str]:
    answer = detector(table([flow(**facts)])[list(detector.sees)]).iloc[0]
    return answer["verdict"], answer["why"]


@pytest.mark.parametrize(
    ("sni", "verdict"),
    [
        (INFOHASH.hex(), "bittorrent"),
        (INFOHASH.hex().upper(), "bittorrent"),
        (LONG.hex(), "bittorrent"),
        (LONG.hex()[:-1], "other"),
        (INFOHASH.hex()[:-1], "other"),
        (INFOHASH.hex() + "0", "other"),
        (INFOHASH.hex() + ".example.org", "other"),
        ("g" + INFOHASH.hex()[1:], "other"),
        ("example.org", "other"),
    ],
)
def test_a_server_name_of_forty_hex_digits(sni, verdict):
    assert ask(DETECTOR, sni=sni)[0] == verdict


@pytest.mark.parametrize(
    ("head", "place"),
    [
        (PEER_HANDSHAKE, "peer handshake at byte 28"),
        (b"GET /announce?info_hash=" + PERCENT + b"&port=1 HTTP/1.1\r\n", "tracker request at byte 24"),
        (b"d1:ad2:id20:" + bytes(20) + b"9:info_hash20:" + INFOHASH + b"e", "DHT query at byte 46"),
        (b"see magnet:?xt=urn:btih:" + INFOHASH.hex().encode() + b"&dn=x", "magnet link at byte 24"),
    ],
)
@pytest.mark.parametrize("stream", ["stream_head_c2s", "stream_head_s2c"])
def test_places_where_protocols_put_one(head, place, stream):
    assert ask(DETECTOR, **{stream: head}) == ("bittorrent", place)


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("raw", INFOHASH),
        ("hex", INFOHASH.hex().encode()),
        ("hex", INFOHASH.hex().upper().encode()),
        ("base32", b32encode(INFOHASH)),
        ("base32", b32encode(INFOHASH).lower()),
        ("percent-encoded", PERCENT),
        ("percent-encoded", PERCENT.upper()),
        ("percent-encoded", quote_from_bytes(INFOHASH).encode()),
        ("reversed raw", INFOHASH[::-1]),
        ("reversed hex", INFOHASH[::-1].hex().encode()),
    ],
)
def test_a_known_infohash_in_every_form(form, written):
    head = b"\x00noise" + written + b"tail\xff"
    found = ask(KNOWING, stream_head_s2c=head)
    assert found == ("bittorrent", f"known infohash 6590369d... {form} in stream_head_s2c")
    assert ask(DETECTOR, stream_head_s2c=head)[0] == "other"


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("raw", LONG),
        ("reversed raw", LONG[::-1]),
        ("hex", LONG.hex().encode()),
        ("base32", b32encode(LONG).rstrip(b"=")),
        ("percent-encoded", quote_from_bytes(LONG, safe="").encode()),
        ("raw of 20 bytes", LONG[:20]),
        ("hex of 20 bytes", LONG[:20].hex().encode()),
        ("base32 of 20 bytes", b32encode(LONG[:20])),
        ("reversed hex of 20 bytes", LONG[:20][::-1].hex().encode()),
    ],
)
@pytest.mark.parametrize("where", ["stream_head_c2s", "pkt_payload"])
def test_a_v2_infohash_whole_and_cut(form, written, where):
    knowing = InfohashScan(infohashes=frozenset({LONG}))
    body = b"\x01<" + written + b">\x02"
    facts = {"stream_head_c2s": b"x", where: [b"", body] if where == "pkt_payload" else body}
    assert ask(knowing, **facts) == ("bittorrent", f"known infohash {LONG.hex()[:8]}... {form} in {where}")


def test_nothing_is_found_across_two_packets():
    facts = {"stream_head_c2s": b"x", "pkt_payload": [INFOHASH[:10], INFOHASH[10:]]}
    assert ask(KNOWING, **facts)[0] == "other"


def test_a_handshake_inside_utp_and_a_v2_magnet_link():
    assert ask(DETECTOR, stream_head_c2s=bytes(20) + PEER_HANDSHAKE)[1] == "peer handshake at byte 48"
    link = b"magnet:?xt=urn:btmh:1220" + LONG.hex().encode() + b"&dn=x"
    assert ask(DETECTOR, stream_head_c2s=link)[1] == "magnet link (v2) at byte 24"


def test_a_v2_infohash_is_found_by_its_first_twenty_bytes():
    knowing = InfohashScan(infohashes=frozenset({V2}))
    assert ask(knowing, stream_head_c2s=b"x" + INFOHASH)[0] == "bittorrent"


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("literal", [place.literal for place in PLACES if place.literal])
def test_the_quick_look_misses_no_place(literal, at):
    heads = [b"x" * at + literal, b"", literal[:3], b"y" * at, literal + b"z" * at, literal[-3:]]
    assert promising(heads * 30).tolist() == [True, False, False, False, True, False] * 30


def test_a_word_across_two_streams_belongs_to_the_first_at_most():
    assert promising([b"ab_", b"hash", b"urn", b":"]).tolist()[1::2] == [False, False]


def test_noise_and_silence():
    random = np.random.default_rng(5)
    rows = table([flow(stream_head_c2s=random.bytes(2000), sni="a.example") for _ in range(100)])
    assert (KNOWING(rows[list(KNOWING.sees)])["verdict"] == "other").all()
    assert ask(KNOWING) == ("abstain", "no payload")
