"""The reference engine: packets one by one through dpkt; other engines are tested against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dpkt

from btresearch.capture import Packet
from btresearch.flow.conversation import Conversation
from btresearch.flow.decode import Decoder, Tally
from btresearch.flow.options import Options
from btresearch.flow.tracker import Tracker

NAME = f"dpkt {dpkt.__version__}"


def flows(packets: Iterable[Packet], options: Options, tally: Tally) -> Iterator[Conversation]:
    """Yield the flows of one capture as they end, and count in `tally` what belongs to none."""
    decoder, tracker = Decoder(tally), Tracker(options)
    decode, add = decoder.decode, tracker.add
    for packet in packets:
        segment = decode(packet)
        if segment is not None:
            yield from _counted(add(segment, packet), tally)
    decoder.finish()
    yield from _counted(tracker.finish(), tally)


def _counted(ended: Iterable[Conversation], tally: Tally) -> Iterator[Conversation]:
    for flow in ended:
        strays = flow.c2s.stream.out_of_window + flow.s2c.stream.out_of_window
        if strays:
            tally.damage["tcp_out_of_window"] += strays
        yield flow
