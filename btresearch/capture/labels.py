"""Ground truth, one row per flow: what the process that made the flow says about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from ipaddress import IPv6Address, ip_address
from os import PathLike

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from btresearch.errors import InputError

COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "proto": (pa.string(), "tcp or udp"),
    "src": (pa.string(), "address of the connection's initiator, normal text form"),
    "sport": (pa.int32(), "port of the initiator"),
    "dst": (pa.string(), "address of the responder"),
    "dport": (pa.int32(), "port of the responder"),
    "t_first_ns": (pa.int64(), "when the flow began, ns since the Unix epoch; 0 if unknown"),
    "t_last_ns": (pa.int64(), "when it ended; 0 if unknown"),
    "session": (pa.string(), "id of the capture session"),
    "scenario": (pa.string(), "name of the scenario"),
    "class": (pa.string(), "bittorrent or cover"),
    "transport": (pa.string(), "clear, mse_rc4, utp, ssl_torrent, btls_basic, tls, ..."),
    "shape": (pa.string(), "none, rechunk, ... or empty"),
    "level": (pa.string(), "btls level: basic, strict, full or empty"),
    "client": (pa.string(), "the initiator's program"),
    "client_version": (pa.string(), "its version"),
    "server": (pa.string(), "the responder's program"),
    "server_version": (pa.string(), "its version"),
    "role": (pa.string(), "the initiator's role: leech, seed or client"),
    "kind": (pa.string(), "kind of cover traffic; empty for bittorrent"),
    "tls_library": (pa.string(), "TLS library of the initiator, or empty"),
    "torrent": (pa.string(), "infohash in hex; empty for cover"),
    "profile": (pa.string(), "network profile"),
    "seed": (pa.int64(), "seed of the run"),
    "sample_id": (pa.int64(), "pcapML's sample id: unique within the capture"),
}
"""Every column of labels.parquet: Arrow type and meaning."""

SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, (kind, _) in COLUMNS.items()])
CLASSES = ("bittorrent", "cover")
PROTOCOLS = ("tcp", "udp")
KEY = ["proto", "src", "sport", "dst", "dport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLabel:
    """One row of the labels table; see `COLUMNS` for what each field means."""

    proto: str
    src: str
    sport: int
    dst: str
    dport: int
    flow_class: str
    transport: str
    sample_id: int
    t_first_ns: int = 0
    t_last_ns: int = 0
    session: str = ""
    scenario: str = ""
    shape: str = ""
    level: str = ""
    client: str = ""
    client_version: str = ""
    server: str = ""
    server_version: str = ""
    role: str = ""
    kind: str = ""
    tls_library: str = ""
    torrent: str = ""
    profile: str = ""
    seed: int = 0


def normal_ip(text: str) -> str:
    """Return the one textual form of an address that all tables use.

    The zone is dropped, and an IPv4-mapped IPv6 address (what a dual-stack socket reports) becomes the IPv4
    address that is on the wire. Raises ValueError for what is no address.
    """
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def labels_frame(rows: Iterable[FlowLabel]) -> pd.DataFrame:
    """Return the labels table of `rows`, addresses in normal form, checked."""
    frame = pd.DataFrame(
        [asdict(row) for row in rows], columns=[_FIELD_OF.get(name, name) for name in COLUMNS]
    )
    frame = frame.rename(columns={field: column for column, field in _FIELD_OF.items()})
    for column in ("src", "dst"):
        frame[column] = frame[column].map(normal_ip)
    return check_labels(frame)


def write_labels(labels: pd.DataFrame | Iterable[FlowLabel], path: str | PathLike[str]) -> None:
    """Write labels.parquet; raises `InputError` when the table breaks the schema."""
    frame = labels if isinstance(labels, pd.DataFrame) else labels_frame(labels)
    checked = check_labels(frame, source=path)
    pq.write_table(pa.Table.from_pandas(checked, schema=SCHEMA, preserve_index=False), path)


def read_labels(path: str | PathLike[str]) -> pd.DataFrame:
    """Read labels.parquet; raises `InputError` when it is no labels table."""
    try:
        frame = pq.read_table(path).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, ValueError, OSError) as error:  # pyarrow's names for damage
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(path, f"a Parquet table of labels ({error})") from None
    return check_labels(frame, source=path)


def check_labels(frame: pd.DataFrame, *, source: str | PathLike[str] = "labels") -> pd.DataFrame:
    """Return the table with exactly the schema's columns and types, or raise `InputError` for the first fault.

    A connection may recur only at another `t_first_ns`; `sample_id` is unique.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InputError(source, f"the columns {', '.join(missing)}")
    try:
        frame = pa.Table.from_pandas(frame[list(COLUMNS)], schema=SCHEMA, preserve_index=False).to_pandas()
    except (ValueError, TypeError) as error:  # pyarrow's own errors derive from these two
        raise InputError(source, f"columns of the documented types ({error})") from None
    for column, expected, wrong in _faults(frame):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                source, f"{expected} in column {column}, not {frame[column].iloc[row]!r} (row {row})"
            )
    return frame


def _faults(frame: pd.DataFrame) -> list[tuple[str, str, pd.Series[bool]]]:
    """Return (column, what it should hold, which rows don't)."""
    recurs = frame.duplicated([*KEY, "t_first_ns"])
    return [
        *((name, "a value", frame[name].isna()) for name in COLUMNS),
        ("proto", " or ".join(PROTOCOLS), ~frame["proto"].isin(PROTOCOLS)),
        ("class", " or ".join(CLASSES), ~frame["class"].isin(CLASSES)),
        ("transport", "a transport's name", frame["transport"] == ""),
        *((name, "a port from 0 to 65535", ~frame[name].between(0, 65_535)) for name in ("sport", "dport")),
        *((name, "an address in normal form", ~_normal(frame[name])) for name in ("src", "dst")),
        ("t_first_ns", "a time of its own for each flow of one 5-tuple", recurs),
        ("sample_id", "an id of its own for each flow", frame["sample_id"].duplicated()),
    ]


def _normal(addresses: pd.Series[str]) -> pd.Series[bool]:
    known = {text: _is_normal(text) for text in addresses.unique()}
    return addresses.map(known).astype(bool)


def _is_normal(text: str) -> bool:
    try:
        return normal_ip(text) == text
    except ValueError:
        return False


_FIELD_OF = {"class": "flow_class"}  # `class` is no name for a dataclass field
