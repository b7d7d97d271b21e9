"""A day later: new items and interactions become version n + 1 of catalog, index and recommender.

The catalog is appended to, new items get semantic ids by the frozen parts of the index, and the recommender is trained
on for a few epochs from the one in use. Both rank the newest interactions over the same index; the new one is promoted
only if it is not worse. The index is promoted in any case: where the new recommender is refused, the one in use serves
the new items too. What was decided lies beside the report, in `update.json`, before anything is promoted; so a run that
was ended goes on, and a day is taken in once.
"""

import functools
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid import in_use, pipeline
from unisid.artifacts.catalog import TEST, VALID, Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.lookup import place_of
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.record import read_record, require, require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.bounds import Count, NotNegative, Settings, ShareBelowOne
from unisid.compute import Compute, Step
from unisid.config import Json, to_record
from unisid.datasets import tables
from unisid.errors import ConfigError
from unisid.evaluation.ranks import Ranks, rank_in_parts
from unisid.evaluation.recommender import Search, TargetRanker
from unisid.log import logger
from unisid.ops.distinct import sorted_unique
from unisid.planning import Recipe
from unisid.progress import Progress
from unisid.runtime.machines import Machines, opened_once
from unisid.stages import catalog as catalog_stage
from unisid.stages.extension import Base
from unisid.versions.extend import extended, next_version
from unisid.versions.gate import Decision, Gate, decide, too_few

LOG = logger(__name__)

if TYPE_CHECKING:
    from unisid.runtime.tracking import Tracker

NOTE = "update.json"
LISTED = 10
"""How many items a list has in which new items are counted."""
FROM_BASE = 1 / 3
"""The learning rate of a continued recommender, as a part of the one that it was first trained at."""
APPENDED = tuple(f"catalog.{key}" for key in ("append", "keep_cold_items", "valid_share", "test_share"))
"""Settings that a day has of its own."""


@dataclass(frozen=True, kw_only=True)
class Update(Settings):
    """How a day is taken in."""

    epochs: Count = 3
    """Passes over the training samples, from the weights in use; the best by validation is kept, which may be these."""
    learning_rate: NotNegative = 0.0
    """Its peak; 0 for a third of the one before any day was taken in."""
    valid_share: ShareBelowOne = 0.1
    """The share of the new samples, before the test samples, by which the best epoch is chosen."""
    test_share: ShareBelowOne = 0.2
    """The newest share of the new samples, by which both recommenders are compared."""
    gate: Gate = field(default_factory=Gate)
    """When the new recommender is promoted."""


@dataclass(frozen=True)
class Day:
    """What an update goes on from, and what it makes."""

    recipe: Recipe
    """Of version n + 1."""
    model: Place
    """The recommender in use."""
    codes: Codes
    """The index in use."""

    @property
    def until(self) -> str:
        """The last artifact that may be made."""
        return "metrics" if self.learns else "codes"

    @property
    def learns(self) -> bool:
        """Whether there are interactions to learn from."""
        dataset = self.recipe.catalog.dataset
        return getattr(dataset, "interactions", "") != tables.NONE


def update(
    recipe: Recipe,
    store: Store,
    settings: Update,
    machines: Machines,
    tracker: "Tracker",
    version: str = "",
    begins: tuple[Place, Codes] | None = None,
) -> Json:
    """Take in the day that the recipe's dataset holds; returns what was decided, as `update.json` holds it.

    Args:
        version: of what is made; empty for the one after the index in use.
        begins: the recommender and the index to go on from; None for `beginning`.

    Raises:
        ConfigError: the dataset is no tables, or a setting differs from that of the index in use.
        DataError: the day's tables do not hold what they must.
        ArtifactError: there is no recommender to go on from, or MLflow cannot be reached: all that was made stays.
        DriftError: other data were begun under this version.
    """
    dataset = recipe.catalog.dataset
    if not isinstance(dataset, tables.Config):
        raise ConfigError(
            f"unisid update: recipe '{recipe.name}' reads {dataset.kind}, no tables; a day comes as "
            "tables of items and interactions: --catalog.dataset tables"
        )
    model, codes = begins or beginning(store, recipe.name)
    if (taken := taken_in(store, recipe, codes)) is not None:
        LOG.info(f"these tables are in {taken} already")
        found = read_note(note_place(store, taken))
    else:
        day = day_of(recipe, store, settings, model, codes, version)
        wanted = {each.noun: each.fingerprint for each in pipeline.plan(day.recipe, store, day.until)}
        found = read_note(pipeline.report_place(day.recipe, store))
        if (found.get("fingerprints"), found.get("gate")) != (wanted, asdict(settings.gate)):
            found = _make(day, store, settings, machines, tracker)
            found |= {"fingerprints": wanted, "training": to_record(recipe.model.training)}
            write_note(pipeline.report_place(day.recipe, store), found)
    return _promoted(found, store, tracker)


