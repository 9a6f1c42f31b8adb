"""What the record lengths of a TLS 1.3 handshake give away although they are encrypted.

A Finished message has one length per hash (RFC 8446, section 4.4.4) and is alone in its record or last in the
client's flight, since the keys change behind it. So a longer flight is a client certificate; and the records of
one size that the server sends first thing behind it are session tickets (section 4.6.1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TLS13 = 0x0304
PROTECTED = 23
SHA384_SUITES = frozenset({0x1302})
PROTECTION_BYTES = 17  # content type and tag (RFC 8446, section 5.2)
FINISHED_BYTES = {False: 4 + 32 + PROTECTION_BYTES, True: 4 + 48 + PROTECTION_BYTES}
EMPTY_CERTIFICATE_BYTES = 4 + 4 + PROTECTION_BYTES  # asked for one, and gave none
TICKET_BYTES = range(60, 1400)  # stateful ones are about 60, those of OpenSSL with a client certificate 618
MAX_TICKETS = 8
RECORDS = 24


class Shape(NamedTuple):
    """Lengths of the client's protected flight up to its Finished, and of the server's tickets behind it.

    `tickets` is None where nothing came back after the client's Finished.
    """

    flight: tuple[int, ...]
    finished: int
    tickets: tuple[int, ...] | None

    @property
    def certificate(self) -> bool:
        """The client's flight holds more than its Finished."""
        return self.flight[0] > self.finished or len(self.flight) > 1


def shape_of(version: int, cipher: int, dirs: object, kinds: object, lengths: object) -> Shape | None:
    """Read the shape from a flow's records; None where it is not TLS 1.3 or was not seen that far."""
    if version != TLS13 or not isinstance(lengths, np.ndarray) or not isinstance(dirs, np.ndarray):
        return None
    ways, sizes = dirs[:RECORDS].tolist(), lengths[:RECORDS].tolist()
    types = kinds[:RECORDS].tolist() if isinstance(kinds, np.ndarray) else []
    protected = [
        (way, size) for way, size, kind in zip(ways, sizes, types, strict=False) if kind == PROTECTED
    ]
    first = next((at for at, (way, _) in enumerate(protected) if way > 0), 0)
    if not first:  # no server flight before the client's: early data, or the start is missing
        return None
    return _shape(protected[first:], FINISHED_BYTES[cipher in SHA384_SUITES])


def _shape(protected: list[tuple[int, int]], finished: int) -> Shape | None:
    flight: list[int] = []
    for at, (way, size) in enumerate(protected):
        if way < 0:
            break
        flight.append(size)
        if size == finished:
            return Shape(tuple(flight), finished, _tickets(protected[at + 1 :]))
    if flight[0] < EMPTY_CERTIFICATE_BYTES:  # an alert
        return None
    return Shape((flight[0],), finished, _tickets(protected[1:]))


def _tickets(protected: list[tuple[int, int]]) -> tuple[int, ...] | None:
    back = [size for way, size in protected if way < 0][:MAX_TICKETS]
    if not back:
        return None
    if back[0] not in TICKET_BYTES or (len(back) > 1 and back[1] != back[0]):
        return ()
    count = next((at for at, size in enumerate(back) if size != back[0]), len(back))
    return tuple(back[:count])
