"""Baselines of any kind, fitted on small catalogs as the stage fits them."""

from dataclasses import fields, replace

from tests.stages import ring
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.baselines import Baseline, BaselineConfig, with_memory
from unisid.config import plug_in, plug_ins
from unisid.graphs import lightgcn
from unisid.runtime.local import LocalCompute
from unisid.stages import baseline, graph
from unisid.training.loop import Training

KINDS = plug_ins("baselines")


def settings(kind: str, **changes: object) -> BaselineConfig:
    """The defaults of a kind, with those of the changes that it, or what it is made of, has."""
    config: BaselineConfig = plug_in("baselines", kind)()
    if isinstance(config, with_memory.Config):
        return replace(config, baseline=settings(config.baseline.kind, **changes))
    known = {field.name for field in fields(config)}  # type: ignore[arg-type]
    return replace(config, **{name: value for name, value in changes.items() if name in known})  # type: ignore[type-var]


def inputs(config: BaselineConfig, catalog: Catalog) -> dict[str, Place]:
    """What the kind reads, made where it is not there."""
    found = {"catalog": catalog.place}
    if "graph" in config.reads:
        made, at = graph.Config(graph=lightgcn.Config(num_layers=1, width=8), epochs=2), catalog.place / "graph"
        counts = graph.make(ring.job(made, found, at, LocalCompute()))
        ring.record(at, "graph", {}, counts)
        found["graph"] = at
    return found


def fit(config: BaselineConfig, catalog: Catalog, out: Place, **training: object) -> Baseline:
    """Fit by the stage, and load what it wrote."""
    how = Training(**{"epochs": 2, "learning_rate": 1e-2, "schedule": "constant", **training})  # type: ignore[arg-type]
    read = inputs(config, catalog)
    made = baseline.Config(baseline=config, training=how, batch_size=32, resamples=10)
    counts = baseline.make(ring.job(made, read, out, LocalCompute()))
    ring.record(out, "baseline", {}, counts)
    return baseline.load(out, read)
