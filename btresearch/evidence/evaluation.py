"""`Evaluation`: what `evaluate` returns, a tidy table per question, with what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd


@dataclass(frozen=True)
class Evaluation:
    """Every detector's test by the protocol of docs/evaluation.md; every rate is a lab rate.

    Trained detectors stand twice: under their name (the literature's fixed model, which never met btls) and with
    `_adaptive` (A3, trained on every transport). In every table `capture` is the capture kind (wire or packetised;
    never pooled), `transport` and `shape` the cell (`cover` for all cover traffic), `class` bittorrent or cover,
    `sessions` the number of capture sessions; `low`, `high` are Clopper-Pearson, `session_low`, `session_high` from
    resampling whole sessions, all 95 %. `said` is a remark, such as "n too small"; a rate that may not be given is NaN.

    verdicts: row (in `flows`), detector, version, score, verdict, why, threshold_<fpr> (flow's own frozen threshold).
    counted: detector, transport, shape, client, capture, class, session; n, flagged, named, abstained, and per rate
        of `RATES` the flows at or above the threshold frozen for it (`tpr@1e-2`, ...; NaN: n too small).
    rates: detector, capture, transport, shape, class, metric (flagged, named, tpr@1e-2, ...), n, distinct, sessions,
        hits, rate, low, high, session_low, session_high, bound (3/n where hits is 0, else NaN), said. For cover, a
        metric's rate is the lab FPR that it really had.
    roc: detector, capture, transport, shape, threshold, fpr, tpr, positives, negatives, auc, auc_low, auc_high.
    base_rates: detector, capture, transport, shape, metric, base_rate (10 means 1:10), tpr, fpr, fpr_high, precision
        (NaN where no false positive was seen), precision_at_least (with fpr_high).
    leave_one_out: detector, capture, factor (client, tls_library, profile, torrent), level, class, n, sessions, hits,
        rate, low, high, session_low, session_high, said; the levels `mean` and `worst` sum a factor up.
    packets: detector, capture, transport, shape, class, packets (k; 0: the whole flow), n, flagged (after k packets),
        settled (acted on at the end and at k and ever after), final (acted on at the end), bytes (median payload).
    controls: control, detector, capture, n, sessions, metric, value, low, high, expected, holds, said.
    leaks: feature, column, capture, transport, n, sessions, auc (0.5..1), low, high, shortcut (auc > 0.9), withheld,
        seen_by (detectors), said.
    duplicates: capture, class, transport, shape, kind, n, duplicates, rate.
    skipped: one line for each detector that this machine can't run.
    provenance: seed, inputs_sha256, versions, settings.
    """

    flows: pd.DataFrame
    verdicts: pd.DataFrame
    counted: pd.DataFrame
    rates: pd.DataFrame
    roc: pd.DataFrame
    base_rates: pd.DataFrame
    leave_one_out: pd.DataFrame
    packets: pd.DataFrame
    controls: pd.DataFrame
    leaks: pd.DataFrame
    duplicates: pd.DataFrame
    skipped: tuple[str, ...]
    provenance: Mapping[str, Any]

    TABLES: ClassVar[tuple[str, ...]] = (
        "rates", "roc", "base_rates", "leave_one_out", "packets", "controls", "leaks", "duplicates", "counted",
    )  # fmt: skip

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write every table of `TABLES` as Parquet and CSV and `provenance.json` into `folder`; the files."""
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / "provenance.json"]
        written[0].write_text(
            json.dumps(dict(self.provenance), indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
        for name in self.TABLES:
            table: pd.DataFrame = getattr(self, name)
            paths = [folder / f"{name}.parquet", folder / f"{name}.csv"]
            table.to_parquet(paths[0], index=False)
            table.to_csv(paths[1], index=False, float_format="%.6g")
            written += paths
        return tuple(written)
