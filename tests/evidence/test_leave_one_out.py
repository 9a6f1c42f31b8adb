"""What was never met is told apart from what was, with the worst beside the mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from btresearch.evidence import trial
from btresearch.evidence.leave_one_out import COLUMNS, ONE_LEVEL, leave_one_out
from btresearch.evidence.splits import rotation
from tests.evidence.made import Memory, Rule, corpus, session, sessions


def of_client() -> Memory:
    """A memory of clients, in the column `mark`: good on those it met and lost on others."""
    return Memory(name="clients")


@pytest.fixture
def flows() -> pd.DataFrame:
    random, parts = np.random.default_rng(1), []
    for client in ("a", "b"):
        for k in range(8):
            name = f"{client}-{k:03d}"
            parts.append(session(name, "bittorrent", random=random, truth_client=client, truth_server=client))
    parts += [session(f"web-{k:03d}", "cover", random=random) for k in range(8)]
    flows = corpus(parts).flows
    return flows.assign(mark=flows["truth_client"], signal=np.where(flows["truth_client"] == "a", 5.0, -5.0))


def rows(table: pd.DataFrame, factor: str) -> pd.DataFrame:
    return table[table["factor"] == factor].set_index("level")


def test_a_memory_of_clients_is_lost_without_them(flows: pd.DataFrame) -> None:
    tried = trial.run("clients_adaptive", of_client(), flows, rotation(flows, 4))
    assert tried.acted_on[(flows["truth_class"] == "bittorrent").to_numpy()].all()
    table = leave_one_out(tried, "wire", seed=1)
    assert list(table.columns) == COLUMNS
    found = rows(table, "client")
    assert found.loc[["a", "b"], "rate"].tolist() == [0.0, 0.0]
    assert np.isnan(found.loc["web", "rate"])
    assert "both classes" in found.loc["web", "said"]


def test_worst_stands_beside_the_mean(flows: pd.DataFrame) -> None:
    found = rows(
        leave_one_out(trial.run("rule", Rule(), flows, rotation(flows, 4)), "wire", seed=1), "client"
    )
    ours = found[found["class"] == "bittorrent"]
    assert ours.loc[["a", "b", "mean", "worst"], "rate"].tolist() == [1.0, 0.0, 0.5, 0.0]
    assert ours.loc["worst", "said"] == "b"
    assert ours.loc["mean", "said"] == "unweighted, 2 levels"


def test_the_worst_of_cover_is_the_highest_rate() -> None:
    flows = corpus(sessions()).flows
    flows["signal"] = np.where(flows["truth_scenario"] == "mail", 5.0, -5.0)
    found = rows(
        leave_one_out(trial.run("rule", Rule(), flows, rotation(flows, 4)), "wire", seed=1), "client"
    )
    cover = found[found["class"] == "cover"]
    assert (cover.loc["worst", "rate"], cover.loc["worst", "said"]) == (1.0, "mail")


@pytest.mark.parametrize("factor", ["tls_library", "profile", "torrent"])
def test_one_level_cannot_be_left_out(flows: pd.DataFrame, factor: str) -> None:
    found = rows(leave_one_out(trial.run("rule", Rule(), flows, rotation(flows, 4)), "wire", seed=1), factor)
    assert found["said"].tolist() == [ONE_LEVEL]
    assert found["rate"].isna().all()
