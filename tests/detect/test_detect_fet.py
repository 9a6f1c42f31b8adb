"""The five exemptions at their borders, and the known answer on generated MSE first messages."""

from __future__ import annotations

import numpy as np
import pytest

from btresearch.detect.fet import DETECTOR, EXEMPTIONS, PROFILES, Fet, Packets, exemptions, fet
from tests.detect.wire import PEER_HANDSHAKE, flow, http_conversation, mse_first_message, table, talk

NOISE = bytes([0x0F, 0xF0]) * 10  # 4 set bits in every byte, none printable, no run


def bits(total: int, length: int) -> bytes:
    """`length` unprintable bytes with `total` set bits: the high bit everywhere, the rest filled up."""
    extra = total - length
    filled = [min(7, max(0, extra - 7 * i)) for i in range(length)]
    assert sum(filled) == extra
    return bytes(0x80 | (1 << n) - 1 for n in filled)


def held(payload: bytes, profile: str = "paper") -> set[str]:
    row = exemptions([payload], PROFILES[profile])[0]
    return {label.split()[0] for (label, _), holds in zip(EXEMPTIONS, row, strict=True) if holds}


@pytest.mark.parametrize(
    ("total", "exempt"),
    [(339, True), (340, True), (341, False), (459, False), (460, True), (461, True)],
)
def test_popcount_borders_are_inclusive(total, exempt):
    payload = bits(total, 100)
    assert sum(value.bit_count() for value in payload) == total
    assert ("Ex1" in held(payload)) is exempt


@pytest.mark.parametrize(
    ("payload", "exempt"),
    [
        (b"\x20\x7eabcd" + NOISE, True),
        (b"abcde\xff" + NOISE, False),
        (b"\x1fbcdef" + NOISE, False),
        (b"abcde\x7f" + NOISE, False),
        (b"abcde", False),
    ],
)
def test_six_printable_bytes_in_front(payload, exempt):
    assert ("Ex2" in held(payload)) is exempt


@pytest.mark.parametrize(("printable", "exempt"), [(49, False), (50, False), (51, True)])
def test_strictly_more_than_half_printable(printable, exempt):
    mixed = b"a\xff" * min(printable, 100 - printable)
    payload = mixed + (b"a" if printable > 50 else b"\xff") * (100 - len(mixed))
    assert ("Ex3" in held(payload)) is exempt


@pytest.mark.parametrize(("run", "exempt"), [(19, False), (20, False), (21, True), (40, True)])
@pytest.mark.parametrize("where", ["start", "middle", "end"])
def test_a_run_of_more_than_twenty(run, exempt, where):
    before = {"start": 0, "middle": 50, "end": 100}[where]
    payload = b"\xff" * before + b"\x20" + b"~" * (run - 1) + b"\xff" * (100 - before)
    assert ("Ex4" in held(payload)) is exempt


def test_runs_do_not_cross_packets():
    pair = [b"\xff" + b"a" * 15, b"a" * 15 + b"\xff", b"a"]
    assert Packets.of(pair).has_run(15).tolist() == [True, True, False]
    assert Packets.of(pair).has_run(16).tolist() == [False, False, False]
    assert "Ex4" not in held(pair[1])


@pytest.mark.parametrize(
    ("prefix", "paper", "artifact"),
    [
        (b"\x16\x03\x00", True, True),
        (b"\x17\x03\x09", True, True),
        (b"\x16\x03\x0a", False, True),
        (b"\x16\x03\x0f", False, True),
        (b"\x16\x03\x10", False, False),
        (b"\x15\x03\x01", False, False),
        (b"\x16\x02\x01", False, False),
        (b"GET ", True, True),
        (b"PUT ", True, True),
        (b"POST ", True, True),
        (b"HEAD ", True, True),
        (b"GETx", False, False),
        (b"get ", False, False),
        (b"OPTIONS ", False, False),
    ],
)
def test_known_protocols_in_front(prefix, paper, artifact):
    assert ("Ex5" in held(prefix + NOISE)) is paper
    assert ("Ex5" in held(prefix + NOISE, "artifact")) is artifact


def test_a_packet_shorter_than_a_prefix_is_no_known_protocol():
    assert "Ex5" not in held(b"\x16\x03") | held(b"GET")


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_one_by_one_as_all_at_once(profile):
    random = np.random.default_rng(3)
    payloads = [mse_first_message(random) for _ in range(50)] + [PEER_HANDSHAKE, b"a", b"GET /", NOISE]
    together = exemptions(payloads, PROFILES[profile])
    assert (together == np.vstack([exemptions([p], PROFILES[profile]) for p in payloads])).all()


