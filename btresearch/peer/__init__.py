"""A BitTorrent peer without I/O: bytes in, events out; commands in, bytes out.

Nothing here opens a socket or a file descriptor to a peer, reads a clock or draws a random number; what
needs one is handed it. Start with `Torrent.load` or `Magnet.parse`, then `PeerConnection` for one
connection, `Picker` and `Requester` for what to ask for, `Choker` for whom to serve, `MetadataFetch`
for a magnet link and `AnnounceRequest` for trackers. `btresearch.session` drives all of it with asyncio.

BEPs: 3 (protocol, .torrent), 6 (fast), 7 (IPv6 trackers), 9 (metadata, magnet), 10 (extensions),
11 (peer exchange), 12 (tiers), 15 (UDP trackers), 23 (compact peers), 24 (external ip), 41 (UDP options),
48 (scrape); padding files of 47.
"""

from btresearch.peer.address import Address
from btresearch.peer.announce import AnnounceRequest, AnnounceResponse, TrackerFailure
from btresearch.peer.choker import Candidate, Choker
from btresearch.peer.connection import Dropped, Event, ExtensionMessage, PeerConnection
from btresearch.peer.errors import LocalProtocolError, RemoteProtocolError
from btresearch.peer.extension import ExtensionHandshake
from btresearch.peer.fast import allowed_fast_set
from btresearch.peer.handshake import Handshake
from btresearch.peer.known import KnownPeer
from btresearch.peer.layout import BLOCK_BYTES, Block, File, Layout
from btresearch.peer.magnet import Magnet
from btresearch.peer.metadata import MetadataFetch
from btresearch.peer.picker import Picker, Receipt
from btresearch.peer.pieces import PieceSet
from btresearch.peer.requester import Requester
from btresearch.peer.torrent import Torrent

__all__ = [
    "Address",
    "AnnounceRequest",
    "AnnounceResponse",
    "BLOCK_BYTES",
    "Block",
    "Candidate",
    "Choker",
    "Dropped",
    "Event",
    "ExtensionHandshake",
    "ExtensionMessage",
    "File",
    "Handshake",
    "KnownPeer",
    "Layout",
    "LocalProtocolError",
    "Magnet",
    "MetadataFetch",
    "PeerConnection",
    "Picker",
    "PieceSet",
    "Receipt",
    "RemoteProtocolError",
    "Requester",
    "Torrent",
    "TrackerFailure",
    "allowed_fast_set",
]
