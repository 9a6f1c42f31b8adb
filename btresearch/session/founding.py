"""What the maker of a torrent above level Basic decides: its `tls` dictionary, and the secret to hand out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from btresearch.errors import InputError
from btresearch.peer.secret import commit_of, generate_passphrase, secret_from_passphrase
from btresearch.peer.tls_info import SALT_BYTES, SECRET_BYTES, Kdf, TlsInfo, TorrentLevel
from btresearch.transport.btls.chain import spki_sha256

MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Founding:
    """`tls` goes into the torrent; members need the passphrase if there is one, else the secret."""

    tls: TlsInfo
    secret: bytes = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)

    @classmethod
    def draw(
        cls,
        level: TorrentLevel,
        *,
        passphrase: bool = False,
        ca: Sequence[bytes] = (),
        est: str | None = None,
        trackers: Sequence[str] = (),
    ) -> Founding:
        """Draw a secret, or a passphrase that gives one. Slow with a passphrase. Raises InputError.

        `ca` are SHA-256 hashes of SPKIs, `est` and `trackers` HTTPS origins, as in `TlsInfo`.
        """
        kdf = Kdf(os.urandom(SALT_BYTES)) if passphrase else None
        words = None if kdf is None else generate_passphrase(os.urandom)
        secret = (
            os.urandom(SECRET_BYTES) if kdf is None or words is None else secret_from_passphrase(words, kdf)
        )
        commit = commit_of(secret)
        tls = TlsInfo.create(level, commit, kdf=kdf, ca=tuple(ca), est=est, trackers=tuple(trackers))
        return cls(tls, secret, words)

    def to_hand_out(self) -> str:
        """What members need, as `read_secret` and `read_passphrase` take it from a file."""
        return self.passphrase or self.secret.hex()


def authority_hash(path: Path) -> bytes:
    """SHA-256 of the SPKI of a CA's certificate, PEM or DER. Raises InputError."""
    data = _read(path)
    for load in (x509.load_pem_x509_certificate, x509.load_der_x509_certificate):
        with suppress(ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
            return spki_sha256(load(data))
    raise InputError(path, "a certificate in PEM or DER")


def read_secret(path: Path) -> bytes:
    """A secret of 32 bytes in hexadecimal, from a file. Raises InputError, which never quotes it."""
    try:
        secret = bytes.fromhex(_read(path).decode("ascii", "replace"))
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise InputError(path, f"{SECRET_BYTES} bytes in hexadecimal")
    return secret


def read_passphrase(path: Path) -> str:
    """The passphrase in a file, without the end of its line. Raises InputError."""
    try:
        return _read(path).decode().strip("\r\n")
    except UnicodeDecodeError:
        raise InputError(path, "a passphrase in UTF-8") from None


def write_private(path: Path, data: bytes) -> None:
    """A new file that only its user may read. Raises InputError if there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(path, f"a file that can be made ({error.strerror})") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise InputError(path, f"a readable file ({error.strerror})") from error
