"""What a live capture saw and lost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Packets written to the file, received by the filter, and dropped for want of room.

    `oversize` frames were longer than the MTU (segmentation offload is on), `unsummed` had no checksum yet
    (checksum offload is on): both show that the wire would have looked different.
    """

    written: int
    received: int
    dropped: int
    oversize: int = 0
    unsummed: int = 0

    def to_json(self) -> str:
        """Return the counters as one line of JSON."""
        return json.dumps(asdict(self))
