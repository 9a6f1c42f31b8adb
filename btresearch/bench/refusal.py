"""How long a stranger waits for the refusal: our port with few and with many torrents, beside nginx.

Each visitor finishes a TLS handshake, sends one record of random bytes as long as a Hello, and times the answer.
Visits are interleaved, so that whatever else the machine does hits all alike; nginx is visited as two hosts, whose
difference from each other is what its own spread looks like.
"""

from __future__ import annotations

import os
import random
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import ks_2samp

from btresearch.bench.host import host_process
from btresearch.bench.nginx import ADDRESS, nginx
from btresearch.bench.party import Party

TORRENTS = (1, 1_000, 100_000)
HELLO_BYTES = 644
LIMIT_S = 10.0
ALPHA = 0.05


@dataclass(frozen=True)
class Refusal:
    """Milliseconds until the first byte of the answer: median, 5th and 95th percentile of `n`.

    `ks`, `p`: two-sample Kolmogorov-Smirnov test against nginx; `within`: the median lies between nginx's 5th
    and 95th percentile; `alike`: the test tells no difference at 0.05.
    """

    server: str
    torrents: int
    median_ms: float
    p5_ms: float
    p95_ms: float
    ks: float
    p: float
    n: int
    within: bool
    alike: bool


def run(
    *,
    torrents: Sequence[int] = TORRENTS,
    visits: int = 300,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Refusal]:
    """Visit every host `visits` times. Raises NoNginx."""
    identity = Party(bytes(20)).identity
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="btresearch-bench-")))
        stock = stack.enter_context(nginx(folder, identity.pem()))
        ports = {("nginx", 0): stock, ("nginx again", 0): stock}
        for count in torrents:
            progress(f"a port with {count} torrents")
            host = stack.enter_context(host_process("btls_basic", folders=[], others=count - 1))
            ports["btresearch", count] = host.port
        progress(f"{visits} visits to each of {len(ports)}")
        waits = _visit_all(ports, visits)
    own = waits["nginx", 0]
    return [_row(name, count, found, own) for (name, count), found in waits.items()]


def _visit_all(ports: dict[tuple[str, int], int], visits: int) -> dict[tuple[str, int], list[float]]:
    """In another order each round, from another address each time: no host is to know its visitor."""
    waits: dict[tuple[str, int], list[float]] = {who: [] for who in ports}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    rng, order = random.Random(1), list(ports)
    for number in range(visits + 1):
        rng.shuffle(order)
        for who in order:
            source = f"127.{1 + number // 250 % 200}.{number % 250}.{1 + rng.randrange(250)}"
            wait_ms = _visit(context, ports[who], source)
            if number:  # the first warms up
                waits[who].append(wait_ms)
    return waits


def _visit(context: ssl.SSLContext, port: int, source: str) -> float:
    with (
        socket.create_connection((ADDRESS, port), LIMIT_S, source_address=(source, 0)) as plain,
        context.wrap_socket(plain) as tls,
    ):
        record = b"\xff" + os.urandom(HELLO_BYTES - 1)  # no HTTP method begins so
        began_s = time.perf_counter()
        tls.sendall(record)
        tls.recv(1)
        return (time.perf_counter() - began_s) * 1e3


def _row(name: str, count: int, waits: list[float], own: list[float]) -> Refusal:
    low, median, high = np.percentile(waits, [5, 50, 95])
    own_low, own_high = np.percentile(own, [5, 95])
    test = ks_2samp(own, waits)
    return Refusal(
        server=name,
        torrents=count,
        median_ms=round(float(median), 3),
        p5_ms=round(float(low), 3),
        p95_ms=round(float(high), 3),
        ks=round(float(test.statistic), 3),
        p=float(f"{test.pvalue:.3g}"),
        n=len(waits),
        within=bool(own_low <= median <= own_high),
        alike=bool(test.pvalue >= ALPHA),
    )
