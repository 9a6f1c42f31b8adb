"""Hold a network namespace, or run a command inside one. Runs as a script: ``python -I -S nsexec.py ...``.

Only the standard library, and no sibling: it starts once per host and per actor, so every import counts.

``hold PARENT [JOIN]``
    Become a host: a fresh network namespace, kept while this process lives. Orders arrive as JSON lines on
    stdin and each is answered by one JSON line. Without the right to make a network namespace the holder makes
    a user namespace first; a second host JOINs the first one's user namespace, so that a veth end may move.
``enter PARENT HOLDER USER -- COMMAND...``
    Run COMMAND in HOLDER's namespaces (USER is 1 when there is a user namespace to enter first).
``here PARENT -- COMMAND...``
    Run COMMAND where we are; it dies with PARENT.

All three ask the kernel for SIGKILL when PARENT dies (prctl(2), PR_SET_PDEATHSIG), so that nothing outlives a
runner, however it ends; a namespace goes with the last process in it (namespaces(7)).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000  # linux/sched.h
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1  # linux/prctl.h
SIOCETHTOOL = 0x8946  # linux/sockios.h

# linux/ethtool.h; order matters: TCP segmentation depends on checksum and scatter-gather offload.
OFFLOADS = {"tso": 0x1F, "ufo": 0x22, "gso": 0x24, "gro": 0x2C, "sg": 0x19, "rx": 0x15, "tx": 0x17}
OPTIONAL_OFFLOADS = {"ufo", "rx", "sg"}  # fixed or gone on some kernels and harmless to packet sizes

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """A step of making a host failed; `step` names it."""

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        super().__init__(reason)


def _call(step: str, result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise Refused(step, f"{os.strerror(code)} ({errno.errorcode.get(code, code)})")


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies; exit at once if it is dead already."""
    _call("pdeathsig", _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        sys.exit(1)


def setns(pid: int, kind: str, flag: int) -> None:
    """Enter one namespace of another process (setns(2))."""
    try:
        with Path(f"/proc/{pid}/ns/{kind}").open() as handle:
            _call(f"enter {kind} namespace", _libc.setns(handle.fileno(), flag))
    except OSError as error:
        raise Refused(f"enter {kind} namespace", str(error)) from None


def _write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="ascii")


def become_root_of_new_user_namespace() -> None:
    """Take every right, within a user namespace of our own."""
    uid, gid = os.geteuid(), os.getegid()
    _call("user namespace", _libc.unshare(CLONE_NEWUSER))
    try:
        _write("/proc/self/setgroups", "deny")  # user_namespaces(7): needed before an unprivileged gid_map
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    except OSError as error:
        raise Refused("uid map", str(error)) from None


def make_host(join: int | None) -> bool:
    """Move this process into a new network namespace; True if that took a user namespace."""
    if join is not None:
        setns(join, "user", CLONE_NEWUSER)
        _call("network namespace", _libc.unshare(CLONE_NEWNET))
        return True
    if _libc.unshare(CLONE_NEWNET) == 0:
        return False
    if ctypes.get_errno() != errno.EPERM:
        _call("network namespace", -1)
    become_root_of_new_user_namespace()
    _call("network namespace", _libc.unshare(CLONE_NEWNET))
    return True


def run_ip(order: dict[str, str]) -> None:
    """Give iproute2 a batch of commands."""
    done = subprocess.run(
        [order["ip"], "-batch", "-"], check=False, input=order["batch"], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Refused(order.get("step", "ip"), " ".join(done.stderr.split()))


def no_offload(order: dict[str, str]) -> None:
    """Switch an interface's offloads off, so that what is captured are packets and not 64 KiB aggregates."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name, command in OFFLOADS.items():
            value = bytearray(struct.pack("=II", command, 0))  # struct ethtool_value {cmd, data}
            address = (ctypes.c_char * len(value)).from_buffer(value)
            request = struct.pack("16sP8x", order["interface"].encode(), ctypes.addressof(address))
            try:
                fcntl.ioctl(control, SIOCETHTOOL, request)
            except OSError as error:
                if name not in OPTIONAL_OFFLOADS:
                    raise Refused("offload", f"{name}: {error}") from None


ORDERS = {"ip": run_ip, "no_offload": no_offload}


def _answer(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _obey(line: str) -> None:
    order = json.loads(line)
    try:
        ORDERS[order["order"]](order)
    except Refused as refused:
        _answer(ok=False, step=refused.step, reason=str(refused))
    else:
        _answer(ok=True)


def hold(parent: int, join: int | None) -> None:
    """Be a host until stdin ends or the parent dies."""
    die_with(parent)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the runner's: it still has to stop the actors in here
    try:
        user = make_host(join)
        die_with(parent)  # a change of credentials clears the signal (prctl(2))
    except Refused as refused:
        _answer(ok=False, step=refused.step, reason=str(refused))
        return
    _answer(ok=True, user=user)
    for line in sys.stdin:
        _obey(line)


def enter(parent: int, holder: int, user: bool, command: list[str]) -> None:
    """Replace this process by `command` inside the holder's namespaces."""
    if user:
        setns(holder, "user", CLONE_NEWUSER)
    setns(holder, "net", CLONE_NEWNET)
    here(parent, command)


def here(parent: int, command: list[str]) -> None:
    """Replace this process by `command`, which dies with `parent`."""
    die_with(parent)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise Refused("run", f"{command[0]}: {error.strerror}") from None


def main(arguments: list[str]) -> None:
    """Read the verb and its arguments; a refusal is one line on stderr and exit status 126."""
    verb, parent, *rest = arguments
    try:
        if verb == "hold":
            hold(int(parent), int(rest[0]) if rest else None)
        elif verb == "enter":
            enter(int(parent), int(rest[0]), rest[1] == "1", rest[3:])
        elif verb == "here":
            here(int(parent), rest[1:])
    except Refused as refused:
        sys.stderr.write(f"{refused.step}: {refused}\n")
        sys.exit(126)


if __name__ == "__main__":
    main(sys.argv[1:])
