"""The decoy's answers are nginx 1.22.1's: recorded ones (tests/session/nginx_answers.json), and a live one's.

To record anew: .venv/bin/python -m tests.session.record_nginx
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.probe import http_answer
from btresearch.probe.suite_http import BT_HANDSHAKE, GET, MSE_START
from btresearch.session.decoy import MAX_BODY_BYTES, MAX_REQUESTS, PHASE_LIMIT_S, Decoy
from btresearch.session.decoy_pages import accepts_gzip, compressed, wants_padding
from btresearch.session.decoy_request import LARGE_BUFFER_BYTES, Fault, Request, RequestReader, normalised
from tests.session.record_nginx import RECORDED, said, scripted

NOW_S = 1795364931.0  # Sun, 22 Nov 2026 16:28:51 GMT
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
RECORDS: dict[str, dict[str, list[str] | str]] = json.loads(Path(RECORDED).read_text())
SCRIPTED = {probe.name: probe for probe in scripted()}
STATUSES = {"400", "403", "404", "405", "413", "414", "501", "505"}


def test_every_script_is_recorded() -> None:
    assert set(RECORDS) == set(SCRIPTED)
    assert len(RECORDS) > 150


@pytest.mark.parametrize("name", SCRIPTED)
def test_answers_are_the_recorded_ones(name: str) -> None:
    decoy = Decoy()
    answer = b"".join(decoy.receive(step, now_s=NOW_S) for step in said(SCRIPTED[name]) if not decoy.closed)
    assert list(http_answer.describe(answer)) == RECORDS[name]["answers"]
    assert decoy.closed is (RECORDS[name]["end"] != "open")


@pytest.mark.parametrize("name", SCRIPTED)
def test_every_split_gives_the_same_answers(name: str) -> None:
    """From its first byte on, whatever the records: only the clock of nginx could tell."""
    whole = b"".join(said(SCRIPTED[name]))[:12_000]
    rng = random.Random(name)
    cuts = sorted(rng.sample(range(len(whole) + 1), min(8, len(whole))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    single = [whole[i : i + 1] for i in range(len(whole))]
    outcomes = {_run(parts) for parts in ([whole], pieces, single)}
    assert len(outcomes) == 1


def _run(parts: list[bytes]) -> tuple[bytes, bool]:
    decoy = Decoy()
    answer = b"".join(decoy.receive(part, now_s=NOW_S) for part in parts if not decoy.closed)
    return _without_verdict_on_the_body(answer), decoy.closed


def _without_verdict_on_the_body(answer: bytes) -> bytes:
    # A bad chunk that came with its head turns keep-alive into close; one that comes later can't.
    return answer.replace(b"Connection: close", b"Connection: keep-alive")


def test_an_answer_is_byte_for_byte_the_recorded_one() -> None:
    assert Decoy().receive(GET, now_s=NOW_S) == (
        b"HTTP/1.1 403 Forbidden\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 16:28:51 GMT\r\n"
        b"Content-Type: text/html\r\nContent-Length: 153\r\nConnection: keep-alive\r\n\r\n"
        b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
        b"<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
    )


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        (GET, b"400 Bad Request", b"The plain HTTP request was sent to HTTPS port"),
        (BT_HANDSHAKE, b"400 Bad Request", b""),
        (MSE_START[:20].replace(b"\n", b"x"), b"400 Bad Request", b""),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", b"405 Not Allowed", b""),
    ],
)
def test_plain_bytes_on_the_tls_port(request_: bytes, status: bytes, detail: bytes) -> None:
    decoy = Decoy(tls=False)
    answer = decoy.receive(request_, now_s=NOW_S)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert detail in answer
    assert decoy.closed


def test_each_answer_is_a_record_of_its_own() -> None:
    assert len(Decoy().answers(GET + GET, now_s=NOW_S)) == 2


def test_keep_alive_ends_after_a_thousand_requests() -> None:
    decoy = Decoy()
    for _ in range(MAX_REQUESTS):
        assert not decoy.closed
        answer = decoy.receive(GET, now_s=NOW_S)
    assert decoy.closed
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("steps", "phase"),
    [
        ([], "head"),
        ([b"GET"], "head"),
        ([GET], "keepalive"),
        ([GET, b"\r\n"], "head"),
        ([GET, b"G"], "head"),
        ([POST + b"Content-Length: 9\r\n\r\nabc"], "body"),
        ([POST + b"Content-Length: 3\r\n\r\nab", b"c"], "keepalive"),
        ([POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"], "body"),
    ],
)
def test_which_of_nginx_s_timeouts_runs(steps: list[bytes], phase: str) -> None:
    decoy = Decoy()
    for step in steps:
        decoy.receive(step, now_s=NOW_S)
    assert decoy.phase == phase
    assert PHASE_LIMIT_S == {"head": 60.0, "keepalive": 75.0, "body": 5.0}


def test_a_bad_chunk_after_the_answer_ends_without_a_word() -> None:
    decoy = Decoy()
    decoy.receive(POST + b"Transfer-Encoding: chunked\r\n\r\n", now_s=NOW_S)
    assert decoy.receive(b"xyz\r\n", now_s=NOW_S) == b""
    assert (decoy.closed, decoy.silent) == (True, True)


def test_a_body_as_large_as_allowed_is_read_to_its_end() -> None:
    decoy = Decoy()
    decoy.receive(POST + b"Content-Length: %d\r\n\r\n" % MAX_BODY_BYTES, now_s=NOW_S)
    assert decoy.receive(bytes(MAX_BODY_BYTES), now_s=NOW_S) == b""
    assert decoy.receive(GET, now_s=NOW_S).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", b"/"),
        (b"/a/../", b"/"),
        (b"/a/./b//c?x#y", b"/a/b/c"),
        (b"/%41%2f", b"/A/"),
        (b"/..", None),
        (b"/%00", None),
        (b"/%4", None),
        (b"//", b"/"),
    ],
)
def test_paths(target: bytes, path: bytes | None) -> None:
    assert normalised(target) == path


@pytest.mark.parametrize("filler", [b" ", b"a", b"\r", b":", b"%", b"/", b"+", b"."])
@pytest.mark.parametrize(
    "start", [b"GET ", b"GET /", b"GET a", b"GET a://", b"GET / HTTP/1.1\r\nA: ", b"G / HTTP/1.1 "]
)
def test_no_line_takes_long_to_judge(start: bytes, filler: bytes) -> None:
    began_s = time.perf_counter()
    for end in (b"\r\n", b"\rx\n", b"\x00\n", b""):
        Decoy().receive(start + filler * 8000 + end, now_s=NOW_S)
    assert time.perf_counter() - began_s < 0.2


def test_what_nginx_compresses_and_pads() -> None:
    assert accepts_gzip(b"br, gzip")
    assert not accepts_gzip(b"gzip;q=0")
    assert compressed(b"abc")[:2] == b"\x1f\x8b"
    assert wants_padding(b"Mozilla/5.0 Chrome/130")
    assert not wants_padding(b"curl/8")


PARTS = st.one_of(
    st.binary(max_size=64),
    st.sampled_from(
        [GET, POST, b"\r\n", b"\n", b"\r", b":", b" ", b"/", b"HTTP/1.", b"Host: a\r\n", b"GET ", b"chunked",
         b"Transfer-Encoding: ", b"Content-Length: ", b"0\r\n\r\n", b"%", b"A" * 900, b"5\r\n"]
    ),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(PARTS, max_size=24), st.randoms(use_true_random=False))
def test_any_bytes_have_a_declared_outcome_however_they_are_cut(
    parts: list[bytes], rng: random.Random
) -> None:
    whole = b"".join(parts)
    cut = rng.randint(0, len(whole))
    answer, closed = _run([whole])
    assert (answer, closed) == _run([whole[:cut], whole[cut:]])
    assert (answer, closed) == _run([whole[i : i + 1] for i in range(len(whole))])
    assert {line.split()[1] for line in http_answer.describe(answer) if line.startswith("HTTP")} <= STATUSES


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3 * LARGE_BUFFER_BYTES))
def test_the_reader_keeps_no_more_than_nginx_s_buffers(data: bytes) -> None:
    reader = RequestReader()
    reader.rest += data
    found = reader.next()
    assert found is None or isinstance(found, Request | Fault)
    if found is None:
        assert len(reader.rest) <= LARGE_BUFFER_BYTES
