"""`unisid`: plan, run and look at recipes and artifacts.

Exit codes: 0 done; 1 something the user can put right (one message says what); 2 wrong words on the command line;
130 interrupted by Ctrl-C, 143 by SIGTERM (what was complete stays, `unisid run` goes on from there).
"""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unisid import __version__, cli_experiment, cli_index, cli_look, cli_search
from unisid.artifacts.store import NOUNS, Place, Store
from unisid.errors import ConfigError, DataError, UnisidError
from unisid.signals import Told, stoppable

if TYPE_CHECKING:
    from unisid.compute import Compute
    from unisid.pipeline import Recipe, Tracker

Act = Callable[[argparse.Namespace], None]
EPILOG = "exit codes: 0 done, 1 an error you can put right, 2 wrong words, 130 interrupted, 143 told to stop (SIGTERM)"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = _parser()
    known, rest = parser.parse_known_args(arguments)
    if rest and known.command not in ("run", "plan", "search", "experiment", "sync", "index"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    known.rest = rest
    try:
        with stoppable():
            known.act(known)
    except UnisidError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print("interrupted: what is complete stays; the same command goes on from there", file=sys.stderr)
        return 143 if isinstance(stop, Told) else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unisid",
        description="Semantic IDs and generative recommenders from a shop's catalogue and interactions.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"unisid {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, act: Act, text: str, **options: bool) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=EPILOG, **options)  # type: ignore[arg-type]
        sub.set_defaults(act=act)
        sub.add_argument(
            "--store",
            default=os.environ.get("UNISID_STORE", "runs"),
            help="where artifacts lie: a folder or a URI (UNISID_STORE)",
        )
        return sub

    _add_flows(command)
    cli_look.add_commands(command, _store)
    cli_index.add_commands(command, cli_index.Around(_store, _recipe, _tracker, _machines, _say))
    return parser


def _add_flows(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands about recipes."""
    for name, act, text in (
        ("plan", _plan, "Print the tree of a recipe's artifacts: what exists and what would run."),
        ("run", _run, "Make what a recipe still lacks, and print the results."),
        ("search", _search, "Try a recipe's settings out, and show what they change."),
        ("experiment", _experiment, "Compare methods on one catalogue, under several seeds, in one table."),
    ):
        sub = command(name, act, text, add_help=False)
        if name == "experiment":
            cli_experiment.add_options(sub)
        else:
            sub.add_argument("recipe", nargs="?", help="a ready recipe's name, or file.py:function")
        sub.add_argument("-h", "--help", action="store_true", help="this text; with a recipe, its settings too")
        sub.set_defaults(usage=sub.format_help)
        if name == "search":
            cli_search.add_options(sub)
        elif name != "experiment":
            sub.add_argument("--until", default=NOUNS[-1], metavar="NOUN", help="the last artifact to make")
        if name != "plan":
            sub.add_argument("--compute", choices=("ray", "local"), default="ray", help="where the work is done")
    sub = command("sync", _sync, "Tell MLflow of a recipe's complete artifacts (when it was away during the run).")
    sub.add_argument("recipe", help="a ready recipe's name, or file.py:function")
    sub = command("reproduce", _reproduce, "Make an artifact again from its record, elsewhere, and compare the bytes.")
    cli_experiment.add_reproduce_options(sub)
    command("recipes", _recipes, "List the ready recipes.")


def _store(known: argparse.Namespace) -> Store:
    lost = "://" not in known.store and not Path(known.store).is_absolute()
    if lost and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise ConfigError(
            f"store '{known.store}': would lie in this job's own copy of the working folder, and go with it; "
            "give a URI or the absolute path of a shared folder (--store or UNISID_STORE)"
        )
    return Store(Place.of(known.store))


def _recipe(known: argparse.Namespace, configure: Callable[..., Recipe] | None = None) -> Recipe:
    asks = getattr(known, "help", False)
    if asks:
        print(known.usage(), flush=True)
        if not known.recipe:
            raise SystemExit(0)
    from unisid import recipes

    configure = configure or recipes.configure
    if asks:
        configure(recipes.find(known.recipe), ["--help"], prog=f"unisid {known.command} {known.recipe}")
    if not known.recipe:
        raise DataError(f"unisid {known.command}: which recipe? known: {', '.join(sorted(recipes.ready()))}")
    return configure(recipes.find(known.recipe), known.rest)


def _plan(known: argparse.Namespace) -> None:
    from unisid.pipeline import plan
    from unisid.report.tables import plan_tree

    print(plan_tree(plan(_recipe(known), _store(known), known.until)))


def _run(known: argparse.Namespace) -> None:
    from unisid import pipeline

    recipe, store = _recipe(known), _store(known)
    planned = pipeline.plan(recipe, store, known.until)
    pipeline.refuse_drift(planned)
    if pipeline.missing(planned):
        with _machines(known.compute) as compute:
            pipeline.run(recipe, store, compute, _tracker(store), _say, known.until)
    else:
        _say("everything is there, nothing to make")
    _results(recipe, store, {entry.noun: store.place(entry.address) for entry in planned})


def _results(recipe: Recipe, store: Store, places: dict[str, Place]) -> None:
    from unisid.pipeline import report_place
    from unisid.report.tables import results
    from unisid.runtime.tracking import tracking_uri

    if shown := results(places):
        print(shown)
    if recipe.note:
        print(f"\nNote: {recipe.note}")
    print("\nartifacts")
    for place in places.values():
        print(f"  {place}")
    print(f"report   {report_place(recipe, store)}/report.html")
    print(f"MLflow   {tracking_uri(store.root)}  (mlflow ui --backend-store-uri {tracking_uri(store.root)})")


def _search(known: argparse.Namespace) -> None:
    cli_search.search(known, _recipe(known), _store(known), _machines, _say)


def _experiment(known: argparse.Namespace) -> None:
    if known.recipe is None and not known.help:
        known.recipe = "demo"
    base = _recipe(known, cli_experiment.configure)
    cli_experiment.experiment(known, base, _store(known), _machines, _say)


def _reproduce(known: argparse.Namespace) -> None:
    cli_experiment.reproduce(known, _store(known), _machines, _say)


def _sync(known: argparse.Namespace) -> None:
    from unisid import pipeline

    store = _store(known)
    for address in pipeline.sync(_recipe(known), store, _tracker(store)):
        print(f"told MLflow of {address}")


def _recipes(known: argparse.Namespace) -> None:
    from unisid import recipes

    for name, function in sorted(recipes.ready().items()):
        print(f"{name:<24}{(function.__doc__ or '').strip().splitlines()[0]}")


@contextlib.contextmanager
def _machines(kind: str) -> Iterator[Compute]:
    if kind == "local":
        from unisid.runtime.local import LocalCompute

        yield LocalCompute()
    else:
        from unisid.runtime.ray_compute import RayCompute

        with RayCompute.open() as compute:
            yield compute


def _tracker(store: Store) -> Tracker:
    from unisid.runtime.tracking import tracker

    return tracker(store.root, _say)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
