"""Hellos measured on real stacks, and hellos that contradict themselves."""

from __future__ import annotations

import re

import pytest

from btresearch.detect.tls_fingerprint import (
    DETECTOR,
    FAMILIES,
    STACKS,
    STACKS_BY_JA3,
    Hello,
    judge,
    stack_of,
)

INFOHASH = "6590369d57d9a4f068b73f5bced7222a487e8bef"
CHROME = "8daaf6152771_806a8c22fdea"
LIBTORRENT = "t13d301100_1d37bd780c83_8e6e362c5eac"


def hello(ja4: str, sni: str = "lab.test", alpn: str = "h2,http/1.1", ja3: str = "") -> Hello:
    return Hello(ja3, ja4, sni, alpn)


@pytest.mark.parametrize(
    ("case", "verdict", "words"),
    [
        (hello(f"t13d1516h2_{CHROME}"), "other", "Chrome as curl_cffi"),
        (hello(f"t13i1515h2_{CHROME}", sni=""), "other", "no server name"),
        (hello(f"t13d151600_{CHROME}", alpn=""), "flagged", "although this browser always offers it"),
        (hello("t13d171100_5b57614c22b0_3f5d972527c0", alpn=""), "other", "Firefox-family"),
        (hello(f"t13d1516h2_{CHROME}", sni="10.77.0.1"), "other", "RFC 6066 forbids"),
        (hello(f"t13d1516h2_{CHROME}", sni=INFOHASH), "flagged", "40 hex digits"),
        (hello(LIBTORRENT, sni=INFOHASH, alpn=""), "bittorrent", "libtorrent 2.1.1"),
        (hello(LIBTORRENT, alpn=""), "flagged", "libtorrent 2.1.1"),
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
    assert (
        stack_of(hello("t13d991100_aaaaaaaaaaaa_bbbbbbbbbbbb", ja3=next(iter(STACKS_BY_JA3)))).kind
        == "bittorrent"
    )


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


def test_every_entry_is_well_formed_and_cites_its_source():
    assert all(re.fullmatch(r"[0-9a-f]{12}_[0-9a-f]{12}", key) for key in STACKS)
    assert all(re.fullmatch(r"[0-9a-f]{32}", key) for key in STACKS_BY_JA3)
    entries = [*STACKS.values(), *STACKS_BY_JA3.values(), *FAMILIES.values()]
    assert all(entry.source and 0 < entry.common < 1 for entry in entries)
    assert DETECTOR.needs
