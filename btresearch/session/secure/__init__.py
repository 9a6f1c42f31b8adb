"""The secure tracker of level Full: members, their certificates by EST (RFC 7030), their announces over HTTPS."""

from __future__ import annotations

from btresearch.session.secure.authority import Authority
from btresearch.session.secure.errors import MembersError
from btresearch.session.secure.members import Members
from btresearch.session.secure.server import SecureTracker

__all__ = ["Authority", "Members", "MembersError", "SecureTracker"]
