"""`unisid index` and `unisid promote`: the versions of an index, and which of them is in use."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import dataclasses
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import require_input
from unisid.artifacts.store import NOUNS, Address, Store
from unisid.cli.tables import json_text
from unisid.errors import ConfigError
from unisid.ops.semantic_ids import spell
from unisid.printable import printable

if TYPE_CHECKING:
    from unisid.cli.search import Machines
    from unisid.pipeline import Recipe, Tracker

    Command = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]

ACTIONS = {
    "extend": "give new items semantic ids, as version n + 1; published ones never move",
    "add": "give new items semantic ids by their texts alone, and put the index into use at once",
    "compare": "show what changes from one index to another",
    "cold-start": "hold items out of training, extend the index by them, and see whether they are recommended",
}
GATE = ("distinct", "usage", "entropy")


@dataclass(frozen=True)
class Session:
    """What the command line gives to every command."""

    store: Callable[[argparse.Namespace], Store]
    recipe: Callable[[argparse.Namespace], Recipe]
    tracker: Callable[[Store], Tracker]
    machines: Machines


def add_commands(command: Command, session: Session) -> None:
    """Add both commands to the parser."""
    acts = {"extend": _extend, "add": _add, "compare": _compare, "cold-start": _cold_start}
    sub = command("index", lambda args: acts[args.action](args, session), "Extend, compare and try an index.")
    actions = sub.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=sub.epilog)
        action.add_argument("--store", default=argparse.SUPPRESS, help="where artifacts lie: a folder or a URI")
        _add_options(name, action)
    sub = command("promote", lambda args: _promote(args, session), "Put an index and a recommender into use.")
    sub.add_argument("address", nargs="*", help="an index (codes/demo/2), a recommender (model/demo/1), or both")
    sub.add_argument("--name", help="the name they are registered under (default: the address's)")
    sub.add_argument("--rollback", metavar="NAME", help="put what was in use before back into use")
    sub.add_argument("--status", metavar="NAME", help="show what is in use, and what was before")
    sub.add_argument("--json", action="store_true", help="with --status: print JSON instead of a table")
    for figure in GATE:
        sub.add_argument(f"--{figure}", type=float, help=f"use another codes.gate.{figure} than the index's own")


def _add_options(name: str, action: argparse.ArgumentParser) -> None:
    if name == "compare":
        action.add_argument("left", help="an index, such as codes/demo/1")
        action.add_argument("right", help="another, such as codes/demo/2")
    elif name == "add":
        action.add_argument("items", help="a table of the new items, with the columns of the catalogue's")
        action.add_argument("--name", required=True, help="the registered name whose index they are added to")
        action.add_argument("--compute", choices=("ray", "local"), default="local", help="where the work is done")
    else:
        action.add_argument("recipe", help="a ready recipe's name, or file.py:function; --section.key value may follow")
        action.add_argument("--compute", choices=("ray", "local"), default="ray", help="where the work is done")
    if name == "extend":
        action.add_argument("--base", help="the index to extend, such as codes/demo/1 (default: the recipe's)")
        action.add_argument("--to", metavar="VERSION", help="the new version (default: the base's plus one)")
        later = [noun for noun in NOUNS[NOUNS.index("codes") :] if noun != "sequences"]  # made without an index
        action.add_argument(
            "--until", default="codes", choices=later, help="the last artifact to make (default: codes)"
        )
        action.add_argument(
            "--sync", action="store_true", help="make nothing: tell MLflow of what is complete, for when it was away"
        )
    else:
        action.add_argument("--json", action="store_true", help="print JSON instead of a table")
    if name == "cold-start":
        action.add_argument("--share", type=float, default=0.05, help="of the items, to hold out (default: 0.05)")
        action.add_argument("--seed", type=int, default=42, help="which items these are (default: 42)")


def _extend(args: argparse.Namespace, session: Session) -> None:
    """Make the next version, up to its codes, and say what was added."""
    from unisid import pipeline
    from unisid.versions.extend import extended, next_version

    recipe, store = session.recipe(args), session.store(args)
    base = Address.parse(args.base) if args.base else Address("codes", recipe.name, recipe.version)
    wanted = replace(recipe, catalog=replace(recipe.catalog, keep_cold_items=True))
    whole = extended(wanted, store, base, args.to or next_version(base.version))
    if args.sync:
        for address in pipeline.sync(whole, store, session.tracker(store), args.until):
            print(f"logged to MLflow: {address}")
        return
    machines, tracker = functools.partial(session.machines, args.compute), session.tracker(store)
    places = pipeline.run_on(whole, store, machines, tracker, args.until)
    codes = Codes.read(places["codes"])
    done = codes.extension
    print(
        f"{codes.record.address} extends {done['base']}: {done['kept']:,} semantic ids kept, {done['added']:,} "
        f"added, {done['resolved']:,} of these found their nearest one taken"
    )
    print(f"who got which: {codes.place}/added-*.parquet; next: unisid promote {codes.record.address}")


def _add(args: argparse.Namespace, session: Session) -> None:
    """Add items to the index in use, and say which ids they have."""
    from unisid.runtime.tracking import tracker
    from unisid.versions.add import add

    if args.rest:
        raise ConfigError(f"unisid index add: has {' '.join(args.rest)}; must be a table of items, and --name")
    store = session.store(args)
    machines = functools.partial(session.machines, args.compute)
    found = add(store, args.name, args.items, machines, tracker(store.root))
    if args.json:
        return print(json_text(found))
    codes, catalog = _read(store, found["index"]["address"])
    for item in range(found["catalog"]["published"], catalog.num_items):
        print(f"{printable(catalog.item_ids[item].as_py())}  {spell(codes.codes[item])}")


def _compare(args: argparse.Namespace, session: Session) -> None:
    from unisid.versions.compare import compare, table

    if args.rest:
        raise ConfigError(f"unisid index compare: has {' '.join(args.rest)}; must be two indexes, and --json")
    found = compare(*(_read(session.store(args), text) for text in (args.left, args.right)))
    print(json_text(found) if args.json else table(found))


def _cold_start(args: argparse.Namespace, session: Session) -> None:
    from unisid.versions.cold_start import cold_start, table

    recipe, store = session.recipe(args), session.store(args)
    with session.machines(args.compute) as compute:
        found = cold_start(recipe, args.share, args.seed, store, compute, session.tracker(store))
    print(json_text(found) if args.json else table(found))


def _promote(args: argparse.Namespace, session: Session) -> None:
    """Move the aliases, and say what is in use."""
    _refuse_both(args)
    from unisid.runtime import promotion
    from unisid.runtime.tracking import tracker

    store = session.store(args)
    tracking = tracker(store.root)
    if args.status:
        pairs = promotion.in_use(tracking, args.status)
        body = json.dumps({alias: dataclasses.asdict(pair) for alias, pair in pairs.items()}, indent=2)
        print(body if args.json else "\n".join(f"{alias:<10} {pair}" for alias, pair in pairs.items()))
        return
    if args.rollback:
        pair, name = promotion.roll_back(tracking, args.rollback), args.rollback
    else:
        found = _addresses(args.address)
        name = args.name or next(iter(found.values())).name
        gate = {figure: getattr(args, figure) for figure in GATE if getattr(args, figure) is not None}
        pair = promotion.promote(tracking, store, found.get("codes"), found.get("model"), name, gate)
    print(f"in use under '{name}': {pair}; back again: unisid promote --rollback {name}")


def _refuse_both(args: argparse.Namespace) -> None:
    """What would be left undone without a word: addresses, a name or a gate beside --rollback or --status."""
    acts = [f"--{act} {getattr(args, act)}" for act in ("rollback", "status") if getattr(args, act)]
    given = [*args.address, *(f"--{name}" for name in ("name", *GATE) if getattr(args, name) is not None)]
    if acts and len(acts) + len(given) > 1:
        raise ConfigError(
            f"unisid promote: {' '.join([*acts, *given])}; {acts[0]} stands alone: give one command after the other"
        )


def _read(store: Store, address: str) -> tuple[Codes, Catalog]:
    codes = Codes.read(store.place(Address.parse(address)))
    return codes, Catalog.read(require_input(store, codes.record, "catalog"))


def _addresses(texts: list[str]) -> dict[str, Address]:
    found = {address.noun: address for address in map(Address.parse, texts)}
    if not found or len(found) != len(texts) or found.keys() - {"codes", "model"}:
        raise ConfigError(
            f"unisid promote: {' '.join(texts) or 'nothing'}; must be an index (codes/NAME/VERSION), a "
            "recommender (model/NAME/VERSION), or one of each"
        )
    return found