def beginning(store: Store, name: str) -> tuple[Place, Codes]:
    """The recommender in use under a name, and the index that a day goes on from.

    Raises:
        ArtifactError: there is no recommender to go on from.
    """
    pair = in_use.pair_in_use(store, name)
    return pair.model, Codes.read(newest_promoted(store, name, pair.codes))


def note_place(store: Store, address: Address) -> Place:
    """Where the decision about the version of an address lies."""
    return store.root / "reports" / address.name / address.version


def read_note(folder: Place) -> Json:
    """The decision that was written down; empty where there is none."""
    try:
        found: Any = json.loads(folder.read(NOTE)) if folder.exists(NOTE) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write_note(folder: Place, found: Json) -> None:
    """Write the decision down."""
    folder.write(NOTE, (json.dumps(found, indent=2, sort_keys=True) + "\n").encode())


def newest_promoted(store: Store, name: str, codes: Place) -> Place:
    """The last of the updates that go on from an index and were promoted, even where one was rolled back since: the ids
    that it published stay, and the interactions that it took in are not lost."""
    while True:
        record = require(codes, "codes")
        version = Address.parse(record.address).version
        note = (
            read_note(note_place(store, Address("codes", name, str(int(version) + 1)))) if version.isdecimal() else {}
        )
        after = note.get("index", {}).get("address", "")
        if not note.get("promoted") or note["base"]["fingerprint"] != record.fingerprint:
            return codes
        codes = place_of(store, Address.parse(after))


def taken_in(store: Store, recipe: Recipe, codes: Codes) -> Address | None:
    """The catalog, of those that an index goes back to, that was made from these very tables by an update."""
    wanted = {role: each["fingerprint"] for role, each in catalog_stage.sources(recipe.catalog).items()}
    record = require(require_input(store, codes.record, "catalog"), "catalog")
    while "base" in record.inputs:
        roles = {role: each["fingerprint"] for role, each in record.inputs.items() if role != "base"}
        address = Address.parse(record.address)
        if roles == wanted and read_note(note_place(store, address)):
            return address
        before = read_record(store.place(Address.parse(record.inputs["base"]["address"])))
        if before is None:
            return None
        record = before
    return None


def day_of(recipe: Recipe, store: Store, settings: Update, model: Place, codes: Codes, version: str) -> Day:
    """The recipe of the next version of an index, with a recommender that goes on from `model`."""
    base = Address.parse(codes.record.address)
    whole = extended(recipe, store, base, version or next_version(base.version))
    appended = replace(
        whole.catalog,
        append=True,
        keep_cold_items=True,
        valid_share=settings.valid_share,
        test_share=settings.test_share,
    )
    rate = settings.learning_rate or recipe.model.training.learning_rate * FROM_BASE
    training = replace(recipe.model.training, epochs=settings.epochs, learning_rate=rate, warmup_steps=0)
    trained = replace(recipe.model, training=training, starts_from=Base.of(model, "model"))
    measured = replace(recipe.metrics, baselines=())
    return Day(replace(whole, catalog=appended, model=trained, metrics=measured, baseline=None), model, codes)


