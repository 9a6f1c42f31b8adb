"""Labels: what each actor claimed, joined with what its scenario says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from btresearch.capture import FlowLabel
from btresearch.capture.key import Key, key_between, reverse
from btresearch.lab import stage
from btresearch.lab.errors import LabError

if TYPE_CHECKING:
    from btresearch.lab.record import Played, Take

TLS_TRANSPORTS = ("tls", "ssl_torrent", "btls_basic")


def rows(played: list[Played], take: Take) -> list[FlowLabel]:
    """One row per flow that an actor's socket reported. Raises LabError when a part has fewer than it should."""
    found: list[FlowLabel] = []
    for one in played:
        found += _of_part(one, take, first_id=len(found) + 1)
    return found


def _of_part(one: Played, take: Take, *, first_id: int) -> list[FlowLabel]:
    claims = _claims(one)
    traffic = one.part.traffic
    if len(claims) < traffic.flows:
        raise LabError(
            f"{one.server.name} saw {len(claims)} flows of {traffic.flows}: {one.server.log_tail()}"
        )
    client, server = one.client.facts, one.server.facts
    bittorrent = traffic.flow_class == "bittorrent"
    return [
        FlowLabel(
            proto=proto,
            src=stage.CLIENT,
            sport=sport,
            dst=stage.SERVER,
            dport=one.part.port,
            flow_class=traffic.flow_class,
            transport=traffic.transport,
            sample_id=first_id + number,
            session=take.session,
            scenario=take.scenario.name,
            shape=traffic.shape,
            level=traffic.level,
            client=client.get("program", traffic.client),
            client_version=client.get("version", ""),
            server=server.get("program", traffic.server),
            server_version=server.get("version", ""),
            role="leech" if bittorrent else "client",
            kind=traffic.kind,
            tls_library=client.get("tls_library", "") if traffic.transport in TLS_TRANSPORTS else "",
            torrent=claim.get("torrent", ""),
            profile=take.scenario.network.profile,
            seed=take.seed,
        )
        for number, ((proto, sport), claim) in enumerate(claims.items())
    ]


def _claims(one: Played) -> dict[tuple[str, int], dict[str, Any]]:
    """What server and client say of each flow, by protocol and source port. Raises LabError for a port used twice."""
    for actor in (one.server, one.client):
        ports = [(claim["proto"], claim["sport"]) for claim in actor.flows]
        if len(set(ports)) < len(ports):
            raise LabError(f"{actor.name}: a source port was used for two flows")
    return {(claim["proto"], claim["sport"]): claim for claim in one.server.flows + one.client.flows}


def keys(labels: pd.DataFrame) -> set[Key]:
    """Both directions of every labelled flow."""
    columns = labels[["proto", "src", "sport", "dst", "dport"]]
    forward = {key_between(*row) for row in columns.itertuples(index=False, name=None)}
    return forward | {reverse(key) for key in forward}
