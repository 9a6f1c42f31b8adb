"""Sans-IO byte-stream security: clear text, MSE/PE and BitTorrent over TLS, behind one `Transport`.

Nothing here owns a socket or a clock: `start` and `receive` return the bytes to write, `send` takes what the
peer protocol wants to say, `flush` lets go of what a shape holds back. `classify` tells, from the first bytes
of an accepted connection, which transport the other end speaks; `TRANSPORTS` lists them all.
"""

from __future__ import annotations

from btresearch.transport.clear import Clear
from btresearch.transport.dispatch import classify
from btresearch.transport.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from btresearch.transport.mse import MseInitiator, MseResponder, PadRange, SkeyIndex
from btresearch.transport.protocol import Bytes, Entropy, Transport
from btresearch.transport.registry import TRANSPORTS, TransportKind

__all__ = [
    "TRANSPORTS",
    "Bytes",
    "Clear",
    "Entropy",
    "LocalProtocolError",
    "MseInitiator",
    "MseResponder",
    "PadRange",
    "ProtocolError",
    "RemoteProtocolError",
    "SkeyIndex",
    "Transport",
    "TransportKind",
    "classify",
]
