"""What can go wrong outside the protocol cores: the disk, a tracker, a swarm without peers."""

from __future__ import annotations

from btresearch.errors import BtresearchError


class StorageError(BtresearchError):
    """The output folder can't be used: a link, a full disk, a file in the way."""


class TrackerError(BtresearchError):
    """A tracker said no, or what it said can't be read."""
