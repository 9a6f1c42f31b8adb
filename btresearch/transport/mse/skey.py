"""Find the torrent that an initiator means among thousands, for one SHA-1 a connection."""

from __future__ import annotations

from collections.abc import Iterable

from btresearch.transport.mse.crypto import sha1, xor


class SkeyIndex:
    """HASH('req2', SKEY) of every torrent, hashed when the torrent is added.

    The wire carries HASH('req2', SKEY) xor HASH('req3', S): removing the second, which depends on the
    connection alone, leaves a dictionary key.
    """

    def __init__(self, infohashes: Iterable[bytes] = ()) -> None:
        self._by_hash: dict[bytes, bytes] = {}
        for infohash in infohashes:
            self.add(infohash)

    def __len__(self) -> int:
        return len(self._by_hash)

    def add(self, infohash: bytes) -> None:
        """Serve this torrent (20 bytes; a v2 infohash is cut to them, as BEP 52 does on the wire)."""
        self._by_hash[sha1(b"req2", infohash[:20])] = infohash[:20]

    def discard(self, infohash: bytes) -> None:
        """Stop serving this torrent."""
        self._by_hash.pop(sha1(b"req2", infohash[:20]), None)

    def find(self, obfuscated: bytes, S: bytes) -> bytes | None:
        """Return the infohash behind HASH('req2', SKEY) xor HASH('req3', S), or None."""
        return self._by_hash.get(xor(obfuscated, sha1(b"req3", S)))


def obfuscate(SKEY: bytes, S: bytes) -> bytes:
    """HASH('req2', SKEY) xor HASH('req3', S), as the initiator sends it."""
    return xor(sha1(b"req2", SKEY), sha1(b"req3", S))
