"""`unisid recommend --all`: recommendations for everybody, as Parquet files."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
from typing import TYPE_CHECKING

from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ConfigError

if TYPE_CHECKING:
    from unisid.cli.search import Machines


def add_options(sub: argparse.ArgumentParser, who: argparse._MutuallyExclusiveGroup) -> None:
    """The words of `recommend` for everybody."""
    who.add_argument("--all", action="store_true", dest="everybody", help="every user of the catalog, into --out")
    who.add_argument(
        "--histories",
        metavar="FILE",
        help="the rows of a Parquet file with user_id and history, a list of item ids, into --out",
    )
    group = sub.add_argument_group("for everybody")
    group.add_argument(
        "--out",
        metavar="FOLDER",
        help="where the Parquet files go: a folder or a URI; the same command goes on with what lies there",
    )
    group.add_argument("--rule", default="", help="only items that obey it, such as 'in_stock and price < 20'")
    group.add_argument("--quota", default="", metavar="COLUMN=N", help="at most N items of each category: brand=2")
    group.add_argument(
        "--into",
        default="",
        metavar="TABLE",
        help="a lake's table that is to hold the rows too: delta:PATH, lance:PATH or iceberg:CATALOG/SPACE.TABLE",
    )
    group.add_argument("--columns", default="", metavar="FILE", help="facts about the items, by item_id, for the rule")
    group.add_argument("--shard", type=int, default=4096, help="users a file (default: 4096)")
    group.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    group.add_argument("--cpus", type=float, default=1.0, help="cores a worker (default: 1)")
    group.add_argument("--gpus", type=float, default=0.0, help="GPUs a worker (default: 0)")
    group.add_argument("--compute", choices=("ray", "local"), default="ray", help="where the work is done")


def is_for_all(args: argparse.Namespace) -> bool:
    """Whether everybody is meant; raises ConfigError for words that do not go together."""
    everybody = bool(args.everybody or args.histories)
    if everybody and not args.out:
        raise ConfigError("unisid recommend: --all and --histories write files; say where: --out FOLDER")
    if not everybody and (args.out or args.rule or args.columns or args.quota or args.into):
        raise ConfigError(
            "unisid recommend: --out, --rule, --columns, --quota and --into are for --all and --histories"
        )
    if everybody and (args.allowed or args.excluded):
        raise ConfigError(
            "unisid recommend: --allowed and --excluded are for one user; for everybody give a rule on a "
            "table of --columns"
        )
    return everybody


def recommend_all(args: argparse.Namespace, store: Store, machines: Machines) -> None:
    """Write recommendations for everybody, and say how many."""
    from unisid.compute import Pool
    from unisid.datasets.lake_output import WrittenTable
    from unisid.in_use import named_pair
    from unisid.serving.overnight import FAMILY, Overnight, Sources
    from unisid.serving.overnight import recommend_all as recommend

    column, most = _quota(args.quota)
    written = WrittenTable.of("unisid recommend: --into", args.into) if args.into else None
    model, codes = (Address.parse(text) if text else None for text in (args.model, args.codes))
    pair = named_pair(store, model, codes, None)
    settings = Overnight(
        k=args.k,
        exclude_history=not args.allow_history,
        rule=args.rule,
        quota=column,
        most_of_each=most,
        columns=args.columns,
        histories=args.histories or "",
        shard=args.shard,
        pool=Pool(workers=args.workers, cpus=args.cpus, gpus=args.gpus),
    )
    out = Place.of(args.out)
    with machines(args.compute) as compute:
        sources = Sources(pair.model, pair.codes, pair.catalog, pair.vectors)
        counts = recommend(sources, settings, out, compute)
    print(
        f"{out}: {counts['rows']:,} rows for {counts['users']:,} users in {counts['shards']:,} files; "
        f"{counts['popularity']:,} users got popular items, {counts['problems']:,} have no history that can be read"
    )
    if written is not None:
        print(f"{written}: {written.replace(out, FAMILY, counts['shards'])}")


def _quota(text: str) -> tuple[str, int]:
    """The column and the number of COLUMN=N; raises ConfigError for anything else."""
    column, _, most = text.rpartition("=")
    if text and not (column and most.isdecimal() and int(most) > 0):
        raise ConfigError(f"unisid recommend: --quota {text}: must be COLUMN=N with N from 1 up, such as brand=2")
    return column, int(most or 1)
