"""Capture files to the flow table: whole (`read`), or as a stream of record batches (`batches`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from btresearch import capture
from btresearch.errors import InputError
from btresearch.flow import engine_dpkt, rows
from btresearch.flow.decode import Tally
from btresearch.flow.options import Options
from btresearch.flow.schema import SCHEMA, SCHEMA_VERSION
from btresearch.flow.source import Source, resolve, sha256

ENGINES = {"dpkt": engine_dpkt}
BATCH_FLOWS = 1024


@dataclass(slots=True)
class FileReport:
    """What one capture file held besides its flows; `error` is the line that ended its reading early."""

    path: str
    sha256: str
    tally: Tally = field(default_factory=Tally)
    flows: int = 0
    error: str = ""


class Batches:
    """Record batches of flows, in the order in which flows end; `attrs` is complete after the last one."""

    def __init__(self, paths: list[Path], engine: str, options: Options) -> None:
        self._paths, self._engine, self._options = paths, _engine(engine), options
        self.reports: list[FileReport] = []

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self.reports = []
        for path in self._paths:
            report = FileReport(str(path), sha256(path))
            self.reports.append(report)
            yield from _batches(path, self._engine.flows, self._options, report)
        _raise_if_all_failed(self.reports)

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch: the flow table's, and `comment` where labels are asked for."""
        return _schema(self._options)

    @property
    def attrs(self) -> dict[str, Any]:
        """Engine, options, and per capture and in total: packets, skipped, damage (see `read`)."""
        return _attrs(self.reports, self._engine.NAME, self._options)


def batches(source: Source | Iterable[Source], *, engine: str = "dpkt", **options: Any) -> Batches:
    """The flows of `source` as Arrow record batches, for captures larger than memory.

    Arguments and errors are those of `read`; flows come as they end, so not in the order of `flow_id`.
    """
    return Batches(resolve(source), engine, _options(options))


def read(
    source: Source | Iterable[Source], *, engine: str = "dpkt", jobs: int = 1, **options: Any
) -> pd.DataFrame:
    """Read captures into a flow table: one row a flow, the columns of `SCHEMA`, ordered by first packet.

    `source` is a pcap or pcapng file, a capture directory, a glob, or a list of these. `options` are the
    fields of `Options`: packets, payload_packets, records, head_bytes, raw_frames, labels, tcp_idle_s,
    udp_idle_s. `jobs` files are read at a time, each in its own process; the result doesn't depend on it.

    `attrs` of the table holds `engine`, `schema`, `options`, `captures` (per SHA-256: path, packets,
    flows, skipped, damage, error) and in total `packets`, `skipped` (packets that are no TCP or UDP over
    IP, by kind) and `damage` (packets and files that can't be decoded, by kind). So every packet is in a
    flow, in `skipped` or in `damage`. A file that breaks off gives the flows up to there.

    Raises InputError for what is no capture (of several files: only where all fail), OSError for what
    can't be opened.
    """
    paths, chosen, settings = resolve(source), _engine(engine), _options(options)
    work = partial(_table, engine=engine, options=settings)
    if jobs > 1 and len(paths) > 1:
        with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
            results = list(pool.map(work, paths))
    else:
        results = [work(path) for path in paths]
    reports = [report for _, report in results]
    _raise_if_all_failed(reports)
    flows: pd.DataFrame = pa.concat_tables([table for table, _ in results]).to_pandas()
    flows.attrs.update(_attrs(reports, chosen.NAME, settings))
    return flows


def _engine(name: str) -> Any:
    if name not in ENGINES:
        raise InputError("flow engine", f"one of {', '.join(ENGINES)}, not {name}")
    return ENGINES[name]


def _options(options: dict[str, Any]) -> Options:
    try:
        return Options(**options)
    except TypeError as error:
        raise InputError("flow options", f"the fields of Options ({error})") from error


def _schema(options: Options) -> pa.Schema:
    return SCHEMA.append(rows.COMMENT) if options.labels else SCHEMA


def _table(path: Path, engine: str, options: Options) -> tuple[pa.Table, FileReport]:
    report = FileReport(str(path), sha256(path))
    found = list(_batches(path, _engine(engine).flows, options, report))
    return pa.Table.from_batches(found, _schema(options)).sort_by("flow_id"), report


def _batches(path: Path, engine: Any, options: Options, report: FileReport) -> Iterator[pa.RecordBatch]:
    reader = capture.read(path, on_damage="stop")
    ended = engine(reader, options, report.tally)
    while some := list(islice(ended, BATCH_FLOWS)):
        report.flows += len(some)
        made = [rows.row(flow, report.sha256, report.tally.damage) for flow in some]
        yield rows.batch(made, _schema(options))
    for damage in reader.damage:
        report.error = str(damage)
        report.tally.damage[f"file_{damage.kind}"] += 1


def _raise_if_all_failed(reports: list[FileReport]) -> None:
    failed = [report for report in reports if report.error and not report.tally.packets]
    if failed and len(failed) == len(reports):
        path, _, expected = failed[0].error.partition(": expected ")
        raise InputError(path, expected)


def _attrs(reports: list[FileReport], engine: str, options: Options) -> dict[str, Any]:
    totals = {"skipped": Counter[str](), "damage": Counter[str]()}
    for report in reports:
        totals["skipped"] += report.tally.skipped
        totals["damage"] += report.tally.damage
    return {
        "engine": engine,
        "schema": SCHEMA_VERSION,
        "options": asdict(options),
        "packets": sum(report.tally.packets for report in reports),
        **{name: dict(counts) for name, counts in totals.items()},
        "captures": {report.sha256: _facts(report) for report in reports},
    }


def _facts(report: FileReport) -> dict[str, Any]:
    tally = report.tally
    return {
        "path": report.path,
        "packets": tally.packets,
        "flows": report.flows,
        "skipped": dict(tally.skipped),
        "damage": dict(tally.damage),
        "error": report.error,
    }
