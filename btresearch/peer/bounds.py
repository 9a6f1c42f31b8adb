"""Indices and ranges from the wire, judged against the layout as far as it is known."""

from __future__ import annotations

from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.layout import Block, Layout
from btresearch.peer.wire import MAX_REQUEST_BYTES


def check_index(layout: Layout | None, index: int) -> None:
    """Raises RemoteProtocolError for a piece outside the torrent."""
    if layout is not None and index >= layout.piece_count:
        raise RemoteProtocolError(f"piece {index} of {layout.piece_count}")


def check_block(layout: Layout | None, block: Block) -> None:
    """Raises RemoteProtocolError for a range that is empty, too long or not inside its piece."""
    check_index(layout, block.index)
    if not 0 < block.length <= MAX_REQUEST_BYTES:
        raise RemoteProtocolError(f"block of {block.length} bytes, expected 1 to {MAX_REQUEST_BYTES}")
    if layout is not None and block.begin + block.length > layout.piece_bytes(block.index):
        raise RemoteProtocolError(f"block beyond the end of its piece: {text_of(block)}")


def text_of(block: Block) -> str:
    """A range for a message to a person."""
    return f"{block.length} bytes from {block.begin} of piece {block.index}"