def _make(day: Day, store: Store, settings: Update, machines: Machines, tracker: "Tracker") -> Json:
    """Make what is missing of version n + 1, compare, and write down what is decided."""
    with opened_once(machines) as opened:
        run = functools.partial(pipeline.run_on, day.recipe, store, opened, tracker)
        places = run(until="codes")
        catalog, codes = Catalog.read(places["catalog"]), Codes.read(places["codes"])
        decision, shares = Decision(False, "no interactions to learn from", {}), {}
        user = catalog.user[catalog.samples(TEST, day.recipe.metrics.test_samples)]
        few = too_few(settings.gate, len(sorted_unique(user)))
        if day.learns and few is None and len(catalog.samples(VALID)):
            places = run(until="metrics")
            with opened() as compute:
                old, listed = _rank_old(day, places, compute)
            metrics = Metrics.read(places["metrics"])
            new = metrics.ranks(day.recipe.metrics.method)[settings.gate.history].to_numpy().astype(np.float64)
            decision = decide(settings.gate, new, old[settings.gate.history], user)
            shares = _shares(len(day.codes.codes), metrics.listed(), listed)
        elif day.learns:
            decision = few or Decision(False, "no samples for validation", {})
    moved = int((codes.codes[: len(day.codes.codes), : day.codes.num_levels] != day.codes.codes).any(1).sum())
    found: Json = {
        "name": day.recipe.name,
        "index": {"address": codes.record.address, "fingerprint": codes.record.fingerprint},
        "base": {"address": day.codes.record.address, "fingerprint": day.codes.record.fingerprint},
        "catalog": catalog.record.counts["extension"] | {"moved_semantic_ids": moved},
        "old": require(day.model, "model").address,
        "new": str(places["model"].address) if "model" in places else "",
        "gate": asdict(settings.gate),
        "passed": decision.passed,
        "why": decision.why,
        "figures": decision.figures,
        "new_items_recommended": shares,
    }
    return found


def _rank_old(day: Day, places: dict[str, Place], compute: Compute) -> tuple[Ranks, NDArray[np.int64]]:
    """The ranks that the recommender in use gives the test targets over the new index, and its lists [S, LISTED]."""
    config = day.recipe.metrics
    catalog = Catalog.read(places["catalog"])
    rows = catalog.samples(TEST, config.test_samples)
    listed = np.full((len(rows), LISTED), -1, np.int64)

    def see(table: pa.Table) -> None:
        found = table["listed"].combine_chunks().flatten().to_numpy()
        listed[table["row"].to_numpy()] = found.reshape(table.num_rows, LISTED)

    searches = {"": Search(min(config.beam, catalog.num_items))}
    old = {**places, "model": day.model}
    settings = config.pool, config.batch_size, None, LISTED, config.test_samples
    ranker = functools.partial(TargetRanker, old, searches, *settings)
    progress = Progress(None, len(rows), "samples", of="the recommender in use")
    ranks = rank_in_parts(compute, Step(ranker, config.pool), progress, config.rows_per_part, see=see)
    return ranks, listed


def _shares(published: int, new: NDArray[Any] | None, old: NDArray[np.int64]) -> Json:
    """The shares of new items in what both recommend."""
    lists = {"old": old} if new is None else {"old": old, "new": new}
    return {who: float((items >= published).sum() / max(1, (items >= 0).sum())) for who, items in lists.items()}


def _promoted(found: Json, store: Store, tracker: "Tracker") -> Json:
    """Promote what was decided, if that was not done yet; the decision goes to the registry and stays in the note."""
    from unisid.runtime import promotion  # with MLflow

    index, name = Address.parse(found["index"]["address"]), found["name"]
    if "promoted" in found:
        LOG.info(f"{index} was promoted already: {found['why']}")
        return found
    new = Address.parse(found["new"]) if found["new"] else None
    pair = promotion.promote(tracker, store, index, new if found["passed"] else None, name, {})
    if new is not None:
        promotion.label(tracker, store, name, index, new, tags(found))
    found |= {"promoted": asdict(pair)}
    write_note(note_place(store, index), found)
    LOG.info(
        f"{found['new']} is in use: {found['why']}" if found["passed"] else f"{found['old']} stays: {found['why']}"
    )
    return found


def tags(found: Json) -> dict[str, str]:
    """The tags of a decision in the registry."""
    figures = found["figures"]
    said = {"decision": "promoted" if found["passed"] else "refused", "why": found["why"], "against": found["old"]}
    for name in ("samples", "users", "p_worse"):
        if name in figures:
            said[name] = f"{figures[name]:.6g}"
    for who in ("new", "old", "difference"):
        if who in figures:
            value = figures[who].get("mean", figures[who].get("difference"))
            said[who] = f"{value:.6f} ({figures[who]['low']:.6f} to {figures[who]['high']:.6f})"
    return {f"update.{key}": value for key, value in said.items()} | {"update.metric": found["gate"]["metric"]}
