"""The record layer: whole = byte by byte = any chunks; gaps; what is no TLS."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.flow.tls import MAX_RECORD_BYTES, RecordParser
from tests.flow.wire import C2S, S2C, client_hello, joined, record, records_of, tls_exchange

HELLO = client_hello(0x0303, [0x1301], [])
STREAM = (
    record(22, HELLO[:30], 0x0301)
    + record(22, HELLO[30:])
    + record(20, b"\1")
    + record(23, b"")
    + record(23, bytes(300))
)


def parsed(stream: bytes, cuts: list[int]) -> tuple[list[tuple[int, int]], RecordParser]:
    parser, found, edges = RecordParser(), [], [0, *sorted(cuts), len(stream)]
    for start, stop in itertools.pairwise(edges):
        found += [(r.type, r.length) for r in parser.feed(stream[start:stop], stop)]
    return found, parser


def test_records_of_a_whole_stream() -> None:
    found, parser = parsed(STREAM, [])
    assert found == records_of(STREAM) == [(22, 30), (22, len(HELLO) - 30), (20, 1), (23, 0), (23, 300)]
    assert parser.hello.message == HELLO
    assert (parser.version, parser.end) == (0x0301, "whole")


def test_byte_by_byte_equals_whole() -> None:
    found, parser = parsed(STREAM, list(range(1, len(STREAM))))
    assert found == records_of(STREAM)
    assert (parser.hello.message, parser.end) == (HELLO, "whole")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_random_chunks_equal_whole(cuts: list[int]) -> None:
    found, parser = parsed(STREAM, cuts)
    assert (found, parser.hello.message, parser.end) == (records_of(STREAM), HELLO, "whole")


def test_the_time_is_that_of_the_completing_chunk() -> None:
    parser = RecordParser()
    assert parser.feed(STREAM[:10], 1) == []
    assert [r.t_ns for r in parser.feed(STREAM[10:40], 2)] == [2]


@pytest.mark.parametrize(
    ("stream", "end"),
    [
        (b"", "none"),
        (b"\x13BitTorrent protocol", "none"),
        (b"\x16\x03", "none"),
        (b"\x16\x03\x05\x00\x05hello", "none"),
        (b"\x16\x03\x01\x50\x00", "none"),
        (b"\x80\x2e\x01\x00\x02", "none"),  # an SSL 2.0 hello
        (record(22, b"\1")[:-1], "partial"),
        (record(23, b"abc") + b"\x17", "partial"),
        (record(23, b"abc") + b"GET / HTTP/1.1", "lost"),
        (record(22, bytes(MAX_RECORD_BYTES)), "whole"),
    ],
)  # fmt: skip
def test_how_parsing_ends(stream: bytes, end: str) -> None:
    assert parsed(stream, [])[1].end == end
    assert parsed(stream, list(range(1, min(len(stream), 40))))[1].end == end


def test_nothing_is_parsed_after_the_first_bytes_that_are_no_record() -> None:
    found, _ = parsed(record(23, b"abc") + b"GET " + record(23, b"abc"), [])
    assert found == [(23, 3)]


def test_a_gap_inside_a_body_loses_no_record() -> None:
    parser = RecordParser()
    parser.feed(record(23, bytes(100))[:50], 1)
    assert parser.skip(30, 2) == []
    assert [(r.length, r.t_ns) for r in parser.skip(25, 3)] == [(100, 3)]
    assert [r.length for r in parser.feed(record(23, bytes(7)), 4)] == [7]
    assert parser.end == "whole"


def test_a_gap_over_a_header_ends_the_parsing() -> None:
    parser = RecordParser()
    parser.feed(record(23, bytes(100))[:50], 1)
    assert parser.skip(60, 2) == []
    assert parser.feed(record(23, bytes(7)), 3) == []
    assert parser.end == "gap"


def test_an_oversized_or_other_handshake_message_is_not_collected() -> None:
    for body in (b"\x01\x01\x00\x00" + bytes(100), b"\x0b\x00\x00\x02ab"):
        parser = RecordParser()
        parser.feed(record(22, body), 1)
        assert (parser.hello.closed, parser.hello.message) == (True, b"")


def test_real_streams_of_the_standard_library(tmp_path: Path) -> None:
    exchange = tls_exchange([(C2S, bytes(40_000)), (S2C, b"answer")], tmp_path)
    for way, kind in ((C2S, 1), (S2C, 2)):
        stream = joined(exchange, way)
        found, parser = parsed(stream, [])
        assert found == records_of(stream)
        assert parser.hello.message[0] == kind
        assert parser.end == "whole"
