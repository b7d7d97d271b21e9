"""`unisid recommend --all`: recommendations for everybody, as Parquet files."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from unisid.cli.options import text
from unisid.config import json_text
from unisid.errors import ConfigError

if TYPE_CHECKING:
    from unisid.compute import Compute
    from unisid.in_use import Pair

    Machines = contextlib.AbstractContextManager[Compute]


@dataclass(frozen=True, kw_only=True)
class Everybody:
    """Options of recommendations for everybody."""

    out: Annotated[str | None, text("FOLDER|URI")] = None
    """where the Parquet files go; the same command goes on with what lies there"""
    rule: Annotated[str | None, text("RULE")] = None
    """only items that obey it, such as 'in_stock and price < 20'"""
    quota: Annotated[str | None, text("COLUMN=N")] = None
    """at most N items of each category: brand=2"""
    into: Annotated[str | None, text("TABLE")] = None
    """a table of a lake or database that is to hold the rows too: delta:PATH, lance:PATH, iceberg:CATALOG/SPACE.TABLE,
    bigquery:PROJECT.DATASET.TABLE, snowflake:DATABASE.SCHEMA.TABLE or sqlite:FILE/TABLE"""
    columns: Annotated[str | None, text("FILE")] = None
    """facts about the items, by item_id, for the rule"""
    shard: int = 4096
    """users a file"""
    workers: int = 1
    """processes"""
    cpus: float = 1.0
    """cores a worker"""
    gpus: float = 0.0
    """GPUs a worker"""


def recommend_all(
    pair: Pair,
    options: Everybody,
    k: int,
    exclude_history: bool,
    beams: tuple[int, ...],
    histories: str,
    machines: Machines,
    as_json: bool,
) -> None:
    """Write recommendations for everybody, and say how many.

    Args:
        beams: of the searches, by level; empty: as `Recommender.beams`.
        histories: a Parquet file with the histories; empty for those of the catalog's users.
        as_json: say it as JSON.
        machines: what they are entered for, once the settings are known to be right.
    """
    from unisid.artifacts.store import Place
    from unisid.compute import Pool
    from unisid.raw.lake_output import WrittenTable
    from unisid.serving.overnight import FAMILY, Overnight, Sources
    from unisid.serving.overnight import recommend_all as recommend

    column, most = _quota(options.quota or "")
    written = WrittenTable.of("unisid recommend: --into", options.into) if options.into else None
    settings = Overnight(
        k=k,
        exclude_history=exclude_history,
        rule=options.rule or "",
        quota=column,
        most_of_each=most,
        columns=options.columns or "",
        beams=beams,
        histories=histories,
        shard=options.shard,
        pool=Pool(workers=options.workers, cpus=options.cpus, gpus=options.gpus),
    )
    out = Place.of(options.out or "")
    sources = Sources(pair.model, pair.codes, pair.catalog, pair.vectors)
    with machines as compute:
        counts = recommend(sources, settings, out, compute)
    if as_json:
        into = {"into": None if written is None else f"{written}: {written.replace(out, FAMILY, counts['shards'])}"}
        names = {"model": str(pair.model.address), "codes": str(pair.codes.address), "why": pair.why, "out": str(out)}
        return print(json_text(names | counts | into))
    print(
        f"{out}: {counts['rows']:,} rows for {counts['users']:,} users in {counts['shards']:,} files; "
        f"{counts['popularity']:,} users got popular items, {counts['problems']:,} have no history that can be read"
    )
    if written is not None:
        print(f"{written}: {written.replace(out, FAMILY, counts['shards'])}")


def _quota(given: str) -> tuple[str, int]:
    """The column and the number of COLUMN=N; raises ConfigError for anything else."""
    column, _, most = given.rpartition("=")
    if given and not (column and most.isdecimal() and int(most) > 0):
        raise ConfigError(f"unisid recommend: --quota {given}: must be COLUMN=N with N from 1 up, such as brand=2")
    return column, int(most or 1)
