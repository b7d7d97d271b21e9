"""A shop's tables, oddly written; the catalog says what the world says that they were written from."""

import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.fuzz.outcomes import BreachError, Refused, outcome
from tests.fuzz.shops import odd_files, odd_types, odd_values
from tests.fuzz.shops.plain_shop import made
from tests.fuzz.shops.sheet import Sheet, plain, write
from tests.lines import logged
from unisid import pipeline
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.record import Record, read_record, write_record
from unisid.artifacts.store import Place, Store
from unisid.artifacts.tables import read_table
from unisid.compute import Job
from unisid.config import to_record
from unisid.datasets import tables
from unisid.raw.time_ranges import PER_SECOND
from unisid.runtime.local import LocalCompute
from unisid.stages import catalog

IN_CI = 250
SHARE = 40
CLOSE = 2e-6
"""Seconds that a time may differ by: fractions that are floats have no more digits."""
TRIES = 5
"""How often a sheet is drawn anew whose oddities do not go together, or whose cells no file can hold."""


class Ground:
    """A folder, emptied for every shop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        sheet, paths = self._written(chance)
        note += [sheet.form, *sheet.note, str(sheet.catalog)]
        place = Place.of(self.folder / "catalog")
        found = outcome(lambda: made_catalog(sheet, paths, place))
        if isinstance(found, Refused):
            if read_record(place) is not None:
                raise BreachError("refused, and yet the catalog counts as complete")
            if sheet.good:
                raise BreachError(f"a good table was refused: {found.message}")
            return False
        if outcome(lambda: pipeline_state(sheet, paths, self.folder)) != "to make":
            raise BreachError("an artifact that was never completed is planned as complete")
        if sheet.decidable:
            judge(sheet, Catalog.read(place))
        return True

    def _written(self, chance: random.Random) -> tuple[Sheet, dict[str, str]]:
        for _ in range(TRIES):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            try:
                sheet = drawn(chance)
                return sheet, write(sheet, self.folder)
            except (pa.ArrowException, TypeError, ValueError, OverflowError, UnicodeError, AttributeError, IndexError):
                continue
        sheet = plain(made(chance), "csv", chance)
        return sheet, write(sheet, self.folder)


def drawn(chance: random.Random) -> Sheet:
    """A sheet with none, one or several oddities."""
    form = chance.choice(["csv", "csv", "tsv", "jsonl", "parquet", "parquet"])
    sheet = plain(made(chance), form, chance)
    sheet.good &= form != "jsonl"
    ways = odd_values.ODDITIES + (odd_types.ODDITIES * 2 if form == "parquet" else odd_files.ODDITIES)
    chosen = chance.sample(ways, chance.choice([0, 1, 1, 1, 1, 2, 2, 3]))
    for change in sorted(chosen, key=odd_values.LAST.__contains__):
        change(sheet, chance)
    return sheet


def config_of(sheet: Sheet, paths: dict[str, str]) -> catalog.Config:
    given: dict[str, Any] = dict(sheet.dataset)
    folder = given.pop("folder of", None)
    paths = {table: str(Path(path).parent) if table == folder else path for table, path in paths.items()}
    dataset = tables.Config(items=paths["items"], interactions=paths["interactions"], **given)
    return catalog.Config(dataset=dataset, protocol="leave-one-out", k_core=0, **sheet.catalog)


def made_catalog(sheet: Sheet, paths: dict[str, str], place: Place) -> Any:
    """Make the catalog, as a run does, up to its record."""
    return made_of(config_of(sheet, paths), place)


def made_of(config: catalog.Config, place: Place) -> Any:
    """Make a catalog, as a run does, up to its record; returns what it said."""
    catalog.sources(config)
    job = Job(config=config, inputs={}, out=place, name="fuzz", compute=LocalCompute(), report=lambda figures: None)
    with logged() as said:
        counts = catalog.make(job)
    record = Record(address="catalog/fuzz/1", config=to_record(config, identity=True), inputs={}, counts=counts)
    write_record(place, record)
    return said


def pipeline_state(sheet: Sheet, paths: dict[str, str], folder: Path) -> str:
    recipe = replace(pipeline.Recipe(), name="fuzz", catalog=config_of(sheet, paths))
    return pipeline.plan(recipe, Store(Place.of(folder / "store")), "catalog")[0].state


def judge(sheet: Sheet, read: Catalog) -> None:
    """Raise BreachError where the catalog says something else than the world."""
    world = sheet.world
    described = "description" not in read.record.counts.get("unread", {}).get("items", "")
    kept = set(range(len(world.titles))) if sheet.catalog["keep_cold_items"] else world.taken()
    wanted = Counter((sheet.item_names[item], *world.text(item, described)) for item in kept)
    texts = read_table(read.place, "items", ["text"])["text"].to_pylist()
    found = Counter(zip(read.item_ids.to_pylist(), read.titles.to_pylist(), texts, strict=True))
    if sheet.told_by_title:
        wanted, found = (Counter(entry[1:] for entry in c.elements()) for c in (wanted, found))
    if wanted != found:
        raise BreachError(f"items: {_less(found, wanted)}, should be {_less(wanted, found)}")
    number = {world.text(item)[0]: item for item in kept}
    items = [number[title] for title in read.titles.to_pylist()]
    taken = [[items[i] for i in read.item[a:b]] for a, b in zip(read.offsets, read.offsets[1:], strict=False)]
    if sheet.told_by_title:
        mine = world.sequences().values()
        ordered = sheet.catalog["ties"] == "row" or all(len(group) == 1 for groups in mine for group in groups)
        within = list if ordered else sorted  # who has which row is not known, so equal times are not told apart
        _same("sequences", sorted(within(_flat(groups)) for groups in mine), sorted(map(within, taken)))
    else:
        judge_users(sheet, read, taken)


def judge_users(sheet: Sheet, read: Catalog, taken: list[list[int]]) -> None:
    """Raise BreachError where a user's items, their order or their times are not the world's."""
    times, users = sheet.world.times(), read.user_ids.to_pylist()
    _same("users", sorted(sheet.user_names[user] for user in times), sorted(users))
    scale = PER_SECOND[read.record.counts["time_unit"]]
    for user, groups in sheet.world.sequences().items():
        number = users.index(sheet.user_names[user])
        sequence = taken[number]
        if sheet.catalog["ties"] == "row":
            _same("sequence", _flat(groups), sequence)
        starts = [sum(map(len, groups[:n])) for n in range(len(groups))]
        cut = [sorted(sequence[a : a + len(group)]) for a, group in zip(starts, groups, strict=True)]
        _same("sequence, by time", [sorted(group) for group in groups], cut)
        clock = [int(time) / scale for time in read.timestamp[read.offsets[number] : read.offsets[number + 1]]]
        if any(abs(a - b) > CLOSE for a, b in zip(clock, times[user], strict=True)):
            raise BreachError(f"times {clock}, should be {[float(time) for time in times[user]]}")


def _flat(groups: list[list[int]]) -> list[int]:
    return [item for group in groups for item in group]


def _same(what: str, wanted: Any, found: Any) -> None:
    if wanted != found:
        raise BreachError(f"{what}: {found}, should be {wanted}")


def _less(one: Counter[Any], other: Counter[Any]) -> str:
    return repr(sorted((one - other).elements(), key=repr)[:3])[:400]
