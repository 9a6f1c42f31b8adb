"""Hellos measured on real stacks, and hellos that contradict themselves."""

from __future__ import annotations

import hashlib
import re
import struct
import tomllib

import numpy as np
import pytest

from btresearch import flow
from btresearch.detect import run
from btresearch.detect.npf import npf, npf_hash
from btresearch.detect.tls_fingerprint import DETECTOR, Hello, findings, first_suite, judge, stack_of
from btresearch.detect.tls_shape import Shape, shape_of
from btresearch.detect.tls_stacks import TABLE, UNKNOWN, stacks
from btresearch.flow import parse_client_hello
from tests.detect.wire import client_hello

INFOHASH = "6590369d57d9a4f068b73f5bced7222a487e8bef"
LONG = INFOHASH + 24 * "0"
CHROME = "8daaf6152771_806a8c22fdea"
LIBTORRENT = "t13d301100_1d37bd780c83_8e6e362c5eac"


def hello(ja4: str, sni: str = "lab.test", alpn: str = "h2,http/1.1", ja3: str = "", **more: object) -> Hello:
    return Hello(ja3, ja4, sni, alpn, **more)


@pytest.mark.parametrize(
    ("case", "verdict", "words"),
    [
        (hello(f"t13d1516h2_{CHROME}"), "other", "curl_cffi as chrome"),
        (hello(f"t13i1515h2_{CHROME}", sni=""), "other", "no server name"),
        (hello(f"t13d151600_{CHROME}", alpn=""), "flagged", "although this browser always offers it"),
        (hello("t13d171100_5b57614c22b0_3f5d972527c0", alpn=""), "other", "Firefox-family"),
        (hello(f"t13d1516h2_{CHROME}", sni="10.77.0.1"), "other", "RFC 6066 forbids"),
        (hello(f"t13d1516h2_{CHROME}", sni=INFOHASH), "flagged", "40 hex digits"),
        (hello(LIBTORRENT, sni=INFOHASH, alpn=""), "bittorrent", "libtorrent 2.1.1.0"),
        (hello(LIBTORRENT, sni=LONG, alpn=""), "bittorrent", "64 hex digits"),
        (hello(LIBTORRENT, alpn=""), "flagged", "libtorrent 2.1.1.0"),
        (hello("t13d181100_85036bcba153_d41ae481755e", alpn=""), "other", "Python ssl"),
        (hello("t13d9999h2_8daaf6152771_ffffffffffff"), "other", "Chromium-family"),
        (hello("t13d190900_9dc949149365_97f8aa674fd9", alpn=""), "other", "not in the table"),
        (hello(""), "abstain", "no ClientHello"),
    ],
)
def test_known_answers(case, verdict, words):
    answer = judge(case)
    assert answer.verdict == verdict
    assert words in answer.why


def test_ja3_stands_in_where_ja4_was_not_recorded():
    known = next(iter(stacks().by_ja3))
    assert stack_of(hello("t13d991100_aaaaaaaaaaaa_bbbbbbbbbbbb", ja3=known)).kind == "bittorrent"


def test_scores_rank_browsers_below_libraries_below_rare_stacks():
    ranked = [
        judge(hello(f"t13d1516h2_{CHROME}")),
        judge(hello(f"t13i1515h2_{CHROME}", sni="")),
        judge(hello("t13d1812h1_85036bcba153_d41ae481755e", alpn="http/1.1")),
        judge(hello(LIBTORRENT, alpn="")),
        judge(hello(LIBTORRENT, sni=INFOHASH, alpn="")),
    ]
    assert [a.score for a in ranked] == sorted(a.score for a in ranked)
    assert all(0 <= a.score <= 1 for a in ranked)


def names(case: Hello) -> list[str]:
    return [finding.name for finding in findings(case, stack_of(case))]


FULL, BARE = "t13d1516h2_" + CHROME, "t13d181100_85036bcba153_d41ae481755e"


