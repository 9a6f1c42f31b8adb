"""Every form in which an infohash may stand in clear, and none in noise."""

from __future__ import annotations

from base64 import b32encode
from urllib.parse import quote_from_bytes

import numpy as np
import pytest

from btresearch.detect.infohash_scan import DETECTOR, InfohashScan
from tests.detect.wire import PEER_HANDSHAKE, flow, table

INFOHASH = bytes.fromhex("6590369d57d9a4f068b73f5bced7222a487e8bef")
V2 = INFOHASH + bytes(12)
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


def test_a_v2_infohash_is_found_by_its_first_twenty_bytes():
    knowing = InfohashScan(infohashes=frozenset({V2}))
    assert ask(knowing, stream_head_c2s=b"x" + INFOHASH)[0] == "bittorrent"


def test_noise_and_silence():
    random = np.random.default_rng(5)
    rows = table([flow(stream_head_c2s=random.bytes(2000), sni="a.example") for _ in range(100)])
    assert (KNOWING(rows[list(KNOWING.sees)])["verdict"] == "other").all()
    assert ask(KNOWING) == ("abstain", "no payload")
