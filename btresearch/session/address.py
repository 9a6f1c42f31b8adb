"""Where a peer listens."""

from btresearch.peer import Address

__all__ = ["Address"]
