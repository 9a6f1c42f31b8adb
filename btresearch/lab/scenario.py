"""A scenario: what traffic to make, on which network, how often. TOML in, TOML out.

A scenario file has a few top-level keys, a `[network]` table and one or more `[[traffic]]` tables; `SCHEMA` says
what each may hold. One capture of a scenario makes all of its traffic between two hosts:

    name = "lt_mse_rc4"
    about = "libtorrent to libtorrent, RC4-encrypted streams"

    [[traffic]]
    class = "bittorrent"
    transport = "mse_rc4"
    client = "libtorrent"
    server = "libtorrent"
    flows = 5
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from btresearch.errors import InputError
from btresearch.lab import catalog

MAX_REPEATS = 1_000_000
MAX_FLOWS = 1000
MIN_MTU_BYTES, MAX_MTU_BYTES = 576, 65_535
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Network:
    """The link between the two hosts. `profile` names a set of delays and rates; `lan` is the bare cable."""

    profile: str = "lan"
    mtu_bytes: int = 1500


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """One client program and one server program, and what passes between them.

    For class `bittorrent` the programs, the transport, the shape and the level say it; for class `cover` the
    `kind` does (`catalog.KINDS`). `size_bytes` bounds what is transferred in one flow (log-uniform).
    """

    flow_class: str
    transport: str = "tls"
    client: str = ""
    server: str = ""
    kind: str = ""
    shape: str = ""
    level: str = ""
    flows: int = 5
    size_bytes: tuple[int, int] = (64 * 1024, 2 * 1024 * 1024)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What one capture holds, and how many captures of it a run makes (`repeats`)."""

    name: str
    traffic: tuple[Traffic, ...]
    about: str = ""
    repeats: int = 4
    network: Network = Network()


@dataclass(frozen=True)
class Key:
    """One key of the schema: which table it is in, what it may hold (`expected`, checked by `valid`)."""

    table: str
    name: str
    expected: str
    valid: Callable[[Any], bool]
    meaning: str
    required: bool = False


def _one_of(names: tuple[str, ...]) -> tuple[str, Callable[[Any], bool]]:
    return f"one of {', '.join(names)}", lambda value: value in names


