"""Content of a report, gathered once from the artifacts and their records. Missing parts are left out.

Item numbers are shuffled, so the first items of a large catalogue are a fair sample of it. N items, L levels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid import legend
from unisid.artifacts.codes import Codes
from unisid.artifacts.curve import read_curve, read_score
from unisid.artifacts.metrics import HISTORY_RULES, HistoryRule, Metrics
from unisid.artifacts.model import Model
from unisid.artifacts.record import Record, read_record
from unisid.artifacts.roles import noun_of
from unisid.artifacts.store import NOUNS, Place
from unisid.artifacts.tables import open_table, read_group, table_names
from unisid.evaluation.groups import in_order
from unisid.ops.prefixes import row_keys
from unisid.ops.ranking import MEASURES
from unisid.stages.catalog.summary import OTHER_RULE, repeated_targets

CODES_READ = 1 << 20
"""Items whose codes a report looks at, at most."""
ROWS_READ = 1 << 23
"""Interactions that a report counts, at most: those of the first users."""
TEXT_READ = 300
"""Letters of a text that name an item, at most."""
LEAK = "LEAK: the graph learned from validation and test interactions too; these figures are for comparison only."


@dataclass(frozen=True)
class Results:
    """The metrics as a reader wants them: the model first, then its baselines."""

    methods: list[str]
    cutoffs: list[int]
    means: dict[str, Any]
    """method -> history rule -> metric -> {"mean", "low", "high"}."""
    comparisons: dict[str, Any]
    """baseline -> history rule -> metric -> {"difference", "low", "high", "p", "cohens_d"}."""
    counts: dict[str, Any]

    @property
    def metrics(self) -> list[str]:
        """HR, NDCG and MRR, as far as the artifact has them: MRR is younger than the others."""
        own = self.means[self.methods[0]][HISTORY_RULES[0]]
        return [name for name in MEASURES if f"{name}@{self.cutoffs[0]}" in own]

    @property
    def lists(self) -> dict[str, dict[str, float]]:
        """method -> the diversity of its lists, of those of which it was measured."""
        own = {self.methods[0]: self.counts.get("lists")} | self.counts.get("baseline_lists", {})
        return {method: own[method] for method in self.methods if own.get(method)}

    @property
    def warning(self) -> str:
        """The warning where most targets repeat their history; else empty."""
        return repeated_targets(self.counts.get("targets_taken_before", 0), self.counts["samples"], "test", OTHER_RULE)

    @property
    def rule(self) -> HistoryRule:
        """The history rule that a verdict goes by: excluded, where enough targets are left under it."""
        return "allowed" if self.warning else "excluded"


@dataclass(frozen=True)
class Index:
    """The semantic ids of the first items, with their titles."""

    sizes: tuple[int, ...]
    num_items: int
    codes: NDArray[np.int32]
    titles: list[str]
    quality: dict[str, Any]


@dataclass(frozen=True)
class Activity:
    """How the interactions are spread over users and items."""

    users: int
    """Whose interactions were counted: all, or the first ones of a large catalogue."""
    by_length: dict[str, int]
    """'4–7' -> users with so many interactions; each span is twice as wide as the one before."""
    typical: dict[str, int]
    """fewest, median, nine of ten (at most), most -> interactions of such a user."""
    head_share: float
    """The share of interactions that the most popular tenth of the items has."""


def records(places: Mapping[str, Place]) -> dict[str, Record]:
    """The complete artifacts' records, in the order of the flow."""
    found = {noun: read_record(places[noun]) for noun in NOUNS if noun in places}
    return {noun: record for noun, record in found.items() if record is not None}


def leak(places: Mapping[str, Place]) -> str:
    """The warning where the graph saw the evaluation targets; else empty."""
    graph = records(places).get("graph")
    return LEAK if graph is not None and graph.counts.get("leaky") else ""


def results(places: Mapping[str, Place]) -> Results | None:
    """The metrics, or None where none are complete."""
    record = records(places).get("metrics")
    if record is None:
        return None
    found = Metrics(places["metrics"], record)
    methods, compared = [record.config["method"], *record.config["baselines"]], found.comparisons()
    methods += [method for method in compared if method not in methods]
    counts = record.counts | {"samples": record.count("samples")}
    return Results(methods, [int(k) for k in record.figures("cutoffs")], found.results(), compared, counts)


def groups(places: Mapping[str, Place]) -> dict[str, Any]:
    """method -> history rule -> group of samples, in the order of tables -> figures; empty where none are complete."""
    record = records(places).get("metrics")
    found = {} if record is None else Metrics(places["metrics"], record).groups()
    return {method: {rule: in_order(each) for rule, each in by_rule.items()} for method, by_rule in found.items()}


