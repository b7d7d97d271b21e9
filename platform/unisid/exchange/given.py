"""Reads semantic ids that other systems made, from packages and published index files, and checks them.

- A package: docs/package.md.
- JSON, item -> tokens or codes: {"0": ["<a_12>", "<b_7>"], ...} or {"B0001": [12, 7], ...}, as LC-Rec, LETTER and
  MiniOneRec write them.
- Tables, item -> codes: Parquet with the columns `item_id` and `codes` (or `sid`).
- A matrix [N, L], or [L, N] as GRID saves it: `.npy`, or `.pt` with one tensor.

Their items are the shop's ids, or numbers, for which a second file has the shop's ids. N items, L levels.
"""

import hashlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.lookup import number_of
from unisid.artifacts.reading import contents
from unisid.artifacts.store import Place
from unisid.bounds import Settings
from unisid.config import Json, runtime
from unisid.errors import DataError, UnisidError
from unisid.exchange import reader
from unisid.log import logger
from unisid.ops.semantic_ids import parse
from unisid.raw.columns import require
from unisid.raw.ids import ids
from unisid.raw.rows import shown

LOG = logger(__name__)
NAMED = 5
"""Items that an error names."""
MOST = 1 << 20
"""Codes of a level, at most."""


@dataclass(frozen=True, kw_only=True)
class Given(Settings):
    """The location of semantic ids that another system made."""

    path: str = runtime("")
    """A package's folder, or a file: JSON, Parquet, .npy or .pt."""
    items: str = runtime("")
    """A file with the shop's ids of the items that `path` numbers: a line each, or two columns, an id and its number
    (item2id). Empty: `path` names items by the shop's ids."""

    @classmethod
    def parse(cls, text: str) -> "Given":
        """Of a path."""
        return cls(path=text)

    def source(self) -> Json:
        """Its entry in a record."""
        digest = hashlib.sha256()
        for path in (self.path, self.items):
            digest.update(_bytes(path) if path else b"")
        return {"address": Place.of(self.path).uri, "fingerprint": digest.hexdigest()}


@dataclass(frozen=True)
class Theirs:
    """Semantic ids as read, in the order of the file."""

    item_ids: Sequence[str]
    """[N]."""
    codes: NDArray[np.int32]
    """[N, L]."""
    sizes: tuple[int, ...]
    package: Place | None = None
    """The package that they came from."""


def on_catalog(given: Given, catalog: Catalog) -> tuple[NDArray[np.int32], Theirs]:
    """The codes [N, L] of a catalog's items, by item number, and the ids as read.

    Raises:
        DataError: the file is no index, or lacks items of the catalog. Items that the catalog lacks are left out.
    """
    theirs = read(given)
    number, where = number_of(catalog), given.path
    found = np.array([number.get(item_id, -1) for item_id in theirs.item_ids], np.int64)
    known = found >= 0
    if not known.any():
        raise DataError(
            f"{where}: none of its {len(found):,} items is in {catalog.record.address}: it has such as "
            f"{_some(theirs.item_ids)}, the catalog such as {_some(catalog.item_ids[:NAMED].to_pylist())}; give its "
            "own catalog, or where it numbers items the file of their ids (--items)"
        )
    lacking = np.setdiff1d(np.arange(catalog.num_items), found)
    if len(lacking):
        raise DataError(
            f"{where}: has no semantic id for {len(lacking):,} of {catalog.num_items:,} items of "
            f"{catalog.record.address}, such as {_some(catalog.item_ids.take(lacking[:NAMED]).to_pylist())}; must have "
            "one for each"
        )
    if not known.all():
        strange = [item_id for item_id, is_known in zip(theirs.item_ids, known, strict=True) if not is_known]
        LOG.warning(
            f"{len(strange):,} items that {catalog.record.address} lacks are left out, such as {_some(strange)}"
        )
    codes = np.empty((catalog.num_items, theirs.codes.shape[1]), np.int32)
    codes[found[known]] = theirs.codes[known]
    return codes, theirs


def read(given: Given) -> Theirs:
    """The semantic ids of a package or a file. Raises DataError where it holds none."""
    path = given.path
    if not path:
        raise DataError("codes.given: names no file; give a package's folder, or a file of semantic ids")
    place = Place.of(path)
    if place.exists(reader.MANIFEST):
        return _read_package(place)
    data = _bytes(path)
    if path.endswith(".parquet"):
        names, rows = _of_table(path, data)
    elif path.endswith((".npy", ".pt")):
        rows = _matrix(path, data).tolist()
        names = list(map(str, range(len(rows))))
    else:
        names, rows = _of_json(path, data)
    if given.items:
        names = _ids(given.items, names)
    _check_once(path, "item", names, "has two semantic ids; must have one")
    codes = _array(path, names, rows)
    return Theirs(names, codes, tuple((codes.max(0) + 1).tolist()))


