"""Seven periods of a catalogue: an index that stays, one that is extended, one that is refreshed, one made anew.

python -m benchmarks.year [SEED] [movielens | beauty] [items | tiger]

The first 30% of the interactions, by time, are the first run's; the rest are seven periods of equally many. After each
of the first six every way takes it in, and answers the next one as it comes: a list of ten for each of 2,000
interactions, from all that the user took before. An item that is not in an index yet is missed.

frozen     the first index and recommender
extended   `unisid update`: new items by the frozen parts, the recommender trained on and promoted if not worse
refreshed  `unisid index refresh`: vectors and codebooks anew under the old names, the recommender trained on
rebuilt    vectors, index and recommender from nothing

Data: as for `benchmarks.week`.
"""

import contextlib
import json
import logging
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

import unisid
from benchmarks import _by_time
from benchmarks._by_time import RECOMMENDERS, items_of, parts, raw
from benchmarks._samples import Answers, Samples, answers, clustered, samples_of
from unisid import pipeline
from unisid.api.daily import day_tables
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import require, require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.pipeline import NullTracker, Recipe
from unisid.runtime.local import LocalCompute
from unisid.versions.compare import compare
from unisid.versions.refresh import refresh
from unisid.versions.update import FROM_BASE, Update, day_of

PERIODS, BEFORE = 7, 0.3
FURTHER = 3
"""Passes of a recommender that is trained on."""
LOG = logging.getLogger("benchmarks.year")
Places = dict[str, Place]


def recipe(seed: int, recommender: str) -> Recipe:
    """A recommender over tables, with less to train than the demo's."""
    found = _by_time.recipe("year", RECOMMENDERS[recommender]())
    training = replace(found.model.training, seed=seed)
    return replace(found, graph=replace(found.graph, seed=seed), model=replace(found.model, training=training))


@dataclass
class Way:
    """An index and its recommender over the periods."""

    places: Places
    cpu: float = 0.0
    answers: list[Answers] = field(default_factory=list)


def main(seed: str = "42", data: str = "movielens", recommender: str = "items") -> dict[str, Any]:
    """Figures by period and way, and over all periods."""
    with tempfile.TemporaryDirectory() as folder:
        return Year(Store(Place.of(folder)), int(seed), data, recommender).figures()


