"""Every trial is planned once, whatever a search asks of its plan later; requests to the store are counted."""

from dataclasses import replace

import pytest

from tests.search.quick_search import launch, quick, search
from unisid import pipeline
from unisid.artifacts.store import Place, Store
from unisid.runtime.local import LocalCompute
from unisid.search.expand import expand
from unisid.search.space import parse
from unisid.trials import plans as module
from unisid.trials.plans import Plans

WORDS = ["codes.tokenizer.codebook_size=6,7,8", "codes.tokenizer.num_levels=3,4"]


@pytest.fixture
def store(tmp_path):
    """A store with all that the trials share."""
    store = Store(Place.of(tmp_path / "store"))
    pipeline.run(quick(), store, LocalCompute(), pipeline.NullTracker(), "fused")
    return store


@pytest.fixture
def reads(monkeypatch):
    """What is read of a store, name by name."""
    seen: list[str] = []
    for name in ("read", "exists", "sizes"):
        true = getattr(Place, name)

        def counted(self, *args, true=true, name=name):
            seen.append(f"{name} {self.uri} {' '.join(map(str, args))}")
            return true(self, *args)

        monkeypatch.setattr(Place, name, counted)
    return seen


def trials(values: str):
    return expand(quick(), parse([f"codes.tokenizer.codebook_size={values}"]), (), "codes")


def test_what_trials_share_is_looked_for_once(store, reads):
    one = Plans(trials("6"), store)
    first = len(reads)
    reads.clear()
    several = Plans(trials("6,7,8,9,10"), store)
    shared = [line for line in reads if "/fused/quick/1 " in line or "/graph/quick/1 " in line]
    assert len(shared) <= len({*shared}) + 2
    assert len(reads) < 5 * first
    assert [entry.state for entry in several[0]] == [entry.state for entry in one[0]]
    assert {entry.noun: entry.state for entry in several[4]} == {
        "catalog": "shared",
        "embeddings": "shared",
        "graph": "shared",
        "fused": "shared",
        "codes": "to make",
    }


def test_a_plan_is_looked_at_again_only_for_what_was_missing(store, reads):
    asked = trials("6,7")
    planned = Plans(asked, store)
    assert [entry.state for entry in planned.now(0)][-1] == "to make"
    pipeline.run(asked[0].recipe, store, LocalCompute(), pipeline.NullTracker(), "codes")
    assert planned.now(0) == pipeline.plan(asked[0].recipe, store, "codes")
    assert planned[0][-1].state == "to make"  # as it was at the beginning
    reads.clear()
    assert [entry.state for entry in planned.now(0)][-1] == "complete"
    assert reads == []


def test_what_another_makes_is_shared_from_then_on(store):
    asked = trials("6,7")
    planned = Plans(asked, store)
    other = replace(asked[1].recipe, name="other")
    pipeline.run(other, store, LocalCompute(), pipeline.NullTracker(), "codes")
    last = planned.now(1)[-1]
    assert (last.state, str(last.address)) == ("shared", "codes/other/1")
    assert planned.now(1) == pipeline.plan(asked[1].recipe, store, "codes")


def test_a_search_plans_each_trial_once(tmp_path, monkeypatch):
    counted: list[str] = []
    true = module.plan

    def plan(recipe, *more):
        counted.append(recipe.name)
        return true(recipe, *more)

    monkeypatch.setattr(module, "plan", plan)
    found, _ = launch(search(WORDS), Place.of(tmp_path / "store"))
    assert [outcome.state for outcome in found] == ["complete"] * 6
    assert sorted(counted) == sorted({*counted})
    assert len(counted) == 6
