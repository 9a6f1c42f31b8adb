"""Normalising what servers say: HTTP answers, TLS records, reports."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer.address import Address
from btresearch.probe import SUITE, Observation, Report, compare, http_answer, tls_answer
from btresearch.probe.client_hello import TLS12, ClientHello, Extension, unknown_ticket
from btresearch.probe.observation import when
from btresearch.probe.steps import split

HEAD = b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 22 Nov 2026 16:28:51 GMT\r\n"


def test_dates_and_tags_are_masked_and_order_is_kept() -> None:
    answer = HEAD + b'ETag: "1-2"\r\nContent-Length: 2\r\nA: b\r\n\r\nhi'
    (line,) = http_answer.describe(answer)
    assert line.startswith(
        "HTTP/1.1 200 OK | Server: x | Date: * | ETag: * | Content-Length: 2 | A: b | 2 bytes "
    )


def test_pipelined_answers_bodies_and_none() -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    head_only = HEAD + b"Content-Length: 2\r\n\r\n"
    plain = HEAD + b"Content-Length: 2\r\n\r\nhi"
    lines = http_answer.describe(chunked + head_only + plain + b"rest")
    hashes = [line.rpartition(" | ")[2] for line in lines[:3]]
    assert hashes[0] == hashes[2] != hashes[1] == "no body"
    assert lines[3].startswith("bare 4 bytes")


def test_gzip_is_undone() -> None:
    packed = gzip.compress(b"hi")
    length = b"Content-Length: %d\r\n" % len(packed)
    (line,) = http_answer.describe(HEAD + length + b"Content-Encoding: gzip\r\n\r\n" + packed)
    assert " | 2 bytes " in line


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_described(wire: bytes) -> None:
    assert all(isinstance(line, str) for line in http_answer.describe(wire))
    assert all(isinstance(word, str) for word in tls_answer.describe(wire))


def test_server_hello_alert_and_ticket_are_named() -> None:
    extensions = bytes.fromhex("002b0002030400330006001d0002abcd")
    body = (
        b"\x03\x03" + bytes(32) + b"\x00" + b"\x13\x02\x00" + len(extensions).to_bytes(2, "big") + extensions
    )
    hello = b"\x02" + len(body).to_bytes(3, "big") + body
    ticket = (
        b"\x04"
        + (6 + 100).to_bytes(3, "big")
        + (300).to_bytes(4, "big")
        + (100).to_bytes(2, "big")
        + bytes(100)
    )
    wire = b"".join(
        kind + b"\x03\x03" + len(content).to_bytes(2, "big") + content
        for kind, content in [(b"\x16", hello), (b"\x16", ticket), (b"\x14", b"\x01"), (b"\x15", b"\x02\x28")]
    )
    assert tls_answer.describe(wire) == (
        "server_hello 0303 suite 1302 session 0 [43=0304,51=29]",
        "ticket 100 for 300 s",
        "ccs 1",
        "alert 2:40 in 0303",
    )


def test_the_signature_s_record_is_masked() -> None:
    wire = b"".join(
        b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size) for size in (23, 900, 95, 69, 266)
    )
    assert tls_answer.describe(wire) == (
        "extensions 23",
        "certificate 900",
        "verify *",
        "finished 69",
        "data 266",
    )


@pytest.mark.parametrize(
    "hello",
    [
        ClientHello(),
        ClientHello(versions=(TLS12,), alpn=(b"h2",), server_name=b"a.example"),
        ClientHello(extra=unknown_ticket()),
    ],
)
def test_hellos_have_lengths_that_add_up(hello: ClientHello) -> None:
    wire = hello.encode()
    assert wire[0] == 22
    assert int.from_bytes(wire[3:5], "big") == len(wire) - 5
    assert int.from_bytes(wire[6:9], "big") == len(wire) - 9
    assert Extension.GROUPS.to_bytes(2, "big") in wire
    assert wire == hello.but().encode()


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.1, "at once"), (60.2, "after 60 s"), (74.9, "after 75 s")]
)
def test_times_are_put_in_buckets(seconds: float, bucket: str) -> None:
    assert when(seconds) == bucket


def test_a_comparison_names_the_fields_that_differ() -> None:
    ours = Report(
        "a:1", {"one": Observation(end="open"), "two": Observation(answers=("x",)), "more": Observation()}
    )
    theirs = Report("b:2", {"one": Observation(end="FIN at once"), "two": Observation(answers=("x",))})
    found = compare(ours, theirs)
    assert [(row.probe, row.equal, row.fields) for row in found.rows] == [
        ("one", False, ("end",)),
        ("two", True, ()),
    ]
    assert [row.probe for row in found.residual] == ["one"]
    assert "2 probes, 1 differ" in found.text()
    assert "end: theirs FIN at once" in found.text()
    assert json.loads(found.json())["probes"][0]["differs_in"] == ["end"]
    assert list(found.frame()["equal"]) == [False, True]
    assert list(ours.frame()["probe"]) == ["one", "two", "more"]
    assert json.loads(ours.json())["observations"]["one"]["end"] == "open"


def test_the_suite_has_every_kind_of_probe_under_a_name_of_its_own() -> None:
    names = [probe.name for probe in SUITE]
    assert len(names) == len(set(names)) > 300
    wanted = ["0", "1", "34", "50", "51", "52", "16384"]
    assert {f"size: junk {size} bytes" for size in wanted} <= set(names)
    kinds = {name.partition(":")[0] for name in names}
    assert {
        "hello",
        "record",
        "plain",
        "channel",
        "size",
        "method",
        "line",
        "header",
        "body",
        "order",
    } <= kinds
    assert {"timeout", "resume", "renegotiation", "threshold", "tls 1.2"} <= kinds


def test_splitting() -> None:
    assert split(b"abcde", 2) == (b"ab", b"cd", b"e")
    assert str(Address("::1", 1)) == "[::1]:1"