@pytest.mark.parametrize(
    ("case", "found"),
    [
        (hello(FULL), []),
        (hello(FULL, sni=""), ["sni_missing", "alpn_without_sni"]),
        (hello(FULL, sni="10.77.0.1"), ["sni_address"]),
        (hello(FULL, sni="2001:db8::1"), ["sni_address"]),
        (hello(FULL, sni="host.10"), []),
        (hello(FULL, sni=INFOHASH), ["sni_hex"]),
        (hello(FULL, sni=INFOHASH[:-1]), []),
        (hello(FULL, sni=LONG), ["sni_hex"]),
        (hello(FULL, sni=LONG[:-1]), []),
        (hello(BARE, alpn=""), ["alpn_absent"]),
        (hello(BARE, sni="", alpn=""), ["sni_missing", "alpn_absent"]),
        (hello(BARE, message=bytes(503 + 160 + 9)), []),
        (hello(BARE, message=bytes(503 + 160 + 10)), ["hello_size"]),
        (hello(BARE, message=bytes(503 - 160 + 8)), []),
        (hello(BARE, message=bytes(503 - 160 + 7)), ["hello_size"]),
        (hello(FULL, shape=Shape((69,), 69, (250, 250))), []),
        (hello(FULL, shape=Shape((69,), 69, None)), []),
        (hello(FULL, shape=Shape((69,), 69, ())), ["no_tickets"]),
        (hello(FULL, shape=Shape((687, 95, 69), 69, (618, 618))), ["mutual_auth"]),
        (hello(FULL, shape=Shape((25, 53), 53, (250,))), ["mutual_auth"]),
    ],
)
def test_each_rule_is_a_finding_of_its_own(case, found):
    assert names(case) == found


def test_findings_add_up_and_only_contradictions_decide():
    odd = hello(BARE, sni="", alpn="", shape=Shape((687, 95, 69), 69, ()))
    assert judge(odd).verdict == "other"
    assert judge(odd).score > judge(hello(BARE, alpn="")).score
    assert all(f"{name} " in judge(odd).why for name in names(odd))


def chromium(aead: int, suite: int) -> bytes:
    """A hello's bytes as far as the ECH rule reads them: cipher suites, and the outer ECH extension."""
    suites = struct.pack(">HHH", 0x2A2A, suite, 0x1302)
    head = b"\x01\0\0\0\x03\x03" + bytes(32) + b"\x20" + bytes(32) + struct.pack(">H", len(suites)) + suites
    return head + b"\xfe\x0d\x00\xba\x00\x00\x01\x00" + bytes([aead]) + bytes(180)


@pytest.mark.parametrize(
    ("aead", "suite", "odd"), [(1, 0x1301, False), (3, 0x1301, True), (3, 0x1303, False), (1, 0x1303, True)]
)
def test_grease_ech_follows_the_order_of_the_suites(aead, suite, odd):
    """uTLS GHSA-7m29-f4hw-g2vx: ChaCha20 inside, AES preferred outside."""
    case = hello(FULL, message=chromium(aead, suite) + bytes(1500))
    assert ("ech_cipher" in names(case)) is odd
    assert (judge(case).verdict == "flagged") is odd
    assert "ech_cipher" not in names(hello(BARE, message=chromium(aead, suite)))


def test_the_first_suite_of_a_damaged_hello():
    whole = chromium(1, 0x1301)
    assert first_suite(whole) == 0x1301
    assert all(first_suite(whole[:size]) in (-1, 0x1301) for size in range(80))


def shape(*lengths: int, cipher: int = 0x1302, version: int = 0x0304) -> Shape | None:
    """Protected records; a negative length is the server's."""
    ways = np.sign(np.array(lengths, np.int32)).astype(np.int8)
    return shape_of(
        version, cipher, ways, np.full(len(lengths), 23, np.uint8), np.abs(np.array(lengths, np.int32))
    )


