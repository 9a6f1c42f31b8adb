"""Runs one live capture in the network namespace that it was started in; says what it saw as JSON."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from btresearch.capture import Sniffer, read
from btresearch.capture.ring import Ring, RingShape

A, B = b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b"


def frame(number: int, *, size: int = 100, tag: bytes = b"") -> bytes:
    return B + A + tag + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(size)  # IEEE 802 local experimental


def sender(interface: str) -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.bind((interface, 0))
    return raw


def ours(path: str, kind: bytes = b"\x88\xb5") -> list[dict[str, object]]:
    found = [packet for packet in read(path) if kind in packet.data[12:18]]
    return [{"t_ns": packet.t_ns, "hex": packet.data.hex(), "orig_len": packet.orig_len} for packet in found]


def both_ways(out: str) -> dict[str, object]:
    with Sniffer("vb", out) as sniffer, sender("va") as there, sender("vb") as back:
        began_ns = time.time_ns()
        for number in range(200):
            (back if number % 2 else there).send(frame(number))
        ended_ns = time.time_ns()
    assert sniffer.statistics is not None
    return {
        "packets": ours(out),
        "statistics": json.loads(sniffer.statistics.to_json()),
        "between_ns": [began_ns, ended_ns],
        "dropped": _dropped(out),
    }


def vlan(out: str) -> dict[str, object]:
    with Sniffer("vb", out), sender("va") as there:
        there.send(frame(1, tag=bytes.fromhex("8100a00c")))
        there.send(frame(2, tag=bytes.fromhex("88a80005")))
    return {"packets": ours(out)}


def loopback(out: str) -> dict[str, object]:
    with Sniffer("lo", out), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 9))  # else an ICMP error would quote it
        datagrams.sendto(b"once", ("127.0.0.1", 9))
    return {"count": sum(packet.data.endswith(b"once") for packet in read(out))}


def lossy(_out: str) -> dict[str, object]:
    ring = Ring("vb", shape=RingShape(blocks=2, block_bytes=4096))
    with sender("va") as there:
        for number in range(200):
            there.send(frame(number))
    received, dropped = ring.statistics()
    again = ring.statistics()
    kept = sum(1 for block in iter(ring.take, None) for _ in ring.packets(block))
    ring.close()
    return {"received": received, "dropped": dropped, "again": again, "kept": kept}


def oversize(out: str) -> dict[str, object]:
    with Sniffer("vb", out) as sniffer, sender("va") as there:
        for name in ("va", "vb"):
            subprocess.run(["ip", "link", "set", name, "mtu", "9000"], check=True)
        there.send(frame(1, size=3000))
    assert sniffer.statistics is not None
    return {"oversize": sniffer.statistics.oversize, "packets": ours(out)}


def filtered(out: str) -> dict[str, object]:
    with Sniffer("vb", out, expression="ether[14:4] = 7") as sniffer, sender("va") as there:
        for number in range(20):
            there.send(frame(number))
    assert sniffer.statistics is not None
    return {"packets": ours(out), "received": sniffer.statistics.received}


def program(out: str, backend: str = "ring") -> dict[str, object]:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "btresearch.capture.live", "vb", out, "--backend", backend]
    child = subprocess.Popen(
        [*command, "--ready-fd", str(writing)], pass_fds=[writing], stdout=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert select.select([reading], [], [], 20)[0]
    said = os.read(reading, 100).decode()
    os.close(reading)
    with sender("va") as there:
        for number in range(50):
            there.send(frame(number))
    child.send_signal(signal.SIGTERM)
    output, _ = child.communicate(timeout=20)
    return {
        "ready": said,
        "status": child.returncode,
        "statistics": json.loads(output.splitlines()[-1]),
        "packets": ours(out),
        "dropped": _dropped(out),
        "left": sorted(path.name for path in Path(out).parent.iterdir()),
    }


def tcpdump(out: str) -> dict[str, object]:
    return program(out, "tcpdump")


def _dropped(out: str) -> int | None:
    reader = read(out)
    for _ in reader:
        pass
    return reader.dropped


def main(scenario: str, out: str) -> None:
    for line in (
        "link set lo up",
        "link add va address 02:00:00:00:00:0a type veth peer name vb address 02:00:00:00:00:0b",
        "link set va addrgenmode none",  # no router solicitations between the frames that are counted
        "link set vb addrgenmode none",
        "link set va up",
        "link set vb up",
    ):
        subprocess.run(["ip", *line.split()], check=True)
    scenarios = [both_ways, vlan, loopback, lossy, oversize, filtered, program, tcpdump]
    chosen = {one.__name__: one for one in scenarios}[scenario]
    sys.stdout.write(json.dumps(chosen(out)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