def test_known_answer_on_mse_first_messages():
    """99.72 % of MSE's first messages (96-byte key and 0..511 bytes of padding), over 100,000 of them."""
    random = np.random.default_rng(2023)
    flagged = 0
    for _ in range(10):
        messages = [mse_first_message(random) for _ in range(10_000)]
        flagged += int((~exemptions(messages, PROFILES["paper"]).any(axis=1)).sum())
    assert flagged / 100_000 == pytest.approx(0.9972, abs=0.001)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"proto": "udp", "syn_seen": True, "first_payload_c2s": NOISE}, "abstain"),
        ({"syn_seen": False, "first_payload_c2s": NOISE}, "abstain"),
        ({"syn_seen": True, "first_payload_c2s": b""}, "abstain"),
        ({"syn_seen": True, "first_payload_c2s": NOISE}, "flagged"),
        ({"syn_seen": True, "first_payload_c2s": b"\x16\x03\x01" + NOISE}, "other"),
        (talk(http_conversation()), "other"),
    ],
)
def test_where_the_rule_applies(facts, verdict):
    answer = DETECTOR(table([flow(**facts)])[list(DETECTOR.sees)]).iloc[0]
    assert answer["verdict"] == verdict


def test_why_names_rule_profile_and_numbers():
    rows = table(
        [flow(syn_seen=True, first_payload_c2s=NOISE), flow(syn_seen=True, first_payload_c2s=b"GET /")]
    )
    flagged, exempt = Fet(profile="artifact")(rows)["why"]
    assert flagged == "no exemption holds (artifact): first packet 20 B, 4.000 set bits per byte"
    assert "Ex3 mostly printable, Ex5 known protocol" in exempt


def judge(detector, *facts):
    return detector(table([flow(**fact) for fact in facts])[list(detector.sees)])["verdict"].tolist()


@pytest.mark.parametrize(("run", "exempt"), [(19, False), (20, True), (21, True)])
def test_ndpi_counts_a_run_of_twenty(run, exempt):
    payload = b"\xff" * 100 + b"a" * run + b"\xff" * 100
    assert ("Ex4" in held(payload, "ndpi")) is exempt


def test_ndpi_exempts_a_short_printable_packet_and_tls_flows_and_wants_the_whole_handshake():
    assert "Ex2" in held(b"abc", "ndpi")
    assert "Ex2" not in held(b"abc", "paper")
    noise = talk([(1, NOISE)])
    assert judge(fet("ndpi"), noise, noise | {"is_tls": True}, noise | {"handshake_seen": False}) == [
        "flagged",
        "other",
        "abstain",
    ]


@pytest.mark.parametrize(
    ("prefix", "exempt"),
    [(b"GETx", True), (b"DELE", True), (b"PATC", True), (b"get ", False), (b"\x16\x03\x0a", False)],
)
def test_opengfw_knows_nine_verbs_by_three_letters(prefix, exempt):
    assert ("Ex5" in held(prefix + NOISE, "opengfw")) is exempt


def test_opengfw_judges_whoever_speaks_first():
    server_first = talk([(-1, NOISE), (1, b"GET / HTTP/1.1")])
    assert judge(fet("opengfw"), server_first) == ["flagged"]
    assert judge(fet("paper"), server_first) == ["other"]


def test_a_sample_of_the_suspects_is_flagged():
    detector = fet(sampled=0.263, seed=4)
    verdicts = judge(detector, *[talk([(1, NOISE)])] * 2000)
    assert verdicts.count("flagged") / 2000 == pytest.approx(0.263, abs=0.03)
    assert verdicts == judge(detector, *[talk([(1, NOISE)])] * 2000)


@pytest.mark.parametrize(
    ("later", "verdict"),
    [
        ({}, "flagged"),
        ({"dport": 444}, "other"),
        ({"src": "10.0.0.9"}, "other"),
        ({"t_first_ns": 181 * 10**9}, "other"),
    ],
)
def test_residual_blocking_is_of_client_server_and_port_for_a_while(later, verdict):
    where = {"src": "10.0.0.1", "dst": "192.0.2.1", "dport": 443, "t_first_ns": 10**9}
    page = talk(http_conversation()) | where | {"t_first_ns": 100 * 10**9} | later
    assert judge(fet(residual_s=180), talk([(1, NOISE)]) | where, page) == ["flagged", verdict]
    assert judge(fet(residual_s=180), page) == ["other"]
