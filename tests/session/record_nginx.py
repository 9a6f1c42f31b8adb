"""Record what a real nginx answers to the scripts of the probe suite: python -m tests.session.record_nginx."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

from btresearch import probe
from btresearch.peer.address import Address
from btresearch.probe import suite_http
from btresearch.probe.steps import Act
from btresearch.probe.visit import Web
from btresearch.transport.btls import ServerIdentity
from tests.session.nginx import nginx
from tests.session.swarming import HOST

RECORDED = Path(__file__).with_name("nginx_answers.json")


def scripted() -> list[Web]:
    """The HTTP probes that are nothing but bytes and turns: their answers are the decoy's alone."""
    webs = [one for one in suite_http.PROBES if isinstance(one, Web) and not one.slow]
    return [one for one in webs if all(isinstance(step, bytes) or step is Act.TURN for step in one.steps)]


def said(web: Web) -> list[bytes]:
    """What the script sends."""
    return [step for step in web.steps if isinstance(step, bytes)]


def record() -> dict[str, dict[str, object]]:
    """Ask a fresh nginx."""
    pem = ServerIdentity.create(now_s=int(time.time()), entropy=os.urandom).pem()
    with tempfile.TemporaryDirectory() as folder, nginx(Path(folder) / "nginx", pem) as port:
        report = asyncio.run(probe.run(Address(HOST, port), scripted()))
    return {
        name: {"answers": list(seen.answers), "end": "open" if seen.end == "open" else "closed"}
        for name, seen in report.observations.items()
    }


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(record(), indent=1) + "\n")
