"""Scenarios: what is written reads back equal, and a mistake is met with its file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.lab import catalog
from btresearch.lab.scenario import (
    MAX_FLOWS,
    MAX_MTU_BYTES,
    MIN_MTU_BYTES,
    SCHEMA,
    Network,
    Scenario,
    Traffic,
    dumps,
    find,
    line_of,
    load,
    loads,
    ready_made,
)

sizes = st.tuples(st.integers(1, 1 << 20), st.integers(1, 1 << 20)).map(lambda pair: (min(pair), max(pair)))
bittorrent = st.builds(
    Traffic,
    flow_class=st.just("bittorrent"),
    transport=st.sampled_from([name for name in catalog.TRANSPORTS if name != "tls"]),
    client=st.sampled_from(catalog.PEERS),
    server=st.sampled_from(catalog.PEERS),
    shape=st.sampled_from(["", "none", "rechunk"]),
    level=st.sampled_from(["", "basic"]),
    flows=st.integers(1, MAX_FLOWS),
    size_bytes=sizes,
)
cover = st.builds(
    Traffic, flow_class=st.just("cover"), kind=st.sampled_from(list(catalog.KINDS)), size_bytes=sizes
)
scenarios = st.builds(
    Scenario,
    name=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True),
    about=st.text(max_size=30),
    repeats=st.integers(1, 1000),
    network=st.builds(Network, mtu_bytes=st.integers(MIN_MTU_BYTES, MAX_MTU_BYTES)),
    traffic=st.lists(bittorrent | cover, min_size=1, max_size=4).map(tuple),
)


@settings(deadline=None, max_examples=100)
@given(scenarios)
def test_what_is_written_reads_back_equal(scenario: Scenario) -> None:
    assert loads(dumps(scenario)) == scenario


def test_the_package_brings_the_scenarios_that_the_first_evidence_needs() -> None:
    found = ready_made()
    transports = {traffic.transport for one in found.values() for traffic in one.traffic}
    assert {"clear", "mse_rc4", "mse_plain", "utp", "ssl_torrent", "btls_basic", "tls"} <= transports
    pip_alone = [
        kind for kind in catalog.KINDS.values() if not kind.client.commands and not kind.server.commands
    ]
    assert len(pip_alone) >= 8
    assert all(name == scenario.name for name, scenario in found.items())
    for scenario in found.values():
        flows = scenario.repeats * sum(traffic.flows for traffic in scenario.traffic)
        assert flows >= 20 or "chromium" in scenario.name, (
            f"{scenario.name}: {flows} flows in the quick profile"
        )


def test_every_key_of_the_schema_says_what_it_means() -> None:
    assert len(SCHEMA) >= 14
    assert all(key.meaning and key.expected for key in SCHEMA)


GOOD = """name = "one"
[[traffic]]
class = "cover"
kind = "sync"

[[traffic]]
class = "bittorrent"
transport = "clear"
client = "libtorrent"
server = "libtorrent"
"""


@pytest.mark.parametrize(
    ("change", "line", "expected"),
    [
        (('name = "one"', 'name = "One!"'), 1, "lower-case"),
        (('name = "one"', "about = 3"), 1, "about to be a text"),
        (('name = "one"', ""), 1, "a key 'name'"),
        (('kind = "sync"', 'kind = "carrier pigeon"'), 4, "kind to be one of"),
        (('kind = "sync"', ""), 2, "a key 'kind'"),
        (('kind = "sync"', 'kind = "sync"\ntransport = "clear"'), 5, "transport tls for class cover"),
        (('kind = "sync"', 'kind = "sync"\nflows = 0'), 5, "a whole number from 1"),
        (('kind = "sync"', 'kind = "sync"\nflows = true'), 5, "a whole number from 1"),
        (('kind = "sync"', 'kind = "sync"\nsize_bytes = [9, 3]'), 5, "[low, high]"),
        (('transport = "clear"', 'transport = "smoke"'), 8, "transport to be one of"),
        (('transport = "clear"', ""), 6, "transport tls for class cover, and another one"),
        (('server = "libtorrent"', ""), 6, "the keys 'client' and 'server'"),
        (('server = "libtorrent"', "sever = 1"), 10, "one of the keys"),
        (('client = "libtorrent"', "client ="), None, "TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(change: tuple[str, str], line: int | None, expected: str) -> None:
    assert loads(GOOD).name == "one"
    with pytest.raises(InputError) as caught:
        loads(
            GOOD.replace(*change, 1) if change[1] or line != 6 else _last_traffic_without(change[0]), "x.toml"
        )
    assert str(caught.value).startswith("x.toml")
    assert expected in str(caught.value)
    if line is not None:
        assert f"line {line}:" in str(caught.value)


def _last_traffic_without(text: str) -> str:
    head, _, tail = GOOD.rpartition(text)
    return head + tail


def test_empty_traffic_is_a_mistake() -> None:
    with pytest.raises(InputError, match=r"at least one \[\[traffic\]\]"):
        loads('name = "one"\n')


def test_line_of_finds_the_right_table_among_equals() -> None:
    assert line_of(GOOD, "traffic", 0, "class") == 3
    assert line_of(GOOD, "traffic", 1, "class") == 7
    assert line_of(GOOD, "traffic", 1, "nowhere") == 6


def test_find_takes_a_name_or_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert find(str(path)) == load(path)
    assert find("lt_clear").traffic[0].transport == "clear"
    with pytest.raises(InputError, match="lt_clear"):
        find("no-such-scenario")


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(InputError, match="byte 8"):
        load(path)
