"""Choose the dialling engine: a browser's hello where utls is installed, OpenSSL's own elsewhere."""

from __future__ import annotations

from btresearch.transport.btls.client_openssl import OpenSslClient
from btresearch.transport.btls.engine import ClientFactory
from btresearch.transport.btls.exporter import KeyLog


def best_client(keylog: KeyLog) -> ClientFactory:
    """Return `UtlsClient(keylog)`, or `OpenSslClient()` where utls has no wheel (see `fallback`)."""
    try:
        from btresearch.transport.btls.client_utls import UtlsClient
    except ImportError:
        return OpenSslClient()
    return UtlsClient(keylog)
