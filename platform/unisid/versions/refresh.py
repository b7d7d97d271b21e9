"""An index made anew of today's data under the names of the one before it, and the recommender that goes on from it.

Before anything is trained: what moves, and what the recommender as it is makes of the new index, beside retraining.
After it: the recommender that went on beside the one before, paired over today's test samples.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unisid import pipeline
from unisid.artifacts.catalog import TEST, VALID, Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.model import Model, numbers_before
from unisid.artifacts.record import Record, require, require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.config import Json
from unisid.errors import ConfigError
from unisid.evaluation.figures import RESAMPLES
from unisid.log import logger
from unisid.ops.by_user import Users, bootstrap_means, interval
from unisid.ops.ranking import metric_values
from unisid.planning import Recipe
from unisid.report.tables import align
from unisid.runtime.machines import Machines
from unisid.serving.recommender import Recommender
from unisid.stages.extension import Base
from unisid.tracker import Tracker
from unisid.versions.gate import Gate, decide

LOG = logger(__name__)
CUTOFF, SEED = 10, 42
PREDICTED, JUDGED = 500, 4_000
"""At most so many validation samples for the certificate, and test samples for the judgement."""


def refreshed(recipe: Recipe, of: Address, version: str, model: Address | None) -> Recipe:
    """The recipe of the refreshed index; with a recommender to go on from, of that too."""
    if (recipe.name, version) == (of.name, of.version):
        raise ConfigError(f"index refresh: {of} cannot refresh itself; name another version (--to)")
    codes = replace(recipe.codes, aligned_to=Base.parse(str(of)))
    start = None if model is None else Base.parse(str(model))
    return replace(recipe, version=version, codes=codes, model=replace(recipe.model, starts_from=start))


def refresh(
    recipe: Recipe,
    store: Store,
    of: Address,
    version: str,
    model: Address | None,
    machines: Machines,
    tracker: Tracker,
    certify_only: bool = False,
) -> Json:
    """Make the index, and with a recommender its next version; returns the certificate and what became of it.

    Args:
        certify_only: train no recommender. The same call without it goes on from there.

    Raises:
        ConfigError: the index is to refresh itself, or has other levels.
        ArtifactError: the index or the recommender is not there, or it was trained on another index.
    """
    whole = refreshed(recipe, of, version, model)
    places = pipeline.run_on(whole, store, machines, tracker, "codes")
    codes = Codes.read(places["codes"])
    found: Json = {"index": codes.record.address, "certificate": codes.refreshes}
    if model is None:
        return found
    before = require(store.place(model), "model")
    Model.read(store.place(model), codes, goes_on=True)
    found["certificate"] |= _predicted(store, before, places) | {"most_epochs": recipe.model.training.epochs}
    if certify_only:
        return found
    LOG.info(table(found))
    places = pipeline.run_on(whole, store, machines, tracker)
    after = require(places["model"], "model")
    metrics = Metrics.read(places["metrics"])
    return found | {
        "recommender": after.address,
        "valid_ndcg_10": after.counts["valid_ndcg_10"],
        "epochs": after.counts["epochs"],
        "seconds": after.seconds,
        "means": metrics.record.part("means", str(metrics.record.config["method"])),
        "judged": _judged(store, before, places),
    }


def _predicted(store: Store, record: Record, places: Mapping[str, Place]) -> Json:
    """NDCG of validation samples by the recommender as it is, on the new index and on its own; and what it cost."""
    place, codes, catalog = store.place(Address.parse(record.address)), places["codes"], Catalog.read(places["catalog"])
    unchanged = Recommender.load(place, codes, catalog.place, vectors=places, goes_on=True)
    rows = catalog.samples(VALID, PREDICTED)
    now = metric_values(_ranks(unchanged, catalog, rows, np.arange(catalog.num_items)), (CUTOFF,))[:, 1]
    before = metric_values(_ranks_before(store, record, places, rows), (CUTOFF,))[:, 1]
    mean = float(before.mean())
    low, high = interval(bootstrap_means((before - now)[:, None], Users.of(catalog.user[rows]), RESAMPLES, SEED))
    return {
        "ndcg_before": mean,
        "ndcg_unchanged": float(now.mean()),
        "predicted_loss": None if mean <= 0 else 1 - float(now.mean()) / mean,
        "predicted_loss_interval": None if mean <= 0 else [float(low[0]) / mean, float(high[0]) / mean],
        "seconds_of_training": record.seconds,
        "epochs_of_training": record.counts["epochs"],
    }


def _judged(store: Store, record: Record, places: Mapping[str, Place]) -> Json:
    """The recommender that went on beside the one before, each on its own index: paired over today's test samples."""
    catalog = Catalog.read(places["catalog"])
    rows = catalog.samples(TEST, JUDGED)
    new = Recommender.load(places["model"], places["codes"], catalog.place, vectors=places)
    now = _ranks(new, catalog, rows, np.arange(catalog.num_items))
    decision = decide(Gate(), now, _ranks_before(store, record, places, rows), catalog.user[rows])
    return {"of": record.address, "not_worse": decision.passed, "why": decision.why} | decision.figures


