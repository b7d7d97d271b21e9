"""For whom a method ranks well: its figures by how popular the target is and by how long the history is.

Every figure is a mean over the samples of a group. With one target a sample the mean average precision is the mean
reciprocal rank, so that MAP@K = MRR@K. S samples, N items.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from unisid.artifacts.catalog import Catalog
from unisid.config import Json
from unisid.ops import lists
from unisid.ops.ranking import metric_names, metric_values

ALL, COLD = "all", "cold items"
THIRDS = ("least popular third", "middle third", "most popular third")
HISTORIES = {
    "history of 1": (1, 1),
    "history of 2 to 4": (2, 4),
    "history of 5 to 9": (5, 9),
    "history of 10 to 19": (10, 19),
    "history of 20 or more": (20, None),
}
"""Group -> its shortest and longest history."""
ORDER = (ALL, *THIRDS, COLD, *HISTORIES)
"""The groups as tables list them."""
T = TypeVar("T")
Groups = dict[str, Bool[np.ndarray, " S"]]
"""Name -> which samples belong to it. A sample belongs to several: to all, one of popularity, one of histories."""


def groups_of(catalog: Catalog, rows: Int[np.ndarray, " S"]) -> Groups:
    """The groups of some samples; those without one are left out.

    Popularity is the number of users who took an item in training. Items with any are cut into thirds of equally many
    items (equally popular ones by their number); targets with none are cold.
    """
    targets = catalog.item[rows]
    third = popularity_thirds(taken_by(catalog))[targets]
    lengths = catalog.past_lengths(rows)
    found = {ALL: np.ones(len(rows), bool)}
    found |= {name: third == number for number, name in enumerate(THIRDS)}
    found[COLD] = third < 0
    for name, (least, most) in HISTORIES.items():
        found[name] = (lengths >= least) & (lengths <= (most or lengths.max(initial=0)))
    return {name: inside for name, inside in found.items() if inside.any()}


def in_order(groups: Mapping[str, T]) -> dict[str, T]:
    """Values by group, in the order of tables; a name that is none of today's stands at the end."""
    places = {name: place for place, name in enumerate(ORDER)}
    return {name: groups[name] for name in sorted(groups, key=lambda name: places.get(name, len(places)))}


def taken_by(catalog: Catalog) -> Int[np.ndarray, " N"]:
    """How many users took each item in training."""
    _, items = catalog.training_edges()
    return np.bincount(items, minlength=catalog.num_items)


def popularity_thirds(users: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Of each item: 0, 1 or 2 from the least to the most popular third; -1 for one that no user took."""
    third = np.full(len(users), -1, np.int64)
    known = np.flatnonzero(users > 0)
    order = known[np.argsort(users[known], kind="stable")]
    for number, part in enumerate(np.array_split(order, len(THIRDS))):
        third[part] = number
    return third


def by_group(ranks: Float[np.ndarray, " S"], groups: Groups, cutoff: int) -> dict[str, Json]:
    """Group -> its number of samples, HR, NDCG and MRR at a cut-off. A target that was not ranked counts as a miss."""
    figures = dict(zip(metric_names((cutoff,)), metric_values(ranks, (cutoff,)).T, strict=True))
    return {
        name: {"samples": int(inside.sum())} | {metric: float(each[inside].mean()) for metric, each in figures.items()}
        for name, inside in groups.items()
    }


def all_groups(ranks: Mapping[str, Mapping[str, Float[np.ndarray, " _"]]], groups: Groups, cutoff: int) -> Json:
    """Method -> history rule -> group -> figures."""
    return {
        method: {rule: by_group(each, groups, cutoff) for rule, each in by_rule.items()}
        for method, by_rule in ranks.items()
    }


def described(listed: Mapping[str, Int[np.ndarray, "_ _"]], catalog: Catalog, seed: int) -> dict[str, dict[str, float]]:
    """Method -> the diversity of its lists: coverage, Gini, novelty in bits, likeness within a list."""
    user, item = catalog.training_edges()
    shape = (catalog.num_items, catalog.num_users)
    users_of = sparse.csr_matrix((np.ones(len(item), np.float32), (item, user)), shape=shape)
    taken, found = taken_by(catalog), {}
    for method, own in listed.items():
        counts = lists.counts_of(own, catalog.num_items)
        found[method] = {
            "coverage": lists.coverage(counts),
            "gini": lists.gini(counts),
            "novelty": lists.novelty(own, taken, catalog.num_users),
            "likeness": lists.likeness(own, users_of, seed),
        }
    return found
