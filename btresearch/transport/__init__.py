"""Sans-IO byte-stream security: clear text, MSE/PE and BitTorrent over TLS, behind one `Transport`.

transport = Clear()
socket.send(transport.start())
app, reply = transport.receive(socket.recv())
socket.send(transport.send(b"..."))
"""

from __future__ import annotations

from btresearch.transport.clear import Clear
from btresearch.transport.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from btresearch.transport.protocol import Bytes, Entropy, Transport

__all__ = [
    "Bytes",
    "Clear",
    "Entropy",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "Transport",
]
