"""Private keys with their certificate in one PEM file, mode 0600, that is written once."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from btresearch.session.secure.errors import MembersError

MAX_BYTES = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def kept(path: Path, make: Callable[[], Pair]) -> Pair:
    """The pair in `path`; made and stored first if there is none. Of two processes at once both get the same.

    Raises MembersError for a file that others may read, or that is damaged: a new key would not be the one that
    torrents name.
    """
    if not path.exists():
        _write_once(path, _pem(make()))
    return _read(path)


def _read(path: Path) -> Pair:
    try:
        if path.stat().st_mode & _OTHERS:
            raise MembersError(f"{path}: others may read this private key; chmod 600 it")
        with path.open("rb") as file:
            pem = file.read(MAX_BYTES)
        key, certificate = load_pem_private_key(pem, None), x509.load_pem_x509_certificate(pem)
        certified = certificate.public_key()
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise MembersError(f"{path}: expected a private key and its certificate in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certified != key.public_key():
        raise MembersError(f"{path}: expected a P-256 key and its own certificate")
    return key, certificate


def _pem(pair: Pair) -> bytes:
    key, certificate = pair
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def _write_once(path: Path, pem: bytes) -> None:
    """All of it or nothing, and never over another process's. mkstemp's mode is 0600."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(name)
    finally:
        Path(name).unlink()
