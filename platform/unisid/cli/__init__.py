"""`unisid`: plan, run and look at recipes and artifacts.

Exit codes: 0 done; 1 something the user can put right (one message says what); 2 wrong words on the command line;
70 a fault of the program, with its traceback; 129 ended by SIGHUP, 130 by Ctrl-C, 143 by SIGTERM (what was
complete stays, `unisid run` goes on from there); 141 the reader of a command that only prints left early.
"""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from unisid import __version__
from unisid.cli.news import add_options, news
from unisid.console import Console, consoles, styled
from unisid.errors import DataError, UnisidError
from unisid.faults import in_words
from unisid.signals import Terminated, deferred, settled, stoppable

if TYPE_CHECKING:
    from unisid.artifacts.store import Place, Store
    from unisid.compute import Compute
    from unisid.pipeline import Recipe, Tracker

Act = Callable[[argparse.Namespace], None]
EPILOG = (
    "exit codes: 0 done, 1 an error you can put right, 2 wrong words, 70 a fault of unisid, 130 interrupted, 143 asked "
    "to stop (SIGTERM; SIGHUP: 129). A reader that leaves early (| head) ends a command that only prints with 141; one "
    "that makes something goes on without its console."
)
FAULT = 70
"""The exit code of a fault of the program (EX_SOFTWARE)."""
IN_USE = ("index", "update", "promote", "serve")
MAKING = ("run", "search", "experiment", "reproduce", "sync", *IN_USE, "drop", "export", "import")
"""Commands that do more than print."""
SHOWING_NEWS = ("judge", "certify")
"""Commands that only print, whose news stands above their tables."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    with consoles() as output, stoppable() as came:
        try:
            _act(arguments, output)
            output.flush()
        except SystemExit as left:
            if left.code != signal.SIGTERM:  # Ray's own way of ending at SIGTERM
                raise
            return _ended(Terminated(), came)
        except BaseException as error:
            return _ended(error, came)
    return 0


def _act(arguments: Sequence[str] | None, output: Console) -> None:
    """Carry out one command."""
    with deferred():  # an interrupt in the middle of an import arrives as any error
        parser = _parser()
    args, rest = parser.parse_known_args(arguments)
    if rest and args.command not in ("run", "plan", "search", "experiment", "sync", "index", "update", "serve"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    output.goes_on = _makes(args)
    with news(args, on_output=output.goes_on or args.command in SHOWING_NEWS):
        args.act(args)


def _makes(args: argparse.Namespace) -> bool:
    """Whether these words do more than print."""
    prints = (getattr(args, "help", False), getattr(args, "status", None), getattr(args, "action", "") == "compare")
    makes = args.command in MAKING or getattr(args, "out", None) is not None
    return makes and not any(prints)


def _ended(error: BaseException, came: Sequence[int]) -> int:
    """Say how a command ended that did not do what it should; returns the exit code.

    Whatever error arrives after a signal, the signal is its cause: libraries turn what it raises into their own.
    """
    stopped = came or isinstance(error, KeyboardInterrupt)
    said = str(error) if isinstance(error, UnisidError) else in_words(error)
    if os.environ.get("UNISID_TRACEBACK") or (said is None and not stopped):
        traceback.print_exception(error)
    if stopped:
        settled()
        print("interrupted: what is complete stays; the same command goes on from there", file=sys.stderr)
        return 128 + (came[0] if came else signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    if said is not None:
        print(f"error: {said}", file=sys.stderr)
        return 1
    print(
        f"error: this is a fault of unisid {__version__}, not of what it was given: please report it with the "
        "lines above and the command (CONTRIBUTING.md)",
        file=sys.stderr,
    )
    return FAULT


def _parser() -> argparse.ArgumentParser:
    from unisid.api.places import default_store
    from unisid.cli import exchange, index, judge, look, machine, report, serve, update

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
            default=default_store(),
            help="where artifacts lie: a folder or a URI (UNISID_STORE)",
        )
        add_options(sub)
        return sub

    _add_flows(command)
    look.add_commands(command, _store, _machines)
    serve.add_commands(command, _store)
    session = index.Session(_store, _recipe, _tracker, _machines)
    index.add_commands(command, session)
    update.add_commands(command, session)
    judge.add_commands(command, _store)
    exchange.add_commands(command, _store)
    machine.add_commands(command, parser)
    report.add_commands(command, _store)
    return parser


def _add_flows(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands about recipes."""
    from unisid.artifacts.store import NOUNS
    from unisid.cli import experiment, search

    for name, act, text in (
        ("plan", _plan, "Print the tree of a recipe's artifacts: what exists and what would run."),
        ("run", _run, "Make what a recipe still lacks, and print the results."),
        ("search", _search, "Try a recipe's settings out, and show what they change."),
        ("experiment", _experiment, "Compare methods on one catalogue, under several seeds, in one table."),
    ):
        sub = command(name, act, text, add_help=False)
        if name == "experiment":
            experiment.add_options(sub)
        else:
            sub.add_argument("recipe", nargs="?", help="a ready recipe's name, or file.py:function")
        sub.add_argument("-h", "--help", action="store_true", help="this text; with a recipe, its settings too")
        sub.set_defaults(usage=sub.format_help)
        if name == "search":
            search.add_options(sub)
        elif name != "experiment":
            sub.add_argument("--until", default=NOUNS[-1], metavar="NOUN", help="the last artifact to make")
        if name == "plan":
            sub.add_argument("--json", action="store_true", help="print JSON instead of a tree")
            sub.add_argument("--without-data", action="store_true", help="plan where the raw data are not at hand")
        else:
            sub.add_argument("--compute", choices=("ray", "local"), default="ray", help="where the work is done")
    sub = command("sync", _sync, "Log a recipe's complete artifacts to MLflow (when it was away during the run).")
    sub.add_argument("recipe", help="a ready recipe's name, or file.py:function")
    sub = command("reproduce", _reproduce, "Make an artifact again from its record, elsewhere, and compare the bytes.")
    experiment.add_reproduce_options(sub)
    sub = command("recipes", _recipes, "List the ready recipes.")
    sub.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _store(args: argparse.Namespace) -> Store:
    from unisid.api.places import store_of

    return store_of(args.store)


