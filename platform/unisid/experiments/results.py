"""What an experiment found: read back from the artifacts that judge its cells, and written as tables and plots."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from unisid import legend
from unisid.artifacts.baseline import Baseline
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.curve import read_curve
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.fused import Fused
from unisid.artifacts.graph import Graph
from unisid.artifacts.metrics import CUTOFFS, HISTORY_RULES, Metrics
from unisid.artifacts.record import Record
from unisid.artifacts.store import Place, Store
from unisid.config import json_text
from unisid.errors import ArtifactError
from unisid.evaluation import figures
from unisid.evaluation.groups import THIRDS
from unisid.evaluation.index import recorded
from unisid.experiments import indexes
from unisid.experiments.definition import Experiment
from unisid.ops.by_user import Users
from unisid.planning import plan
from unisid.report import experiment as shown
from unisid.report import experiment_plots, interpret
from unisid.report.plots import Drawing, png
from unisid.report.tables import comma_separated
from unisid.trials.trial import Trial


def place_of(store: Store, trial: Trial) -> Place:
    """Where the artifact lies, or will lie, that judges a cell."""
    return store.place(plan(trial.recipe, store, trial.until)[-1].address)


@dataclass(frozen=True)
class Judged:
    """The artifact that evaluates a cell: `metrics` of a model, or `baseline`."""

    place: Place
    record: Record
    method: str
    """As the artifact calls it."""
    samples: Int[np.ndarray, "S 2"]
    """User and target."""
    ranks: dict[str, Float[np.ndarray, " S"]]
    """History rule -> the ranks, NaN where not ranked."""

    @classmethod
    def of(cls, store: Store, trial: Trial) -> "Judged":
        """Raises ArtifactError where it is not complete."""
        place = place_of(store, trial)
        if trial.until == "baseline":
            baseline = Baseline.read(place)
            record, method, table = baseline.record, baseline.method, baseline.ranks()
        else:
            metrics = Metrics.read(place)
            method = str(metrics.record.config["method"])
            record, table = metrics.record, metrics.ranks(method)
        samples = np.column_stack([table["user"].to_numpy(), table["target"].to_numpy()]).astype(np.int64)
        ranks = {rule: table[rule].to_numpy().astype(np.float64) for rule in HISTORY_RULES}
        return cls(place, record, method, samples, ranks)

    @property
    def cutoffs(self) -> tuple[int, ...]:
        return tuple(map(int, self.record.figures("cutoffs")))


def means_of(store: Store, trial: Trial) -> dict[str, float]:
    """A complete cell's headline figures: 'HR@10 excluded' and so on, or of its index alone."""
    if trial.until == "codes":
        known = recorded(Codes.read(place_of(store, trial)).record)
        return {"distinct": known["distinct_share"], "entropy": float(np.mean(known["entropy"]))}
    judged = Judged.of(store, trial)
    means = {rule: judged.record.part("means", judged.method, rule) for rule in HISTORY_RULES}
    return {f"{name} {rule}": value for rule in HISTORY_RULES for name, value in means[rule].items()}


def write(folder: Place, experiment: Experiment, store: Store, trials: Sequence[Trial]) -> str:
    """Writes the table, as text, Markdown, CSV and JSON, and the plots; returns what the console shows of it.

    Raises:
        ArtifactError: two cells were judged on other samples.
    """
    ranked = [(trial, Judged.of(store, trial)) for trial in trials if trial.until != "codes"]
    seen = IndexQuality(store, trials)
    table = _table(experiment, ranked)
    folder.write("indexes.json", _indexes(seen.figures, ranked, table.cutoffs))
    correlations = _correlations(seen.figures, ranked, table.cutoffs) if ranked else {}
    text = shown.text(table, seen.figures, correlations)
    folder.write("table.txt", (text + "\n").encode())
    folder.write("table.md", shown.markdown(table, seen.figures, correlations).encode())
    folder.write("cells.csv", comma_separated(cells_of(table)))
    folder.write("results.json", (json_text(shown.plain(table, seen.figures, correlations)) + "\n").encode())
    found = _curves(store, trials)
    learned = {"curves": experiment_plots.curves(found)} if found else {}
    for name, picture in (experiment_plots.plots(table) | seen.plots(experiment.reference) | learned).items():
        folder.write(f"{name}.png", png(picture))
    return f"\n{text}\n\nexperiment  {folder}"


