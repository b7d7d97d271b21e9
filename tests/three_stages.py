"""A flow of three stages that write a few bytes, for tests of the pipeline itself."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.lines import logged
from unisid import pipeline, planning
from unisid.artifacts.store import Address
from unisid.config import runtime
from unisid.legend import NDCG
from unisid.report import html
from unisid.runtime.local import LocalCompute

MADE: list[str] = []
CODES = Address.parse("codes/r/1")


@dataclass(frozen=True, kw_only=True)
class Config:
    size: int = 1
    workers: int = runtime(1)
    fail: bool = runtime(False)


def stage(noun: str, inputs: tuple[str, ...]) -> SimpleNamespace:
    def make(job: Any) -> dict[str, Any]:
        MADE.append(noun)
        job.out.write("part-0", b"x" * job.config.size)
        if job.config.fail:
            raise RuntimeError("pulled plug")
        job.judged_by(NDCG)
        job.report({"loss": 0.5, "step": 3})
        job.report({"step": 4, "parts_done": 1, "parts_total": 2, "parts_per_second": 1.0})
        text = (
            b"".join(job.inputs[role].read("data") for role in inputs if role in job.inputs)
            + noun[:1].encode() * job.config.size
        )
        job.out.write("data", text)
        return {"size": job.config.size}

    return SimpleNamespace(inputs=lambda config: inputs, make=make, Config=Config, sources=lambda config: {})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    name: str = "r"
    version: str = "1"
    note: str = ""
    catalog: Config = field(default_factory=Config)
    embeddings: Config | None = field(default_factory=Config)
    codes: Config = field(default_factory=Config)


def use_small_stages(monkeypatch):
    """Make the pipeline one of three stages that take no time; what they make is in MADE."""
    flow = {"catalog": (), "embeddings": ("catalog",), "codes": ("catalog", "embeddings")}
    monkeypatch.setattr(planning, "STAGES", {noun: stage(noun, inputs) for noun, inputs in flow.items()})
    monkeypatch.setattr(html, "write_report", lambda places, out, note: None)
    MADE.clear()


def run(store, recipe, until="codes"):
    with logged() as said:
        return pipeline.run(recipe, store, LocalCompute(), pipeline.NullTracker(), until), said


def states(store, recipe):
    return {e.noun: e.state for e in pipeline.plan(recipe, store, "codes")}
