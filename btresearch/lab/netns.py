"""Two hosts and a cable: a network namespace per host, held by a child process, joined by a veth pair.

The calling process never changes its own namespace, so this works inside a notebook or a threaded runner, as root
and as an ordinary user who may create user namespaces.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from btresearch.lab.errors import LabError

NSEXEC = Path(__file__).with_name("nsexec.py")
INTERFACE = "eth0"  # inside each host
SBIN = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))  # not in an ordinary user's PATH on Debian

REMEDIES = {
    "iproute2": "install the package iproute2 (it brings `ip`)",
    "user namespace": "allow user namespaces (sysctl user.max_user_namespaces), or run as root",
    "uid map": "allow unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns=0), or run as root",
    "network namespace": "raise sysctl user.max_net_namespaces, or run as root",
    "enter user namespace": "run as the user who started the lab, or as root",
    "enter net namespace": "run as the user who started the lab, or as root",
    "link": "load the kernel module veth",
    "address": "load the kernel module veth",
    "offload": "use a kernel whose veth driver answers SIOCETHTOOL",
    "capture": "allow packet sockets (CAP_NET_RAW) in the namespace",
    "switched off": "drop --no-netns and unset BTRESEARCH_NO_NETNS",
}
NO_NETNS = "BTRESEARCH_NO_NETNS"  # environment variable that says: pretend namespaces are forbidden


class NetnsError(LabError):
    """A step of building the hosts failed: `step`, what the system said, and the remedy."""

    def __init__(self, step: str, reason: str) -> None:
        self.step, self.reason = step, reason
        self.remedy = REMEDIES.get(step, "run as root")
        super().__init__(f"network namespaces: step '{step}' failed: {reason}; remedy: {self.remedy}")


def script(*arguments: str) -> list[str]:
    """Command line of `nsexec.py`; isolated and without site-packages, since it starts for every actor."""
    return [sys.executable, "-I", "-S", str(NSEXEC), *arguments]


def find_ip() -> str:
    """Path of iproute2's `ip`. Raises NetnsError when it is missing."""
    found = shutil.which("ip", path=os.pathsep.join((os.environ.get("PATH", ""), SBIN)))
    if found is None:
        raise NetnsError("iproute2", "no `ip` command")
    return found


class Host:
    """One network namespace: run commands in it with `spawn`, give it orders with `order`."""

    def __init__(self, address: str, *, join: Host | None = None) -> None:
        self.address = address
        self.in_user_namespace = False
        arguments = ["hold", str(os.getpid())] + (
            [str(join.pid)] if join is not None and join.in_user_namespace else []
        )
        self._holder = subprocess.Popen(
            script(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_bare_environment(),
        )
        try:
            self.in_user_namespace = bool(self._answer().get("user"))
        except NetnsError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process that holds the namespace."""
        return self._holder.pid

    def order(self, order: str, **fields: str) -> None:
        """Have the holder do one thing inside the namespace. Raises NetnsError."""
        stdin = self._holder.stdin
        assert stdin is not None
        stdin.write(json.dumps({"order": order, **fields}) + "\n")
        stdin.flush()
        self._answer()

    def _answer(self) -> dict[str, Any]:
        stdout = self._holder.stdout
        assert stdout is not None
        line = stdout.readline()
        answer: dict[str, Any] = (
            json.loads(line) if line else {"ok": False, "step": "holder", "reason": "it died"}
        )
        if not answer["ok"]:
            raise NetnsError(answer["step"], answer["reason"])
        return answer

    def ip(self, step: str, *commands: str) -> None:
        """Run `ip` commands inside the host."""
        self.order("ip", ip=find_ip(), step=step, batch="\n".join(commands) + "\n")

    def spawn(self, command: Sequence[str], **popen: Any) -> subprocess.Popen[bytes]:
        """Start `command` inside the host; it dies with this process."""
        user = "1" if self.in_user_namespace else "0"
        return subprocess.Popen(
            script("enter", str(os.getpid()), str(self.pid), user, "--", *command), **popen
        )

    def close(self) -> None:
        """Let the namespace go."""
        _close(self._holder.stdin)
        try:
            self._holder.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()
        _close(self._holder.stdout)


def _close(stream: IO[str] | None) -> None:
    if stream is not None:
        try:
            stream.close()
        except BrokenPipeError:
            return  # the holder went first; there is nothing left to tell it


def _bare_environment() -> dict[str, str]:
    return {"PATH": os.pathsep.join((os.environ.get("PATH", ""), SBIN)), "LC_ALL": "C"}


@dataclass(frozen=True)
class Pair:
    """Two hosts joined by one cable; `interface` is its name at both ends."""

    client: Host
    server: Host
    interface: str = INTERFACE


@contextmanager
def pair(*, mtu_bytes: int = 1500, client: str = "10.77.0.1", server: str = "10.77.0.2") -> Iterator[Pair]:
    """Build two hosts for the length of a `with` block.

    Offloads are off at both ends, so a captured packet is at most `mtu_bytes` long; IPv6 has no address, so that no
    router solicitation or multicast report enters a capture. Raises NetnsError naming the step that failed.
    """
    find_ip()
    with ExitStack() as stack:
        left = Host(client)
        stack.callback(left.close)
        right = Host(server, join=left)
        stack.callback(right.close)
        _cable(left, right, mtu_bytes)
        yield Pair(left, right)


def _cable(left: Host, right: Host, mtu_bytes: int) -> None:
    left.ip(
        "link",
        f"link add {INTERFACE} mtu {mtu_bytes} type veth peer name {INTERFACE} mtu {mtu_bytes} netns {right.pid}",
    )
    no_ipv6 = [f"link set {INTERFACE} addrgenmode none"] if Path("/proc/sys/net/ipv6").exists() else []
    for host in (left, right):
        host.order("no_offload", interface=INTERFACE)
        host.ip(
            "address",
            "link set lo up",
            *no_ipv6,
            f"address add {host.address}/24 dev {INTERFACE}",
            f"link set {INTERFACE} up",
        )


@dataclass(frozen=True)
class Ability:
    """Whether wire captures can be made here; if not, the `step` that failed, what it said and its `remedy`."""

    ok: bool
    step: str = ""
    reason: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        if self.ok:
            return "wire captures in network namespaces"
        return f"no wire captures: step '{self.step}' failed ({self.reason}); remedy: {self.remedy}"


PING = """
import socket, sys
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
packets.bind((sys.argv[1], 0)); packets.settimeout(2)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"probe", (sys.argv[2], 9))
sys.exit(0 if packets.recv(2048) else 1)
"""


def probe() -> Ability:
    """Do the whole sequence once, in children: create two hosts, link them, capture a packet, tear down."""
    if os.environ.get(NO_NETNS, "") not in ("", "0"):
        return Ability(False, "switched off", f"{NO_NETNS} is set", REMEDIES["switched off"])
    try:
        with pair() as hosts:
            command = [sys.executable, "-I", "-S", "-c", PING, hosts.interface, hosts.server.address]
            process = hosts.client.spawn(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            _, stderr = process.communicate(timeout=10)
            if process.returncode != 0:
                last = (stderr.decode(errors="replace").strip().splitlines() or ["no packet seen"])[-1]
                raise NetnsError("capture", last)
    except NetnsError as error:
        return Ability(False, error.step, error.reason, error.remedy)
    except subprocess.TimeoutExpired:
        process.kill()
        return Ability(False, "capture", "timed out", REMEDIES["capture"])
    return Ability(True)
