"""The program that captures an interface of the current network namespace until told to stop.

As a program, for a child process inside a namespace:

    python -m btresearch.capture.live IFACE OUT.pcapng [--ready-fd N]

It says "ready" (on descriptor N, or standard output) once packets are being taken; SIGTERM or SIGINT makes it
drain the ring, write the counters and end with status 0; its last line of output is the counters as JSON.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from btresearch.capture.ring import DEFAULT_SHAPE, RingShape
from btresearch.capture.sniffer import Sniffer
from btresearch.capture.tcpdump import Tcpdump
from btresearch.errors import BtresearchError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program of this module and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        capture = _capture(options)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: capture.stop())
        statistics = capture.run(lambda: _say_ready(options.ready_fd))
    except (BtresearchError, OSError) as error:
        sys.stderr.write(f"{_parser().prog}: {error}\n")
        return 1
    sys.stdout.write(statistics.to_json() + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="btresearch.capture.live", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("interface")
    parser.add_argument("target")
    parser.add_argument(
        "--ready-fd", type=int, help="descriptor that gets the line 'ready' (default: stdout)"
    )
    parser.add_argument("--backend", choices=("ring", "tcpdump"), default="ring")
    parser.add_argument(
        "--blocks", type=int, default=DEFAULT_SHAPE.blocks, help="MiB of ring (default: %(default)s)"
    )
    parser.add_argument("--filter", default="", help="pcap-filter expression (needs tcpdump)")
    return parser


def _capture(options: argparse.Namespace) -> Sniffer | Tcpdump:
    if options.backend == "tcpdump":
        return Tcpdump(options.interface, options.target, expression=options.filter)
    shape = RingShape(blocks=options.blocks)
    return Sniffer(options.interface, options.target, shape=shape, expression=options.filter)


def _say_ready(descriptor: int | None) -> None:
    if descriptor is None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        return
    os.write(descriptor, b"ready\n")
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