def _recipe(args: argparse.Namespace, configure: Callable[..., Recipe] | None = None) -> Recipe:
    asks = getattr(args, "help", False)
    if asks:
        print(args.usage(), flush=True)
        if not args.recipe:
            raise SystemExit(0)
    from unisid import recipes

    configure = configure or recipes.configure
    if not args.recipe:
        raise DataError(f"unisid {args.command}: which recipe? known: {', '.join(sorted(recipes.ready()))}")
    found = recipes.find(args.recipe)
    with styled():
        if asks:
            configure(found, ["--help"], prog=f"unisid {args.command} {args.recipe}")
        return configure(found, args.rest)


def _plan(args: argparse.Namespace) -> None:
    from unisid.pipeline import plan
    from unisid.report.tables import plan_tree

    entries = plan(_recipe(args), _store(args), args.until, without_data=args.without_data)
    print(
        json.dumps([dataclasses.asdict(e) | {"address": str(e.address)} for e in entries], indent=2)
        if args.json
        else plan_tree(entries)
    )


def _run(args: argparse.Namespace) -> None:
    from unisid import pipeline

    recipe, store = _recipe(args), _store(args)
    places = pipeline.run_on(recipe, store, lambda: _machines(args.compute), _tracker(store), args.until)
    _results(recipe, store, places)


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


def _search(args: argparse.Namespace) -> None:
    from unisid.cli import search

    search.search(args, _recipe(args), _store(args), _machines)


def _experiment(args: argparse.Namespace) -> None:
    from unisid.cli import experiment

    if args.recipe is None and not args.help:
        args.recipe = "demo"
    base = _recipe(args, experiment.configure)
    experiment.experiment(args, base, _store(args), _machines)


def _reproduce(args: argparse.Namespace) -> None:
    from unisid.cli import experiment

    experiment.reproduce(args, _store(args), _machines)


def _sync(args: argparse.Namespace) -> None:
    from unisid import pipeline

    store = _store(args)
    for address in pipeline.sync(_recipe(args), store, _tracker(store)):
        print(f"logged to MLflow: {address}")


def _recipes(args: argparse.Namespace) -> None:
    from unisid import recipes

    rows = {n: (made.__doc__ or "").strip().splitlines()[0] for n, made in sorted(recipes.ready().items())}
    if args.json:
        print(json.dumps([{"name": name, "text": text} for name, text in rows.items()], indent=2))
        return
    for name, text in rows.items():
        print(f"{name:<24}{text}")


def _machines(kind: str) -> contextlib.AbstractContextManager[Compute]:
    from unisid.runtime.machines import machines

    return machines(kind)


def _tracker(store: Store) -> Tracker:
    from unisid.runtime.tracking import tracker

    return tracker(store.root)
