"""Namespaces: as root, as an ordinary user, and where they are forbidden."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from btresearch.lab import netns
from tests.lab.processes import all_gone, descendants, network_namespaces

pytestmark = pytest.mark.netns
ROOT = Path(__file__).parents[2]
FREE_READ = ["/usr/bin/python3", "/usr/local/bin/python3"]

LISTEN = """
import socket, sys
listening = socket.create_server((sys.argv[1], 9000))
sys.stdout.write(chr(10))
sys.stdout.flush()
listening.accept()[0].sendall(b"hello")
"""
CALL = """
import socket, sys
sys.stdout.write(socket.create_connection((sys.argv[1], 9000)).recv(9).decode())
"""


@pytest.fixture(scope="module")
def ability() -> netns.Ability:
    found = netns.probe()
    if not found.ok:
        pytest.skip(str(found))
    return found


def test_the_probe_says_what_it_can_do(ability: netns.Ability) -> None:
    assert str(ability) == "wire captures in network namespaces"


def test_two_hosts_talk_and_nothing_remains(ability: netns.Ability) -> None:
    before, interfaces = descendants(os.getpid()), socket.if_nameindex()
    with netns.pair() as hosts:
        held = descendants(os.getpid()) - before
        assert len(network_namespaces(held)) == 2
        assert network_namespaces(held).isdisjoint(network_namespaces({os.getpid()}))
        listen = [sys.executable, "-c", LISTEN, hosts.server.address]
        call = [sys.executable, "-c", CALL, hosts.server.address]
        with hosts.server.spawn(listen, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            server.stdout.readline()
            with hosts.client.spawn(call, stdout=subprocess.PIPE) as client:
                assert client.communicate()[0] == b"hello"
    assert all_gone(held)
    assert socket.if_nameindex() == interfaces


def test_a_refused_order_names_its_step(ability: netns.Ability) -> None:
    with netns.pair() as hosts, pytest.raises(netns.NetnsError, match="step 'link'"):
        hosts.client.ip("link", "link set nowhere up")


def test_offloads_are_off(ability: netns.Ability) -> None:
    ethtool = shutil.which("ethtool", path=os.environ["PATH"] + os.pathsep + netns.SBIN)
    if ethtool is None:
        pytest.skip("ethtool is not here: install ethtool")
    with (
        netns.pair() as hosts,
        hosts.client.spawn([ethtool, "-k", hosts.interface], stdout=subprocess.PIPE) as process,
    ):
        said = process.communicate()[0].decode()
    for feature in (
        "tx-checksumming",
        "generic-segmentation-offload",
        "generic-receive-offload",
        "tx-tcp-segmentation",
    ):
        assert f"{feature}: off" in said


def ordinary(code: str, *prefix: str) -> str:
    """Run code as an ordinary user, who needs an interpreter that may be read."""
    if os.geteuid() != 0:
        python, user = sys.executable, None
    else:
        python = next((path for path in FREE_READ if Path(path).exists()), "")
        user = next((name for name in ("tester", "nobody") if _exists(name)), None)
        if not python or user is None:
            pytest.skip("an ordinary user, or an interpreter that he may run, is not here")
    done = subprocess.run(
        [*prefix, python, "-c", code],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _exists(user: str) -> bool:
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False


PROBE = "from btresearch.lab import netns; print(netns.probe())"
FORBIDDEN = """
from btresearch.lab import nsexec
nsexec.become_root_of_new_user_namespace()
open("/proc/sys/user/max_{kind}_namespaces", "w").write("0")
import subprocess, sys
command = [sys.executable, "-c", {probe!r}]
sys.stdout.write(subprocess.run({drop!r} + command, check=True, capture_output=True, text=True).stdout)
"""


def test_an_ordinary_user_can_too() -> None:
    said = ordinary(PROBE).strip()
    if "user namespace" in said or "uid map" in said:
        pytest.skip(said)
    assert said == "wire captures in network namespaces"


@pytest.mark.parametrize(
    ("kind", "drop", "step"),
    [
        ("net", [], "network namespace"),
        # without capabilities it is an ordinary user, whose only way is a user namespace
        ("user", ["setpriv", "--bounding-set=-all", "--inh-caps=-all"], "user namespace"),
    ],
)
def test_where_they_are_forbidden_one_line_says_which_step_and_what_to_do(
    ability: netns.Ability, kind: str, drop: list[str], step: str
) -> None:
    if drop and shutil.which(drop[0]) is None:
        pytest.skip("setpriv is not here: install util-linux")
    said = ordinary(FORBIDDEN.format(kind=kind, probe=PROBE, drop=drop)).strip()
    assert said.startswith(f"no wire captures: step '{step}' failed")
    assert "remedy: " in said
    assert "\n" not in said


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(netns.NO_NETNS, "1")
    assert netns.probe().step == "switched off"


def test_without_ip_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "SBIN", "")
    monkeypatch.setenv("PATH", "/nowhere")
    found = netns.probe()
    assert (found.ok, found.step) == (False, "iproute2")
    assert "install the package iproute2" in str(found)


def test_a_spawned_command_that_does_not_exist_says_so(ability: netns.Ability) -> None:
    with netns.pair() as hosts, hosts.client.spawn(["/no/such/program"], stderr=subprocess.PIPE) as process:
        assert b"/no/such/program: No such file" in process.communicate()[1]
        assert process.returncode == 126
