"""The commands that look at what lies in the store: `list`, `show`, `verify`, `drop`, `sid`, `items`."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from unisid.cli.options import UNSAID, Flag, Name, at_most_one, several, text
from unisid.cli.session import Command
from unisid.cli.tables import show
from unisid.config import json_text
from unisid.errors import ArtifactError, ConfigError, DataError, UnreadableError

if TYPE_CHECKING:
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.codes import Codes
    from unisid.artifacts.store import Address, Store
    from unisid.in_use import Index as IndexInUse

One = Annotated[Positional[str], arg(metavar="ADDRESS")]
Index = Annotated[str | None, text("ADDRESS", "the one in use")]


@dataclass(frozen=True, kw_only=True)
class List(Command):
    """List the artifacts in the store."""

    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.artifacts.record import check_files, read_record

        store = self.session.opened
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
            if not self.json:
                print(f"{address!s:<40}{state}")
            sound = record is not None and address not in (*damaged, *unread)
            made = (
                {"fingerprint": record.fingerprint, "created": record.created} if sound and record is not None else {}
            )
            rows.append({"address": str(address), "state": "complete" if sound else state} | made)
        if self.json:
            print(json_text(rows))
        _complain(store, damaged, unread)


@dataclass(frozen=True, kw_only=True)
class Verify(Command):
    """Compare every file of artifacts with the checksums of their records."""

    address: Annotated[Positional[tuple[str, ...]], arg(metavar="ADDRESS [ADDRESS ...]", help_behavior_hint="")] = ()
    """such as codes/demo/1; nothing for all that the store has"""
    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.artifacts.lookup import place_of
        from unisid.artifacts.store import Address
        from unisid.artifacts.verify import verify

        store = self.session.opened
        addresses = [Address.parse(text) for text in self.address]
        places = {address: place_of(store, address) for address in addresses or store.addresses()}
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
        if self.json:
            print(json_text([dict(zip(names, row, strict=True)) for row in rows]))
        else:
            show([names, *((address, f"{files:,}", f"{size:,}", state) for address, files, size, state in rows)])
        _complain(store, damaged, unread)


@dataclass(frozen=True, kw_only=True)
class Show(Command):
    """Describe one artifact: what it is made from, its figures and settings."""

    address: One
    """such as codes/demo/1"""
    json: Flag = False
    """the whole record as it lies on disk"""

    def act(self) -> None:
        from unisid.artifacts.lookup import place_of
        from unisid.artifacts.record import as_json, require
        from unisid.artifacts.store import Address
        from unisid.report.described import description

        address = Address.parse(self.address)
        place = place_of(self.session.opened, address)
        record = require(place, address.noun)
        if self.json:
            print(json_text(as_json(record) | {"place": str(place)}))
            return
        if record.address != str(address):
            print(f"{address} is shared, it lies at:\n")
        print(description(place, record))


@dataclass(frozen=True, kw_only=True)
class Drop(Command):
    """Remove one artifact."""

    writes = True
    address: One
    """such as codes/demo/1"""
    json: Flag = False
    """print JSON instead of a line"""

    def act(self) -> None:
        from unisid.artifacts.record import shared_as
        from unisid.artifacts.store import Address
        from unisid.pipeline import drop

        store = self.session.opened
        address = Address.parse(self.address)
        there = store.place(address).exists() or store.drafts(address)
        if not there and (twin := shared_as(store, address)) is not None:
            raise ArtifactError(f"{address}: is shared, nothing lies here; what it names is {twin}: unisid drop {twin}")
        drop(store, address)
        print(json_text({"removed": str(address)}) if self.json else f"removed {address}")


@dataclass(frozen=True, kw_only=True)
class Sid(Command):
    """Print the semantic IDs of items."""

    item: Annotated[Positional[tuple[str, ...]], several(str, "ITEM"), UNSAID]
    """the shop's item ids"""
    codes: Index = None
    """the index, such as codes/demo/1"""
    name: Name = None
    """the index in use under this name"""
    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.artifacts.lookup import item_numbers

        index, codes, catalog = _index(self.codes, self.name, self.session.opened)
        _print_items(index, codes, catalog, item_numbers(catalog, self.item), self.json)


@dataclass(frozen=True, kw_only=True)
class Items(Command):
    """Print the items of a semantic ID, of a prefix, or of some words of their titles."""

    sid: Annotated[Positional[str], at_most_one("SID"), UNSAID] = ""
    """such as '<a_12><b_7>' or 12,7; nothing for all"""
    title: Annotated[tuple[str, ...], several(str, "WORD"), UNSAID] = ()
    """only items whose titles have these words"""
    codes: Index = None
    """the index"""
    name: Name = None
    """the index in use under this name"""
    limit: int = 50
    """how many, at most"""
    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.ops.semantic_ids import parse, spell

        if self.limit < 1:
            raise ConfigError(f"--limit: {self.limit} items; must be at least 1")
        index, codes, catalog = _index(self.codes, self.name, self.session.opened)
        prefix = parse(self.sid) if self.sid else ()
        found = codes.find(prefix).tolist()
        where = f"semantic id {spell(prefix)}" if prefix else "items"
        if not found:
            raise DataError(f"{where}: no item has it in {codes.record.address}")
        words = " ".join(self.title).lower().split()
        if words:
            titles = catalog.titles.to_pylist()
            found = [item for item in found if all(word in (titles[item] or "").lower() for word in words)]
        if not found:
            raise DataError(f"{where}: no title has '{' '.join(words)}' in it; fewer or shorter words find more")
        if 0 < len(prefix) < codes.num_levels and not self.json:
            from unisid.ops.keywords import names_below
            from unisid.printable import printable

            texts = [title or "" for title in catalog.titles.to_pylist()]
            name = names_below(prefix[:-1], codes, texts).get(prefix, "")
            print(f"{spell(prefix)}: {len(codes.find(prefix)):,} items{printable(name and f', {name}')}")
        _print_items(index, codes, catalog, found[: self.limit], self.json)
        if len(found) > self.limit:
            print(f"... and {len(found) - self.limit:,} more (--limit)", file=sys.stderr if self.json else sys.stdout)


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


def _print_items(index: IndexInUse, codes: Codes, catalog: Catalog, items: Sequence[int], as_json: bool) -> None:
    from unisid.ops.semantic_ids import spell

    rows = [
        (str(catalog.item_ids[item]), spell(tuple(codes.codes[item].tolist())), catalog.titles[item].as_py())
        for item in items
    ]
    if as_json:
        names = ("item", "semantic_id", "title")
        print(json_text(index.facts() | {"items": [dict(zip(names, row, strict=True)) for row in rows]}))
    else:
        show([("item", "semantic id", "title"), *((item, sid, str(title)) for item, sid, title in rows)])


def _index(address: str | None, name: str | None, store: Store) -> tuple[IndexInUse, Codes, Catalog]:
    """The index that is named, or the one in use, and its catalogue."""
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.codes import Codes
    from unisid.artifacts.record import require_input
    from unisid.artifacts.store import Address
    from unisid.in_use import index_in_use

    index = index_in_use(store, name, Address.parse(address) if address else None)
    codes = Codes.read(index.codes)
    return index, codes, Catalog.read(require_input(store, codes.record, "catalog"))
