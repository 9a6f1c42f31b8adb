"""One end of a transfer by libtorrent, as a process: `python -m btresearch.bench.libtorrent_end TASK` (JSON).

Settings: libtorrent 2.1 `settings_pack` reference; all that would speak to anybody else is off.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

import libtorrent as lt

from btresearch.bench.usage import cpu_s, peak_rss_mb, say

# pe_forced, pe_disabled; pe_rc4
ENCRYPTION: dict[str, dict[str, Any]] = {
    "clear": {"in_enc_policy": 2, "out_enc_policy": 2},
    "mse_rc4": {"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2, "prefer_rc4": True},
    "ssl_torrent": {"in_enc_policy": 2, "out_enc_policy": 2},
}
OFF = (
    "enable_dht",
    "enable_lsd",
    "enable_upnp",
    "enable_natpmp",
    "enable_incoming_utp",
    "enable_outgoing_utp",
)
POLL_S = 0.01
KNOCK_S = 0.5  # a first call is often lost; libtorrent would not repeat it for a minute
LIMIT_S = 300.0


def session(task: dict[str, Any]) -> Any:
    """A session that listens at one place and speaks one transport."""
    suffix = "s" if task["transport"] == "ssl_torrent" else ""
    make: Any = lt.session  # its stubs do not know the plain dictionary that it takes
    return make(
        {
            "listen_interfaces": f"{task['host']}:{task['port']}{suffix}",
            "allow_multiple_connections_per_ip": True,
            "connection_speed": 500,
            "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.status_notification,
            **dict.fromkeys(OFF, False),
            **ENCRYPTION[task["transport"]],
        }
    )


def add(home: Any, task: dict[str, Any]) -> Any:
    """The torrent, as a seed that trusts its files or as a leech."""
    parameters = lt.load_torrent_buffer(task["torrent"].encode("latin-1"))
    parameters.save_path = task["folder"]
    parameters.flags &= ~lt.torrent_flags.auto_managed
    parameters.flags &= ~lt.torrent_flags.paused
    if task["role"] == "seed":
        parameters.flags |= lt.torrent_flags.seed_mode
    certificate = task.get("certificate")
    if certificate:
        parameters.flags |= lt.torrent_flags.paused
    handle = home.add_torrent(parameters)
    if certificate:
        handle.set_ssl_certificate(certificate["chain"], certificate["key"], certificate["dh"], "")
        handle.resume()
    return handle


def wait_until_listening(home: Any) -> None:
    """Until the port is open."""
    while not any(isinstance(alert, lt.listen_succeeded_alert) for alert in home.pop_alerts()):
        time.sleep(POLL_S)


def serve(task: dict[str, Any]) -> None:
    """Seed until standard input ends."""
    home = session(task)
    handle = add(home, task)
    wait_until_listening(home)
    began = cpu_s()
    say(event="ready", port=task["port"])
    select.select([sys.stdin], [], [])
    handle.pause()
    say(event="done", cpu_s=cpu_s() - began, peak_rss_mb=peak_rss_mb())


def fetch(task: dict[str, Any]) -> None:
    """Download from the one peer of the task; timed from the first payload byte."""
    Path(task["folder"]).mkdir(parents=True, exist_ok=True)
    home = session(task)
    began = cpu_s()
    handle = add(home, task)
    first = knocked = 0.0
    deadline = time.monotonic() + LIMIT_S
    while not (status := handle.status()).is_seeding:
        now = time.monotonic()
        if now > deadline:
            sys.exit(f"libtorrent: {status.state} after {LIMIT_S:.0f} s")
        if not first and status.total_payload_download > 0:
            first = now
        if not first and now - knocked > KNOCK_S:
            knocked = now
            handle.connect_peer(tuple(task["peer"]))
        time.sleep(POLL_S)
    seconds = time.monotonic() - first
    say(event="done", seconds=seconds, cpu_s=cpu_s() - began, used_s=cpu_s(), peak_rss_mb=peak_rss_mb())


def main() -> None:
    """Do the task on the command line."""
    task = json.loads(sys.argv[1])
    {"seed": serve, "leech": fetch}[task["role"]](task)
    sys.stdout.flush()
    os._exit(0)  # a session's destructor waits for trackers and disk; there is nothing left to wait for


if __name__ == "__main__":
    main()
