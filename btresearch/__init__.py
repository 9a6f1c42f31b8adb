"""BitTorrent over TLS 1.3: specify it, capture it, attack it, and publish what a censor sees."""

__version__ = "0.1.0"