def _table(experiment: Experiment, ranked: Sequence[tuple[Trial, Judged]]) -> shown.Table:
    by_method: dict[str, list[Judged]] = {}
    seeds: dict[str, list[int]] = {}
    for trial, judged in ranked:
        by_method.setdefault(trial.settings["method"], []).append(judged)
        seeds.setdefault(trial.settings["method"], []).append(trial.seed or 0)
    cutoffs = _cutoffs(by_method)
    rules = {}
    for rule in HISTORY_RULES if ranked else ():
        values = {
            name: figures.values_of([cell.ranks[rule] for cell in own], cutoffs) for name, own in by_method.items()
        }
        rules[rule] = _results(values, Users.of(ranked[0][1].samples[:, 0]), experiment.reference, cutoffs)
    return shown.Table(
        title=experiment.name,
        question=experiment.question,
        seeds=seeds,
        num_samples=len(ranked[0][1].samples) if ranked else 0,
        cutoffs=cutoffs,
        ours=experiment.reference,
        rules=rules,
        printed=experiment.cutoffs,
        spread=_spread(by_method) if experiment.cutoffs else {},
        axis=experiment.axis,
        at={m.name: m.at for m in experiment.methods if m.at is not None},
    )


def _spread(by_method: Mapping[str, Sequence[Judged]]) -> dict[str, dict[str, float]]:
    """method -> coverage, Gini and novelty of its lists, and HR of targets by popularity; mean over its cells."""
    found = {}
    for method, cells in by_method.items():
        each = [lists_of(cell.record) for cell in cells if "lists" in cell.record.counts]
        names = dict.fromkeys(name for own in each for name in own)
        found[method] = {name: float(np.mean([own[name] for own in each if name in own])) for name in names}
    return {method: own for method, own in found.items() if own}


def lists_of(record: Record) -> dict[str, float]:
    """Of one cell."""
    lists, groups = record.part("lists"), record.part("groups", "excluded")
    hit = {
        f"{metric} {name}": float(value)
        for name in THIRDS
        if name in groups
        for metric, value in groups[name].items()
        if metric.startswith("HR@")
    }
    return {name: float(lists[name]) for name in ("coverage", "gini", "novelty")} | hit


