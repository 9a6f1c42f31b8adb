"""The .torrent file, BEP 3 (v1) and 52 (v2, hybrid): read strictly, named safely, hashed from its own bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Literal

from btresearch.errors import InputError
from btresearch.peer import bencode
from btresearch.peer.authoring import FileHashes, v1_fields, v2_fields
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.info import MAX_INFO_BYTES, Info, read_info
from btresearch.peer.layers import PieceHashes, layered, read_layers
from btresearch.peer.layout import File, Layout
from btresearch.peer.piece_hash import PieceHash
from btresearch.peer.tls_info import TlsInfo

INFOHASH_BYTES = 20
MAX_TRACKERS = 1000
MAX_URL_BYTES = 4096
POLICY_KEY, SECRET_KEY = b"tls", b"tls secret"
_OWN_KEYS = (b"announce", b"announce-list", b"info", b"piece layers")


@dataclass(frozen=True)
class Torrent:
    """What a .torrent file says. A single-file torrent has one File whose path is (name,).

    Paths of a multi-file torrent begin with its name: join `path` to the output folder and nothing else.
    `infohash` is the SHA-1 of v1, or, where there is v2 only, the first 20 bytes of `infohash_v2` (SHA-256), as
    handshakes and trackers have it. `piece_layers` (BEP 52) maps the root of each file over one piece to the
    hashes of its pieces. `tls_info` is the info dictionary's `tls`: None at level Basic. `root` holds the other
    keys of the file, kept as they came. `warnings` are one-line remarks for the person who opened it.
    """

    infohash: bytes
    name: str
    piece_length_bytes: int
    pieces: bytes = field(repr=False)
    files: tuple[File, ...] = field(repr=False)
    private: bool
    announce: tuple[tuple[str, ...], ...]
    info_bytes: bytes = field(repr=False)
    tls_info: TlsInfo | None = field(default=None, repr=False)
    infohash_v2: bytes | None = None
    piece_layers: Mapping[bytes, bytes] = field(default_factory=dict, repr=False, hash=False)
    root: Mapping[bytes, Value] = field(default_factory=dict, repr=False, hash=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def version(self) -> Literal[1, 2, 3]:
        """1, 2 (BEP 52), or 3 for a hybrid of both."""
        if self.infohash_v2 is None:
            return 1
        return 3 if self.pieces else 2

    @property
    def infohashes(self) -> tuple[bytes, ...]:
        """The full infohashes, as keys are made of them: 20 bytes for v1, 32 for v2, both for a hybrid."""
        v1 = (self.infohash,) if self.version != 2 else ()
        return v1 if self.infohash_v2 is None else (*v1, self.infohash_v2)

    @property
    def total_bytes(self) -> int:
        """Length of the content: all files one after the other."""
        return sum(file.length_bytes for file in self.files)

    @property
    def piece_count(self) -> int:
        """Number of pieces."""
        return self.layout.piece_count

    @cached_property
    def layout(self) -> Layout:
        """The cut into pieces and blocks."""
        if self.version == 2:
            return Layout.aligned(self.piece_length_bytes, self.files)
        return Layout(self.piece_length_bytes, self.total_bytes)

    def piece_hash(self, index: int) -> PieceHash:
        """What piece `index` must hash to; IndexError outside the torrent."""
        if not 0 <= index < self.piece_count:
            raise IndexError(f"piece {index} of {self.piece_count}")
        return self._hashes.of(index)

    @cached_property
    def _hashes(self) -> PieceHashes:
        return PieceHashes(self.pieces, self.files, self.piece_layers, self.piece_length_bytes)

    @property
    def missing_layers(self) -> tuple[File, ...]:
        """Files whose piece layers are not here: a magnet link brings the info dictionary only (BEP 52)."""
        files = layered(self.files, self.piece_length_bytes)
        return tuple(file for file in files if file.root not in self.piece_layers)

    def with_layers(self, layers: Mapping[bytes, bytes]) -> Torrent:
        """With piece layers that peers brought. Raises InputError for what does not make the pieces roots."""
        judged = read_layers(
            dict(layers), self.files, self.piece_length_bytes, lambda text: InputError("piece layers", text)
        )
        return replace(self, piece_layers=judged)

    @classmethod
    def load(cls, source: bytes | str | PurePath) -> Torrent:
        """Read a .torrent file (a path) or its bytes. Raises InputError: file, byte, what was expected."""
        if isinstance(source, bytes):
            return _parse(source, "torrent")
        return _parse(_read_file(Path(source)), str(source))

    @classmethod
    def from_info(cls, info_bytes: bytes, *, announce: Sequence[Sequence[str]] = ()) -> Torrent:
        """From the info dictionary alone, as BEP 9 brings it. Raises InputError."""
        return _build(read_info(info_bytes, "metadata"), info_bytes, _tuples(announce), {}, ())

    @classmethod
    def create(
        cls,
        name: str,
        files: Sequence[tuple[Sequence[str], int]],
        pieces: bytes,
        *,
        piece_length_bytes: int,
        announce: Sequence[Sequence[str]] = (),
        private: bool = False,
        tls: TlsInfo | None = None,
        secret: bytes | None = None,
        hashes: Sequence[FileHashes] | None = None,
    ) -> Torrent:
        """From hashes that the caller has computed; `session.torrent_file.create(path)` reads a disk.

        `files` are (path parts below `name`, length in bytes); one entry with no parts is a single file.
        With `hashes`, one of each file in the same order, it is a hybrid, whose `pieces` are those of files padded
        to whole pieces; or, if `pieces` is empty, v2 only. `secret` is kept for `dump(with_secret=True)`. Raises
        InputError for what `load` would refuse.
        """
        info: dict[bytes, Encodable] = {b"name": name, b"piece length": piece_length_bytes}
        if pieces or hashes is None:
            info |= v1_fields(files, pieces, None if hashes is None else piece_length_bytes)
        if hashes is not None:
            info |= v2_fields(name, files, hashes)
        if private:
            info[b"private"] = 1
        if tls is not None:
            info[b"tls"] = bencode.Raw(tls.encode())
        torrent = cls.from_info(bencode.encode(info), announce=announce)
        if hashes is not None:
            torrent = torrent.with_layers(
                {file.root: file.layer for file in hashes if file.root and file.layer}
            )
        return torrent if secret is None else replace(torrent, root={SECRET_KEY: secret})

    @property
    def secret(self) -> bytes | None:
        """What the file says the secret is, where it has a say; to be held against `tls_info.commit`."""
        secret, tls = self.root.get(SECRET_KEY), self.tls_info
        return secret if isinstance(secret, bytes) and tls is not None and tls.kdf is None else None

    @property
    def requires_tls(self) -> bool:
        """Whether TLS is a must: above level Basic, or because the file's own `tls` dictionary asks for it.

        That dictionary is not covered by the infohash: it can raise the policy and nothing else.
        """
        wish = self.root.get(POLICY_KEY)
        return self.tls_info is not None or (isinstance(wish, dict) and wish.get(b"require") == 1)

    def dump(self, *, with_secret: bool = False) -> bytes:
        """The .torrent file; the info dictionary goes out as the bytes that it was read from.

        What stands beside it about TLS, the secret above all, goes out only `with_secret`. Raises InputError
        while piece layers are missing.
        """
        if self.missing_layers:
            raise InputError(self.name, "piece layers of every file (BEP 52); peers have not brought them")
        private = () if with_secret else (POLICY_KEY, SECRET_KEY)
        root: dict[bytes, Encodable] = {key: self.root[key] for key in self.root if key not in private}
        if self.announce:
            root[b"announce"] = self.announce[0][0]
        if sum(map(len, self.announce)) > 1:
            root[b"announce-list"] = self.announce
        root[b"info"] = bencode.Raw(self.info_bytes)
        if self.infohash_v2 is not None:
            root[b"piece layers"] = self.piece_layers
        return bencode.encode(root)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(2 * MAX_INFO_BYTES + 1)
    except OSError as error:
        raise InputError(path, f"a readable .torrent file ({error.strerror})") from error
    if len(data) > 2 * MAX_INFO_BYTES:
        raise InputError(path, f"a .torrent file of at most {2 * MAX_INFO_BYTES} bytes")
    return data


def _parse(data: bytes, source: str) -> Torrent:
    document = bencode.read(data, source=source)
    root = document.value
    if not isinstance(root, dict) or not isinstance(root.get(b"info"), dict):
        raise InputError(source, "a dictionary with an info dictionary", offset=0)
    start, end = document.spans[b"info"]
    info_bytes = data[start:end]
    others = {key: value for key, value in root.items() if key not in _OWN_KEYS}
    warnings = tuple(f"key out of order at byte {at}" for at in document.unsorted_at[:3])
    torrent = _build(read_info(info_bytes, source, start), info_bytes, _announce(root), others, warnings)
    if torrent.infohash_v2 is None:
        return torrent
    at = document.spans.get(b"piece layers", (0, 0))[0]
    layers = read_layers(
        root.get(b"piece layers"),
        torrent.files,
        torrent.piece_length_bytes,
        lambda expected: InputError(source, f"piece layers: {expected}", offset=at),
    )
    return replace(torrent, piece_layers=layers)


def _build(
    info: Info,
    info_bytes: bytes,
    announce: tuple[tuple[str, ...], ...],
    root: Mapping[bytes, Value],
    warnings: tuple[str, ...],
) -> Torrent:
    # BEP 3 and 52: the hash of the info value as it stands in the file
    infohash_v2 = hashlib.sha256(info_bytes).digest() if info.v2 else None
    if info.pieces or infohash_v2 is None:
        infohash = hashlib.sha1(info_bytes, usedforsecurity=False).digest()
    else:
        infohash = infohash_v2[:INFOHASH_BYTES]
    return Torrent(
        infohash=infohash,
        infohash_v2=infohash_v2,
        name=info.name,
        piece_length_bytes=info.piece_length_bytes,
        pieces=info.pieces,
        files=info.files,
        private=info.private,
        announce=announce,
        info_bytes=info_bytes,
        tls_info=info.tls_info,
        root=root,
        warnings=tuple(dict.fromkeys(warnings + info.warnings)),
    )


def _announce(root: Mapping[bytes, Value]) -> tuple[tuple[str, ...], ...]:
    """Tiers of BEP 12, which override `announce`; entries that are no text are left out."""
    listed = root.get(b"announce-list")
    tiers = [tier for tier in listed if isinstance(tier, list)] if isinstance(listed, list) else []
    urls = [[url for entry in tier[:MAX_TRACKERS] if (url := _url(entry))] for tier in tiers[:MAX_TRACKERS]]
    if not any(urls) and (single := _url(root.get(b"announce"))):
        urls = [[single]]
    return _tuples([tier for tier in urls if tier])


def _url(value: Value | None) -> str | None:
    if not isinstance(value, bytes) or len(value) > MAX_URL_BYTES:
        return None
    try:
        return value.decode() or None
    except UnicodeDecodeError:
        return None


def _tuples(announce: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(tier) for tier in announce)
