"""Find which of many torrents a tag names, with one AES call and one comparison, hit or miss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from btresearch.transport.btls.keys import LID_BYTES, TorrentKey


@dataclass(frozen=True)
class _Table:
    """An immutable view for a lookup in another thread: row i of `lids` is keys[i]'s, as two words.

    It holds for one `edition` of the keyring: a table that was built while torrents came is built anew.
    """

    edition: int
    keys: tuple[TorrentKey, ...]
    packed: bytes
    lids: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, edition: int, keys: tuple[TorrentKey, ...]) -> _Table:
        packed = b"".join(key.lid for key in keys) or bytes(LID_BYTES)
        return cls(edition, keys, packed, _words(packed))


def _words(packed: bytes) -> npt.NDArray[np.uint64]:
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
        sealed = _words(Cipher(AES(K), ECB()).encryptor().update(table.packed))
        matches = ((sealed ^ table.lids) == _words(tag)).all(axis=1)
        hits = np.flatnonzero(matches[: len(table.keys)])
        return table.keys[hits[0]] if hits.size else None
