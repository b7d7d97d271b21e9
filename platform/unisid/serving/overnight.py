"""Batch recommendations for all users, in shards of a table that appear whole, so that a run can be resumed.

A shard's rows depend on its number alone, so a run that goes on writes the same bytes. `_batch.json`, with the counts,
is written last: its presence is completeness. n users of a shard, k items each.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pyarrow as pa

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.record import require
from unisid.artifacts.store import Place
from unisid.artifacts.tables import open_table, table_name, write_table
from unisid.bounds import Count, Settings
from unisid.compute import Compute, Part, Pool, Step
from unisid.config import Json, differences, runtime
from unisid.errors import DataError, DriftError
from unisid.log import logger
from unisid.progress import Progress
from unisid.serving import mapped
from unisid.serving.answers import Answer, Query, answers
from unisid.serving.columns import Columns, read_table
from unisid.serving.pair import Pair
from unisid.serving.quotas import Quota
from unisid.serving.settings import Beams

LOG = logger(__name__)

FAMILY, BEGUN, DONE = "recommendations", "_asked.json", "_batch.json"
"""The table, what it is made from (written first) and its counts (last); readers of a folder of Parquet files pass over
names that begin with '_'."""
COUNTS = b"unisid.counts"
SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "rank": pa.int32(),
        "item_id": pa.string(),
        "score": pa.float32(),
        "semantic_id": pa.string(),
        "source": pa.string(),
    }
)


@dataclass(frozen=True, kw_only=True)
class Overnight(Settings):
    """Settings of a batch of recommendations."""

    k: Count = 10
    """Items a user."""
    exclude_history: bool = True
    """Whether items of the history are left out."""
    rule: str = ""
    """A condition on columns that every item obeys."""
    quota: str = ""
    """The column of which at most `most_of_each` items of each category are recommended to a user; empty for none."""
    most_of_each: Count = 1
    """Most items of each category of `quota`."""
    columns: str = ""
    """A Parquet or CSV file of facts about the items, by item_id; empty for none."""
    histories: str = ""
    """A Parquet or CSV file with `user_id` and `history`, a list of item ids; empty for all users of the catalogue."""
    beams: Beams = ()
    """As of `serve`: prefixes that a search keeps at a level, the last number for all further ones; empty: as there."""
    shard: Count = 4096
    """Users a shard."""
    pool: Pool = runtime(Pool())
    """The machines: each worker holds the pair."""


@dataclass(frozen=True)
class Sources:
    """Where the pair's artifacts lie, as workers are sent it."""

    model: Place
    codes: Place
    catalog: Place
    vectors: Mapping[str, Place] = field(default_factory=dict)

    def identity(self) -> Json:
        """The fingerprints of all that decides the answers."""
        nouns = {"model": self.model, "codes": self.codes, "catalog": self.catalog} | dict(self.vectors)
        return {noun: require(place, noun).fingerprint for noun, place in sorted(nouns.items())}


def recommend_all(sources: Sources, settings: Overnight, out: Place, compute: Compute) -> Json:
    """Write recommendations for all users into Parquet files at `out`.

    Returns the counts: users, shards, rows, users who got popular items (`popularity`), and users whose history cannot
    be read (`problems`).

    Raises:
        DriftError: other recommendations lie at `out`, or were begun there.
        DataError: the rule or the quota does not fit the columns, or the table of histories is none.
    """
    identity = {"pair": sources.identity(), "settings": _identity(settings)}
    _claim(out, identity)
    if out.exists(DONE):
        counts: Json = json.loads(out.read(DONE))["counts"]
        LOG.info(f"{out}: complete, {counts['users']:,} users in {counts['shards']:,} shards")
        return counts
    users = len(_users(sources, settings))
    starts = range(0, users, settings.shard)
    lie = set(out.sizes())
    wanted = [number for number in range(len(starts)) if table_name(FAMILY, number) not in lie]
    if len(wanted) < len(starts):
        LOG.info(f"{out}: goes on with {len(wanted):,} of {len(starts):,} shards; the others are there")
    progress = Progress(None, len(wanted), "shards", "recommend")
    parts: list[Part] = [{"number": number, "start": starts[number]} for number in wanted]
    step = Step(functools.partial(_Worker, sources, settings, out), settings.pool)
    for _ in compute.map(parts, step):
        progress.advance()
    counts = _counted(out, users, len(starts))
    out.write(DONE, json.dumps({**identity, "counts": counts}, indent=2, sort_keys=True).encode())
    return counts


def _identity(settings: Overnight) -> Json:
    """The settings that decide what is written, and the tables that they name, as they are now."""
    found: Json = {each.name: getattr(settings, each.name) for each in fields(settings) if each.name != "pool"}
    found["beams"] = list(settings.beams)
    if not settings.beams:
        del found["beams"]  # folders from before this setting go on
    for name in ("columns", "histories"):
        if path := found[name]:
            place = Place.of(path)
            found[name] = place.parent.checksum(place.name)
    return found


