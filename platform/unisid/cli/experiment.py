"""`unisid experiment` and `unisid reproduce`: arguments and execution."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
from typing import TYPE_CHECKING

from unisid.cli.search import experiment_tracker, runner_on

if TYPE_CHECKING:
    from unisid.artifacts.store import Store
    from unisid.cli.search import Machines
    from unisid.pipeline import Recipe


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add an experiment's arguments to the parser."""
    sub.add_argument("experiment", nargs="?", help="a ready experiment's name, or file.py:function; none lists them")
    sub.add_argument(
        "--dataset",
        dest="recipe",
        metavar="RECIPE",
        help="gives data, sizes and budgets: a recipe's name or file.py:function (demo)",
    )
    sub.add_argument("--seeds", nargs="+", type=int, default=[42, 43, 44], metavar="SEED", help="of everything learned")
    sub.add_argument("--methods", nargs="+", default=[], metavar="METHOD", help="only these of its methods")
    sub.add_argument("--concurrent", type=int, help="at most so many cells at once (default: as many as fit)")


def configure(base: Recipe, words: list[str], prog: str = "unisid experiment NAME") -> Recipe:
    """The dataset's recipe with `--section.key value` applied, where `baseline` is what all baselines share.

    A recipe without a baseline is shown the default one; it stays without unless a word sets something of it.
    """
    from dataclasses import replace

    from unisid import recipes
    from unisid.errors import ConfigError
    from unisid.experiments.definition import baselines_share

    found = recipes.configure(replace(base, baseline=baselines_share(base)), words, prog)
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
    return recipes.configure(replace(base, baseline=baselines_share(found)), words, prog)


def experiment(args: argparse.Namespace, base: Recipe, store: Store, machines: Machines) -> None:
    """Run an experiment on the machines of a kind, 'ray' or 'local'."""
    from unisid.experiments import definition
    from unisid.experiments.run import run
    from unisid.experiments.series import run_series

    if args.experiment is None:
        for name, function in sorted(definition.ready().items()):
            print(f"{name:<20}{(function.__doc__ or '').strip().splitlines()[0]}")
        return
    found = definition.find(args.experiment, base).only(args.methods)
    with machines(args.compute) as compute:
        runner, tracker = runner_on(args, compute), experiment_tracker(store)
        if isinstance(found, definition.Series):
            run_series(found, base, args.seeds, store, compute, runner, tracker, print)
        else:
            run(found, base, args.seeds, store, compute, runner, tracker, print)


def add_reproduce_options(sub: argparse.ArgumentParser) -> None:
    """Add a repetition's arguments to the parser."""
    sub.add_argument("address", help="what to make again, with all that it comes from, such as metrics/demo/1")
    sub.add_argument("--into", required=True, metavar="FOLDER", help="the store of the repetition; kept afterwards")
    sub.add_argument("--compute", choices=("ray", "local"), default="ray", help="where the work is done")


def reproduce(args: argparse.Namespace, store: Store, machines: Machines) -> None:
    """Make an artifact again and compare; raises DriftError where anything differs."""
    from unisid import reproduce as again
    from unisid.artifacts.store import Address, Place, Store
    from unisid.errors import DriftError

    with machines(args.compute) as compute:
        found = again.reproduce(Address.parse(args.address), store, Store(Place.of(args.into)), compute)
    for compared in found:
        print(compared)
    if different := [compared for compared in found if compared.differing]:
        raise DriftError(
            f"reproduce {args.address}: {len(different)} of {len(found)} artifacts differ, as listed; "
            "the same device, versions, workers and threads give the same bytes"
        )
