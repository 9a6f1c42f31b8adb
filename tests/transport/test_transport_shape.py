from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import LocalProtocolError, Transport
from btresearch.transport.shape import MAX_RECORD_BYTES, Rechunk, Unshaped
from tests.transport.link import Link
from tests.transport.pairs import answer, dial

PIECE_BYTES = 13 + 16384


@given(st.lists(st.integers(0, 50_000), max_size=12))
@settings(deadline=None, max_examples=100)
def test_rechunk_loses_nothing_and_writes_whole_records(sizes: list[int]) -> None:
    shape, sent, due = Rechunk(), bytearray(), bytearray()
    for n, size in enumerate(sizes):
        app = bytes([n]) * size
        sent += app
        for write in shape.push(app):
            assert len(write) % MAX_RECORD_BYTES == 0
            due += write
    held = b"".join(bytes(write) for write in shape.flush())
    assert len(held) < MAX_RECORD_BYTES
    assert due + held == sent
    assert not shape.flush()


def test_rechunk_keeps_no_reference_to_the_caller_s_buffer() -> None:
    shape, app = Rechunk(), bytearray(b"abc")
    shape.push(app)
    app[:] = b"xyz"
    assert [bytes(write) for write in shape.flush()] == [b"abc"]


def test_none_passes_every_send_on() -> None:
    assert list(Unshaped().push(b"abc")) == [b"abc"]
    assert not Unshaped().push(b"")
    assert not Unshaped().flush()


def record_lengths(wire: bytes) -> list[int]:
    lengths = []
    while wire:
        length = int.from_bytes(wire[3:5], "big")
        lengths.append(length)
        wire = wire[5 + length :]
    return lengths


def connected(shape: str, client: str) -> tuple[Transport, Transport]:
    return Link(dial(client=client, shape=shape), answer(shape=shape)).start().ends


# On the wire a TLS 1.3 record is its plaintext, one byte of content type and 16 of AEAD tag.
FULL, TAIL, REQUEST = 16384 + 17, 13 + 17, 17 + 17


@pytest.mark.parametrize("client", ["utls", "openssl"])
@pytest.mark.parametrize("end", [0, 1], ids=["initiator", "responder"])
def test_without_a_shape_records_mirror_messages(client: str, end: int) -> None:
    sender = connected("none", client)[end]
    assert record_lengths(sender.send(bytes(PIECE_BYTES))) == [FULL, TAIL]
    assert record_lengths(sender.send(bytes(17))) == [REQUEST]
    assert sender.flush() == b""


@pytest.mark.parametrize("client", ["utls", "openssl"])
@pytest.mark.parametrize("end", [0, 1], ids=["initiator", "responder"])
def test_rechunk_records_are_full_until_the_flush(client: str, end: int) -> None:
    sender = connected("rechunk", client)[end]
    assert record_lengths(sender.send(bytes(PIECE_BYTES))) == [FULL]
    assert sender.send(bytes(17)) == b""
    assert record_lengths(sender.send(bytes(4 * PIECE_BYTES))) == [FULL] * 4
    assert record_lengths(sender.flush()) == [5 * 13 + 17 + 17]


@pytest.mark.parametrize("client", ["utls", "openssl"])
@pytest.mark.parametrize("end", [0, 1], ids=["initiator", "responder"])
def test_one_bulk_send_gives_full_records(client: str, end: int) -> None:
    sender = connected("rechunk", client)[end]
    assert record_lengths(sender.send(bytes(64 * 16384))) == [FULL] * 64


def test_an_unknown_shape_is_named() -> None:
    with pytest.raises(LocalProtocolError, match="rechunk"):
        dial(shape="oval")
