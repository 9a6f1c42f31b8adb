"""What one probe saw, in a form in which two hosts can be compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass

AT_ONCE_S = 2.0
BUCKET_S = 5


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Every field is masked where two runs of one server differ; "" and () where it does not apply."""

    tls: str = ""
    """Version, cipher suite, group and ALPN of a completed handshake."""
    records: tuple[str, ...] = ()
    """The server's records and clear messages, sizes in bytes."""
    alerts: tuple[str, ...] = ()
    """Alerts that the server sent inside or outside the channel: level:description."""
    answers: tuple[str, ...] = ()
    """HTTP answers, or the measure that this probe takes."""
    end: str = ""
    """How the connection ended and in which time bucket after the last step: "FIN at once", "open"."""

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [self.tls, ", ".join(self.records), " ".join(f"alert {a}" for a in self.alerts)]
        return "; ".join(part for part in [*parts, " / ".join(self.answers), self.end] if part)


def when(seconds: float) -> str:
    """Name the time bucket of a close."""
    if seconds < AT_ONCE_S:
        return "at once"
    return f"after {max(1, round(seconds / BUCKET_S)) * BUCKET_S} s"
