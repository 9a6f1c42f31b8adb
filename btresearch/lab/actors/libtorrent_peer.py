"""libtorrent as a seed or as several leeches, in one process: one leech session per torrent, so one flow each.

Settings and their traps: libtorrent 2.1 `settings_pack` reference. Everything that would speak to anybody but
the peer named in the task (DHT, local discovery, port mapping) is off.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from typing import Any

import libtorrent as lt

from btresearch.lab.actors import report

PE_FORCED, PE_DISABLED = 0, 2  # enc_policy: pe_forced, pe_enabled, pe_disabled
PE_PLAINTEXT, PE_RC4 = 1, 2  # enc_level

ENCRYPTION: dict[str, dict[str, Any]] = {
    "off": {"in_enc_policy": PE_DISABLED, "out_enc_policy": PE_DISABLED},
    "rc4": {
        "in_enc_policy": PE_FORCED,
        "out_enc_policy": PE_FORCED,
        "allowed_enc_level": PE_RC4,
        "prefer_rc4": True,
    },
    "plain": {"in_enc_policy": PE_FORCED, "out_enc_policy": PE_FORCED, "allowed_enc_level": PE_PLAINTEXT},
}
MODES = {  # transport -> (encryption, carrier, listen suffix)
    "clear": ("off", "tcp", ""),
    "mse_rc4": ("rc4", "tcp", ""),
    "mse_plain": ("plain", "tcp", ""),
    "utp": ("off", "utp", ""),
    "utp_mse": ("rc4", "utp", ""),
    "ssl_torrent": ("off", "tcp", "s"),
}
FACTS = {
    "program": "libtorrent",
    "version": lt.__version__,
    "tls_library": "OpenSSL (in the libtorrent wheel)",
}
POLL_S = 0.02
LINGER_S = 0.5  # how long a finished leech waits for its connections to be closed in order


def session(mode: str, address: str, port: int) -> Any:
    """A libtorrent session for one transport, listening at one place."""
    encryption, carrier, suffix = MODES[mode]
    settings: dict[str, Any] = {
        "listen_interfaces": f"{address}:{port}{suffix}",
        "outgoing_interfaces": "",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "allow_multiple_connections_per_ip": True,
        "connection_speed": 500,  # connect at once, rather than on the session's next full second
        "torrent_connect_boost": 50,
        "tick_interval": 100,
        "alert_mask": lt.alert.category_t.error_notification
        | lt.alert.category_t.connect_notification
        | lt.alert.category_t.peer_notification
        | lt.alert.category_t.status_notification,
    }
    for direction in ("incoming", "outgoing"):
        settings[f"enable_{direction}_tcp"] = carrier == "tcp"
        settings[f"enable_{direction}_utp"] = carrier == "utp"
    make: Any = lt.session  # its stubs do not know the plain dictionary that it takes
    return make({**settings, **ENCRYPTION[encryption]})


def add(
    home: Any, torrent: dict[str, str], folder: str, *, task: dict[str, Any], peer: tuple[str, int] | None
) -> Any:
    """Add one torrent: as a seed (no peer), or as a leech that knows its one peer."""
    parameters = lt.load_torrent_file(torrent["torrent"])
    parameters.save_path = folder
    parameters.flags &= ~lt.torrent_flags.auto_managed
    parameters.flags &= ~lt.torrent_flags.paused
    if peer is None:
        parameters.flags |= (
            lt.torrent_flags.seed_mode
        )  # the lab wrote these bytes itself: no need to hash them
    certificate = task.get("certificate")
    if certificate:
        parameters.flags |= lt.torrent_flags.paused
    handle = home.add_torrent(parameters)
    if certificate:
        handle.set_ssl_certificate(certificate["chain"], certificate["key"], certificate["dh"], "")
        handle.resume()
    if peer is not None:
        handle.connect_peer(peer)
    return handle


def complain(alerts: list[Any]) -> None:
    """Log what went wrong; the runner shows the log's tail when a capture fails."""
    for alert in alerts:
        if alert.category() & lt.alert.category_t.error_notification:
            sys.stderr.write(f"{type(alert).__name__}: {alert.message()}\n")


def seed(task: dict[str, Any]) -> None:
    """Serve every torrent of the task until stdin ends; report each peer that got through the handshake."""
    home = session(task["transport"], task["address"], task["port"])
    for torrent in task["torrents"]:
        add(home, torrent, task["folder"], task=task, peer=None)
    listening = False
    proto = "udp" if MODES[task["transport"]][1] == "utp" else "tcp"
    stop = False
    while not stop:
        stop = bool(select.select([sys.stdin], [], [], POLL_S)[0])
        alerts = home.pop_alerts()
        complain(alerts)
        if not listening and any(isinstance(alert, lt.listen_succeeded_alert) for alert in alerts):
            listening = True
            report.ready(**FACTS)
        for alert in alerts:
            if isinstance(alert, lt.peer_connect_alert):
                host, port = alert.endpoint
                report.flow(proto, (host, port), torrent=str(alert.handle.info_hashes().v1))


def leech(task: dict[str, Any]) -> None:
    """Fetch every torrent of the task, one session each. Exit status 1 if the time runs out first."""
    report.ready(**FACTS)
    report.go()
    peer = (task["peer"]["address"], task["peer"]["port"])
    homes = [session(task["transport"], task["address"], 0) for _ in task["torrents"]]
    handles = [
        add(home, torrent, task["folder"], task=task, peer=peer)
        for home, torrent in zip(homes, task["torrents"], strict=True)
    ]
    deadline = time.monotonic() + task["timeout_s"]
    knock = time.monotonic() + 1.0
    while not all(handle.status().is_seeding for handle in handles):
        for home in homes:
            complain(home.pop_alerts())
        if time.monotonic() > deadline:
            sys.exit("libtorrent: timed out; " + ", ".join(str(handle.status().state) for handle in handles))
        if time.monotonic() > knock:  # a refused or lost first call is not repeated for a minute by itself
            knock += 1.0
            for handle in handles:
                if not handle.get_peer_info():
                    handle.connect_peer(peer)
        time.sleep(POLL_S)
    wait_closed(handles)


def wait_closed(handles: list[Any]) -> None:
    """Two complete peers have no more to say and hang up; give them the time to do so."""
    deadline = time.monotonic() + LINGER_S
    while time.monotonic() < deadline and any(handle.get_peer_info() for handle in handles):
        time.sleep(POLL_S)
    for handle in handles:
        handle.flush_cache()


def main() -> None:
    """Do the task."""
    task = report.task()
    Path(task["folder"]).mkdir(parents=True, exist_ok=True)
    {"seed": seed, "leech": leech}[task["role"]](task)
    report.say("done")
    sys.stderr.flush()
    os._exit(0)  # a session's destructor waits for trackers and disk; there is nothing left to wait for


if __name__ == "__main__":
    main()
