"""Make one capture of one scenario: stage, actors, recorder, labels, manifest; complete or absent."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import btresearch
from btresearch.capture import Capture, Load, Manifest, annotate, labels_frame, read, sha256_of, write_labels
from btresearch.capture.key import key_of, reverse
from btresearch.lab import cast, label, stage, tap
from btresearch.lab.actor import Actor
from btresearch.lab.errors import Interrupted, LabError
from btresearch.lab.netns import Ability, probe
from btresearch.lab.scenario import Network, Scenario, dumps

MAX_ATTEMPTS = 3
READY_S = 20.0
ETHERNET_BYTES = 14

_log = logging.getLogger(__name__)

STAGES: dict[str, Callable[[Network], AbstractContextManager[stage.Stage]]] = {
    "wire": stage.wire,
    "packetised": tap.packetised,
}


@dataclass(frozen=True, kw_only=True)
class Take:
    """Which capture to make: the scenario, the run's seed, the number of the repeat, and the kind."""

    scenario: Scenario
    seed: int
    repeat: int
    kind: str

    @property
    def session(self) -> str:
        """Id of the capture session, and name of its folder."""
        return f"{self.scenario.name}-{self.repeat:03d}"

    def rng(self) -> random.Random:
        """Everything random in the capture that is ours to choose comes from here."""
        text = f"{self.seed}/{self.scenario.name}/{self.repeat}"
        return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def choose_kind(kind: str = "auto") -> tuple[str, Ability]:
    """Resolve `auto` to wire where namespaces can be made and to packetised elsewhere; say why."""
    if kind == "packetised":
        return kind, Ability(False, "switched off", "packetised was asked for", "ask for wire")
    ability = probe()
    if kind == "wire" and not ability.ok:
        raise LabError(str(ability))
    return ("wire" if ability.ok else "packetised"), ability


def capture(
    scenario: Scenario,
    out: Path,
    *,
    seed: int = 0,
    repeat: int = 0,
    kind: str = "auto",
    stopped: Callable[[], bool] = lambda: False,
) -> Capture:
    """Make one capture in the folder `out`/SCENARIO-REPEAT and open it.

    The folder appears whole (by rename) or not at all. A failed attempt is repeated at most MAX_ATTEMPTS times
    with the same seed, and the manifest notes it. Raises LabError when all fail, Interrupted when `stopped`.
    """
    kind = choose_kind(kind)[0] if kind == "auto" else kind
    take = Take(scenario=scenario, seed=seed, repeat=repeat, kind=kind)
    out = out.resolve()  # the actors run in a folder of their own
    out.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    while len(failures) < MAX_ATTEMPTS:
        if stopped():
            raise Interrupted(f"{take.session}: stopped")
        try:
            with _partial(out, take.session) as folder:
                _attempt(take, folder, failures)
                return _publish(folder, out / take.session)
        except LabError as error:
            failures.append(str(error))
            _log.warning("%s, attempt %d: %s", take.session, len(failures), error)
    raise LabError(f"{take.session}: {MAX_ATTEMPTS} attempts failed; the last: {failures[-1]}")


PARTIAL = ".partial-"


