"""Amazon reviews as published in 2014, 2018 and 2023: one JSON object a line, mostly in .json.gz or .jsonl.gz.

The releases differ in the names of their fields; the metadata of 2014 are Python literals instead of JSON and are
read as literals, never run. Every review is an interaction, with the rating that it gives. A compressed file cannot be
cut, so a file is a part: list several categories to read them in parallel.
"""

import ast
import functools
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.json as pajson

from unisid.config import identity_where, runtime
from unisid.datasets import DatasetConfig, Part, part
from unisid.errors import DataError
from unisid.raw.decoding import check_encoding
from unisid.raw.files import find
from unisid.raw.folders import Found
from unisid.raw.ids import ids
from unisid.raw.json_lines import joined_text, objects, parsed, text_blocks, values_of
from unisid.raw.rows import Lines, Numbered, Rows
from unisid.raw.time_ranges import Clock, Times, Unit, in_one_unit
from unisid.raw.times import times

Line = dict[str, Any]


@dataclass(frozen=True)
class Release:
    """What the fields of a release are called, and how its metadata are written."""

    user: str
    item: str
    time: str
    unit: Unit
    rating: str
    brand: str
    categories: str
    parse: Callable[[str], Any]


RELEASES = {
    "2014": Release("reviewerID", "asin", "unixReviewTime", "s", "overall", "brand", "categories", ast.literal_eval),
    "2018": Release("reviewerID", "asin", "unixReviewTime", "s", "overall", "brand", "category", parsed),
    "2023": Release("user_id", "parent_asin", "timestamp", "ms", "rating", "store", "categories", parsed),
}


@dataclass(frozen=True, kw_only=True)
class Config(DatasetConfig):
    """Which release, and its files."""

    release: Literal["2014", "2018", "2023"] = "2018"
    """The year of publication; it decides the names of the fields."""
    times: Times = field(default=Times(), metadata=identity_where(lambda config: config.times != Times()))
    """What becomes of interactions without a time, or with one that cannot be true."""
    encoding: str = field(default="", metadata=identity_where(lambda config: bool(config.encoding)))
    """The encoding of all files, such as cp1252; empty: UTF-8, or what a byte order mark names."""
    reviews: tuple[str, ...] = runtime(())
    """The files of reviews, such as Office_Products_5.json.gz."""
    metadata: tuple[str, ...] = runtime(())
    """The files of metadata, such as meta_Office_Products.json.gz."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_encoding(self.encoding)

    def build(self) -> "Amazon":
        return Amazon(self)


class Amazon:
    """Items have title, description, brand and categories; the first two are the text."""

    text: tuple[str, ...] = ("title", "description")
    anomalies: Literal["refuse", "count"] = "count"

    def __init__(self, config: Config) -> None:
        self.config, self.times = config, config.times

    def sources(self) -> dict[str, list[Found]]:
        return {
            "items": _found("catalog.dataset.metadata", self.config.metadata),
            "interactions": _found("catalog.dataset.reviews", self.config.reviews),
        }

    def parts(self) -> list[Part]:
        sources = self.sources()
        return [part(table, found.path) for table in ("items", "interactions") for found in sources[table]]

    def read(self, part: Part) -> pa.Table:
        release, path = RELEASES[self.config.release], part["path"]
        read = _items if part["table"] == "items" else functools.partial(_reviews, self.times)
        found = text_blocks(path, self.config.encoding)
        tables = [read(release, path, number, data) for number, data in found if data.strip()]
        if not tables:
            raise DataError(f"{path}: is empty; one object a line must be in it")
        return pa.concat_tables(in_one_unit(tables))

    def at(self, part: Part, index: int) -> str:
        for number, data in text_blocks(part["path"], self.config.encoding):
            filled = [place for place, line in enumerate(data.split(b"\n"), number) if line.strip()]
            if index < len(filled):
                return f"{part['path']}, line {filled[index]}"
            index -= len(filled)
        return str(part["path"])


def _found(where: str, paths: tuple[str, ...]) -> list[Found]:
    return [Found(find(where, path)) for path in paths or ("",)]


def _reviews(policy: Times, release: Release, path: str, number: int, data: bytes) -> pa.Table:
    fields = {release.user: pa.string(), release.item: pa.string(), release.time: pa.int64()}
    rating = {release.rating: pa.float64()}
    options = pajson.ParseOptions(explicit_schema=pa.schema(fields | rating), unexpected_field_behavior="ignore")
    numbers: Rows = Numbered(number, "line")
    try:
        rows = pajson.read_json(io.BytesIO(data), parse_options=options)
    except pa.ArrowInvalid:
        rows = None
    if rows is None or rows.num_rows != data.count(b"\n") + (not data.endswith(b"\n")):  # slower, but it has the lines
        found, lines = _lines(path, number, data, parsed)
        rows = pa.table({name: values_of(path, name, [line.get(name) for line in found], lines) for name in fields})
        given = pa.array([_rating(line.get(release.rating)) for line in found], pa.float64())
        rows = rows.append_column(release.rating, given)
        numbers = Lines(lines)
    clock = Clock(release.unit, policy, "check catalog.dataset.release: these may be files of another year")
    return pa.table(
        {
            "user_id": ids(rows[release.user], f"{path}, field '{release.user}'", numbers),
            "item_id": ids(rows[release.item], f"{path}, field '{release.item}'", numbers),
            "timestamp": times(rows[release.time], f"{path}, field '{release.time}'", clock, numbers),
            "rating": rows[release.rating],
        }
    )


def _rating(value: Any) -> float | None:
    """A rating as a number; None where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _items(release: Release, path: str, number: int, data: bytes) -> pa.Table:
    rows, lines = _lines(path, number, data, release.parse)
    values = values_of(path, release.item, [row.get(release.item) for row in rows], lines)
    item_id = ids(pa.chunked_array([values]), f"{path}, field '{release.item}'", Lines(lines))
    columns = {
        "title": [joined_text(row.get("title")) for row in rows],
        "description": [joined_text(row.get("description")) for row in rows],
        "brand": [joined_text(row.get(release.brand)) for row in rows],
        "categories": [joined_text(row.get(release.categories)) for row in rows],
    }
    texts = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return pa.table({"item_id": item_id} | texts)


def _lines(path: str, number: int, data: bytes, parse: Callable[[str], Any]) -> tuple[list[Line], list[int]]:
    try:
        return objects(path, number, data.decode("utf8"), parse)
    except DataError as error:
        raise DataError(f"{error}; check catalog.dataset.release") from None
