"""`unisid judge` and `unisid certify`: ranked lists under this product's evaluator, and how sure a search is."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.lookup import newest_of, place_of
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.store import Address, Store
from unisid.cli.tables import json_text
from unisid.errors import ConfigError
from unisid.log import logger

if TYPE_CHECKING:
    from unisid.evaluation.ranks import Ranks

    Command = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]

LOG = logger(__name__)


def add_commands(command: Command, store_of: Callable[[argparse.Namespace], Store]) -> None:
    """Add the command to the parser."""
    sub = command(
        "judge",
        lambda args: _judge(args, store_of(args)),
        "Compare ranked lists of any systems, the first with all others, under one evaluator.",
    )
    sub.add_argument(
        "--lists",
        nargs="+",
        default=[],
        metavar="NAME=PATH[,PATH...]",
        help="lists of a system: a table of user, item and rank or score, or a TREC run; several paths are seeds",
    )
    sub.add_argument(
        "--metrics",
        nargs="+",
        default=[],
        metavar="ADDRESS",
        help="this product's methods, such as metrics/demo/1; several addresses are seeds of the same methods",
    )
    sub.add_argument("--catalog", help="whose test samples, such as catalog/demo/1 (default: the newest)")
    sub.add_argument("--cutoffs", nargs="+", type=int, default=[], metavar="K", help="of the metrics")
    sub.add_argument("--difference", type=float, help="that the power is about (default: the one that is seen)")
    sub.add_argument(
        "--columns", nargs="+", default=[], metavar="KIND=NAME", help="what is user, item, rank, score or time"
    )
    sub.add_argument("--json", action="store_true", help="print JSON instead of tables")
    sub = command(
        "certify",
        lambda args: _certify(args, store_of(args)),
        "Show for how many test users a beam of each width certainly finds the best items.",
    )
    sub.add_argument("model", nargs="?", help="such as model/demo/1 (default: the one in use)")
    sub.add_argument("--codes", help="an index that extends the recommender's, such as codes/demo/2 (default: its own)")
    sub.add_argument("--widths", nargs="+", type=int, default=[10, 20, 50, 100], metavar="BEAM", help="of the beam")
    sub.add_argument("--k", type=int, default=10, help="items wanted (default: 10)")
    sub.add_argument("--users", type=int, default=1000, help="test users to try, drawn by seed (default: 1000)")
    sub.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _judge(args: argparse.Namespace, store: Store) -> None:
    from unisid.evaluation.ranks import check_cutoffs, usable_cutoffs
    from unisid.judging.judgement import judge, recorded
    from unisid.report.judgement import judgement

    address = Address.parse(args.catalog) if args.catalog else newest_of(store, "catalog", None)[0]
    catalog = Catalog.read(place_of(store, address))
    check_cutoffs(tuple(args.cutoffs), "--cutoffs")
    if args.difference is not None and not 0 < args.difference <= 1:
        raise ConfigError(f"--difference: is {args.difference}; must be above 0 and at most 1, such as 0.01")
    systems: dict[str, list[Ranks]] = {}
    lengths = []
    for name, paths in _named(args.lists, "--lists"):
        systems[name] = []
        for path in paths.split(","):
            ranks, longest = _ranked(path, name, catalog, dict(_named(args.columns, "--columns")))
            systems[name].append(ranks)
            lengths.append(longest)
    most = min([catalog.num_items, *lengths])
    of = "catalogue's" if most == catalog.num_items else "shortest lists'"
    cutoffs = usable_cutoffs(tuple(args.cutoffs), most, "--cutoffs", of)
    given = set(systems)
    for text in args.metrics:
        metrics = Metrics.read(place_of(store, Address.parse(text)))
        for name, ranks in recorded(metrics, catalog).items():
            if name in given:
                raise ConfigError(f"--lists: '{name}' is a method of {text}; give the lists another name")
            systems.setdefault(name, []).append(ranks)
    if not systems:
        raise ConfigError("unisid judge: no system is given; give --lists NAME=PATH, --metrics ADDRESS or both")
    found = judge(systems, catalog, cutoffs, args.difference)
    print(json_text(found) if args.json else judgement(found))


def _certify(args: argparse.Namespace, store: Store) -> None:
    from unisid.evaluation.certainty import certainty
    from unisid.in_use import named_pair
    from unisid.report.judgement import certainties
    from unisid.serving.recommender import Recommender

    if args.users < 1:
        raise ConfigError(f"--users: is {args.users}; must be at least 1")
    model, codes = (Address.parse(text) if text else None for text in (args.model, args.codes))
    pair = named_pair(store, model, codes, None)
    recommender = Recommender.load(pair.model, pair.codes, pair.catalog, vectors=pair.vectors)

    def advance(width: int) -> None:
        LOG.info(f"beam {width} done")

    found = certainty(recommender, Catalog.read(pair.catalog), args.widths, args.k, args.users, advance)
    print(json_text({"model": str(pair.model.address)} | found) if args.json else certainties(found))


def _ranked(path: str, name: str, catalog: Catalog, columns: dict[str, str]) -> tuple[Ranks, int]:
    """The ranks of one file of lists, and the longest list; logs what is odd about them."""
    from unisid.judging.lists import read_lists
    from unisid.judging.ranks import ranks_of

    lists, rows = read_lists(path, catalog, columns), catalog.samples(TEST)
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


def _named(words: Iterable[str], option: str) -> list[tuple[str, str]]:
    """NAME=VALUE pairs; raises ConfigError for a word that is none, or for a name that is given twice."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{option}: '{word}' must be NAME=VALUE, such as mine=lists.parquet")
        if name in found:
            raise ConfigError(f"{option}: '{name}' is given twice; give each a name of its own")
        found[name] = value
    return list(found.items())
