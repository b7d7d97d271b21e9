"""`unisid experiment`."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from unisid.cli.configured import configured, show_settings
from unisid.cli.options import UNSAID, Flag, Machines, at_most_one, several, shown
from unisid.cli.session import Configured
from unisid.config import json_text
from unisid.errors import ConfigError
from unisid.log import logger

if TYPE_CHECKING:
    from unisid.artifacts.store import Store
    from unisid.config import Json
    from unisid.experiments.definition import Experiment as ExperimentOf
    from unisid.experiments.definition import Series
    from unisid.planning import Recipe

LOG = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Experiment(Configured):
    """Compare methods on one catalogue, under several seeds, in one table."""

    writes = True
    experiment: Annotated[Positional[str], at_most_one("EXPERIMENT"), UNSAID] = ""
    """a ready experiment's name, or file.py:function; none lists them"""
    recipe: Annotated[str, arg(name="dataset", metavar="RECIPE")] = "demo"
    """gives data, sizes and budgets: a recipe's name or file.py:function; its settings may follow"""
    seeds: Annotated[tuple[int, ...], several(int, "SEED")] = (42, 43, 44)
    """of everything learned"""
    methods: Annotated[tuple[str, ...], several(str, "METHOD"), UNSAID] = ()
    """only these of its methods"""
    concurrent: Annotated[int | None, shown("INT", "as many as fit")] = None
    """at most so many cells at once"""
    compute: Machines = "ray"
    """where the work is done"""
    json: Flag = False
    """print JSON instead of tables"""

    def act(self) -> None:
        from unisid.experiments import definition
        from unisid.experiments.run import run
        from unisid.experiments.series import run_series

        base, store, session = configured(self, self.recipe, configure), self.session.opened, self.session
        if not self.experiment:
            known = {n: (made.__doc__ or "").strip().splitlines()[0] for n, made in sorted(definition.ready().items())}
            rows = [{"name": name, "text": line} for name, line in known.items()]
            return print(json_text(rows) if self.json else "\n".join(f"{n:<20}{line}" for n, line in known.items()))
        found = definition.find(self.experiment, base).only(self.methods)
        self._say_what_stays(found, base)
        with session.machines(self.compute) as compute:
            runner = session.runner(self.compute, compute, self.concurrent)
            tracker = session.experiment_tracker()
            said = LOG.debug if self.json else print
            if isinstance(found, definition.Series):
                folder = run_series(found, base, self.seeds, store, compute, runner, tracker, said)
                names = [chapter.experiment.name for chapter in found.chapters]
            else:
                folder = run(found, base, self.seeds, store, compute, runner, tracker, said)
                names = [found.name]
        if self.json:
            results = {name: _results(store, base.name, name) for name in names}
            print(json_text({"folder": str(folder), "experiments": results}))

    def _say_what_stays(self, found: ExperimentOf | Series, base: Recipe) -> None:
        """Name the settings that were given and do not reach a method, which has its own."""
        from unisid import recipes
        from unisid.experiments.definition import Series, own_settings

        if not self.settings:
            return
        plain = recipes.find(self.recipe)
        experiments = [c.experiment for c in found.chapters] if isinstance(found, Series) else [found]
        kept = {name: own for each in experiments for name, own in own_settings(each, plain, base).items()}
        for name, own in kept.items():
            LOG.info("%s keeps its own %s", name, "; ".join(f"{key} {value}" for key, value in sorted(own.items())))

    def show_settings(self, prog: str) -> None:
        if self.experiment:
            show_settings(self.recipe, f"{prog} {self.experiment} --dataset", configure)


def _results(store: Store, base: str, name: str) -> Json:
    """The table of an experiment as it lies beside its figures."""
    found: Json = json.loads((store.root / "experiments" / f"{base}-{name}").read("results.json"))
    return found


def configure(
    base: Recipe, words: list[str], prog: str = "unisid experiment NAME", own: Collection[str] = ()
) -> Recipe:
    """The dataset's recipe with `--section.key value` applied, where `baseline` is what all baselines share.

    A recipe without a baseline is shown the default one; it stays without unless a word sets something of it.
    """
    from unisid import recipes
    from unisid.experiments.definition import baselines_share

    found = recipes.configure(replace(base, baseline=baselines_share(base)), words, prog, own)
    if base.baseline is not None:
        return found
    if any(word.startswith("--baseline.baseline") for word in words):
        raise ConfigError(
            f"recipe '{base.name}': --baseline.baseline is what differs between baselines, and "
            "the experiment says it; set what they share: --baseline.training, .pool, ..."
        )
    found = replace(found, baseline=None)
    if not any(word.startswith("--baseline.") for word in words):
        return found
    return recipes.configure(replace(base, baseline=baselines_share(found)), words, prog, own)
