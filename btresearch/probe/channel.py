"""A visitor's TLS channel over a `Cable`, with every alert that the server sends."""

from __future__ import annotations

from dataclasses import dataclass

from OpenSSL import SSL

from btresearch.probe.cable import TURN_S, Cable

_READ_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Offer:
    """How the visitor presents itself."""

    max_version: int = SSL.TLS1_3_VERSION
    alpn: tuple[bytes, ...] = ()
    server_name: bytes | None = None
    tickets: bool = True


class Channel:
    """`app` is what came decrypted; `alerts` as level:description. It resumes the session of an `earlier` one."""

    def __init__(self, cable: Cable, offer: Offer, earlier: Channel | None = None) -> None:
        self.cable, self.app = cable, bytearray()
        self.alerts: list[str] = []
        self.failed = self.done = False
        self.tls: SSL.Connection = SSL.Connection(
            earlier.tls.get_context() if earlier else _context(offer), None
        )
        self.tls.set_info_callback(self._note)
        self.tls.set_connect_state()
        if offer.server_name is not None:
            self.tls.set_tlsext_host_name(offer.server_name)
        session = earlier.tls.get_session() if earlier else None
        if session is not None:
            self.tls.set_session(session)
        cable.on_data = self._take

    async def open(self) -> bool:
        """Shake hands; False if the server would not."""
        self._proceed()
        while not (self.done or self.failed or self.cable.end):
            before = len(self.cable.received)
            await self.cable.turn(TURN_S)
            if len(self.cable.received) == before:
                break
        return self.done

    def send(self, app: bytes) -> None:
        """One record, if the channel still takes it."""
        try:
            if app:
                self.tls.send(app)
        except SSL.Error:
            self.failed = True
        self._flush()

    def close_notify(self) -> None:
        """Say close_notify."""
        try:
            self.tls.shutdown()
        except SSL.Error:
            self.failed = True
        self._flush()

    def describe(self) -> str:
        """Version, suite, group, ALPN."""
        alpn = self.tls.get_alpn_proto_negotiated().decode("latin-1") or "-"
        names = [self.tls.get_protocol_version_name(), self.tls.get_cipher_name(), self.tls.get_group_name()]
        return " ".join([str(name) for name in names] + [f"alpn {alpn}"])

    def _take(self, wire: bytes) -> None:
        self.tls.bio_write(wire)
        if not self.done:
            self._proceed()
        if self.done:
            self._read()
        self._flush()

    def _proceed(self) -> None:
        try:
            self.tls.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        except SSL.Error:
            self.failed = True
        self._flush()

    def _read(self) -> None:
        try:
            while True:
                self.app += self.tls.recv(_READ_BYTES)
        except SSL.WantReadError:
            return
        except SSL.Error:  # the server's alert has been noted
            return

    def _flush(self) -> None:
        try:
            while True:
                self.cable.write(self.tls.bio_read(_READ_BYTES))
        except SSL.WantReadError:
            return

    def _note(self, _connection: SSL.Connection, where: int, value: int) -> None:
        if where & SSL.SSL_CB_ALERT and where & SSL.SSL_CB_READ:
            self.alerts.append(f"{value >> 8}:{value & 0xFF}")


def _context(offer: Offer) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(offer.max_version)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_session_cache_mode(SSL.SESS_CACHE_CLIENT)
    if offer.alpn:
        context.set_alpn_protos(list(offer.alpn))
    if not offer.tickets:
        context.set_options(SSL.OP_NO_TICKET)
    return context