def _number(low: int, high: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number from {low} to {high}", lambda value: type(value) is int and low <= value <= high


def _size_range(value: Any) -> bool:
    whole = isinstance(value, list) and len(value) == 2 and all(type(size) is int for size in value)
    return whole and 1 <= value[0] <= value[1] <= catalog.MAX_OBJECT_BYTES


SCHEMA = (
    Key("", "name", "lower-case letters, digits, - and _", lambda value: isinstance(value, str)
        and NAME.fullmatch(value) is not None, "name of the scenario and of its captures' folders", required=True),
    Key("", "about", "a text", lambda value: isinstance(value, str), "what it shows"),
    Key("", "repeats", *_number(1, MAX_REPEATS), "captures in one run"),
    Key("network", "profile", *_one_of(catalog.PROFILES), "name of the link's delays and rates"),
    Key("network", "mtu_bytes", *_number(MIN_MTU_BYTES, MAX_MTU_BYTES), "longest IP packet"),
    Key("traffic", "class", *_one_of(("bittorrent", "cover")), "what the flows are", required=True),
    Key("traffic", "transport", *_one_of(catalog.TRANSPORTS), "how BitTorrent is carried"),
    Key("traffic", "client", *_one_of(catalog.PEERS), "program that connects (bittorrent)"),
    Key("traffic", "server", *_one_of(catalog.PEERS), "program that listens (bittorrent)"),
    Key("traffic", "kind", *_one_of(tuple(catalog.KINDS)), "kind of cover traffic"),
    Key("traffic", "shape", *_one_of(("", "none", "rechunk")), "shape of btls records"),
    Key("traffic", "level", *_one_of(("", "basic", "strict", "full")), "level of btls"),
    Key("traffic", "flows", *_number(1, MAX_FLOWS), "connections in one capture"),
    Key("traffic", "size_bytes", f"[low, high] with 1 <= low <= high <= {catalog.MAX_OBJECT_BYTES}", _size_range,
        "bytes per flow, log-uniform"),
)  # fmt: skip
TABLES = ("network", "traffic")


class _Reader:
    """Checks one parsed file against `SCHEMA`; knows the line of every key for its errors."""

    def __init__(self, source: str, text: str) -> None:
        self.source, self.text = source, text

    def fail(self, expected: str, table: str = "", index: int = 0, key: str = "") -> InputError:
        return InputError(f"{self.source}: line {line_of(self.text, table, index, key)}", expected)

    def table(self, loaded: dict[str, Any], table: str, index: int = 0) -> dict[str, Any]:
        keys = {key.name: key for key in SCHEMA if key.table == table}
        subtables = TABLES if table == "" else ()
        for name, value in loaded.items():
            if name in subtables:
                continue
            if name not in keys:
                raise self.fail(f"one of the keys {', '.join(keys)}, not '{name}'", table, index, name)
            if not keys[name].valid(value):
                raise self.fail(f"{name} to be {keys[name].expected}, not {value!r}", table, index, name)
        for key in keys.values():
            if key.required and key.name not in loaded:
                raise self.fail(f"a key '{key.name}' ({key.meaning})", table, index)
        return {name: value for name, value in loaded.items() if name not in subtables}

    def traffic(self, loaded: dict[str, Any], index: int) -> Traffic:
        values = self.table(loaded, "traffic", index)
        values["flow_class"] = values.pop("class")
        if "size_bytes" in values:
            values["size_bytes"] = tuple(values["size_bytes"])
        traffic = Traffic(**values)
        cover = traffic.flow_class == "cover"
        if cover and not traffic.kind:
            raise self.fail("a key 'kind' in traffic of class cover", "traffic", index)
        if not cover and not (traffic.client and traffic.server):
            raise self.fail("the keys 'client' and 'server' in traffic of class bittorrent", "traffic", index)
        if cover != (traffic.transport == "tls"):
            expected = "transport tls for class cover, and another one for class bittorrent"
            raise self.fail(expected, "traffic", index, "transport")
        return traffic

    def scenario(self, loaded: dict[str, Any]) -> Scenario:
        top = self.table(loaded, "")
        network, traffic = loaded.get("network", {}), loaded.get("traffic", [])
        if not isinstance(network, dict):
            raise self.fail("[network] to be a table", key="network")
        if not isinstance(traffic, list) or not traffic or not all(isinstance(one, dict) for one in traffic):
            raise self.fail("at least one [[traffic]] table", key="traffic")
        return Scenario(
            **top,
            network=Network(**self.table(network, "network")),
            traffic=tuple(self.traffic(one, index) for index, one in enumerate(traffic)),
        )


def line_of(text: str, table: str, index: int, key: str) -> int:
    """Line number of `key` in the `index`-th `table` of a TOML text; the table's own line if it isn't there."""
    inside, seen, found = table == "", 0, 1
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([\w-]+)\s*\]+", line)
        if header:
            inside = header[1] == table and seen == index
            seen += header[1] == table
            found = number if inside else found
        elif inside and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return found


def loads(text: str, source: str = "scenario") -> Scenario:
    """Read a scenario from TOML. Raises InputError naming the source, the line and what was expected there."""
    try:
        loaded = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets 1,000 deep
        raise InputError(source, f"TOML; {error}") from None
    return _Reader(source, text).scenario(loaded)


def load(path: Path) -> Scenario:
    """Read a scenario file. Raises InputError, and OSError where the file can't be opened."""
    try:
        return loads(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(path, "UTF-8 text", offset=error.start) from None


def dumps(scenario: Scenario) -> str:
    """Write a scenario as TOML that `loads` reads back to an equal one."""
    lines = [
        _entry("name", scenario.name),
        _entry("about", scenario.about),
        _entry("repeats", scenario.repeats),
    ]
    lines += ["", "[network]", *_entries(scenario.network)]
    for traffic in scenario.traffic:
        lines += ["", "[[traffic]]", *_entries(traffic)]
    return "\n".join(lines) + "\n"


def _entries(table: Network | Traffic) -> list[str]:
    pairs = [(field.name, field.default, getattr(table, field.name)) for field in fields(table)]
    return [
        _entry("class" if name == "flow_class" else name, value)
        for name, default, value in pairs
        if value != default
    ]


def _entry(name: str, value: object) -> str:
    # JSON's strings, integers and lists of integers are TOML's too, but for one character that JSON leaves bare
    return f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")


def ready_made() -> dict[str, Scenario]:
    """The scenarios that come with the package, by name."""
    folder = resources.files("btresearch") / "scenarios"
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    loaded = [loads((folder / name).read_text(encoding="utf-8"), name) for name in files]
    return {scenario.name: scenario for scenario in loaded}


def find(name_or_path: str) -> Scenario:
    """Find a scenario by its name, or load it from a path. Raises InputError when there is no such scenario."""
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.exists():
        return load(path)
    known = ready_made()
    if name_or_path not in known:
        raise InputError(name_or_path, f"a scenario file, or one of {', '.join(known)}")
    return known[name_or_path]