def index(places: Mapping[str, Place], titles: int) -> Index | None:
    """The semantic ids, with at most so many titles, or None where no codes are complete."""
    known = records(places)
    if "codes" not in known or "catalog" not in known:
        return None
    codes = Codes(places["codes"], known["codes"])
    column = head(places["codes"], "items", "codes", CODES_READ)
    rows = column.flatten().to_numpy().reshape(-1, codes.num_levels)
    names = head(places["catalog"], "items", "title", min(titles, len(rows))).to_pylist()
    quality = known["codes"].counts.get("quality", {})
    return Index(codes.sizes, known["catalog"].count("items"), rows, [n or "" for n in names], quality)


def activity(places: Mapping[str, Place]) -> Activity | None:
    """How the interactions are spread, or None where there are none."""
    record = records(places).get("catalog")
    if record is None or not table_names(places["catalog"], "interactions"):
        return None
    user, item = (head(places["catalog"], "interactions", name, ROWS_READ).to_numpy() for name in ("user", "item"))
    if len(user) == ROWS_READ:  # the last user's may go on
        user, item = (column[: np.searchsorted(user, user[-1])] for column in (user, item))
    lengths = np.unique(user, return_counts=True)[1]
    if not len(lengths):
        return None
    spans = np.bincount(np.floor(np.log2(lengths)).astype(int))
    named = {f"{2**n}–{2 ** (n + 1) - 1}" if n else "1": int(users) for n, users in enumerate(spans)}
    while next(iter(named.values())) == 0:
        named.pop(next(iter(named)))
    marks = np.quantile(lengths, [0, 0.5, 0.9, 1], method="inverted_cdf").astype(int).tolist()
    typical = dict(zip(("fewest", "median", "nine of ten", "most"), marks, strict=True))
    taken = np.sort(np.bincount(item, minlength=record.count("items")))[::-1]
    tenth = taken[: max(1, len(taken) // 10)].sum() / len(item)
    return Activity(len(lengths), named, typical, float(tenth))


def new_rows(places: Mapping[str, Place]) -> tuple[NDArray[Any], NDArray[Any], tuple[int, ...]] | None:
    """The rows of a language model's new tokens before training and after, and the sizes of the levels; None for other
    recommenders."""
    known = records(places)
    if not {"model", "codes"} <= set(known):
        return None
    found = Model(places["model"], known["model"]).new_rows()
    sizes = Codes(places["codes"], known["codes"]).sizes
    if not found or len(found["first"]) != sum(sizes):
        return None
    return found["first"].numpy(), found["last"].numpy(), sizes


def texts(places: Mapping[str, Place], most: int) -> list[str]:
    """The beginnings of the first items' texts, which start with the titles; the titles of a catalog without texts."""
    place = places["catalog"]
    column = "text" if "text" in open_table(place, table_names(place, "items")[0]).schema_arrow.names else "title"
    return [(text or "")[:TEXT_READ] for text in head(place, "items", column, most).to_pylist()]


def head(place: Place, family: str, column: str, rows: int) -> pa.Array:
    """The first rows of a table's column, reading no more than they need."""
    pieces: list[pa.Array] = []
    for name in table_names(place, family):
        file = open_table(place, name)
        for group in range(file.num_row_groups):
            found = read_group(place, name, file, group, [column])[column].combine_chunks()
            pieces.append(found[: rows - sum(map(len, pieces))])
            if sum(map(len, pieces)) >= rows:
                return pa.concat_arrays(pieces)
    return pa.concat_arrays(pieces)


def curves(places: Mapping[str, Place]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """noun -> name -> (step, value), of all that the stages reported."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for noun in records(places):
        for step, name, value in read_curve(places[noun]):
            found.setdefault(noun, {}).setdefault(name, []).append((step, value))
    return found


def scores(places: Mapping[str, Place]) -> dict[str, legend.Figure]:
    """noun -> what its curve's `valid_score` is: as the curve says, else as its noun and settings do."""
    found: dict[str, legend.Figure] = {}
    for noun, record in records(places).items():
        by_loss = noun_of(noun) == "model" and record.config.get("select") == "loss"
        older = legend.LOSS if by_loss else legend.SCORES.get(noun_of(noun))
        if (score := read_score(places[noun]) or older) is not None:
            found[noun] = score
    return found


def example_prefix(found: Index, least: int = 10) -> tuple[int, ...]:
    """A prefix to show: the longest that at least so many titled items share; among those, the fullest."""
    codes = found.codes[: len(found.titles)]
    best: tuple[int, ...] = ()
    for length in range(1, codes.shape[1] + 1):
        keys, first, counts = np.unique(row_keys(codes[:, :length]), return_index=True, return_counts=True)
        if not len(keys) or (length > 1 and counts.max() < least):
            break
        best = tuple(codes[first[counts.argmax()], :length].tolist())
    return best


def items_of(found: Index, prefix: tuple[int, ...]) -> list[int]:
    """The titled items under a prefix, by semantic id."""
    codes = found.codes[: len(found.titles)]
    inside = np.flatnonzero((codes[:, : len(prefix)] == np.array(prefix, np.int64)).all(1))
    return [int(i) for i in inside[np.lexsort(codes[inside].T[::-1])]]
