"""`unisid judge --lists --metrics`: ranked lists of any systems beside this product's methods."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

from typing import TYPE_CHECKING

from unisid.cli.options import named
from unisid.config import did_you_mean, json_text
from unisid.errors import ConfigError
from unisid.log import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.metrics import Metrics
    from unisid.artifacts.store import Store
    from unisid.cli.judge import Judge
    from unisid.evaluation.ranks import Ranks
    from unisid.judging.items_of_ids import ItemsOfIds

    Systems = dict[str, list[Ranks]]

LOG = logger(__name__)
SHOWN = 3
"""Differing settings that a message names."""


def judge_lists(command: Judge) -> None:
    """Print the judgement of all lists and methods that the command names."""
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.lookup import newest_of, place_of
    from unisid.artifacts.store import Address
    from unisid.evaluation.ranks import check_cutoffs, usable_cutoffs
    from unisid.judging.judgement import judge
    from unisid.report.judgement import judgement

    store = command.session.opened
    address = Address.parse(command.catalog) if command.catalog else newest_of(store, "catalog", None)[0]
    catalog = Catalog.read(place_of(store, address))
    check_cutoffs(command.cutoffs, "--cutoffs")
    if command.difference is not None and not 0 < command.difference <= 1:
        raise ConfigError(f"--difference: is {command.difference}; must be above 0 and at most 1, such as 0.01")
    ours, others = _recorded(command.metrics, store, catalog)
    theirs, lengths = _listed(command, store, catalog)
    for name in theirs:
        if name in ours or name in others:
            raise ConfigError(f"--lists: '{name}' is a method of --metrics; give the lists another name")
    systems = ours | theirs | others
    most = min([catalog.num_items, *lengths])
    of = "catalogue's" if most == catalog.num_items else "shortest lists'"
    cutoffs = usable_cutoffs(command.cutoffs, most, "--cutoffs", of)
    if not systems:
        raise ConfigError("unisid judge: no system is given; give --lists NAME=PATH, --metrics ADDRESS or both")
    found = judge(systems, catalog, cutoffs, command.difference)
    print(json_text(found) if command.json else judgement(found))


def systems_of(words: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Systems and the paths of their seeds; one without a name is called as its file, without endings.

    Raises:
        ConfigError: a name or a path is given twice, or several paths have no name.
    """
    found: dict[str, list[str]] = {}
    for word in words:
        name, paths = _split(word)
        several = paths.split(",")
        if not name and len(several) > 1:
            raise ConfigError(f"--lists: '{word}' are several paths, seeds of one system; name it: NAME={paths}")
        name = name or paths.rstrip("/").rpartition("/")[2].partition(".")[0]
        if name in found:
            raise ConfigError(f"--lists: '{name}' is given twice; give each a name of its own, as in mine={paths}")
        if twice := next((path for path in several if several.count(path) > 1), None):
            raise ConfigError(f"--lists: '{twice}' is given twice as a seed of '{name}'; give each seed once")
        found[name] = several
    return list(found.items())


def _split(word: str) -> tuple[str, str]:
    """A name and what it names; an empty name for a path alone, in which folders may have a sign of equality."""
    name, equals, value = word.partition("=")
    return (name, value) if equals and name and value and "/" not in name else ("", word)


def _listed(command: Judge, store: Store, catalog: Catalog) -> tuple[Systems, list[int]]:
    """The ranks of every system's lists, and how long the longest of each file is."""
    from unisid.cli.judge_codes import read_codes
    from unisid.judging.items_of_ids import ItemsOfIds

    given, columns = systems_of(command.lists), dict(named(command.columns, "--columns"))
    names = [name for name, _ in given]
    ids, users = _each(command.ids, "--ids", names), _each(command.users, "--users", names)
    indexes = {
        where: ItemsOfIds(where, read_codes(where, command.items or "", store, catalog).codes)
        for where in sorted(set(ids.values()))
    }
    systems: Systems = {}
    lengths = []
    for name, paths in given:
        systems[name] = []
        for path in paths:
            spelled = indexes[ids[name]] if name in ids else None
            ranks, longest = _ranked(path, name, catalog, columns, spelled, users.get(name, ""))
            systems[name].append(ranks)
            lengths.append(longest)
    return systems, lengths