def _claim(out: Place, identity: Json) -> None:
    """Say at `out` what is being made there; raises DriftError where that is something else."""
    if out.exists(BEGUN):
        before = json.loads(out.read(BEGUN))
        if before != identity:
            changed = "\n    ".join(differences(before, identity))
            raise DriftError(
                f"{out}: holds other recommendations:\n    {changed}\n  give another folder (--out), or remove this one"
            )
        return
    if out.exists() and out.sizes():
        raise DriftError(f"{out}: holds {next(iter(out.sizes()))}, and no {BEGUN}; give an empty folder (--out)")
    out.write(BEGUN, json.dumps(identity, indent=2, sort_keys=True).encode())


def _counted(out: Place, users: int, shards: int) -> Json:
    counts = {"users": users, "shards": shards, "rows": 0, "popularity": 0, "problems": 0}
    for number in range(shards):
        found = json.loads(open_table(out, table_name(FAMILY, number)).schema_arrow.metadata[COUNTS])
        for name in ("rows", "popularity", "problems"):
            counts[name] += found[name]
    return counts


def _users(sources: Sources, settings: Overnight) -> "_Users":
    return _Users.of(Catalog.read(sources.catalog), settings.histories)


@dataclass(frozen=True)
class _Users:
    """The users, and their histories where these are not the catalogue's."""

    user_ids: pa.Array
    histories: pa.Array | None

    @classmethod
    def of(cls, catalog: Catalog, path: str) -> "_Users":
        if not path:
            return cls(catalog.user_ids, None)
        table = read_table(path)
        if missing := [name for name in ("user_id", "history") if name not in table.column_names]:
            raise DataError(f"{path}: has the columns {', '.join(table.column_names)}; must have '{missing[0]}'")
        users, histories = (table[name].combine_chunks() for name in ("user_id", "history"))
        if not (pa.types.is_list(histories.type) or pa.types.is_large_list(histories.type)):
            raise DataError(f"{path}: 'history' is a column of {histories.type}; must be one of lists of item ids")
        return cls(users.cast(pa.string()), histories)

    def __len__(self) -> int:
        return len(self.user_ids)

    def queries(self, start: int, stop: int, settings: Overnight) -> Iterator[tuple[str, Query]]:
        """The users of a shard, each with its query."""
        common: dict[str, Any] = {"k": settings.k, "exclude_history": settings.exclude_history, "rule": settings.rule}
        common["quota"] = Quota(settings.quota, settings.most_of_each) if settings.quota else None
        ids = self.user_ids.slice(start, stop - start).to_pylist()
        if self.histories is None:
            yield from ((user_id, Query(user=user_id, **common)) for user_id in ids)
            return
        for user_id, history in zip(ids, self.histories.slice(start, stop - start).to_pylist(), strict=True):
            yield user_id, Query(history=history, **common)


class _Worker:
    """A worker's step: the pair is loaded once, each call writes a shard."""

    def __init__(self, sources: Sources, settings: Overnight, out: Place) -> None:
        self.settings, self.out = settings, out
        facts = read_table(settings.columns) if settings.columns else None
        self.pair = Pair.load(
            sources.model,
            sources.codes,
            sources.catalog,
            lambda catalog: Columns.of(catalog, facts, settings.columns),
            vectors=sources.vectors,
            device=settings.pool.device(),
            folder=mapped.here(),
            beams=settings.beams,
        )
        if settings.rule:
            self.pair.filters.rule(settings.rule)
        if settings.quota:
            self.pair.filters.categories(settings.quota)
        self.users = _Users.of(self.pair.catalog, settings.histories)

    def __call__(self, parts: pa.Table) -> pa.Table:
        (part,) = parts.to_pylist()
        stop = min(part["start"] + self.settings.shard, len(self.users))
        rows = list(self.users.queries(part["start"], stop, self.settings))
        found = answers(self.pair, [query for _, query in rows])
        table = _table(self.pair, [user_id for user_id, _ in rows], found)
        sources = [each.source if isinstance(each, Answer) else "problem" for each in found]
        counts = {
            "rows": table.num_rows,
            "popularity": sources.count("popularity"),
            "problems": sources.count("problem"),
        }
        write_table(self.out, FAMILY, part["number"], table.replace_schema_metadata({COUNTS: json.dumps(counts)}))
        return pa.table({"number": [part["number"]]})


def _table(pair: Pair, user_ids: list[str], found: Sequence[object]) -> pa.Table:
    """A row an item, by user, best first."""
    rows = [(user_id, each) for user_id, each in zip(user_ids, found, strict=True) if isinstance(each, Answer)]
    items = np.concatenate([each.items for _, each in rows] or [np.empty(0, np.int64)]).tolist()
    columns = {
        "user_id": [user_id for user_id, each in rows for _ in each.items],
        "rank": [rank for _, each in rows for rank in range(1, len(each.items) + 1)],
        "item_id": [pair.item_ids[item] for item in items],
        "score": np.concatenate([each.scores for _, each in rows] or [np.empty(0, np.float32)]),
        "semantic_id": [pair.sids[item] for item in items],
        "source": [each.source for _, each in rows for _ in each.items],
    }
    return pa.table(columns, schema=SCHEMA)
