"""The TLS identity of a listening address, kept between runs in a file that only its user may read.

A certificate that changes with every start is what no web server shows, and one that moves to another address
links the two (protocol.md, TLS layer).
"""

from __future__ import annotations

import logging
import os
import re
import socket
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from btresearch.transport.btls import ServerIdentity
from btresearch.transport.errors import LocalProtocolError

RENEW_BEFORE = timedelta(days=14)
MAX_FILE_BYTES = 64 * 1024
# TEST-NET-1 and the documentation prefix (RFC 5737, RFC 3849): routed like any stranger's, never spoken to.
_ANY_STRANGER = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))

log = logging.getLogger(__name__)


def fresh() -> ServerIdentity:
    """An identity for this process alone. Slow (RSA): not for the event loop."""
    return _warm(ServerIdentity.create(now_s=int(time.time()), entropy=os.urandom))


def kept(host: str) -> ServerIdentity:
    """The identity of listening address `host` ("" = every address), made and stored at its first use.

    One that is damaged or about to expire is made anew; one that can't be stored lasts as long as the process.
    Slow: not for the event loop.
    """
    try:
        path = state_folder() / f"identity-{_file_word(host or _outward_address())}.pem"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home folder
        log.debug("TLS identity is not kept: %s", error)
        return fresh()
    return _load(path) or _make(path)


def is_current(identity: ServerIdentity) -> bool:
    """Whether it is good for some time yet."""
    return identity.leaf.not_valid_before_utc <= datetime.now(UTC) < renewal_of(identity)


def renewal_of(identity: ServerIdentity) -> datetime:
    """When it is to be replaced: a while before it expires."""
    return identity.leaf.not_valid_after_utc - RENEW_BEFORE


def state_folder() -> Path:
    """Where this user's state lies (XDG Base Directory Specification). Raises RuntimeError without a home."""
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "state") / "btresearch"


def _load(path: Path) -> ServerIdentity | None:
    try:
        with path.open("rb") as file:
            identity = _warm(ServerIdentity.from_pem(file.read(MAX_FILE_BYTES)))
    except FileNotFoundError:
        return None
    except (OSError, LocalProtocolError):
        log.warning("%s: damaged or unreadable; made anew", path)
        return None
    return identity if is_current(identity) else None


def _make(path: Path) -> ServerIdentity:
    identity = fresh()
    try:
        _write(path, identity.pem())
    except OSError as error:
        log.debug("TLS identity is not kept: %s", error)
    return identity


def _write(path: Path, pem: bytes) -> None:
    """All of it or nothing: another process may read at the same time. mkstemp's mode is 0600."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _warm(identity: ServerIdentity) -> ServerIdentity:
    _ = identity.context  # made here, so that the first ClientHello does not wait for it
    return identity


def _outward_address() -> str:
    """The local address that strangers are reached from; "any" without a route. Connecting UDP sends nothing."""
    for family, stranger in _ANY_STRANGER:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((stranger, 9))
            return str(probe.getsockname()[0])
    return "any"


def _file_word(host: str) -> str:
    return re.sub(r"[^0-9A-Za-z.]", "_", host)
