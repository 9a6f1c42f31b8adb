"""Connected pairs of every transport, for the tests that hold for all of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache

from btresearch.transport import Clear, MseInitiator, MseResponder, Transport
from btresearch.transport.btls import (
    ClientFactory,
    Initiator,
    Keyring,
    OpenSslClient,
    Responder,
    ServerIdentity,
    TorrentKey,
    best_client,
)
from tests.transport.btls.memory_keylog import MemoryKeyLog
from tests.transport.link import seeded
from tests.transport.ssl_peers import ssl_pair

INFOHASH = hashlib.sha1(b"the torrent").digest()
OTHER = hashlib.sha1(b"another torrent").digest()
NOW_S = 1_790_000_000


@cache
def identity() -> ServerIdentity:
    return ServerIdentity.create(now_s=NOW_S, entropy=seeded(5))


@cache
def browser() -> ClientFactory:
    return best_client(MemoryKeyLog())


CLIENTS: dict[str, Callable[[], ClientFactory]] = {"utls": browser, "openssl": OpenSslClient}


def dial(infohash: bytes = INFOHASH, *, client: str = "utls", shape: str = "rechunk") -> Initiator:
    return Initiator(TorrentKey.basic(infohash), client=CLIENTS[client](), shape=shape)


def answer(*infohashes: bytes, shape: str = "rechunk") -> Responder:
    return Responder(Keyring(infohashes or (INFOHASH,)), identity(), entropy=os.urandom, shape=shape)


def _mse(method: str) -> tuple[Transport, Transport]:
    return (
        MseInitiator(INFOHASH, entropy=seeded(1), methods=(method,)),  # type: ignore[arg-type]
        MseResponder([INFOHASH], entropy=seeded(2)),
    )


def _strict() -> tuple[Transport, Transport]:
    key = TorrentKey.derive(INFOHASH, "strict", bytes(32))
    ours = Initiator(key, client=browser())
    return ours, Responder(Keyring([key]), identity(), entropy=os.urandom)


def _full() -> tuple[Transport, Transport]:
    from tests.transport.btls.members import answer_full, dial_full  # it builds on this module

    return dial_full(), answer_full()


PAIRS: dict[str, Callable[[], tuple[Transport, Transport]]] = {
    "clear": lambda: (Clear(), Clear()),
    "mse_rc4": lambda: _mse("rc4"),
    "mse_plain": lambda: _mse("plain"),
    "ssl_torrent": ssl_pair,
    "btls_basic": lambda: (dial(), answer()),
    "btls_basic unshaped": lambda: (dial(shape="none"), answer(shape="none")),
    "btls_strict": _strict,
    "btls_full": _full,
    "btls_basic fallback": lambda: (dial(client="openssl"), answer()),
}