def _ranks_before(
    store: Store, record: Record, places: Mapping[str, Place], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """As `_ranks`, by the recommender before on its own index and catalogue."""
    place, catalog = store.place(Address.parse(record.address)), Catalog.read(places["catalog"])
    own = {noun: require_input(store, record, noun) for noun in ("codes", "catalog")}
    was = numbers_before(place, Codes.read(places["codes"]), catalog)
    numbers = np.arange(catalog.num_items) if was is None else was
    return _ranks(Recommender.load(place, own["codes"], own["catalog"]), catalog, rows, numbers)


@torch.no_grad()
def _ranks(
    recommender: Recommender, catalog: Catalog, rows: NDArray[np.int64], number: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Ranks of the targets of samples [S], from 1 to 10, else NaN; history excluded. Items have the recommender's
    `number` [N], -1 for those that it does not know: they are left out of histories, and missed as targets."""
    items, lengths = catalog.past(rows)
    known = [number[past][number[past] >= 0] for past in np.split(items, np.cumsum(lengths)[:-1])]
    able = [n for n, history in enumerate(known) if len(history)]
    ranks = np.full(len(rows), np.nan)
    if able:
        listed = recommender.rank([known[n] for n in able], CUTOFF)[0]
        hit = listed == number[catalog.item[rows[able]]][:, None]
        ranks[able] = np.where(hit.any(1), hit.argmax(1) + 1.0, np.nan)
    return ranks


def table(found: Json) -> str:
    """The certificate, and what became of it, for a terminal."""
    proof: dict[str, Any] = found["certificate"]
    lines = [
        f"{found['index']} is named after {proof['of']}: {proof['shared']:,} items in both, {proof['added']:,} added, "
        f"{proof['gone']:,} gone"
    ]
    rows = [["level", "items whose code moved", "items whose prefix is kept"]]
    pairs = zip(proof["moved"], proof["kept"], strict=True)
    rows += [[str(m), f"{moved:.2%}", f"{kept:.2%}"] for m, (moved, kept) in enumerate(pairs, 1)]
    lines.append(align(rows, right=True))
    if "ndcg_unchanged" in proof:
        span = proof["predicted_loss_interval"]
        loss = "" if span is None else f" (a loss of {proof['predicted_loss']:.1%}, {span[0]:.1%} to {span[1]:.1%})"
        lines.append(
            f"the recommender as it is: NDCG@10 {proof['ndcg_unchanged']:.4f} of today's validation samples, "
            f"{proof['ndcg_before']:.4f} on its own index{loss}"
        )
        epoch = proof["seconds_of_training"] / max(1, proof["epochs_of_training"])
        lines.append(
            f"training it took {proof['epochs_of_training']} epochs, {proof['seconds_of_training']:,.0f} s; going on "
            f"from it takes {proof['most_epochs']} at most, {epoch:,.1f} s each at that pace"
        )
    if "recommender" in found:
        lines.append(
            f"{found['recommender']} went on from it: NDCG@10 {found['valid_ndcg_10']:.4f} of validation samples after "
            f"{found['epochs']} epochs, {found['seconds']:,.0f} s"
        )
        lines.append(f"beside {found['judged']['of']}, today's test samples, paired: {found['judged']['why']}")
    return "\n".join(lines)
