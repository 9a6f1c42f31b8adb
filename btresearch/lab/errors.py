"""What can go wrong while a capture is made."""

from __future__ import annotations

from btresearch.errors import BtresearchError


class LabError(BtresearchError):
    """A capture could not be made; the message says which actor failed and ends with its last log lines."""


class Interrupted(LabError):
    """The run was told to stop."""
