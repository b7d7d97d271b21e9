"""What an index is worth without a recommender, and how well that predicts the recommender.

A group is a prefix of semantic ids, a label a cluster of the items' text. N items, E user-item pairs, L levels,
D width, k neighbours, S steps of validation, n indexes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse, stats

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.fused import Fused
from unisid.evaluation.figures import Correlation
from unisid.evaluation.index import gini, recorded
from unisid.evaluation.next_items import by_cosine, by_prefix, held_out_steps, share_found
from unisid.experiments.categories import Categories, categories_of
from unisid.ops.kmeans import kmeans
from unisid.ops.prefixes import row_keys
from unisid.ops.residual import nearest
from unisid.stages.fused.neighbours import SEMANTIC, STRUCTURE

PERMUTATIONS = 199
NEIGHBOURS = 20
LOOKED_AT = 1000
"""Items whose neighbours are sought, drawn by seed."""
LABELS = 32
"""Clusters of text."""
LARGEST = 1 << 17
"""Of a larger catalogue so many items are looked at."""
SEED = 42


@dataclass(frozen=True)
class Chance:
    """A figure beside what it is when items keep nothing but the sizes of their groups."""

    value: float
    by_chance: float
    p: float
    """One-sided: how often a permutation of the items does at least as well."""


@dataclass(frozen=True)
class Known:
    """Interactions, text vectors and labels of some items: the same for every index of a catalogue."""

    rows: Int[np.ndarray, " N"]
    """Which items: all, or `LARGEST` of them drawn by seed."""
    users: Int[np.ndarray, " E"]
    """Of every training interaction."""
    items: Int[np.ndarray, " E"]
    """Of every training interaction, as positions in `rows`."""
    text: Float[np.ndarray, "N D"]
    """Pooled text vectors."""
    labels: Int[np.ndarray, " N"]
    steps: Int[np.ndarray, "S 2"]
    """The last item before each validation target, and that target, as positions in `rows`."""
    categories: Categories | None = None
    """As the shop calls them, where the catalogue says."""

    @classmethod
    def of(cls, catalog: Catalog, embeddings: Embeddings) -> "Known":
        """Read once."""
        rows = np.arange(catalog.num_items)
        if len(rows) > LARGEST:
            rows = np.sort(np.random.default_rng(SEED).permutation(rows)[:LARGEST])
        place = np.full(catalog.num_items, -1)
        place[rows] = np.arange(len(rows))
        users, items = catalog.training_edges()
        here = place[items] >= 0
        text = np.asarray(embeddings.pooled(rows), np.float32)
        steps = held_out_steps(catalog, rows)
        edges = users[here].astype(np.int64), place[items][here]
        return cls(rows, *edges, text, text_labels(text), steps, categories_of(catalog, rows))


def text_labels(vectors: Float[np.ndarray, "N D"], num_labels: int = LABELS) -> Int[np.ndarray, " N"]:
    """Every vector's cluster, by k-means."""
    points = torch.from_numpy(vectors)
    return nearest(points, kmeans(points, min(num_labels, len(points)), seed=SEED)).numpy()


def groups_of(codes: Int[np.ndarray, "N L"], length: int) -> Int[np.ndarray, " N"]:
    """Every item's prefix of a length, numbered from 0."""
    return np.unique(row_keys(codes[:, :length]), return_inverse=True)[1]


def purity(groups: Int[np.ndarray, " N"], labels: Int[np.ndarray, " N"]) -> Chance:
    """sum_p max_c n_pc / N: the share of items that have their prefix's commonest label."""

    def value(labels: Int[np.ndarray, " N"]) -> float:
        shape = (groups.max() + 1, labels.max() + 1)
        table = sparse.csr_matrix((np.ones(len(groups)), (groups, labels)), shape=shape)
        return float(table.max(axis=1).sum()) / len(groups)

    return beside_chance(value, labels)


def user_overlap(groups: Int[np.ndarray, " N"], users: Int[np.ndarray, " E"], items: Int[np.ndarray, " E"]) -> Chance:
    """The mean of |U_i and U_j| (UQF thesis, 6.1) over all pairs of items of one group, counted exactly.

    sum over pairs = (sum_ug n_ug^2 - E) / 2, n_ug: items of group g that user u took.
    """
    sizes = np.bincount(groups).astype(np.float64)
    pairs = float((sizes * (sizes - 1)).sum() / 2)
    if not pairs:
        return Chance(float("nan"), float("nan"), 1.0)

    def value(groups: Int[np.ndarray, " N"]) -> float:
        return (_squares(groups, users, items) - len(items)) / 2 / pairs

    return beside_chance(value, groups)


