"""The torrents, secrets and channels that several families of vectors share."""

from __future__ import annotations

import hashlib

from btresearch.bep.vector import example_bytes
from btresearch.transport.btls.keys import ChannelSecrets

V1 = hashlib.sha1(b"bittorrent-tls", usedforsecurity=False).digest()
"""The example torrent's infohash as v1 ..."""
V2 = hashlib.sha256(b"bittorrent-tls").digest()
"""... and as v2; together they are a hybrid's."""
SECRET = example_bytes("secret32")
CHANNEL = ChannelSecrets(example_bytes("EKM"), example_bytes("K", 16))
OTHER_CHANNEL = ChannelSecrets(example_bytes("other EKM"), example_bytes("other K", 16))
