"""What can go wrong at the secure tracker. The texts go to strangers: none says whether a member exists."""

from __future__ import annotations

from btresearch.errors import BtresearchError


class MembersError(BtresearchError):
    """The state of the secure tracker can't be used, or does not hold what was asked for."""


class Refused(BtresearchError):
    """A request that gets no certificate and no peers; `status` is HTTP's, `retry_after_s` its Retry-After."""

    def __init__(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        self.status, self.retry_after_s = status, retry_after_s
        super().__init__(reason)


def not_entitled() -> Refused:
    """The same for a torrent that is not here and for one that is not this member's."""
    return Refused(403, "not entitled to this torrent")
