"""The web server that strangers are shown when it is not the built-in one (`--decoy URL`)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from btresearch.errors import InputError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class DecoySite:
    """Where it listens. Its certificate is not verified: it is a server of one's own."""

    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> DecoySite:
        """From http://HOST[:PORT] or https://HOST[:PORT]. Raises InputError."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            host, port = None, 0
        if not host or not port or parts.path not in ("", "/") or parts.query or parts.username:
            raise InputError("--decoy", "http://HOST[:PORT] or https://HOST[:PORT], without a path")
        return cls(host, port, parts.scheme == "https")

    async def connect(self, protocol: Callable[[], asyncio.Protocol], *, raw: bool) -> None:
        """Dial it; `raw` leaves TLS to the stranger. Raises OSError."""
        secure = _trusting() if self.tls and not raw else None
        await asyncio.get_running_loop().create_connection(
            protocol, self.host, self.port, ssl=secure, server_hostname="" if secure else None
        )


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
