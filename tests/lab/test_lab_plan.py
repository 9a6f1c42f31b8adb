"""Plans: the seed alone decides them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from btresearch.errors import InputError
from btresearch.lab import catalog
from btresearch.lab.plan import draw_up, plan_quick, plan_set, resolve, why_not
from btresearch.lab.scenario import Scenario, Traffic, find


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan_quick(seed=7) == plan_quick(seed=7)
    assert plan_quick(seed=7).jobs != plan_quick(seed=8).jobs
    assert set(plan_quick(seed=7).jobs) == set(plan_quick(seed=8).jobs)


def test_the_order_of_the_names_does_not_matter() -> None:
    forth, back = (
        draw_up(resolve(names), seed=1) for names in (["lt_clear", "cover_sync"], ["cover_sync", "lt_clear"])
    )
    assert forth == back


def test_classes_are_mixed_in_time() -> None:
    classes = [job.scenario.traffic[0].flow_class for job in plan_quick(seed=1).jobs]
    changes = sum(one != two for one, two in pairwise(classes))
    assert changes > len(classes) / 4


def test_a_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "find_command", lambda name: None)
    plan = draw_up(resolve(["cover_curl_nginx", "lt_clear"]))
    assert plan.skipped == {"cover_curl_nginx": "needs package curl; needs package nginx-light"}
    assert {job.scenario.name for job in plan.jobs} <= {"lt_clear"}


def test_a_transport_that_a_program_lacks_is_named() -> None:
    utp = Traffic(flow_class="bittorrent", transport="utp", client="btresearch", server="libtorrent")
    assert why_not(Scenario(name="x", traffic=(utp,))) == "btresearch does not speak utp"


def test_sets_and_repeats() -> None:
    assert len(draw_up([find("cover_sync")], repeats=3).jobs) == 3
    assert len(plan_set("full").jobs) == 10 * len(plan_quick().jobs)
    with pytest.raises(InputError, match="quick"):
        plan_set("enormous")