def _curves(store: Store, trials: Sequence[Trial]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Method -> figure -> its values by step, of the recommenders' validations under the first seed; empty where fewer
    than two recommenders were trained."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for trial in trials:
        places = {e.noun: store.place(e.address) for e in plan(trial.recipe, store, trial.until)}
        if "model" in places and trial.settings["method"] not in found:
            by_name: dict[str, list[tuple[int, float]]] = {}
            for step, name, value in read_curve(places["model"]):
                if name.startswith("valid_") and legend.figure("model", name) is not None:
                    by_name.setdefault(name.removeprefix("valid_"), []).append((step, value))
            found[trial.settings["method"]] = by_name
    return found if len(found) > 1 else {}


class IndexQuality:
    """At the indexes of trials that have one: every figure, and what the prefixes of one mean."""

    def __init__(self, store: Store, trials: Sequence[Trial]) -> None:
        self.figures: dict[str, dict[str, float]] = {}
        """By the recipe's name."""
        self._by_method: dict[str, list[dict[str, float]]] = {}
        self._known: dict[str, indexes.Known] = {}
        self._codes: dict[str, tuple[NDArray[np.int32], indexes.Known, Catalog]] = {}
        for trial in trials:
            places = {e.noun: store.place(e.address) for e in plan(trial.recipe, store, trial.until)}
            if {"codes", "embeddings", "graph", "fused"} <= set(places):
                self._look(trial, places)

    def _look(self, trial: Trial, places: Mapping[str, Place]) -> None:
        where, catalog = places["embeddings"].uri, Catalog.read(places["catalog"])
        if where not in self._known:
            self._known[where] = indexes.Known.of(catalog, Embeddings.read(places["embeddings"]))
        known, codes = self._known[where], Codes.read(places["codes"])
        graph = Graph.read(places["graph"]).layers(known.rows).mean(1)
        self.figures[trial.recipe.name] = indexes.quality(codes, known, graph, Fused.read(places["fused"]))
        self._by_method.setdefault(trial.settings["method"], []).append(self.figures[trial.recipe.name])
        self._codes.setdefault(trial.settings["method"], (codes.codes[known.rows], known, catalog))

    def plots(self, method: str) -> dict[str, Drawing]:
        """The figures of all methods' indexes; of one method's first index, the labels of its prefixes and the users
        that their items share."""
        found = {"indexes": experiment_plots.figures_of_indexes(self._by_method, method)} if self._by_method else {}
        if method not in self._codes:
            return found
        codes, known, catalog = self._codes[method]
        if (kinds := known.categories) is not None:
            labels, names, source = kinds.labels, kinds.names, f"column '{kinds.column}'"
        else:
            titles = [title or "" for title in catalog.titles.take(known.rows).to_pylist()]
            labels, names, source = known.labels, interpret.name_labels(titles, known.labels), "clusters of text"
        return found | {
            "labels": interpret.labels_of_prefixes(codes, labels, names, source),
            "shared-users": interpret.shared_users(codes, known.users, known.items),
        }


def _results(
    values: dict[str, Float[NDArray[np.float64], "n S M"]], users: Users, reference: str, cutoffs: Sequence[int]
) -> shown.Results:
    """Of one history rule."""
    others = {name: each for name, each in values.items() if name != reference and reference in values}
    return shown.Results(
        figures={name: figures.over_seeds(each, users, cutoffs) for name, each in values.items()},
        comparisons=figures.comparisons(values[reference], others, users, cutoffs) if others else {},
        over_cutoffs={
            name: figures.over_cutoffs(values[reference].mean((0, 1)), each.mean((0, 1)))
            for name, each in others.items()
        },
    )


def _correlations(
    qualities: Mapping[str, Mapping[str, float]], ranked: Sequence[tuple[Trial, Judged]], cutoffs: Sequence[int]
) -> dict[str, figures.Correlation]:
    """How each figure of an index goes with its recommender's NDCG, history excluded."""
    nearest = min(cutoffs, key=lambda k: abs(k - 10))
    having = [(trial.recipe.name, judged) for trial, judged in ranked if trial.recipe.name in qualities]
    metric = [float(figures.values_of([judged.ranks["excluded"]], [nearest])[0, :, 1].mean()) for _, judged in having]
    return indexes.predict([qualities[name] for name, _ in having], metric) if len(having) > 2 else {}


def _indexes(
    qualities: Mapping[str, Mapping[str, float]], ranked: Sequence[tuple[Trial, "Judged"]], cutoffs: Sequence[int]
) -> bytes:
    """Of every index its figures, and of its recommender the NDCG, history excluded, by the recipe's name; as JSON."""
    having = [(trial.recipe.name, judged) for trial, judged in ranked if trial.recipe.name in qualities]
    metric = {
        name: float(
            figures.values_of([judged.ranks["excluded"]], [min(cutoffs, key=lambda k: abs(k - 10))])[..., 1].mean()
        )
        for name, judged in having
    }
    return (json_text({"indexes": qualities, "ndcg": metric}) + "\n").encode()


def _cutoffs(judged: dict[str, list[Judged]]) -> tuple[int, ...]:
    """The cut-offs that all cells have; refuses cells of other test samples."""
    every = [(name, cell) for name, own in judged.items() for cell in own]
    if not every:
        return ()
    first_name, first = every[0]
    for name, cell in every[1:]:
        if not np.array_equal(cell.samples, first.samples):
            raise ArtifactError(
                f"experiment: {name} was judged on {len(cell.samples)} samples that are not the "
                f"{len(first.samples)} of {first_name}; all methods must come from one catalog"
            )
    shared = set(CUTOFFS).intersection(*(cell.cutoffs for _, cell in every))
    return tuple(sorted(shared or set(first.cutoffs)))


def cells_of(table: shown.Table) -> Iterator[tuple[object, ...]]:
    """A heading, then every cell, metric and history rule as a row."""
    yield "method", "history", "metric", "seed", "value"
    for rule, results in table.rules.items():
        for method, cells in results.figures.items():
            for metric, figure in cells.items():
                for seed, value in zip(table.seeds[method], figure.by_seed, strict=True):
                    yield method, rule, metric, seed, value
