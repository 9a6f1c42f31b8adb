"""The matrix counts what the verdicts say, cell by cell, and never mixes capture kinds."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from btresearch.evidence import claims, figure, files, report
from btresearch.evidence.corpus import Corpus
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.judge import protocol_name
from btresearch.evidence.matrix import COLUMNS, matrix, pooled, tally
from btresearch.evidence.splits import session_folds


def truth(n: int, **fields: str) -> pd.DataFrame:
    base = {
        "class": "bittorrent", "transport": "mse_rc4", "shape": "", "client": "libtorrent", "server": "libtorrent",
        "kind": "", "scenario": "lt", "torrent": "00" * 20, "capture_kind": "wire",
    } | fields  # fmt: skip
    table = pd.DataFrame([base] * n).add_prefix("truth_")
    table["truth_session"] = [f"{base['scenario']}-{i % 4}" for i in range(n)]
    return table


@pytest.fixture
def corpus() -> Corpus:
    flows = pd.concat(
        [
            truth(8),
            truth(4, client="btresearch", scenario="own"),
            truth(8, **{"class": "cover", "transport": "tls", "kind": "httpx_h2", "scenario": "cover"}),
            truth(2, capture_kind="packetised", scenario="pk"),
        ],
        ignore_index=True,
    )
    return Corpus(flows, {"a": "00"}, {"b": "3 packets dropped while capturing"}, 1, 0, {"tool": "1"})


@pytest.fixture
def verdicts(corpus: Corpus) -> pd.DataFrame:
    said = ["flagged"] * 6 + ["bittorrent"] + ["abstain"] + ["other"] * 14
    return pd.DataFrame(
        {"row": range(22), "detector": "fet", "version": "1", "score": 0.0, "verdict": said, "why": ""}
    )


def cell(table: pd.DataFrame, client: str, capture: str = "wire") -> pd.Series:
    rows = table[(table["client"] == client) & (table["capture"] == capture)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_counts(corpus: Corpus, verdicts: pd.DataFrame) -> None:
    table = matrix(tally(corpus, verdicts), seed=1)
    assert list(table.columns) == COLUMNS
    lt = cell(table, "libtorrent")
    assert (lt["n"], lt["flagged"], lt["named"], lt["abstained"], lt["sessions"]) == (8, 7, 1, 1, 4)
    assert lt["low"] < lt["rate"] == 7 / 8 < lt["high"]


def test_pairs_and_covers_are_named(corpus: Corpus, verdicts: pd.DataFrame) -> None:
    table = matrix(tally(corpus, verdicts), seed=1)
    assert set(table["client"]) == {"libtorrent", "btresearch>libtorrent", "httpx_h2"}


def test_wire_and_packetised_never_share_a_cell(corpus: Corpus, verdicts: pd.DataFrame) -> None:
    table = matrix(tally(corpus, verdicts), seed=1)
    assert cell(table, "libtorrent", "packetised")["n"] == 2


def test_pooled_sums_matching_cells_by_session(corpus: Corpus, verdicts: pd.DataFrame) -> None:
    counted = tally(corpus, verdicts)
    mse = pooled(counted, detector="fet", transport=("mse_rc4",))
    assert list(mse.sum()[["flagged", "named", "abstained", "n"]]) == [7, 1, 1, 14]
    assert len(mse) == 10  # four sessions of each client on the wire, two packetised
    assert pooled(counted, detector="fet", class_="cover")["n"].sum() == 8


def claim(**fields: object) -> claims.Claim:
    base = {
        "id": "x", "group": "E1", "question": 1, "adversary": "", "hypothesis": "", "caveat": "hm.", "detector": "fet",
        "where": {"client": "libtorrent", "capture": "wire"}, "at_least": 0.0, "at_most": 1.0,
    }  # fmt: skip
    return claims.Claim(**base | fields)


def test_a_claim_may_count_named_flows_or_leave_out_abstentions(
    corpus: Corpus, verdicts: pd.DataFrame
) -> None:
    counted = tally(corpus, verdicts)
    assert "1 of 8 named" in claim(metric="named").check(counted).result
    found = claim(applicable=True).check(counted)
    assert found.n == 7
    assert "7 of 7 flagged" in found.result


def test_a_claim_gives_the_interval_by_session_and_its_revision(
    corpus: Corpus, verdicts: pd.DataFrame
) -> None:
    found = claim(revised="later.").check(tally(corpus, verdicts))
    assert "in 4 sessions" in found.result
    assert "by session" in found.result
    assert found.caveat == "hm. Revised: later."


def test_an_all_or_nothing_rate_claims_no_certainty_by_session(
    corpus: Corpus, verdicts: pd.DataFrame
) -> None:
    cover = claim(where={"class_": "cover"}).check(tally(corpus, verdicts)).result
    assert "by session" not in cover
    assert "0.0% to 36.9% if flows were independent" in cover


def any_n() -> tuple[claims.Claim, ...]:
    """E1's claims, for a corpus smaller than they ask for."""
    return tuple(replace(one, minimum_n=1) for one in claims.load(group="E1"))