def overlap_across(groups: Int[np.ndarray, " N"], users: Int[np.ndarray, " E"], items: Int[np.ndarray, " E"]) -> float:
    """The mean of |U_i and U_j| over all pairs of items of different groups; NaN where there is but one."""
    sizes = np.bincount(groups).astype(np.float64)
    pairs = (sizes.sum() ** 2 - (sizes**2).sum()) / 2
    of_users = float((np.bincount(users).astype(np.float64) ** 2).sum()) if len(users) else 0.0
    return (of_users - _squares(groups, users, items)) / 2 / pairs if pairs else float("nan")


@dataclass(frozen=True)
class Siblings:
    """Users that two items of one first code share: under one second code too, and under different ones."""

    within: Chance
    """Beside second codes that change places among the items of each first code."""
    across: float


def siblings(codes: Int[np.ndarray, "N L"], users: Int[np.ndarray, " E"], items: Int[np.ndarray, " E"]) -> Siblings:
    """Users shared by two items of one first code, by their second codes (UQF thesis, figure 6.6), over all pairs.

    All is NaN for ids of one level, and `across` where no first code has two second ones.
    """
    if codes.shape[1] < 2:
        return Siblings(Chance(float("nan"), float("nan"), 1.0), float("nan"))
    first, second = groups_of(codes, 1), groups_of(codes, 2)
    pairs = [float((sizes * (sizes - 1.0)).sum() / 2) for sizes in (np.bincount(first), np.bincount(second))]

    def shared(groups: Int[np.ndarray, " N"]) -> float:
        return (_squares(groups, users, items) - len(items)) / 2

    def value(groups: Int[np.ndarray, " N"]) -> float:
        return shared(groups) / pairs[1]

    if not pairs[1]:
        return Siblings(Chance(float("nan"), float("nan"), 1.0), float("nan"))
    within = beside_chance(value, second, first)
    apart = pairs[0] - pairs[1]
    return Siblings(within, (shared(first) - shared(second)) / apart if apart else float("nan"))


def _squares(groups: Int[np.ndarray, " N"], users: Int[np.ndarray, " E"], items: Int[np.ndarray, " E"]) -> float:
    """sum_ug n_ug^2."""
    taken = np.unique(users * (groups.max() + 1) + groups[items], return_counts=True)[1].astype(np.float64)
    return float((taken * taken).sum())


def beside_chance(
    value: Callable[[Int[np.ndarray, " N"]], float],
    items: Int[np.ndarray, " N"],
    inside: Int[np.ndarray, " N"] | None = None,
) -> Chance:
    """A figure of what items are, in their order, and its mean when they change places at random.

    Args:
        inside: groups within which alone they change places; None: anywhere.
    """
    found = value(items)
    random = np.random.default_rng(SEED)
    drawn = np.array([value(_shuffled(items, inside, random)) for _ in range(PERMUTATIONS)])
    at_least = int((drawn >= found - 1e-12).sum())
    return Chance(found, float(drawn.mean()), (1 + at_least) / (1 + PERMUTATIONS))


def _shuffled(
    items: Int[np.ndarray, " N"], inside: Int[np.ndarray, " N"] | None, random: np.random.Generator
) -> Int[np.ndarray, " N"]:
    if inside is None:
        return random.permutation(items)
    moved = np.empty_like(items)
    moved[np.argsort(inside, kind="stable")] = items[np.lexsort((random.random(len(items)), inside))]
    return moved


def neighbour_recall(codes: Int[np.ndarray, "N L"], vectors: Float[np.ndarray, "N D"]) -> float:
    """The share of an item's k nearest by cosine that are among the k of the longest common prefix with it.

    Items that are equally far by prefix share the places left to them: with a items nearer than a set of b, each of
    the set counts min(1, max(0, (k - a) / b)). Items with zero vectors are left out of the mean. By chance:
    k / (N - 1).

    Example, k = 3, two levels, seven other items: 1 shares both codes with the item, 4 share the first, 2 none. By
    common length `equal` is [2, 4, 1] and `nearer` [5, 1, 0], so `place` is [0, (3 - 1) / 4, 1] = [0, 0.5, 1].
    Nearest three by cosine with common lengths 2, 1, 0: (1 + 0.5 + 0) / 3 = 0.5.
    """
    k = min(NEIGHBOURS, len(vectors) - 1)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    known = np.flatnonzero(np.abs(unit).sum(1) > 0)
    if k < 1 or not len(known):
        return float("nan")
    shares = []
    for item in np.random.default_rng(SEED).permutation(known)[:LOOKED_AT]:
        closeness = unit @ unit[item]
        closeness[item] = -np.inf
        near = np.argpartition(-closeness, k - 1)[:k]
        common = np.cumprod(codes == codes[item], axis=1).sum(1)
        equal = np.bincount(np.delete(common, item), minlength=codes.shape[1] + 1).astype(np.float64)
        nearer = equal[::-1].cumsum()[::-1] - equal
        place = np.clip((k - nearer) / np.maximum(equal, 1), 0, 1)
        shares.append(float(place[common[near]].mean()))
    return float(np.mean(shares))


