from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import LocalProtocolError, RemoteProtocolError
from btresearch.transport.btls import frame
from tests.transport.link import CHUNKINGS


def test_three_bytes_of_length() -> None:
    assert frame.encode(b"abc") == b"\0\0\3abc"
    assert frame.encode(bytes(16384))[:3] == b"\0\x40\0"


@pytest.mark.parametrize("length", [0, 16385, 0xFFFFFF])
def test_a_frame_out_of_bounds_is_refused_before_its_content_comes(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="1 to 16384"):
        frame.take(bytearray(length.to_bytes(3, "big")))


@pytest.mark.parametrize("length", [0, 16385])
def test_none_is_sent_either(length: int) -> None:
    with pytest.raises(LocalProtocolError):
        frame.encode(bytes(length))


@pytest.mark.parametrize("chunking", CHUNKINGS)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=4), st.binary(max_size=5))
@settings(deadline=None, max_examples=30)
def test_any_chunking_gives_the_same_messages(chunking: str, messages: list[bytes], rest: bytes) -> None:
    unread, found = bytearray(), []
    for chunk in CHUNKINGS[chunking](b"".join(map(frame.encode, messages))):
        unread += chunk
        while (message := frame.take(unread)) is not None:
            found.append(message)
    assert found == messages
    assert unread == b""
