"""What can go wrong outside the protocol cores: the disk, a tracker, a swarm without peers."""

from __future__ import annotations

from btresearch.errors import BtresearchError


class StorageError(BtresearchError):
    """The output folder can't be used: a link, a full disk, a file in the way."""


class TrackerError(BtresearchError):
    """A tracker said no, or what it said can't be read."""


class EnrolmentError(BtresearchError):
    """No certificate could be had; trying again may help. `retry_after_s` is what the server asked for."""

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class EnrolmentRefused(EnrolmentError):
    """The server does not take this user for a member of this torrent."""
