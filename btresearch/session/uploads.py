"""What is served: chunks of pieces, read ahead in the disk thread, kept in a bounded cache.

The memory of a chunk that goes is used for the next one: fresh pages cost more than the copy into them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from btresearch.peer.layout import Block
from btresearch.session.disk import Disk

CHUNK_BYTES = 1 << 20
CACHE_BYTES = 32 << 20
READ_AHEAD_CHUNKS = 3

_Key = tuple[int, int]


class Uploads:
    """`block` answers at once or not yet; `on_loaded` tells when it is worth asking again."""

    def __init__(self, disk: Disk, *, on_loaded: Callable[[], None]) -> None:
        self._disk, self._layout = disk, disk.storage.layout
        self._on_loaded = on_loaded
        self._chunk_bytes = min(CHUNK_BYTES, self._layout.piece_length_bytes)
        self._chunks: OrderedDict[_Key, memoryview] = OrderedDict()
        self._spare: list[memoryview] = []
        self._loading: set[_Key] = set()

    def block(self, block: Block) -> memoryview | None:
        """The block's bytes, or None while the disk thread fetches them. Send them in this turn of the loop."""
        key = (block.index, block.begin // CHUNK_BYTES)
        offset = block.begin % CHUNK_BYTES
        if offset + block.length > CHUNK_BYTES:
            # An odd request over a chunk's border: rare enough to read on the spot.
            start = block.index * self._layout.piece_length_bytes + block.begin
            return memoryview(self._disk.storage.read(start, block.length))
        chunk = self._chunks.get(key)
        if chunk is None:
            self._load(key)
            return None
        self._chunks.move_to_end(key)
        return chunk[offset : offset + block.length]

    def prefetch(self, block: Block) -> bool:
        """Have the chunk of a block that will be served soon; False once enough is being read."""
        key = (block.index, block.begin // CHUNK_BYTES)
        if key in self._chunks or key in self._loading:
            return True
        if len(self._loading) >= READ_AHEAD_CHUNKS:
            return False
        self._load(key)
        return True

    def _load(self, key: _Key) -> None:
        if key in self._loading:
            return
        self._loading.add(key)
        start = key[0] * self._layout.piece_length_bytes + key[1] * CHUNK_BYTES
        length = min(CHUNK_BYTES, self._layout.piece_bytes(key[0]) - key[1] * CHUNK_BYTES)
        chunk = self._spare.pop() if self._spare else memoryview(bytearray(self._chunk_bytes))
        self._disk.read_into(start, chunk[:length], lambda: self._loaded(key, chunk))

    def _loaded(self, key: _Key, chunk: memoryview) -> None:
        self._loading.discard(key)
        self._chunks[key] = chunk
        while len(self._chunks) > max(1, CACHE_BYTES // self._chunk_bytes):
            self._spare.append(self._chunks.popitem(last=False)[1])
        self._on_loaded()