@pytest.mark.parametrize(
    ("given", "flight", "tickets"),
    [
        (shape(-32, -904, -69, 69, 560, -250, -250, -68), (69,), (250, 250)),
        (shape(-32, -904, -69, 69, -250, -68), (69,), ()),  # two records of different sizes are no tickets
        (shape(-32, -904, -69, 69, -250), (69,), (250,)),
        (shape(-32, -69, 69, 100, -59, -59), (69,), ()),
        (shape(-32, -69, 69, 100, -60, -60), (69,), (60, 60)),
        (shape(-32, -69, 69, 100), (69,), None),
        (shape(-27, -70, -687, -95, -69, 687, 95, 69, -618, -618), (687, 95, 69), (618, 618)),
        (shape(-32, -53, 53, -100, -200, cipher=0x1301), (53,), ()),
        (shape(-32, -53, 900, -100, -200, cipher=0x1301), (900,), ()),  # one record for the whole flight
        (shape(-32, -69, 25, 69), (25, 69), None),
    ],
)
def test_shapes_of_encrypted_handshakes(given, flight, tickets):
    assert (given.flight, given.tickets) == (flight, tickets)


@pytest.mark.parametrize(
    "given",
    [
        shape(),
        shape(-32, -69),
        shape(69, -32, -69),  # early data, or the start is missing
        shape(-32, -69, 19),  # an alert
        shape(-32, -69, 69, version=0x0303),
        shape_of(0x0304, 0x1301, None, None, None),
    ],
)
def test_what_shows_no_shape(given):
    assert given is None


def test_the_strings_of_npf():
    hello_ = parse_client_hello(client_hello("a.b")[5:])
    text = npf(0x0301, hello_)
    assert text == "tls/1/(0301)(13011302)[(0000)(002b0003020304)]"
    assert npf_hash(text) == hashlib.sha256(b"(0301)(13011302)[(0000)(002b0003020304)]").hexdigest()[:32]


def test_npf_drops_grease_and_order():
    """Two runs of one browser: other GREASE values, other order, one string."""
    both = []
    for grease, swap in ((0x2A2A, False), (0xFAFA, True)):
        value = struct.pack(">H", grease)
        groups = struct.pack(">HHH", 10, 6, 4) + value + b"\0\x1d"
        parts = [value + b"\0\0", groups]
        block = b"".join(parts[::-1] if swap else parts)
        body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x04" + value + b"\x13\x01" + b"\1\0"
        body += struct.pack(">H", len(block)) + block
        both.append(npf(0x0301, parse_client_hello(struct.pack(">I", 1 << 24 | len(body)) + body)))
    assert both == ["tls/1/(0301)(0a0a1301)[(000a000600040a0a001d)(0a0a)]"] * 2


def test_every_entry_is_well_formed_and_cites_its_source():
    table = tomllib.loads(TABLE.read_text())
    assert len(table["stacks"]) >= 30 and len(table["families"]) == 3
    for facts in table["stacks"].values():
        assert facts["source"] and 0 < facts["common"] < 1
        assert facts["recorded"] is (facts["hellos"] > 0)
        assert all(re.fullmatch(r"[0-9a-f]{12}_[0-9a-f]{12}", key) for key in facts["ja4_bc"])
        assert all(re.fullmatch(r"[0-9a-f]{32}", key) for key in (*facts["ja3"], *facts["npf"]))
        assert facts["ja4_bc"] or facts["ja3"]
    assert DETECTOR.needs and UNKNOWN.source


def test_a_crowd_is_counted_over_recorded_stacks():
    python = stack_of(hello(BARE))
    assert python.shared >= 4
    assert "shared by" in judge(hello(BARE)).why
    assert "httpx 0.28.1" in stacks().named(BARE, "")


def test_chromium_and_utls_send_one_hello():
    """So btls with a browser's hello stands in a browser's crowd: by JA4 and by NPF."""
    chromium_, parrot = (
        next(s for found in stacks().by_ja4.values() for s in found if s.name.startswith(name) and s.hellos)
        for name in ("Chromium 156", "utls as chrome")
    )
    assert chromium_.npf == parrot.npf


@pytest.mark.shared
def test_its_authors_ja4_reach_the_verdict(shared_pcaps):
    """JA4 of the authors' own captures (their testdata JSON; test_flow_shared compares every one)."""
    flows = flow.read(shared_pcaps / "tls-web/FoxIO-LLC_ja4__browsers-x509.pcapng")
    flows = flows[flows["ja4"] != ""]
    verdicts = run(flows, ["tls_fingerprint"])
    assert verdicts["why"].str.contains("t13d1516h2_8daaf6152771_e5627efa2ab1").sum() == 3
    assert (verdicts["verdict"] == "other").all()
