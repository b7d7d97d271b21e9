"""`unisid search`: arguments and execution."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unisid.artifacts.store import Store
    from unisid.compute import Compute
    from unisid.pipeline import Recipe
    from unisid.runtime.trials import Runner
    from unisid.search.definition import Search
    from unisid.trials.telling import ExperimentTracker

    Machines = Callable[[str], contextlib.AbstractContextManager[Compute]]


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add a search's arguments to the parser."""
    sub.add_argument(
        "--space",
        nargs="+",
        default=[],
        metavar="KEY=VALUE,VALUE",
        help="settings and the values that each takes, or ready spaces by name; all combinations are tried",
    )
    sub.add_argument("--seeds", nargs="+", type=int, default=[], metavar="SEED", help="try every point under each")
    sub.add_argument(
        "--objective",
        nargs="+",
        default=["index"],
        metavar="MEASURE",
        help="by what to judge, the first decides: index, ndcg, hr, distinct, entropy, ...",
    )
    sub.add_argument("--asha", metavar="MEASURE", help="stop trials early that are behind in this measure")
    sub.add_argument("--grace", type=int, default=1, help="epochs before the first may be stopped")
    sub.add_argument("--reduction", type=float, default=3.0, help="one in so many goes on")
    sub.add_argument("--concurrent", type=int, help="at most so many trials at once (default: as many as fit)")
    sub.add_argument("--called", default="", help="the search's name (default: the recipe's and the settings')")
    sub.add_argument("--resume", action="store_true", help="go on with a search that was begun")
    sub.add_argument("--register", action="store_true", help="register the winner in MLflow, as a candidate")


def search(args: argparse.Namespace, recipe: Recipe, store: Store, machines: Machines) -> None:
    """Run a search on the machines of a kind, 'ray' or 'local'."""
    from unisid.search.run import run

    asked = _asked(args, recipe)
    with machines(args.compute) as compute:
        run(
            asked,
            store,
            compute,
            runner_on(args, compute),
            experiment_tracker(store),
            print,
            resume=args.resume,
            register=args.register,
        )


def _asked(args: argparse.Namespace, recipe: Recipe) -> Search:
    from unisid.search import definition, space

    stopping = definition.Stopping(measure=args.asha, grace=args.grace, reduction=args.reduction) if args.asha else None
    return definition.Search(
        recipe=recipe,
        space=space.parse(args.space),
        seeds=tuple(args.seeds),
        called=args.called,
        objectives=tuple(args.objective),
        stopping=stopping,
    )


def runner_on(args: argparse.Namespace, compute: Compute) -> Runner:
    """Who does many pieces of work on these machines."""
    if args.compute == "local":
        from unisid.runtime.trials import InTurn

        return InTurn()
    from unisid.runtime.ray_compute import RayCompute
    from unisid.runtime.ray_tune import RayTune

    assert isinstance(compute, RayCompute)
    return RayTune.beside(compute, args.concurrent)


def experiment_tracker(store: Store) -> ExperimentTracker:
    """The tracker of searches and experiments in a store."""
    from unisid.runtime.search_runs import SearchRuns
    from unisid.runtime.tracking import tracker

    return SearchRuns(tracker(store.root))