class Year:
    """The periods in a store."""

    def __init__(self, store: Store, seed: int, data: str, recommender: str) -> None:
        self.store, self.recipe = store, recipe(seed, recommender)
        self.items, interactions = raw(data)
        self.before, self.later = parts(interactions, BEFORE, PERIODS)
        self.seen = set(self.before["item_id"].to_pylist())
        self.first = frozenset(self.seen)

    def figures(self) -> dict[str, Any]:
        """What `main` returns."""
        begun = time.process_time()
        run = unisid.run(
            self.recipe,
            self.store,
            items=items_of(self.items, self.seen),
            interactions=self.before,
            until="model",
            compute="local",
        )
        first = self._places(run.places["model"])
        found: dict[str, Any] = {
            "items": len(self.first),
            "interactions": self.before.num_rows,
            "first_run_cpu_seconds": round(time.process_time() - begun, 1),
        }
        ways = {name: Way(first) for name in ("frozen", "extended", "refreshed", "rebuilt")}
        whole = self.before
        for number, period in enumerate(self.later[:-1], 1):
            whole = pa.concat_tables([whole, period])
            found[f"period_{number}"] = self._period(number, ways, period, whole)
            LOG.info("period %d: %s", number, json.dumps(found[f"period_{number}"]))
        return found | {"all": overall(ways)}

    def _period(self, number: int, ways: dict[str, Way], period: pa.Table, whole: pa.Table) -> dict[str, Any]:
        new = set(period["item_id"].to_pylist()) - self.seen
        self.seen |= new
        samples = samples_of(whole, self.later[number], self.first)
        before = {name: way.places for name, way in ways.items()}
        items = items_of(self.items, new)
        given: dict[str, Any] = {"items": items if items.num_rows else None, "interactions": period}
        today = self._today(number + 1, ways["extended"], given)
        figures: dict[str, Any] = {"new_items": len(new), "samples": len(samples.target)}
        figures["new_among_targets"] = float(samples.is_new.mean())
        ways["extended"].places, ways["extended"].cpu, figures["promoted"] = self._extended(given)
        shared = self._vectors(today)
        told = self._refreshed(today, ways["refreshed"], shared)
        begun = time.process_time()
        anew = pipeline.run(today, self.store, LocalCompute(), NullTracker(), "model")
        ways["rebuilt"].places = self._places(anew["model"])
        ways["rebuilt"].cpu = shared + time.process_time() - begun
        for name, way in ways.items():
            way.answers.append(answers(way.places, samples))
            moved = self._moved(before[name], way.places)
            figures[name] = way.answers[-1].figures() | {"moved_prefixes": moved, "cpu_seconds": round(way.cpu, 1)}
        figures["refreshed"] |= self._losses(told, before["refreshed"], ways["refreshed"], samples)
        figures["vectors_cpu_seconds"] = round(shared, 1)
        return figures

    def _extended(self, given: dict[str, Any]) -> tuple[Places, float, bool]:
        """What is in use after an update."""
        begun = time.process_time()
        done = unisid.update(self.recipe, self.store, **given, daily={"epochs": FURTHER}, compute="local")
        taken = time.process_time() - begun
        model = self.store.place(Address.parse(done["new"] if done["passed"] else done["old"]))
        return self._places(model, self.store.place(Address.parse(done["index"]["address"]))), taken, done["passed"]

    def _today(self, version: int, in_use: Way, given: dict[str, Any]) -> Recipe:
        """The recipe over all that is known, from nothing, on the catalog that an update makes of the index in use: so
        all ways learn from the same interactions."""
        codes, tables = Codes.read(in_use.places["codes"]), day_tables(self.recipe, self.store, **given)
        day = day_of(tables, self.store, Update(epochs=FURTHER), in_use.places["model"], codes, "").recipe
        return replace(self.recipe, name="anew", version=str(version), catalog=day.catalog)

    def _vectors(self, today: Recipe) -> float:
        """Make catalog and vectors anew, which the refreshed and the rebuilt index share; returns what they cost."""
        begun = time.process_time()
        pipeline.run(today, self.store, LocalCompute(), NullTracker(), "fused")
        return time.process_time() - begun

    def _refreshed(self, today: Recipe, way: Way, shared: float) -> dict[str, Any]:
        """Refresh the index and train its recommender on; returns the certificate."""
        begun, version = time.process_time(), today.version
        training = replace(today.model.training, epochs=FURTHER, warmup_steps=0)
        training = replace(training, learning_rate=training.learning_rate * FROM_BASE)
        today = replace(today, name="refreshed", model=replace(today.model, training=training))
        of, model = (Address.parse(require(way.places[noun], noun).address) for noun in ("codes", "model"))
        told = refresh(today, self.store, of, version, model, self._machines, NullTracker())
        way.places = self._places(self.store.place(Address.parse(told["recommender"])))
        way.cpu = shared + time.process_time() - begun
        found: dict[str, Any] = told["certificate"]
        return found

    @staticmethod
    def _machines() -> contextlib.AbstractContextManager[LocalCompute]:
        return contextlib.nullcontext(LocalCompute())

    def _places(self, model: Place, codes: Place | None = None) -> Places:
        """A recommender, its index or one that extends it, and what both were made from."""
        index = Codes.read(codes or require_input(self.store, require(model, "model"), "codes"))
        made = {noun: require_input(self.store, index.record, noun) for noun in ("catalog", "fused")}
        fused = require(made["fused"], "fused")
        made |= {noun: require_input(self.store, fused, noun) for noun in ("embeddings", "graph")}
        return made | {"codes": index.place, "model": model}

    @staticmethod
    def _moved(before: Places, after: Places) -> list[float]:
        """The share of the older index's items whose prefix is another now, by its length."""
        pair = [(Codes.read(places["codes"]), Catalog.read(places["catalog"])) for places in (before, after)]
        return [round(share, 4) for share in compare(pair[0], pair[1])["changed_prefix"]]

    @staticmethod
    def _losses(told: dict[str, Any], before: Places, way: Way, samples: Samples) -> dict[str, Any]:
        """The loss that the certificate predicted for the old recommender on the new index, and the loss measured."""
        own = answers(before, samples).ndcg.mean()
        unchanged = answers(way.places | {"model": before["model"]}, samples, goes_on=True).ndcg.mean()
        loss = {"unchanged": 1 - unchanged / own, "trained_on": 1 - way.answers[-1].ndcg.mean() / own}
        certificate = {key: told[key] for key in ("moved", "kept", "ndcg_before", "ndcg_unchanged", "predicted_loss")}
        return {"certificate": certificate, "loss": {key: float(value) for key, value in loss.items()}}


def overall(ways: dict[str, Way]) -> dict[str, Any]:
    """Over all periods: every way's means, and what each is ahead of the extended one by."""
    joined = {name: Answers.joined(way.answers) for name, way in ways.items()}
    found: dict[str, Any] = {name: each.figures() for name, each in joined.items()}
    for name, each in joined.items():
        for other in joined if name == "rebuilt" else ("extended",):
            if other != name:
                base = joined[other]
                found[name][f"above_{other}"] = {
                    "ndcg@10": clustered(each.ndcg - base.ndcg, each.user),
                    "hr@10": clustered(each.hit - base.hit, each.user),
                }
    return found


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    LOG.setLevel(logging.INFO)
    print(json.dumps(main(*sys.argv[1:]), indent=2))
