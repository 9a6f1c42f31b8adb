from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import classify
from btresearch.transport.dispatch import DISPATCH_BYTES

CASES = [
    (b"", None),
    (b"\x13", None),
    (b"\x13Bi", None),
    (b"\x13Bit", "clear"),
    (b"\x13BitTorrent protocol", "clear"),
    (b"\x13Bix", "mse"),
    (b"\x12Bit", "mse"),
    (b"\x16", None),
    (b"\x16\x03", None),
    (b"\x16\x03\x00", None),
    (b"\x16\x03\x04\x00\x05", None),
    (b"\x16\x03\x04\x00\x05\x01", "tls"),
    (b"\x16\x03\x01\x02\x00\x01\x00", "tls"),
    (b"\x16\x03\x01\x02\x00\x02", "mse"),
    (b"\x16\x03\x05", "mse"),
    (b"\x16\x02", "mse"),
    (b"\x17\x03\x03", "mse"),
    (b"GET / HTTP/1.1", "mse"),
]


@pytest.mark.parametrize(("first", "wire"), CASES)
def test_table_of_boundaries(first: bytes, wire: str | None) -> None:
    assert classify(first) == wire


@given(st.binary(max_size=40))
@settings(deadline=None, max_examples=100)
def test_a_verdict_never_changes_as_bytes_arrive(data: bytes) -> None:
    verdicts = [classify(data[:n]) for n in range(len(data) + 1)]
    decided = [verdict for verdict in verdicts if verdict is not None]
    assert len(set(decided)) <= 1
    assert len(data) < DISPATCH_BYTES or verdicts[-1] is not None


def test_memoryview_is_read_and_left_alone() -> None:
    buffer = bytearray(b"\x13BitTorrent")
    assert classify(memoryview(buffer)) == "clear"
    assert buffer == b"\x13BitTorrent"
