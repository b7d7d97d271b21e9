"""Anybody's semantic ids side by side: how their levels are used, what their prefixes mean, what NDCG that predicts.

N items, n of them, L levels, D width; of the line that predicts: n indexes, f figures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.graph import Graph
from unisid.artifacts.record import Record, read_record
from unisid.artifacts.store import Place, Store
from unisid.config import Json
from unisid.errors import ArtifactError, DataError
from unisid.evaluation.index import describe, gini
from unisid.evaluation.next_items import by_cosine, by_prefix, held_out_steps, share_found
from unisid.experiments.indexes import Known, groups_of, neighbour_recall, purity, user_overlap
from unisid.ops.lines import left_out_errors, line

Vectors = Callable[[Int[np.ndarray, " n"]], Float[np.ndarray, "n D"]]
"""Items -> a vector of each."""
LEAST = 4
"""Indexes of a table below which nothing is predicted from it."""


@dataclass(frozen=True)
class ItemData:
    """A catalog's items beside their ids: interactions, neighbours and vectors; what the store lacks is None."""

    catalog: Catalog
    known: Known | None
    graph: Float[np.ndarray, "N D"] | None
    """The items' vectors of the interaction graph, the mean over layers."""

    @classmethod
    def of(cls, store: Store, catalog: Catalog) -> "ItemData":
        """The newest embeddings and graph that were made of a catalog."""
        text, graph = (_newest_of(store, noun, catalog.record) for noun in ("embeddings", "graph"))
        known = None if text is None else Known.of(catalog, Embeddings.read(text))
        rows = np.arange(catalog.num_items) if known is None else known.rows
        return cls(
            catalog,
            known,
            None if graph is None else Graph.read(graph).layers(rows).mean(1),
        )


def _newest_of(store: Store, noun: str, catalog: Record) -> Place | None:
    """The artifact of a noun that was completed last of those made of a catalog."""
    found: dict[Place, Record] = {}
    for address in store.addresses(noun):
        try:
            record = read_record(store.place(address))
        except ArtifactError:
            continue
        if record is not None and record.inputs.get("catalog", {}).get("fingerprint") == catalog.fingerprint:
            found[store.place(address)] = record
    return max(found, key=lambda place: (found[place].order, found[place].created)) if found else None


def figures(
    codes: Int[np.ndarray, "N L"],
    sizes: Sequence[int],
    around: ItemData,
    made: Json | None = None,
    vectors: Vectors | None = None,
) -> Json:
    """Every figure of ids by name, those by level as lists; without those whose vectors the store lacks;
    None where one cannot be said.

    Args:
        made: what the record of an index says of its codes before collisions were resolved; None for ids as they are.
        vectors: what the ids were made of, or nearly so; None where that is not known.
    """
    known = around.known
    rows = np.arange(len(codes)) if known is None else known.rows
    own = codes[rows]
    steps = held_out_steps(around.catalog, rows) if known is None else known.steps
    shorter = range(1, max(2, codes.shape[1]))
    groups = [groups_of(own, length) for length in shorter]
    taken = 1 + np.bincount(around.catalog.training_edges()[1], minlength=len(codes))[rows]
    quality = describe(codes, tuple(sizes)) if made is None else made
    found: Json = {
        "items": len(codes),
        "sizes": list(sizes),
        "distinct": quality["distinct_share"],
        "collision rate": quality["collision_rate"],
        "largest collision": quality["largest_collision"],
        "usage": quality["usage"],
        "entropy": quality["entropy"],
        "gini": [gini(np.bincount(each)) for each in groups],
        "gini of ids": quality.get("gini"),  # indexes from before it was recorded have none
        "gini by interactions": [gini(np.bincount(each, taken)) for each in groups],
        "next by prefix": share_found(steps, by_prefix(own)),
    }
    if known is not None:
        pure = [purity(each, known.labels) for each in groups]
        overlap = user_overlap(groups[0], known.users, known.items)
        found |= {
            "purity": [each.value for each in pure],
            "purity by chance": [each.by_chance for each in pure],
            "overlap within": overlap.value,
            "overlap p": overlap.p,
            "text neighbours": neighbour_recall(own, known.text),
        }
    if around.graph is not None:
        found["graph neighbours"] = neighbour_recall(own, around.graph)
    if vectors is not None:
        found["next by vector"] = share_found(steps, by_cosine(vectors(rows)))
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in found.items()}


@dataclass(frozen=True)
class Predicted:
    """A recommender's metric as a figure of its index predicts it."""

    value: float
    error: float
    """Root mean square error of such predictions of indexes that were left out, the figure chosen without them."""
    figure: str
    """What predicts best of all."""
    by_mean: float
    """The same error of predicting the mean of the others: a prediction that is no better says nothing."""
    indexes: int


def predicted(table: Json, own: Json) -> Predicted | None:
    """The NDCG that an experiment's indexes and their recommenders predict for ids with these figures.

    A line through one figure, chosen by the error on indexes left out. None where fewer than `LEAST` indexes have a
    recommender.

    Args:
        table: an experiment's `indexes.json`.
    Raises:
        DataError: it is none, or was written before it held each index's NDCG.
    """
    indexes, metric = table.get("indexes"), table.get("ndcg")
    if not isinstance(indexes, Mapping) or not isinstance(metric, Mapping):
        raise DataError("--predict: holds no indexes with their NDCG; must be indexes.json of `unisid experiment`")
    named = [name for name in indexes if name in metric]
    values = {name: value for name, value in _flat(own).items() if np.isfinite(value)}
    usable = [figure for figure in values if all(indexes[name].get(figure) is not None for name in named)]
    by_index: dict[tuple[float, ...], list[float]] = {}
    for name in named:  # recommenders of one index differ by their seed alone
        by_index.setdefault(tuple(indexes[name][figure] for figure in usable), []).append(metric[name])
    if len(by_index) < LEAST or not usable:
        return None
    x, y = np.array(list(by_index)), np.array([np.mean(each) for each in by_index.values()])
    errors = left_out_errors(x, y)
    best = int(np.argmin(errors))
    return Predicted(
        value=float(line(x[:, best], y)(np.array([values[usable[best]]]))[0]),
        error=_nested_error(x, y),
        figure=usable[best],
        by_mean=float(np.sqrt(np.mean(((y - y.mean()) * len(y) / (len(y) - 1)) ** 2))),
        indexes=len(y),
    )


def _nested_error(x: Float[np.ndarray, "n f"], y: Float[np.ndarray, " n"]) -> float:
    """The error on each index by the figure that is best of the others."""
    wrong = []
    for out in range(len(y)):
        rest = np.arange(len(y)) != out
        best = int(np.argmin(left_out_errors(x[rest], y[rest])))
        wrong.append(float(line(x[rest, best], y[rest])(x[out : out + 1, best])[0] - y[out]))
    return float(np.sqrt(np.mean(np.square(wrong))))


def _flat(figures: Mapping[str, Any]) -> dict[str, float]:
    """Figures as an experiment's table has them: means over levels, and of purity the first."""
    flat = {name: value for name, value in figures.items() if isinstance(value, float)}
    flat |= {name: float(np.mean(figures[name])) for name in ("usage", "entropy", "gini")}
    return flat | {name: figures[name][0] for name in ("purity", "purity by chance") if name in figures}
