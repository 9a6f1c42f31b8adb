"""The resume file: which pieces were verified, trusted only if nothing has touched the files since.

It is `.btresearch-<infohash>.resume` inside the output folder, JSON, replaced atomically, removed when the
download is complete. A file whose size or mtime differs, another torrent, another format version or another
boot (the page cache is never forced to disk here, so a crash of the machine may lose pieces) makes it stale.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.pieces import PieceSet
from btresearch.session.folder import explain
from btresearch.session.storage import Storage

VERSION = 1
MAX_RESUME_BYTES = 64 << 20

log = logging.getLogger(__name__)


def path_of(storage: Storage, infohash: bytes) -> Path:
    """Where the resume file of this torrent is."""
    return storage.root / f".btresearch-{infohash.hex()}.resume"


def save(storage: Storage, infohash: bytes, have: PieceSet) -> None:
    """Write the resume file: a temporary one beside it, then a rename. Raises StorageError."""
    record = _identity(storage, infohash) | {"have": have.pack().hex()}
    target = path_of(storage, infohash)
    draft = target.with_suffix(".part")
    try:
        draft.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o600), "w") as file:
            json.dump(record, file)
        draft.replace(target)
    except OSError as error:
        raise explain(error, str(target)) from error


def load(storage: Storage, infohash: bytes) -> PieceSet | None:
    """The pieces known to be good, or None where there is no resume file that can be trusted."""
    path = path_of(storage, infohash)
    try:
        record = _read(path)
        trusted = {key: record.get(key) for key in _identity(storage, infohash)} == _identity(
            storage, infohash
        )
        have = PieceSet.unpack(bytes.fromhex(record["have"]), storage.layout.piece_count)
    except FileNotFoundError:
        return None
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        RemoteProtocolError,
    ) as error:
        log.warning("%s: unreadable (%s): every piece is checked anew", path, error)
        return None
    if not trusted or not record["boot"]:
        log.info("%s: stale: every piece is checked anew", path)
        return None
    return have


def remove(storage: Storage, infohash: bytes) -> None:
    """Forget; a file that is not there is fine."""
    with contextlib.suppress(OSError):
        path_of(storage, infohash).unlink()


def _read(path: Path) -> dict[str, Any]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        record: dict[str, Any] = json.loads(file.read(MAX_RESUME_BYTES))
    return record


def _identity(storage: Storage, infohash: bytes) -> dict[str, Any]:
    return {
        "version": VERSION,
        "infohash": infohash.hex(),
        "piece_length": storage.layout.piece_length_bytes,
        "boot": _boot_id(),
        "files": [list(stamp) for stamp in storage.stamps()],
    }


def _boot_id() -> str:
    """Linux's id of this boot; empty elsewhere, which means: always check."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
