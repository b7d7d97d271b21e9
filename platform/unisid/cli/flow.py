"""`unisid plan`, `run`, `sync` and `recipes`."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from unisid.cli.configured import RecipeCommand
from unisid.cli.options import Flag, Machines, shown, text
from unisid.cli.session import Command
from unisid.config import json_text

if TYPE_CHECKING:
    from unisid.artifacts.store import Place, Store
    from unisid.config import Json
    from unisid.planning import Recipe

Until = Annotated[str | None, text("NOUN", "metrics")]


@dataclass(frozen=True, kw_only=True)
class Plan(RecipeCommand):
    """Print the tree of a recipe's artifacts: what exists and what would run."""

    until: Until = None
    """the last artifact to make"""
    json: Flag = False
    """print JSON instead of a tree or a table"""
    without_data: Flag = False
    """plan where the raw data are not at hand"""
    items: Annotated[float | None, shown("N")] = None
    """instead: what a run over so many items takes (1e8), from measured rates, and whether it fits"""
    on: Annotated[str, text("MACHINES", "8xH100")] = "8xH100"
    """with --items: 8xH100, 2xcpu, or here: as calibrated in this store"""
    kept_states: Annotated[float, shown("N")] = 0
    """with --items: the items whose token states are kept; 0: all"""
    price: Annotated[float | None, shown("DOLLARS")] = None
    """with --items: what a device costs an hour"""
    calibrate: Flag = False
    """measure the recipe's stages on this machine first, in two minutes"""

    @property
    def makes(self) -> bool:
        return self.calibrate

    def act(self) -> None:
        if self.calibrate:
            from unisid.capacity.calibrate import calibrate

            calibrate(self.recipe or "demo", self.session.opened)
        if self.items is not None:
            from unisid.cli import capacity

            bound = self.configured().catalog.memory if self.recipe else None
            given = self.items, self.on, self.kept_states, self.price, self.session.opened, self.json
            capacity.show(*given, sorted_in=bound or 0.0)
        if self.items is not None or self.calibrate:
            return
        from unisid.artifacts.store import NOUNS
        from unisid.expected import expected, lacks_catalog
        from unisid.planning import plan
        from unisid.report.tables import plan_tree
        from unisid.stages.catalog.on_disk.memory import bound_of
        from unisid.stages.catalog.raw_sizes import raw_sizes

        recipe, until, store = self.configured(), NOUNS[-1] if self.until is None else self.until, self.session.opened
        entries = plan(recipe, store, until, without_data=self.without_data)
        unread = self.without_data or not lacks_catalog(entries)
        sizes = {} if unread else raw_sizes(recipe.catalog)
        taking = expected(entries, store, sizes, bound_of(recipe.catalog, sizes.get("interactions", 0)))
        if not self.json:
            return print(plan_tree(entries, taking))
        nothing = dict.fromkeys(("seconds", "memory", "device_memory"))
        by_role = {role: dataclasses.asdict(found) for role, found in taking.items()}
        rows = [dataclasses.asdict(e) | {"address": str(e.address)} | by_role.get(e.noun, nothing) for e in entries]
        print(json_text(rows))


@dataclass(frozen=True, kw_only=True)
class Run(RecipeCommand):
    """Make what a recipe still lacks, and print the results."""

    writes = True
    until: Until = None
    """the last artifact to make"""
    compute: Machines = "ray"
    """where the work is done"""
    json: Flag = False
    """print JSON instead of tables"""

    def act(self) -> None:
        from unisid import pipeline
        from unisid.artifacts.store import NOUNS

        recipe, store, session = self.configured(), self.session.opened, self.session
        until = NOUNS[-1] if self.until is None else self.until
        places = pipeline.run_on(recipe, store, lambda: session.machines(self.compute), session.tracker(), until)
        if self.json:
            print(json_text(_facts(recipe, store, places)))
        else:
            _results(recipe, store, places)


@dataclass(frozen=True, kw_only=True)
class Sync(RecipeCommand):
    """Log a recipe's complete artifacts to MLflow (when it was away during the run)."""

    writes = True
    json: Flag = False
    """print JSON instead of lines"""

    def act(self) -> None:
        from unisid import pipeline

        store = self.session.opened
        logged = [str(address) for address in pipeline.sync(self.configured(), store, self.session.tracker())]
        print(json_text(logged) if self.json else "\n".join(f"logged to MLflow: {address}" for address in logged))


@dataclass(frozen=True, kw_only=True)
class Recipes(Command):
    """List the ready recipes."""

    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid import recipes

        rows = {n: (made.__doc__ or "").strip().splitlines()[0] for n, made in sorted(recipes.ready().items())}
        if self.json:
            print(json_text([{"name": name, "text": line} for name, line in rows.items()]))
            return
        for name, line in rows.items():
            print(f"{name:<24}{line}")


def _facts(recipe: Recipe, store: Store, places: dict[str, Place]) -> Json:
    """The artifacts that a run made or reused, and its metrics where there are any, for `--json`."""
    from unisid.api.flows import Run as Made

    made = Made(recipe, store, places)
    ranked = "metrics" in places
    return {
        "artifacts": {noun: str(place) for noun, place in places.items()},
        "report": made.report,
        "note": recipe.note,
        "figures": made.metrics().to_pylist() if ranked else [],
        "groups": made.groups().to_pylist() if ranked else [],
        "lists": made.lists() if ranked else {},
        "baseline_lists": made.baseline_lists() if ranked else {},
    }


def _results(recipe: Recipe, store: Store, places: dict[str, Place]) -> None:
    from unisid.pipeline import report_place
    from unisid.report.tables import results
    from unisid.runtime.tracking_place import how_to_look

    if shown := results(places):
        print(shown)
    if recipe.note:
        print(f"\nNote: {recipe.note}")
    print("\nartifacts")
    for place in places.values():
        print(f"  {place}")
    print(f"report   {report_place(recipe, store) / 'report.html'}")
    print(f"MLflow   {how_to_look(store.root)}")
