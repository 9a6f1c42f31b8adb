from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import RemoteProtocolError
from btresearch.transport.btls.presentation import Reader, handshake, vector


def test_numbers_vectors_and_messages() -> None:
    reader = Reader(b"\1\2" + vector(b"ab", 1) + vector(b"", 2) + handshake(20, b"xyz"), "thing")
    assert (reader.number(2), reader.vector(1), reader.vector(2)) == (0x102, b"ab", b"")
    assert reader.message(20) == b"\x14\0\0\3xyz"
    reader.end()
    assert not reader


@pytest.mark.parametrize(
    ("data", "step", "why"),
    [
        (b"\0", lambda reader: reader.number(2), "ends 1 bytes early"),
        (b"\3ab", lambda reader: reader.vector(1), "ends 1 bytes early"),
        (b"\0", lambda reader: reader.vector(1, least=1), "expected at least 1"),
        (b"\x0b\0\0\0", lambda reader: reader.message(20), "message of type 11, expected 20"),
        (b"x", lambda reader: reader.end(), "1 bytes too many"),
    ],
)
def test_what_does_not_fit_is_the_other_end_s_error(data: bytes, step: object, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"thing .*{why}"):
        step(Reader(data, "thing"))  # type: ignore[operator]


@given(st.binary(max_size=300), st.integers(2, 3))
@settings(deadline=None, max_examples=50)
def test_a_vector_is_read_back(content: bytes, length_bytes: int) -> None:
    reader = Reader(vector(content, length_bytes), "thing")
    assert reader.vector(length_bytes) == content
    reader.end()