def _each(words: Iterable[str], option: str, names: list[str]) -> dict[str, str]:
    """System -> what an option gives for it; a word without a name is for all systems that are not named."""
    found: dict[str, str] = {}
    everywhere = ""
    for word in words:
        name, value = _split(word)
        if name in found or (not name and everywhere):
            raise ConfigError(f"{option}: {repr(name) if name else 'a file for all lists'} is given twice; give one")
        if name and name not in names:
            raise ConfigError(
                f"{option}: no lists are called '{name}'{did_you_mean(name, names)}; there are: {', '.join(names)}"
            )
        if name:
            found[name] = value
        else:
            everywhere = value
    return (dict.fromkeys(names, everywhere) if everywhere else {}) | found


def _recorded(words: Iterable[str], store: Store, catalog: Catalog) -> tuple[Systems, Systems]:
    """The recommenders of artifacts of metrics, and the other methods of those without a name; seeds by method.

    Raises:
        ConfigError: artifacts without a name are no seeds of one system, or one is given twice.
    """
    from unisid.artifacts.lookup import place_of
    from unisid.artifacts.metrics import Metrics
    from unisid.artifacts.store import Address
    from unisid.judging.judgement import recorded
    from unisid.judging.seeds import check_distinct, unlike

    named_ones: dict[str, list[Metrics]] = {}
    bare: list[Metrics] = []
    for word in words:
        name, addresses = _split(word)
        read = [Metrics.read(place_of(store, Address.parse(each))) for each in addresses.split(",")]
        if name in named_ones:
            raise ConfigError(f"--metrics: '{name}' is given twice; give each a name of its own")
        if name:
            named_ones[name] = read
        else:
            bare += read
    check_distinct([*bare, *(metrics for read in named_ones.values() for metrics in read)])
    if bare and (lines := unlike(store, bare)):
        raise ConfigError(
            f"--metrics: {', '.join(metrics.record.address for metrics in bare)} differ in more than their seeds "
            f"({_some(lines)}), and seeds of one system is what addresses without a name are; name each system: "
            f"{' '.join(f'NAME={metrics.record.address}' for metrics in bare)}"
        )
    ours: Systems = {}
    others: Systems = {}
    for metrics in bare:
        first, *rest = recorded(metrics, catalog).items()
        ours.setdefault(first[0], []).append(first[1])
        for method, ranks in rest:
            others.setdefault(method, []).append(ranks)
    for name, read in named_ones.items():
        if lines := unlike(store, read):
            LOG.warning(f"{name}: its seeds differ in other settings too: {_some(lines)}")
        if name in ours or name in others:
            raise ConfigError(f"--metrics: '{name}' is a method of {bare[0].record.address}; give another name")
        ours[name] = [next(iter(recorded(metrics, catalog).values())) for metrics in read]
    return ours, others


def _some(lines: list[str]) -> str:
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return f"{', '.join(lines[:SHOWN])}{more}"


def _ranked(
    path: str, name: str, catalog: Catalog, columns: dict[str, str], spelled: ItemsOfIds | None, users: str
) -> tuple[Ranks, int]:
    """The ranks of one file of lists, and the longest list; logs what is odd about them."""
    from unisid.artifacts.catalog import TEST
    from unisid.judging.lists import read_lists
    from unisid.judging.ranks import ranks_of

    lists, rows = read_lists(path, catalog, columns, spelled, users), catalog.samples(TEST)
    ranks, lengths = ranks_of(lists, catalog, rows)
    LOG.info(f"{name}: {lists.users:,} lists of at most {lists.longest:,} items, ordered by {lists.order}, from {path}")
    if without := int((lengths["allowed"] == 0).sum()):
        LOG.info(f"{name}: {without:,} of {len(rows):,} test samples have no list and count as missed")
    shorter = int(((lengths["excluded"] < lists.longest) & (lengths["allowed"] > 0)).sum())
    if shorter:
        LOG.info(
            f"{name}: {shorter:,} lists have fewer than {lists.longest:,} items once what the user took before is "
            "taken out; a target that is not in the rest counts as missed"
        )
    return ranks, lists.longest
