"""A TLS engine with a shape on its outgoing side."""

from __future__ import annotations

from collections.abc import Sequence

from btresearch.transport.btls.engine import TlsEngine
from btresearch.transport.btls.exchange import Exchange
from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError
from btresearch.transport.protocol import Bytes
from btresearch.transport.shape import SHAPES


class Channel:
    """What initiator and responder share once bytes may flow."""

    def __init__(self, engine: TlsEngine, shape: str) -> None:
        if shape not in SHAPES:
            raise LocalProtocolError(f"btls: shape {shape!r} is not one of {', '.join(SHAPES)}")
        self.engine = engine
        self._shape = SHAPES[shape]()

    def push(self, app: Bytes) -> None:
        """Encrypt what the shape lets go."""
        self._write(self._shape.push(app))

    def flush(self) -> None:
        """Encrypt what the shape holds."""
        self._write(self._shape.flush())

    def exchange(self, exchange: Exchange, app: Bytes) -> None:
        """Hand `app` to level Full's exchange and push its answer. Raises RemoteProtocolError with close_notify."""
        try:
            self.push(exchange.receive(app))
        except RemoteProtocolError as error:
            raise self.refuse(error.reason) from error
        if self.engine.closed and not exchange.done:
            raise self.refuse("btls: closed without an authenticator")

    def goodbye(self) -> bytes:
        """Say close_notify after what is held; return all bytes for the wire."""
        self.flush()
        self.engine.shutdown()
        return self.engine.drain()

    def refuse(self, reason: str) -> RemoteProtocolError:
        """Build the error that ends a connection as a browser would: close_notify, and no word more."""
        self._shape.flush()
        self.engine.shutdown()
        return RemoteProtocolError(reason, goodbye=self.engine.drain())

    def _write(self, writes: Sequence[Bytes]) -> None:
        for write in writes:
            self.engine.write(write)