@contextmanager
def _partial(out: Path, session: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{session}-", dir=out))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, final: Path) -> Capture:
    folder.chmod(0o755)
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    return Capture.open(final)


def _attempt(take: Take, folder: Path, failures: list[str]) -> None:
    rng, work = take.rng(), folder / "work"
    started_ns, load_before = time.time_ns(), os.getloadavg()[0]
    parts = [
        cast.cast(traffic, index, rng=rng, folder=work / str(index))
        for index, traffic in enumerate(take.scenario.traffic)
    ]
    raw = work / "raw.pcapng"
    with STAGES[take.kind](take.scenario.network) as scene:
        played = play(parts, scene, raw, work)
    rows = label.rows(played, take)
    labels = labels_frame(rows)
    annotated = annotate(raw, labels, folder / "capture.pcapng")
    write_labels(labels, folder / "labels.parquet")
    census = count(raw, labels, take.scenario.network.mtu_bytes)
    notes = [f"unlabelled flows: {census.unlabelled_flows}", f"unlabelled packets: {annotated.unlabelled}"]
    notes += [f"failed attempt: {failure}" for failure in failures]
    shutil.rmtree(work)
    Manifest(
        scenario=take.scenario.name,
        kind=take.kind,
        sha256=sha256_of(folder / "capture.pcapng"),
        packets=census.packets,
        session=take.session,
        scenario_sha256=fingerprint(take.scenario),
        seed=take.seed,
        profile=take.scenario.network.profile,
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        dropped=census.dropped,
        oversize=census.oversize,
        load=Load(before=load_before, after=os.getloadavg()[0], cpus=os.cpu_count() or 0),
        tools=_tools(played),
        notes=tuple(notes),
    ).write(folder / "manifest.toml")  # last: a folder without it is no capture


def fingerprint(scenario: Scenario) -> str:
    """SHA-256 of the scenario's text, so that a changed scenario is captured anew."""
    return hashlib.sha256(dumps(scenario).encode()).hexdigest()


@dataclass(frozen=True)
class Played:
    """One part after its performance."""

    part: cast.Part
    client: Actor
    server: Actor


def play(parts: list[cast.Part], scene: stage.Stage, raw: Path, work: Path) -> list[Played]:
    """Run every part, one after the other, while the stage records to `raw`. Raises LabError."""
    with ExitStack() as stack:
        recorder = stack.enter_context(scene.recording(raw, [(part.port, part.udp) for part in parts]))
        played = [_start(number, part, scene, work, stack) for number, part in enumerate(parts)]
        recorder.wait_ready()  # it starts beside the actors, and none of them sends before `go`
        for one in played:
            one.server.wait_ready(READY_S)
        for one in played:
            one.client.wait_ready(READY_S)
        for one in played:
            one.client.go()
            one.client.wait_done(cast.TIMEOUT_S)
            one.server.stop()
    for one in played:
        if lost := one.part.missing_file():
            raise LabError(
                f"{one.client.name}: {lost} did not arrive whole; its log ends: {one.client.log_tail()}"
            )
    return played


def _start(number: int, part: cast.Part, scene: stage.Stage, work: Path, stack: ExitStack) -> Played:
    address, port = scene.place("server", part.port)
    server_task = {**part.server_task, "address": address, "port": port}
    reach, reach_port = scene.reach(part.port)
    peer = {"address": reach, "port": reach_port}
    client_task = {**part.client_task, "address": scene.place("client", 0)[0], "peer": peer}

    def actor(side: str, module: str, task: dict[str, Any]) -> Actor:
        def spawn(command: list[str], **popen: Any) -> Any:
            return scene.spawn(side, command, **popen)

        made = Actor(f"{side}-{number}", module, task, spawn=spawn, folder=work)
        stack.callback(made.close)
        return made

    server = actor("server", part.server.module, server_task)
    return Played(part, actor("client", part.client.module, client_task), server)


@dataclass(frozen=True)
class Census:
    """What is in a raw capture."""

    packets: int
    dropped: int
    oversize: int
    unlabelled_flows: int


def count(raw: Path, labels: Any, mtu_bytes: int) -> Census:
    """Count packets, drops, frames above the MTU, and flows that no actor owns up to."""
    reader = read(raw)
    lengths, seen = [], set()
    for packet in reader:
        lengths.append(packet.orig_len)
        key = key_of(packet.data, packet.linktype)
        if key is not None and reverse(key) not in seen:
            seen.add(key)
    oversize = sum(length > mtu_bytes + ETHERNET_BYTES for length in lengths)
    return Census(len(lengths), reader.dropped or 0, oversize, len(seen - label.keys(labels)))


def _tools(played: list[Played]) -> dict[str, str]:
    tools = {
        "btresearch": btresearch.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
    for one in played:
        for actor in (one.client, one.server):
            tools[actor.facts.get("program", actor.name)] = actor.facts.get("version", "unknown")
    return tools
