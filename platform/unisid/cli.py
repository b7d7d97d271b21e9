"""`unisid`: plan, run and look at recipes and artifacts.

Exit codes: 0 done; 1 something the user can put right (one message says what); 2 wrong words on the command line;
130 interrupted by Ctrl-C, 143 by SIGTERM (what was complete stays, `unisid run` goes on from there).
"""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unisid import __version__, cli_search
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import check_files, read_record, require, require_input
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.config import did_you_mean
from unisid.errors import ArtifactError, ConfigError, DataError, UnisidError
from unisid.ops.semantic_ids import parse, spell
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
    if rest and known.command not in ("run", "plan", "search", "sync"):
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
    _add_artifacts(command)
    _add_questions(command)
    return parser


def _add_flows(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands about recipes."""
    for name, act, text in (
        ("plan", _plan, "Print the tree of a recipe's artifacts: what exists and what would run."),
        ("run", _run, "Make what a recipe still lacks, and print the results."),
        ("search", _search, "Try a recipe's settings out, and show what they change."),
    ):
        sub = command(name, act, text, add_help=False)
        sub.add_argument("recipe", nargs="?", help="a ready recipe's name, or file.py:function")
        sub.add_argument("-h", "--help", action="store_true", help="this text; with a recipe, its settings too")
        sub.set_defaults(usage=sub.format_help)
        if name == "search":
            cli_search.add_options(sub)
        else:
            sub.add_argument("--until", default=NOUNS[-1], metavar="NOUN", help="the last artifact to make")
        if name != "plan":
            sub.add_argument("--compute", choices=("ray", "local"), default="ray", help="where the work is done")
    sub = command("sync", _sync, "Tell MLflow of a recipe's complete artifacts (when it was away during the run).")
    sub.add_argument("recipe")
    command("recipes", _recipes, "List the ready recipes.")


def _add_artifacts(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands about what lies in the store."""
    command("list", _list, "List the artifacts in the store.")
    sub = command("show", _show, "Describe one artifact: settings, inputs, counts, files.")
    sub.add_argument("address", help="such as codes/demo/1")
    sub = command("drop", _drop, "Remove one artifact.")
    sub.add_argument("address")


def _add_questions(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that ask an index or a recommender."""
    sub = command("sid", _sid, "Print the semantic IDs of items.")
    sub.add_argument("item", nargs="+", help="the shop's item ids")
    sub.add_argument("--codes", help="the index, such as codes/demo/1 (default: the newest)")
    sub = command("items", _items, "Print the items of a semantic ID or of a prefix.")
    sub.add_argument("sid", help="such as '<a_12><b_7>' or 12,7")
    sub.add_argument("--codes", help="the index (default: the newest)")
    sub.add_argument("--limit", type=int, default=50)
    sub = command("recommend", _recommend, "Print the best next items for a user or a history.")
    who = sub.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="a user id of the catalog")
    who.add_argument("--history", nargs="+", metavar="ITEM", help="item ids, oldest first")
    sub.add_argument("--model", help="the recommender, such as model/demo/1 (default: the newest)")
    sub.add_argument("--k", type=int, default=10, help="how many")
    sub.add_argument("--allow-history", action="store_true", help="items of the history may be recommended again")


def _store(known: argparse.Namespace) -> Store:
    lost = "://" not in known.store and not Path(known.store).is_absolute()
    if lost and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise ConfigError(
            f"store '{known.store}': would lie in this job's own copy of the working folder, and go with it; "
            "give a URI or the absolute path of a shared folder (--store or UNISID_STORE)"
        )
    return Store(Place.of(known.store))


def _recipe(known: argparse.Namespace) -> Recipe:
    from unisid import recipes

    if getattr(known, "help", False):
        print(known.usage())
        if known.recipe:
            recipes.configure(recipes.find(known.recipe), ["--help"], prog=f"unisid {known.command} {known.recipe}")
        raise SystemExit(0)
    if not known.recipe:
        raise DataError(f"unisid {known.command}: which recipe? known: {', '.join(sorted(recipes.ready()))}")
    return recipes.configure(recipes.find(known.recipe), known.rest)


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


def _sync(known: argparse.Namespace) -> None:
    from unisid import pipeline

    store = _store(known)
    for address in pipeline.sync(_recipe(known), store, _tracker(store)):
        print(f"told MLflow of {address}")


def _recipes(known: argparse.Namespace) -> None:
    from unisid import recipes

    for name, function in sorted(recipes.ready().items()):
        print(f"{name:<24}{(function.__doc__ or '').strip().splitlines()[0]}")


def _list(known: argparse.Namespace) -> None:
    store = _store(known)
    damaged = 0
    for address in store.addresses():
        try:
            record = read_record(place := store.place(address))
            if record is not None:
                check_files(place, record)
            state = f"{record.fingerprint[:12]}  {record.created}" if record else "half made"
        except ArtifactError as error:
            state, damaged = f"damaged: {error}", damaged + 1
        print(f"{address!s:<40}{state}")
    if damaged:
        raise ArtifactError(
            f"{store.root}: {damaged} damaged, as listed; remove each (unisid drop ADDRESS) and make it anew"
        )


def _show(known: argparse.Namespace) -> None:
    address, store = Address.parse(known.address), _store(known)
    if not store.place(address).exists():
        names = [str(a) for a in store.addresses()]
        raise ArtifactError(f"{address}: not in {store.root}{did_you_mean(str(address), names)}")
    record = require(store.place(address), address.noun)
    print(
        json.dumps(record.__dict__ | {"fingerprint": record.fingerprint, "place": str(store.place(address))}, indent=2)
    )


def _drop(known: argparse.Namespace) -> None:
    from unisid.pipeline import drop

    drop(_store(known), Address.parse(known.address))
    print(f"removed {known.address}")


def _sid(known: argparse.Namespace) -> None:
    codes, catalog = _index(known)
    for item in _numbers(catalog, known.item):
        sid = spell(tuple(codes.codes[item].tolist()))
        print(f"{catalog.item_ids[item]}\t{sid}\t{catalog.titles[item]}")


def _items(known: argparse.Namespace) -> None:
    codes, catalog = _index(known)
    prefix = parse(known.sid)
    found = codes.find(prefix)
    if not len(found):
        raise DataError(f"semantic id {spell(prefix)}: no item has it in {codes.record.address}")
    for item in found[: known.limit]:
        print(f"{spell(tuple(codes.codes[item].tolist()))}\t{catalog.item_ids[item]}\t{catalog.titles[item]}")
    if len(found) > known.limit:
        print(f"... and {len(found) - known.limit} more (--limit)")


def _recommend(known: argparse.Namespace) -> None:
    from unisid.recommend import Recommender

    store = _store(known)
    place = _newest(store, "model", known.model)
    record = require(place, "model")
    codes, catalog_place = (require_input(store, record, noun) for noun in ("codes", "catalog"))
    catalog = Catalog.read(catalog_place)
    history = _history_of(catalog, known.user) if known.user else _numbers(catalog, known.history)
    recommender = Recommender.load(place, codes, catalog_place)
    items, scores = recommender.rank([np.asarray(history, np.int64)], known.k, not known.allow_history)
    for rank, (item, score) in enumerate(zip(items[0].tolist(), scores[0].tolist(), strict=True), 1):
        if item >= 0:
            print(f"{rank:>3}  {score:9.4f}  {catalog.item_ids[item]}\t{catalog.titles[item]}")


def _index(known: argparse.Namespace) -> tuple[Codes, Catalog]:
    store = _store(known)
    codes = Codes.read(_newest(store, "codes", known.codes))
    return codes, Catalog.read(require_input(store, codes.record, "catalog"))


def _newest(store: Store, noun: str, address: str | None) -> Place:
    """The artifact asked for, or the one made last."""
    if address:
        return store.place(Address.parse(address))
    records = []
    for known in store.addresses(noun):
        with contextlib.suppress(ArtifactError):  # a damaged one is not what is meant
            records += [r] if (r := read_record(store.place(known))) is not None else []
    if not records:
        raise ArtifactError(f"{store.root}: no {noun} here yet; run a recipe first: unisid run demo")
    return store.place(Address.parse(max(records, key=lambda r: r.created).address))


def _numbers(catalog: Catalog, item_ids: Sequence[str]) -> list[int]:
    number = {item_id: item for item, item_id in enumerate(catalog.item_ids.to_pylist())}
    for item_id in item_ids:
        if item_id not in number:
            raise DataError(f"item '{item_id}': not in {catalog.record.address}{did_you_mean(item_id, number)}")
    return [number[item_id] for item_id in item_ids]


def _history_of(catalog: Catalog, user_id: str) -> list[int]:
    user = catalog.user_ids.index(user_id).as_py()
    if user < 0:
        raise DataError(f"user '{user_id}': not in {catalog.record.address}, which has {catalog.num_users} users")
    return [int(item) for item in catalog.item[catalog.offsets[user] : catalog.offsets[user + 1]]]


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
