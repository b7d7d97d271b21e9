"""A world in the files of published datasets: Amazon's reviews, MovieLens, RecBole's atomic files, windows."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.shops.plain_shop import World
from unisid.datasets import DatasetConfig, amazon, movielens, recbole, windows

WINDOW = 3
"""Items of a window before its target."""
Files = dict[str, bytes]


@dataclass
class Release:
    """Files by name, the settings that read them, and how the items and users are called."""

    files: Files
    config: Callable[[Path], DatasetConfig]
    item: str
    user: str
    shortest: int = 1
    """Users of fewer interactions are not in the files."""


def of_amazon(world: World, chance: random.Random) -> Release:
    year = chance.choice(["2014", "2018", "2023"])
    names = amazon.RELEASES[year]
    written: Callable[[Any], str] = repr if year == "2014" else json.dumps
    scale = 1000 if names.unit == "ms" else 1
    meta = [
        {names.item: f"B{n}", "title": title, "description": description if year == "2014" else [description]}
        for n, (title, description) in enumerate(zip(world.titles, world.descriptions, strict=True))
    ]
    reviews = [
        {names.user: f"A{user}", names.item: f"B{item}", names.time: int(time * scale), "overall": 5.0}
        for user, item, time in world.rows
    ]
    files = {"meta": _lines(map(written, meta)), "reviews": _lines(map(json.dumps, reviews))}
    if chance.random() < 0.5:
        files = {name: gzip.compress(data) for name, data in files.items()}
    return Release(
        files,
        lambda at: amazon.Config(release=year, reviews=(f"{at}/reviews",), metadata=(f"{at}/meta",)),  # type: ignore[arg-type]
        "B{}",
        "A{}",
    )


def of_movielens(world: World, chance: random.Random) -> Release:
    world.titles = [f"Film {number} (19{number:02})" for number in range(len(world.titles))]
    if chance.random() < 0.5:
        items = [f"{n}|{title}|01-Jan-1995||http://x|0|1" for n, title in enumerate(world.titles)]
        ratings = [f"{user}\t{item}\t3\t{time}" for user, item, time in world.rows]
        files = {"u.item": _lines(items), "u.data": _lines(ratings), "u.genre": b"unknown|0\nDrama|1\n\n"}
        return Release(files, lambda at: movielens.Config(path=str(at)), "{}", "{}")
    items = [f"{n}::{title}::Drama|Children's" for n, title in enumerate(world.titles)]
    ratings = [f"{user}::{item}::5::{time}" for user, item, time in world.rows]
    files = {"movies.dat": _lines(items), "ratings.dat": _lines(ratings)}
    return Release(files, lambda at: movielens.Config(size="1m", path=str(at)), "{}", "{}")


def of_recbole(world: World, chance: random.Random) -> Release:
    items = [f"{n}\t{title}\t{n / 2}" for n, title in enumerate(world.titles)]
    rows = [f"{user}\t{item}\t{time}" for user, item, time in world.rows]
    files = {
        "shop.item": _lines(["item_id:token\tmovie_title:token_seq\tprice:float", *items]),
        "shop.inter": _lines(["user_id:token\titem_id:token\ttimestamp:float", *rows]),
    }
    return Release(files, lambda at: recbole.Config(path=str(at), name="shop"), "{}", "{}")


def of_windows(world: World, chance: random.Random) -> Release:
    rows = []
    for user, groups in world.sequences().items():
        mine = [item for group in groups for item in group]
        rows += [
            {"user_id": f"u{user}", "history": [f"i{i}" for i in mine[max(0, t - WINDOW) : t]], "target": f"i{mine[t]}"}
            for t in range(1, len(mine))
        ]
    kind = pa.schema([("user_id", pa.string()), ("history", pa.list_(pa.string())), ("target", pa.string())])
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, kind), out)
    items = [json.dumps({"item_id": f"i{n}", "title": title}) for n, title in enumerate(world.titles)]
    files = {"samples.parquet": out.getvalue().to_pybytes(), "items.jsonl": _lines(items)}
    return Release(
        files,
        lambda at: windows.Config(items=f"{at}/items.jsonl", samples=(f"{at}/samples.parquet",)),
        "i{}",
        "u{}",
        shortest=2,
    )


RELEASES = (of_amazon, of_amazon, of_movielens, of_movielens, of_recbole, of_windows)


def _lines(texts: Any) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()
