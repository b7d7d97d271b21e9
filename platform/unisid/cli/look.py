"""The commands that look at what lies in the store: `list`, `show`, `verify`, `drop`, `sid`, `items`, `recommend`."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.lookup import history_of, item_numbers, number_of, place_of
from unisid.artifacts.record import as_json, check_files, read_record, require, require_input, shared_as
from unisid.artifacts.store import Address, Store
from unisid.artifacts.verify import verify
from unisid.cli import overnight
from unisid.cli.tables import json_text, show
from unisid.errors import ArtifactError, ConfigError, DataError, UnreadableError
from unisid.in_use import index_in_use, named_pair
from unisid.ops.semantic_ids import parse, spell
from unisid.report.described import description

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unisid.cli.search import Machines

    Act = Callable[[argparse.Namespace], None]
    Command = Callable[[str, Act, str], argparse.ArgumentParser]

JSON = "print JSON instead of a table"


def add_commands(command: Command, store_of: Callable[[argparse.Namespace], Store], machines: Machines) -> None:
    """Add the commands that print artifacts to the parser."""

    def look(name: str, act: Callable[[argparse.Namespace, Store], None], text: str) -> argparse.ArgumentParser:
        return command(name, lambda args: act(args, store_of(args)), text)

    sub = look("list", _list, "List the artifacts in the store.")
    sub.add_argument("--json", action="store_true", help=JSON)
    sub = look("show", _show, "Describe one artifact: what it is made from, its figures and settings.")
    sub.add_argument("address", help="such as codes/demo/1")
    sub.add_argument("--json", action="store_true", help="the whole record as it lies on disk")
    sub = look("verify", _verify, "Compare every file of artifacts with the checksums of their records.")
    sub.add_argument("address", nargs="*", help="such as codes/demo/1 (default: all that the store has)")
    sub.add_argument("--json", action="store_true", help=JSON)
    sub = look("drop", _drop, "Remove one artifact.")
    sub.add_argument("address", help="such as codes/demo/1")
    sub = look("sid", _sid, "Print the semantic IDs of items.")
    sub.add_argument("item", nargs="+", help="the shop's item ids")
    sub.add_argument("--codes", help="the index, such as codes/demo/1 (default: the one in use)")
    sub.add_argument("--json", action="store_true", help=JSON)
    sub = look("items", _items, "Print the items of a semantic ID, of a prefix, or of some words of their titles.")
    sub.add_argument("sid", nargs="?", default="", help="such as '<a_12><b_7>' or 12,7 (default: all)")
    sub.add_argument("--title", nargs="+", default=[], metavar="WORD", help="only items whose titles have these words")
    sub.add_argument("--codes", help="the index (default: the one in use)")
    sub.add_argument("--limit", type=int, default=50, help="how many, at most (default: 50)")
    sub.add_argument("--json", action="store_true", help=JSON)
    sub = look(
        "recommend",
        functools.partial(_recommend, machines),
        "Print the best next items for a user or a history, or write those for everybody.",
    )
    who = sub.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="a user id of the catalog")
    who.add_argument("--history", nargs="+", metavar="ITEM", help="item ids, oldest first")
    sub.add_argument("--model", help="the recommender, such as model/demo/1 (default: the one in use)")
    sub.add_argument("--codes", help="an index that extends the recommender's, such as codes/demo/2 (default: its own)")
    sub.add_argument("--k", type=int, default=10, help="how many")
    sub.add_argument("--allow-history", action="store_true", help="items of the history may be recommended again")
    sub.add_argument("--allowed", metavar="FILE", help="only these items: a text file with an item id a line")
    sub.add_argument("--excluded", metavar="FILE", help="none of these items: a text file with an item id a line")
    sub.add_argument("--json", action="store_true", help=JSON)
    overnight.add_options(sub, who)


def _list(args: argparse.Namespace, store: Store) -> None:
    damaged, unread, rows, found = [], [], [], store.addresses()
    if not found:
        _say_nothing_is_there(store)
    for address in found:
        record = None
        try:
            record = read_record(place := store.place(address))
            if record is not None:
                check_files(place, record)
            state = f"{record.fingerprint[:12]}  {record.created[:19]}" if record else "half made"
        except UnreadableError as error:
            state = f"cannot be read: {error}"
            unread.append(address)
        except ArtifactError as error:
            state = f"damaged: {error}"
            damaged.append(address)
        if not args.json:
            print(f"{address!s:<40}{state}")
        sound = record is not None and address not in (*damaged, *unread)
        made = {"fingerprint": record.fingerprint, "created": record.created} if sound and record is not None else {}
        rows.append({"address": str(address), "state": "complete" if sound else state} | made)
    if args.json:
        print(json_text(rows))
    _complain(store, damaged, unread)


def _verify(args: argparse.Namespace, store: Store) -> None:
    asked = [Address.parse(text) for text in args.address]
    places = {address: place_of(store, address) for address in asked or store.addresses()}
    if not places:
        _say_nothing_is_there(store)
        return
    damaged, unread = [], []
    rows: list[tuple[str, int, int, str]] = []
    for address, place in places.items():
        found = verify(place)
        damaged += [address] if found.damaged else []
        unread += [address] if found.unreadable else []
        rows.append((str(address), found.files, found.size, found.state))
    names = ("artifact", "files", "bytes", "state")
    if args.json:
        print(json_text([dict(zip(names, row, strict=True)) for row in rows]))
    else:
        show([names, *((address, f"{files:,}", f"{size:,}", state) for address, files, size, state in rows)])
    _complain(store, damaged, unread)


def _complain(store: Store, damaged: Sequence[Address], unread: Sequence[Address]) -> None:
    """Raise ArtifactError where something is damaged, or cannot be read: what is only newer is not to be removed."""
    parts = []
    if damaged:
        drop = "; ".join(f"unisid drop {address}" for address in damaged)
        parts.append(
            f"{len(damaged)} damaged, as listed; put back copies, or make them anew: {drop}; then run their recipes"
        )
    if unread:
        parts.append(f"{len(unread)} cannot be read, as listed; nothing says that they are damaged")
    if parts:
        raise ArtifactError(f"{store.root}: {'. '.join(parts)}")


def _say_nothing_is_there(store: Store) -> None:
    if not store.root.exists():
        raise ArtifactError(
            f"store '{store.root}': is not there; a run makes it (unisid run RECIPE --store ...), or "
            "--store or UNISID_STORE names another"
        )
    print(f"store '{store.root}': holds no artifacts; unisid run RECIPE makes them", file=sys.stderr)


def _show(args: argparse.Namespace, store: Store) -> None:
    asked = Address.parse(args.address)
    place = place_of(store, asked)
    record = require(place, asked.noun)
    if args.json:
        print(json_text(as_json(record) | {"place": str(place)}))
        return
    if record.address != str(asked):
        print(f"{asked} is shared, it lies at:\n")
    print(description(place, record))


def _drop(args: argparse.Namespace, store: Store) -> None:
    from unisid.pipeline import drop

    address = Address.parse(args.address)
    there = store.place(address).exists() or store.drafts(address)
    if not there and (twin := shared_as(store, address)) is not None:
        raise ArtifactError(f"{address}: is shared, nothing lies here; what it names is {twin}: unisid drop {twin}")
    drop(store, address)
    print(f"removed {address}")


def _sid(args: argparse.Namespace, store: Store) -> None:
    codes, catalog = _index(args, store)
    _print_items(codes, catalog, item_numbers(catalog, args.item), args.json)


def _items(args: argparse.Namespace, store: Store) -> None:
    if args.limit < 1:
        raise ConfigError(f"--limit: {args.limit} items; must be at least 1")
    codes, catalog = _index(args, store)
    prefix = parse(args.sid) if args.sid else ()
    found = codes.find(prefix).tolist()
    where = f"semantic id {spell(prefix)}" if prefix else "items"
    if not found:
        raise DataError(f"{where}: no item has it in {codes.record.address}")
    words = " ".join(args.title).lower().split()
    if words:
        titles = catalog.titles.to_pylist()
        found = [item for item in found if all(word in (titles[item] or "").lower() for word in words)]
    if not found:
        raise DataError(f"{where}: no title has '{' '.join(words)}' in it; fewer or shorter words find more")
    _print_items(codes, catalog, found[: args.limit], args.json)
    if len(found) > args.limit:
        print(f"... and {len(found) - args.limit:,} more (--limit)", file=sys.stderr if args.json else sys.stdout)


def _recommend(machines: Machines, args: argparse.Namespace, store: Store) -> None:
    if overnight.is_for_all(args):
        overnight.recommend_all(args, store, machines)
        return
    from unisid.serving.recommender import Recommender

    model, codes = (Address.parse(text) if text else None for text in (args.model, args.codes))
    pair = named_pair(store, model, codes, None)
    catalog = Catalog.read(pair.catalog)
    history = item_numbers(catalog, args.history) if args.user is None else history_of(catalog, args.user)
    allowed = _subset(catalog, args.allowed, args.excluded)
    recommender = Recommender.load(pair.model, pair.codes, pair.catalog, vectors=pair.vectors)
    items, scores = recommender.rank([history], args.k, not args.allow_history, allowed=allowed)
    rows = [
        (rank, score, str(catalog.item_ids[item]), catalog.titles[item].as_py())
        for rank, (item, score) in enumerate(zip(items[0].tolist(), scores[0].tolist(), strict=True), 1)
        if item >= 0
    ]
    if not rows:
        raise DataError(
            f"recommend: none of the {catalog.num_items:,} items of {catalog.record.address} is left: each "
            "is in the history, not allowed, or excluded; --allow-history lets the history's be recommended"
        )
    names = ("rank", "score", "item", "title")
    if args.json:
        body = {"model": str(pair.model.address), "codes": str(pair.codes.address), "why": pair.why}
        print(json_text(body | {"items": [dict(zip(names, row, strict=True)) for row in rows]}))
    else:
        show([names, *((str(rank), f"{score:.3f}", item, str(title)) for rank, score, item, title in rows)])
    if len(rows) < args.k:
        print(
            f"only {len(rows)} items may be recommended: the rest is in the history, not allowed, or excluded",
            file=sys.stderr,
        )


def _subset(catalog: Catalog, allowed: str | None, excluded: str | None) -> NDArray[np.bool_] | None:
    """The items that two files leave, by item number; None where there are no files."""
    if allowed is None and excluded is None:
        return None
    mask = np.full(catalog.num_items, allowed is None)
    if allowed is not None:
        mask[_listed(catalog, allowed, "--allowed")] = True
        if not mask.any():
            raise DataError(
                f"--allowed {allowed}: names none of the {catalog.num_items:,} items of "
                f"{catalog.record.address}; must have an item id a line, such as '{catalog.item_ids[0]}'"
            )
    if excluded is not None:
        mask[_listed(catalog, excluded, "--excluded")] = False
    return mask


def _listed(catalog: Catalog, path: str, option: str) -> list[int]:
    """The items whose ids a file lists, one a line; ids that the catalog lacks are counted on the console."""
    try:
        item_ids = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{option} {path}: cannot be read ({error}); must be a UTF-8 text file with an item id a line"
        ) from error
    number = number_of(catalog)
    unknown = [item_id for item_id in item_ids if item_id not in number]
    if unknown:
        print(
            f"{option} {path}: {len(unknown):,} of {len(item_ids):,} item ids are not in {catalog.record.address}, "
            f"such as '{unknown[0]}'",
            file=sys.stderr,
        )
    return [number[item_id] for item_id in item_ids if item_id in number]


def _print_items(codes: Codes, catalog: Catalog, items: Sequence[int], as_json: bool) -> None:
    rows = [
        (str(catalog.item_ids[item]), spell(tuple(codes.codes[item].tolist())), catalog.titles[item].as_py())
        for item in items
    ]
    if as_json:
        names = ("item", "semantic_id", "title")
        print(json_text([dict(zip(names, row, strict=True)) for row in rows]))
    else:
        show([("item", "semantic id", "title"), *((item, sid, str(title)) for item, sid, title in rows)])


def _index(args: argparse.Namespace, store: Store) -> tuple[Codes, Catalog]:
    """The index that is named, or the one in use, and its catalogue."""
    place = place_of(store, Address.parse(args.codes)) if args.codes else index_in_use(store, None)
    codes = Codes.read(place)
    return codes, Catalog.read(require_input(store, codes.record, "catalog"))
