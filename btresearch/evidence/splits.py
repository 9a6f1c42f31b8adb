"""Who trains, who validates, who is tested: always whole capture sessions (evaluation protocol, point 1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from btresearch.errors import BtresearchError

Mask = NDArray[np.bool_]

FEWEST_FOLDS = 3
MOST_TORRENTS = 8
TORRENT_GROUPS = 4
FACTORS = ("client", "tls_library", "profile", "torrent")


class UngroupedSplit(BtresearchError):
    """A split that would test a model on capture sessions that it, or its threshold, has seen."""


@dataclass(frozen=True, eq=False)
class Split:
    """Which flows train, validate (thresholds are fixed on them) and are tested; `sessions` names each flow's.

    Raises:
        UngroupedSplit: a session stands in two parts, or a flow has no session.
    """

    train: Mask
    validation: Mask
    test: Mask
    sessions: NDArray[np.object_] = field(repr=False)

    def __post_init__(self) -> None:
        if shared := shared_sessions(self.sessions, self.train, self.validation, self.test):
            raise UngroupedSplit(f"capture session {shared!r} would be in two parts of a split")


def shared_sessions(sessions: NDArray[np.object_], *parts: Mask) -> str:
    """A session that two of the parts hold, or empty."""
    met: set[object] = set()
    for part in parts:
        here = set(sessions[part])
        if both := met & here:
            return str(sorted(map(str, both))[0])
        met |= here
    return ""


def sessions_of(flows: pd.DataFrame) -> NDArray[np.object_]:
    """The capture session of each flow.

    Raises:
        UngroupedSplit: there is none.
    """
    if "truth_session" not in flows:
        raise UngroupedSplit("flows without truth_session: nothing to keep together in a split")
    names = flows["truth_session"].to_numpy(dtype=object)
    if not all(isinstance(name, str) and name for name in names):
        raise UngroupedSplit("a flow without a capture session can't be put in a part of a split")
    return names


def session_folds(flows: pd.DataFrame, folds: int) -> NDArray[np.int64]:
    """Fold number per flow: the sessions of each scenario are dealt out in turn, each to one fold."""
    sessions = sessions_of(flows)
    pairs = (
        flows[["truth_scenario", "truth_session"]]
        .drop_duplicates("truth_session")
        .sort_values(["truth_scenario", "truth_session"])
    )
    pairs["fold"] = pairs.groupby("truth_scenario").cumcount() % folds
    by_session = dict(zip(pairs["truth_session"], pairs["fold"], strict=True))
    return np.array([by_session[name] for name in sessions], dtype=np.int64)


def rotation(flows: pd.DataFrame, folds: int) -> tuple[Split, ...]:
    """Each fold is tested once; the next one validates, the others train.

    Raises:
        UngroupedSplit: a flow has no session, or there are fewer than three folds.
    """
    if folds < FEWEST_FOLDS:
        raise UngroupedSplit(f"{folds} folds: training, validation and test need {FEWEST_FOLDS} or more")
    fold, sessions = session_folds(flows, folds), sessions_of(flows)
    return tuple(
        Split((fold != k) & (fold != (k + 1) % folds), fold == (k + 1) % folds, fold == k, sessions)
        for k in range(folds)
    )


def left_out(flows: pd.DataFrame, factor: str) -> Iterator[tuple[str, Split]]:
    """One split for each level of a factor: its flows are tested, and train are sessions that hold none of them.

    Of more than `MOST_TORRENTS` torrents several are left out together. A factor with one level gives no split.
    """
    sessions = sessions_of(flows)
    for level, held in levels(flows, factor).items():
        train = ~np.isin(sessions, list(set(sessions[held]))) & ~held
        yield level, Split(train, np.zeros(len(flows), bool), held, sessions)


def levels(flows: pd.DataFrame, factor: str) -> dict[str, Mask]:
    """The flows of each level of `factor`, or nothing where there is one level only.

    A BitTorrent flow is of the client at either end, so that leaving a client out leaves it out altogether.
    """
    ends = [flows[f"truth_{factor}"].astype(str).to_numpy()]
    if factor == "client":
        torrents = (flows["truth_class"] == "bittorrent").to_numpy()
        ends.append(np.where(torrents, flows["truth_server"].astype(str).to_numpy(), ""))
    names = sorted({name for end in ends for name in end if name})
    if len(names) < 2:
        return {}
    single = factor != "torrent" or len(names) <= MOST_TORRENTS
    bunches = {name: [name] for name in names} if single else _bunched(flows, names)
    return {label: np.any([np.isin(end, some) for end in ends], axis=0) for label, some in bunches.items()}


def _bunched(flows: pd.DataFrame, names: list[str]) -> dict[str, list[str]]:
    """Torrents in a few groups by the sessions that hold them.

    Any other grouping would leave out, with a torrent's session, the torrents beside it, and in the end all sessions.
    """
    fold = dict(zip(flows["truth_torrent"], session_folds(flows, TORRENT_GROUPS), strict=True))
    groups = [[name for name in names if fold[name] == k] for k in range(TORRENT_GROUPS)]
    return {f"group {k} ({len(some)} of {len(names)})": some for k, some in enumerate(groups, 1) if some}