def test_a_missing_detector_is_not_measured(corpus: Corpus, verdicts: pd.DataFrame) -> None:
    found = {f.id: f for f in claims.findings(tally(corpus, verdicts), claims=any_n())}
    assert found["ndpi-btls [wire]"].holds is None
    assert found["fet-mse [wire]"].holds is False
    assert found["fet-cover [wire]"].holds is True
    assert "a bound of 37.50%" in found["fet-cover [wire]"].result


def test_a_claim_never_pools_wire_and_packetised(corpus: Corpus, verdicts: pd.DataFrame) -> None:
    found = {f.id: f for f in claims.findings(tally(corpus, verdicts), claims=any_n())}
    assert (found["fet-mse [wire]"].n, found["fet-mse [packetised]"].n) == (12, 2)


def test_failures_come_first(corpus: Corpus, verdicts: pd.DataFrame) -> None:
    order = [f.holds for f in claims.findings(tally(corpus, verdicts), claims=any_n())]
    assert order == sorted(order, key=[False, None, True].index)


def test_claim_ids_are_unique_and_bounds_sane() -> None:
    ids = [c.id for c in claims.load()]
    assert len(ids) == len(set(ids)) >= 21
    assert all(0 <= c.at_least <= c.at_most <= 1 for c in claims.load() if c.metric != "value")


def test_folds_hold_whole_sessions(corpus: Corpus) -> None:
    fold = session_folds(corpus.flows, 4)
    per_session = pd.Series(fold).groupby(corpus.flows["truth_session"].to_numpy()).nunique()
    assert (per_session == 1).all()
    assert set(fold) == {0, 1, 2, 3}


def test_protocol_names(corpus: Corpus) -> None:
    names = set(corpus.flows.apply(protocol_name, axis=1))
    assert names == {"bt_mse_rc4", "tls"}


def test_written_report_is_one_file_that_says_it_all(
    corpus: Corpus, verdicts: pd.DataFrame, tmp_path
) -> None:
    table = matrix(tally(corpus, verdicts), seed=1)
    found = Evidence(
        "E1",
        "a <title>",
        table,
        claims.findings(tally(corpus, verdicts), claims=any_n()),
        corpus.inputs,
        {"x": "1"},
        7,
        ("one note",),
        paragraph="in a <word>",
        tables={"Beside: more": table.head(2)},
        canvas=figure.figure(table),
    )
    drawn = files.save(found, tmp_path)
    report.write([drawn], tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert "data:image/png;base64," in page
    assert "a &lt;title&gt;" in page
    assert "NOT as predicted" in page
    assert 'src="http' not in page
    back = pd.read_csv(tmp_path / "E1.csv", keep_default_na=False)
    assert list(back.columns) == COLUMNS
    assert len(pd.read_parquet(tmp_path / "E1.parquet")) == len(table)
    assert drawn._repr_html_().count("<li>") == 2 * len(claims.load(group="E1"))  # wire and packetised
    assert "<title>" not in drawn._repr_html_()
    assert "in a &lt;word&gt;" in page
    assert page.index("Predicted and found") < page.index('<h2 id="E1">')
    assert len(pd.read_csv(tmp_path / "E1-beside.csv")) == 2
    assert report.page([drawn]) == page


def test_figure_is_reproducible(corpus: Corpus, verdicts: pd.DataFrame, tmp_path) -> None:
    table = matrix(tally(corpus, verdicts), seed=1)
    first = figure.save(figure.figure(table), tmp_path / "a")
    second = figure.save(figure.figure(table), tmp_path / "b")
    assert first["svg"].read_bytes() == second["svg"].read_bytes()
    assert first["png"].read_bytes() == second["png"].read_bytes()