def _read_package(place: Place) -> Theirs:
    with tempfile.TemporaryDirectory(prefix="unisid-") as folder:
        try:
            package = reader.Package(str(place.fetch(Path(folder))))
            return Theirs(package.items()["item_id"].to_pylist(), package.codes(), package.sizes, place)
        except (reader.PackageError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            known = str(error) if isinstance(error, reader.PackageError) else f"{place}: is no package ({error!r})"
            raise DataError(known) from None


def _bytes(path: str) -> bytes:
    """A file's contents; of a package its manifest's, which has the digests of all others."""
    place = Place.of(path)
    try:
        if place.exists(reader.MANIFEST):
            return contents(place, reader.MANIFEST)
        return contents(place.parent, place.name)
    except UnisidError as error:
        raise DataError(f"{path}: cannot be read ({error}); must be a package's folder, or a file") from None


def _of_json(path: str, data: bytes) -> tuple[list[str], list[Any]]:
    try:
        found = json.loads(data, object_pairs_hook=tuple)  # a name that stands twice stays twice
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: is no JSON ({error}); must be item -> tokens, .parquet, .npy, .pt or a package"
        ) from None
    if not isinstance(found, tuple) or not found:
        raise DataError(f'{path}: must hold item -> tokens, such as {{"0": ["<a_12>", "<b_7>"]}}')
    return [name for name, _ in found], [_codes_of(path, name, value) for name, value in found]


def _of_table(path: str, data: bytes) -> tuple[list[str], list[Any]]:
    try:
        table = pq.ParquetFile(io.BytesIO(data)).read()
    except pa.ArrowException as error:
        raise DataError(f"{path}: is not a whole Parquet file ({error}); write or fetch it again") from None
    column = next((name for name in ("codes", "sid") if name in table.column_names), None)
    if "item_id" not in table.column_names or column is None or not table.num_rows:
        raise DataError(
            f"{path}: has the columns {', '.join(table.column_names)} and {table.num_rows} rows; must have item_id and "
            "codes (or sid), and a row an item"
        )
    require(table, ["item_id", column], path)
    names = ids(table["item_id"], f"{path}, column 'item_id'").to_pylist()
    return names, [_codes_of(path, *row) for row in zip(names, table[column].to_pylist(), strict=True)]


def _codes_of(path: str, name: str, value: Any) -> Any:
    """An item's codes, from tokens, numbers or one text."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = "".join(value)
    if isinstance(value, str):
        try:
            return list(parse(value))
        except UnisidError as error:
            raise DataError(f"{path}, item '{shown(name)}': {error}") from None
    if isinstance(value, list) and value and all(type(part) is int for part in value):
        return value
    raise DataError(
        f"{path}, item '{shown(name)}': is {value!r:.60}; must be tokens such as <a_12>, or whole numbers, one a level"
    )


def _matrix(path: str, data: bytes) -> NDArray[Any]:
    """Codes by item number [N, L]; a matrix with fewer rows than columns is transposed."""
    try:
        if path.endswith(".pt"):
            import torch

            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True).numpy()
        else:
            found = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:
        raise DataError(f"{path}: is no matrix ({shown(error)}); must hold one, items by levels") from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or not found.size or found.dtype.kind not in "iu":
        raise DataError(f"{path}: must hold a matrix of whole numbers, items by levels")
    return found.T if found.shape[0] < found.shape[1] else found


def _ids(path: str, numbers: list[str]) -> list[str]:
    """The shop's ids of numbered items, by a list of ids or a table of ids and numbers."""
    lines = _bytes(path).decode("utf8", "replace").splitlines()
    rows = [line.split("\t") if "\t" in line else line.split() for line in lines if line.strip()]
    if rows and all(len(row) == 1 for row in rows):
        by_number = {str(number): row[0] for number, row in enumerate(rows)}
    else:
        pairs = [row for row in rows if len(row) == 2]
        turned = all(row[0].isdecimal() for row in pairs) and not all(row[1].isdecimal() for row in pairs)
        _check_once(path, "number", [row[not turned] for row in pairs], "stands twice; must have one id")
        by_number = {row[0]: row[1] for row in pairs} if turned else {row[1]: row[0] for row in pairs}
    lacking = [number for number in numbers if number not in by_number]
    if lacking:
        raise DataError(f"{path}: has no id of {len(lacking):,} items, such as number {_some(lacking)}; must have all")
    return [by_number[number] for number in numbers]


def _check_once(path: str, what: str, names: Sequence[str], wrong: str) -> None:
    """Raise DataError where a name occurs twice."""
    name, times = next(iter(Counter(names).most_common(1)), ("", 0))
    if times > 1:
        raise DataError(f"{path}: {what} '{shown(name)}' {wrong}")


def _array(path: str, names: Sequence[str], rows: Any) -> NDArray[np.int32]:
    """[N, L]; raises DataError for rows of unequal length and for codes out of range."""
    lengths = np.array([len(row) for row in rows])
    if (lengths != lengths[0]).any():
        other = int(np.argmax(lengths != lengths[0]))
        raise DataError(
            f"{path}: item '{shown(names[other])}' has {lengths[other]} codes, '{shown(names[0])}' {lengths[0]}; must "
            "have one a level each"
        )
    codes = np.array(rows)
    if codes.min() < 0 or codes.max() >= MOST:
        raise DataError(f"{path}: codes from {codes.min()} to {codes.max()}; must lie in 0 to {MOST - 1:,}")
    return codes.astype(np.int32)


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"'{shown(name)}'" for name in names[:NAMED])
