"""`unisid index`: the versions of an index."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from unisid.artifacts.nouns import NOUNS
from unisid.cli.configured import RecipeCommand, options, word_of
from unisid.cli.options import Address, Flag, Machines, one_of, text
from unisid.cli.session import Command
from unisid.config import json_text
from unisid.console import styled
from unisid.errors import ConfigError

if TYPE_CHECKING:
    from unisid.artifacts import store as stores
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.codes import Codes
    from unisid.artifacts.store import Store
    from unisid.planning import Recipe

LATER = [noun for noun in NOUNS[NOUNS.index("codes") :] if noun != "sequences"]
"""What is made of an index; sequences are made without one."""


@dataclass(frozen=True, kw_only=True)
class Extend(RecipeCommand):
    """Give new items semantic ids, as version n + 1; published ones never move.

    Settings are those that the index was made with, as its records have them. A recipe adds those of what comes after
    the codes (--until), and where the data lie.
    """

    writes = True
    base: Annotated[Address, text("ADDRESS", "the recipe's; without a recipe the one in use")] = None
    """the index to extend, such as codes/demo/1"""
    to: Annotated[str | None, text("VERSION", "the base's plus one")] = None
    """the new version"""
    until: Annotated[str, one_of(LATER)] = "codes"
    """the last artifact to make"""
    sync: Flag = False
    """make nothing: tell MLflow of what is complete, for when it was away"""
    compute: Machines = "ray"
    """where the work is done"""
    json: Flag = False
    """print JSON instead of lines"""

    def act(self) -> None:
        """Make the next version, up to its codes, and say what was added."""
        from unisid import pipeline
        from unisid.artifacts.codes import Codes
        from unisid.versions.extend import extended, next_version

        store, session = self.session.opened, self.session
        base = self._base(store)
        recipe = self._configured(store, base)
        wanted = replace(recipe, catalog=replace(recipe.catalog, keep_cold_items=True))
        whole = extended(wanted, store, base, self.to or next_version(base.version))
        if self.sync:
            logged = [str(address) for address in pipeline.sync(whole, store, session.tracker(), self.until)]
            print(json_text(logged) if self.json else "\n".join(f"logged to MLflow: {address}" for address in logged))
            return
        machines = functools.partial(session.machines, self.compute)
        places = pipeline.run_on(whole, store, machines, session.tracker(), self.until)
        codes = Codes.read(places["codes"])
        done = codes.extension
        if self.json:
            return print(json_text({"address": codes.record.address} | done))
        new, again = done.get("new", done.get("added", 0)), done.get("readmitted", 0)  # an older record has `added`
        more = f" and {again:,} that {done['base']} left out" if again else ""
        print(
            f"{codes.record.address} extends {done['base']}: {done['kept']:,} semantic ids kept, {new:,} new items"
            f"{more} added, {done['resolved']:,} of these found their nearest one taken"
        )
        print(f"who got which: {codes.place}/added-*.parquet; next: unisid promote {codes.record.address}")

    def _base(self, store: Store) -> stores.Address:
        """The index to extend: the one that is named, else the recipe's own, else the one in use."""
        from unisid.artifacts.store import Address

        if self.base:
            return Address.parse(self.base)
        if not self.recipe:
            from unisid.artifacts.record import require
            from unisid.in_use import index_in_use

            return Address.parse(require(index_in_use(store, None).codes, "codes").address)
        from unisid import recipes

        own = recipes.find(self.recipe)
        name, version = (word_of(self.settings, key) for key in ("name", "version"))
        return Address("codes", name or own.name, version or own.version)

    def _configured(self, store: Store, base: stores.Address) -> Recipe:
        """The recipe of the index with the command's settings applied."""
        from unisid import recipes
        from unisid.versions.recorded import as_recorded

        if not self.recipe and self.until != "codes":
            raise ConfigError(f"--until {self.until}: is made by settings that the index lacks; name the recipe")
        found = recipes.find(self.recipe) if self.recipe else None
        with styled():
            return recipes.configure(as_recorded(found, store, base), list(self.settings), own=options(self))


@dataclass(frozen=True, kw_only=True)
class Add(Command):
    """Give new items semantic ids by their texts alone, and put the index into use at once."""

    writes = True
    items: Annotated[Positional[str], arg(metavar="FILE")]
    """a table of the new items, with the columns of the catalogue's"""
    name: Annotated[str, arg(metavar="NAME")]
    """the registered name whose index they are added to"""
    compute: Machines = "local"
    """where the work is done"""
    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        """Add items to the index in use, and say which ids they have."""
        from unisid.ops.semantic_ids import spell
        from unisid.printable import printable
        from unisid.versions.add import add

        store = self.session.opened
        machines = functools.partial(self.session.machines, self.compute)
        found = add(store, self.name, self.items, machines, self.session.tracking())
        if self.json:
            return print(json_text(found))
        codes, catalog = _read(store, found["index"]["address"])
        for item in range(found["catalog"]["published"], catalog.num_items):
            print(f"{printable(catalog.item_ids[item].as_py())}  {spell(codes.codes[item])}")


@dataclass(frozen=True, kw_only=True)
class Refresh(RecipeCommand):
    """Make the index anew of today's data, its codes named after those of the one before."""

    writes = True
    of: Annotated[str, arg(metavar="ADDRESS")]
    """the index before, such as codes/demo/1"""
    to: Annotated[str, arg(metavar="VERSION")]
    """the new version"""
    model: Annotated[Address, text("ADDRESS")] = None
    """the recommender to go on from, such as model/demo/1; without, the index alone is made"""
    certify_only: Flag = False
    """stop after the certificate: no recommender is trained; the same command without this goes on"""
    compute: Machines = "ray"
    """where the work is done"""
    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        """Make the index and say what moves; with a recommender, go on from it and compare the two."""
        from unisid.artifacts.store import Address
        from unisid.versions.refresh import refresh, table

        recipe, store, session = self.configured(), self.session.opened, self.session
        machines = functools.partial(session.machines, self.compute)
        of, start = Address.parse(self.of), Address.parse(self.model) if self.model else None
        found = refresh(recipe, store, of, self.to, start, machines, session.tracker(), self.certify_only)
        print(json_text(found) if self.json else table(found))


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Show what changes from one index to another."""

    left: Annotated[Positional[str], arg(metavar="LEFT")]
    """an index, such as codes/demo/1"""
    right: Annotated[Positional[str], arg(metavar="RIGHT")]
    """another, such as codes/demo/2"""
    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.versions.compare import compare, table

        found = compare(*(_read(self.session.opened, text) for text in (self.left, self.right)))
        print(json_text(found) if self.json else table(found))


@dataclass(frozen=True, kw_only=True)
class ColdStart(RecipeCommand):
    """Hold items out of training, extend the index by them, and see whether they are recommended."""

    writes = True
    share: float = 0.05
    """of the items, to hold out"""
    seed: int = 42
    """which items these are"""
    compute: Machines = "ray"
    """where the work is done"""
    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.versions.cold_start import cold_start, table

        recipe, store = self.configured(), self.session.opened
        with self.session.machines(self.compute) as compute:
            found = cold_start(recipe, self.share, self.seed, store, compute, self.session.tracker())
        print(json_text(found) if self.json else table(found))


def _read(store: Store, address: str) -> tuple[Codes, Catalog]:
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.codes import Codes
    from unisid.artifacts.record import require_input
    from unisid.artifacts.store import Address

    codes = Codes.read(store.place(Address.parse(address)))
    return codes, Catalog.read(require_input(store, codes.record, "catalog"))