def vector_recall(vectors: Float[np.ndarray, "N D"], reference: Float[np.ndarray, "N E"]) -> float:
    """The share of an item's k nearest by the cosine of some vectors that are among its k nearest by that of others.

    Items with zero vectors in the reference are left out of the mean. By chance: k / (N - 1).
    """
    k = min(NEIGHBOURS, len(vectors) - 1)
    known = np.flatnonzero(np.abs(reference).sum(1) > 0)
    if k < 1 or not len(known):
        return float("nan")
    found, sought = by_cosine(vectors), by_cosine(reference)
    shares = []
    for item in np.random.default_rng(SEED).permutation(known)[:LOOKED_AT]:
        near = []
        for closeness in (found, sought):
            close = closeness(np.array([item]))[0]
            close[item] = -np.inf
            near.append(np.argpartition(-close, k - 1)[:k])
        shares.append(len(np.intersect1d(near[0], near[1])) / k)
    return float(np.mean(shares))


def learned(counts: Mapping[str, Any]) -> dict[str, float]:
    """How far below chance the held-out loss of each kind of neighbours is, in nats; NaN of a fusion that learns
    nothing.

    Args:
        counts: those of the record of fused vectors.
    """
    valid = counts.get("valid") or {}
    kinds = (STRUCTURE, SEMANTIC)
    return {f"{kind} learned": float(valid.get(f"{kind}_chance", np.nan)) - valid.get(kind, np.nan) for kind in kinds}


def quality(codes: Codes, known: Known, graph: Float[np.ndarray, "N D"], fused: Fused) -> dict[str, float]:
    """Every figure of one index by name.

    Args:
        graph: the items' vectors of the interaction graph, in the order of `known.rows`.
        fused: the vectors that the codes are made of.
    """
    quality, own, vectors = recorded(codes.record), codes.codes[known.rows], fused.vectors(known.rows)
    first = groups_of(own, 1)
    pure, overlap = purity(first, known.labels), user_overlap(first, known.users, known.items)
    named = Chance(float("nan"), float("nan"), 1.0)
    if known.categories is not None:
        named = purity(first, known.categories.labels)
    second = siblings(own, known.users, known.items)
    return {
        "usage": float(np.mean(quality["usage"])),
        "entropy": float(np.mean(quality["entropy"])),
        "distinct": quality["distinct_share"],
        "purity": pure.value,
        "purity by chance": pure.by_chance,
        "category purity": named.value,
        "category purity by chance": named.by_chance,
        "overlap within": overlap.value,
        "overlap across": overlap_across(first, known.users, known.items),
        "overlap p": overlap.p,
        "siblings within": second.within.value,
        "siblings by chance": second.within.by_chance,
        "siblings across": second.across,
        "siblings p": second.within.p,
        "text neighbours": neighbour_recall(own, known.text),
        "graph neighbours": neighbour_recall(own, graph),
        "gini": float(np.mean([gini(np.bincount(groups_of(own, length))) for length in _short_of_whole(own)])),
        "next by prefix": share_found(known.steps, by_prefix(own)),
        "next by vector": share_found(known.steps, by_cosine(vectors)),
        "text near": vector_recall(vectors, known.text),
        "graph near": vector_recall(vectors, graph),
        **learned(fused.record.counts),
    }


def _short_of_whole(codes: Int[np.ndarray, "N L"]) -> range:
    """The lengths of prefixes that items share: whole ids are unique."""
    return range(1, max(2, codes.shape[1]))


def predict(figures: Sequence[Mapping[str, float]], metric: Sequence[float]) -> dict[str, Correlation]:
    """Each figure's rank correlation with a metric, over those indexes of which it can be said."""
    found = {}
    for name in figures[0] if figures else ():
        column, values = np.array([each[name] for each in figures]), np.asarray(metric)
        column, values = column[np.isfinite(column)], values[np.isfinite(column)]
        varied = len(column) > 2 and np.ptp(column) > 0 and np.ptp(values) > 0
        correlation, p = _rank_correlation(column, values) if varied else (float("nan"), 1.0)
        found[name] = Correlation(correlation, p, len(column))
    return found


def _rank_correlation(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Spearman's correlation and its p; scipy's own p is that of many points, and 0 for three in order."""
    x, y = (stats.zscore(stats.rankdata(values)) for values in (x, y))
    result = stats.permutation_test(
        (x,), lambda values, axis: (values * y).mean(axis), permutation_type="pairings", vectorized=True, rng=0
    )
    return float(result.statistic), float(result.pvalue)
