"""Find which of many torrents a tag names: every LID is encrypted and compared, hit or miss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from btresearch.transport.btls.keys import LID_BYTES, TorrentKey

CHUNK_ROWS = 8192
"""LIDs that are tried at a time: they, and what they encrypt to, stay in a core's own cache."""


@dataclass(frozen=True)
class _Table:
    """An immutable view for a lookup in another thread: row i of `packed` is keys[i]'s LID.

    `first` and `second` are the columns of its two words. It holds for one `edition` of the keyring: a table
    that was built while torrents came is built anew.
    """

    edition: int
    keys: tuple[TorrentKey, ...]
    packed: memoryview
    first: npt.NDArray[np.uint64]
    second: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, edition: int, keys: tuple[TorrentKey, ...]) -> _Table:
        packed = b"".join(key.lid for key in keys) or bytes(LID_BYTES)
        first, second = np.ascontiguousarray(_words(packed).T)
        return cls(edition, keys, memoryview(packed), first, second)

    def find(self, tag: bytes, K: bytes) -> TorrentKey | None:
        """Compare the first words; of the few that agree, the second, too."""
        (head, tail), rows = _words(tag)[0], len(self.first)
        encryptor = Cipher(AES(K), ECB()).encryptor()
        sealed = bytearray(min(rows, CHUNK_ROWS) * LID_BYTES + LID_BYTES - 1)  # as update_into wants it
        words = _words(memoryview(sealed)[: 1 - LID_BYTES])
        hits: list[int] = []
        for start in range(0, rows, CHUNK_ROWS):
            lids = self.packed[start * LID_BYTES : (start + CHUNK_ROWS) * LID_BYTES]
            count = encryptor.update_into(lids, sealed) // LID_BYTES
            agree = ((words[:count, 0] ^ self.first[start : start + count]) == head).nonzero()[0]
            hits += [
                start + row for row in agree.tolist() if words[row, 1] ^ self.second[start + row] == tail
            ]
        return self.keys[hits[0]] if hits and self.keys else None


def _words(packed: bytes | memoryview) -> npt.NDArray[np.uint64]:
    return np.frombuffer(packed, dtype=np.uint64).reshape(-1, 2)


class Keyring:
    """The torrents that a responder serves over btls.

    Takes infohashes (20 or 32 bytes, level Basic) and `TorrentKey`s. Lookups may run in any thread while
    torrents come and go.
    """

    def __init__(self, torrents: Iterable[bytes | TorrentKey] = ()) -> None:
        self._keys: dict[bytes, TorrentKey] = {}
        self._edition = 0
        self._table = _Table.of(0, ())
        for torrent in torrents:
            self.add(torrent)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, torrent: bytes | TorrentKey) -> None:
        """Serve this torrent; a key replaces an earlier one of the same infohash, whatever its level."""
        key = torrent if isinstance(torrent, TorrentKey) else TorrentKey.basic(torrent)
        self._keys[key.infohash] = key
        self._edition += 1

    def discard(self, infohash: bytes) -> None:
        """Stop serving this torrent."""
        self._keys.pop(infohash, None)
        self._edition += 1

    def lookup(self, tag: bytes, K: bytes) -> TorrentKey | None:
        """Return the torrent with AES-128-ECB(K, LID) XOR LID = tag, or None; every LID is always tried."""
        table, edition = self._table, self._edition
        if table.edition != edition:
            table = self._table = _Table.of(edition, tuple(self._keys.values()))
        return table.find(tag, K)
