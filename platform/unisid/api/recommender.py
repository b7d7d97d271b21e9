"""The recommender by the shop's own ids: histories or users in; ids, scores, titles and semantic ids out."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.api.places import store_of
from unisid.api.tables import rows_of
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.lookup import history_of, item_numbers, number_of
from unisid.artifacts.store import Address, Store
from unisid.errors import ConfigError, DataError
from unisid.in_use import Pair, named_pair
from unisid.ops.semantic_ids import spell_all
from unisid.serving import recommender
from unisid.serving.proven import Proven

if TYPE_CHECKING:
    import pandas as pd

KNOWN = "Recommender.items() has all items"
"""What helps where an item id is unknown."""
TYPES = (pa.string(), pa.float32(), pa.string(), pa.string())
"""Of an answer's ids, scores, titles and semantic ids."""


@dataclass(frozen=True)
class Recommendations:
    """The best items for each history, best first: lists of equal shape, one row a history.

    A row is shorter than k where fewer items may be recommended. It is an Arrow table too: `pyarrow.table(found)`,
    `polars.DataFrame(found)` and `found.to_pandas()` have a row for each recommended item.
    """

    ids: list[list[str]]
    """The shop's item ids."""
    scores: list[list[float]]
    """Higher is better; log-probabilities where the recommender gives no other."""
    titles: list[list[str | None]]
    semantic_ids: list[list[str]]
    """Such as '<a_12><b_7><c_200>'."""
    users: list[str] | None = None
    """The user of each row, where users were given."""
    certain: list[int] = field(default_factory=list)
    """How many of the first items are the best of all by the model, certainly: the search missed none that scores
    higher."""
    slack: list[float] = field(default_factory=list)
    """How much more than the last item of a row one that the search missed may score: 0 where the row is certain, inf
    where no bound is known."""

    def __len__(self) -> int:
        return len(self.ids)

    def to_arrow(self) -> pa.Table:
        """A row for each recommended item: `user` (or `row`, the number of the history), `rank` from 1, `item_id`,
        `score`, `title`, `semantic_id`."""
        lengths = [len(row) for row in self.ids]
        number = np.repeat(np.arange(len(lengths)), lengths)
        first = (
            pa.array(number, pa.int64())
            if self.users is None
            else pa.array(self.users, pa.string()).take(pa.array(number, pa.int64()))
        )
        ranks = np.concatenate([np.arange(1, n + 1) for n in lengths]) if lengths else np.empty(0)
        parts: tuple[list[list[Any]], ...] = (self.ids, self.scores, self.titles, self.semantic_ids)
        columns = [
            pa.array([value for row in part for value in row], kind) for part, kind in zip(parts, TYPES, strict=True)
        ]
        names = ["row" if self.users is None else "user", "rank", "item_id", "score", "title", "semantic_id"]
        return pa.table([first, pa.array(ranks.astype(np.int32), pa.int32()), *columns], names=names)

    def to_pandas(self) -> "pd.DataFrame":
        """`to_arrow` as a pandas DataFrame."""
        found: pd.DataFrame = self.to_arrow().to_pandas()
        return found

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)


class Recommender:
    """A trained recommender with its index and catalogue; items and users by the shop's own ids."""

    def __init__(self, pair: Pair, inner: recommender.Recommender) -> None:
        self.pair = pair
        """Which artifacts it is made of, and why these."""
        self.inner = inner
        """The same recommender over item numbers."""
        self.catalog, self.codes = Catalog.read(pair.catalog), Codes.read(pair.codes)

    @classmethod
    def load(
        cls,
        name: str | None = None,
        store: str | Path | Store | None = None,
        *,
        codes: str | None = None,
        device: str | None = None,
    ) -> "Recommender":
        """The recommender in use under a name: the promoted one, else the newest; the logger `unisid` has which.

        Args:
            name: what it is promoted under, such as demo, or one model's address, such as model/demo/1; None for what
                was promoted last, else the newest recommender in the store.
            store: a folder or a URI; None for UNISID_STORE, else `runs`.
            codes: the address of an index that extends the recommender's own.
            device: such as cpu or cuda:1; None for a GPU where there is one.

        Raises:
            ArtifactError: there is none, or it is damaged.
        """
        model = Address.parse(name) if name is not None and "/" in name else None
        if model is not None and model.noun != "model":
            raise ConfigError(
                f"Recommender.load: '{name}' is {model.noun}; must be a name, or a model's address, "
                f"such as model/{model.name}/{model.version}"
            )
        index = None if codes is None else Address.parse(codes)
        pair = named_pair(store_of(store), model, index, name if model is None else None)
        where = _device(device)
        return cls(pair, recommender.Recommender.load(pair.model, pair.codes, pair.catalog, where, pair.vectors))

    def __repr__(self) -> str:
        return f"Recommender({self.pair}, {self.catalog.num_items:,} items)"

    def rank(
        self,
        histories: Iterable[Iterable[str]] | Any | None = None,
        k: int = 10,
        *,
        users: Iterable[str] | Any | None = None,
        allowed: Iterable[str] | Iterable[Iterable[str]] | Any | None = None,
        exclude: Iterable[str] | Iterable[Iterable[str]] | Any | None = None,
        exclude_history: bool = True,
        beam_width: int | Sequence[int] | None = None,
        widest: int | None = None,
        renormalised: bool = False,
    ) -> Recommendations:
        """The best k items for each history or user.

        Args:
            histories: lists of item ids, oldest first; also a column of lists (Arrow, pandas, Polars).
            users: user ids of the catalogue, whose histories are then used; instead of `histories`.
            allowed: the ids that may be recommended (in stock, sold in a market): for all rows alike, or a list for
                each row. Ids that the catalogue lacks are left aside.
            exclude: the ids that may not, in the same two forms.
            exclude_history: leave out what the history holds.
            beam_width: beams of the search, or so many by level, the last for all further ones (narrow first, wider
                later); None for 50, or 100 and then 50 where the first level has 256 codes or more; nowhere below k.
            widest: search again, with at most so many beams, where the answer is not certainly the best; the number of
                items always suffices where the recommender's search has a bound.
            renormalised: probabilities among the items alone, which add up to 1 over all of them.

        Raises:
            DataError: an unknown item or user, or an empty history.
            ConfigError: a k or a beam that does not fit.
        """
        if (histories is None) == (users is None):
            given = "neither" if histories is None else "both"
            raise ConfigError(f"Recommender.rank: {given} of histories and users is given; must be one of them")
        names = None if users is None else [_id(user, "users") for user in rows_of(users, "users")]
        rows = self._histories(histories) if names is None else [self._history(user) for user in names]
        mask = self._mask(allowed, exclude, len(rows))
        if not rows:
            return self._answer(_nothing(), names)
        return self._answer(self.inner.prove(rows, k, exclude_history, beam_width, mask, renormalised, widest), names)

    def items(self) -> pa.Table:
        """Every item with its semantic id: `item_id`, `title`, `semantic_id`, in the order of item numbers."""
        return pa.table(
            {
                "item_id": self.catalog.item_ids,
                "title": self.catalog.titles,
                "semantic_id": pa.array(self._semantic_ids, pa.string()),
            }
        )

    @functools.cached_property
    def _semantic_ids(self) -> list[str]:
        return spell_all(self.codes.codes)

    @functools.cached_property
    def _number(self) -> dict[str, int]:
        return number_of(self.catalog)

    @functools.cached_property
    def _names(self) -> tuple[list[str], list[str | None]]:
        """Ids and titles by item number."""
        return self.catalog.item_ids.to_pylist(), self.catalog.titles.to_pylist()

    def _histories(self, histories: Any) -> list[list[int]]:
        rows = rows_of(histories, "histories")
        if rows and isinstance(rows[0], str):
            raise DataError(
                f"histories: holds the text {rows[0]!r:.60}; must be a list of histories, each a list of "
                "item ids: [['7', '12']]"
            )
        return [self._numbers(row, f"history {number}") for number, row in enumerate(rows)]

    def _numbers(self, row: Any, where: str) -> list[int]:
        return item_numbers(self.catalog, [_id(value, where) for value in rows_of(row, where)], self._number, KNOWN)

    def _history(self, user: str) -> list[int]:
        return history_of(self.catalog, user, "for anybody else give histories")

    def _mask(self, allowed: Any, exclude: Any, rows: int) -> NDArray[np.bool_] | None:
        """The items that may be recommended: [N], or [rows, N] where either list has rows of its own."""
        if allowed is None and exclude is None:
            return None
        mask = np.ones(self.catalog.num_items, bool)
        if allowed is not None:
            mask = self._listed(allowed, "allowed", rows)
        if exclude is not None:
            mask = mask & ~self._listed(exclude, "exclude", rows)
        return mask

    def _listed(self, given: Any, where: str, rows: int) -> NDArray[np.bool_]:
        """Which items are named: [N], or [rows, N] for a list of lists."""
        values = rows_of(given, where)
        if all(isinstance(value, str | int) for value in values):
            return self._named(values, where)
        if len(values) != rows:
            raise DataError(f"{where}: has {len(values)} lists for {rows} rows; must be item ids, or one list a row")
        return np.stack([self._named(rows_of(row, where), where) for row in values])

    def _named(self, values: Sequence[Any], where: str) -> NDArray[np.bool_]:
        known = [self._number[name] for value in values if (name := _id(value, where)) in self._number]
        if values and not known:
            raise DataError(
                f"{where}: names none of the {self.catalog.num_items:,} items of "
                f"{self.catalog.record.address}, only such as '{values[0]}'; {KNOWN}"
            )
        mask = np.zeros(self.catalog.num_items, bool)
        mask[known] = True
        return mask

    def _answer(self, found: Proven, users: list[str] | None) -> Recommendations:
        kept = [row[row >= 0].tolist() for row in found.items]
        ids, titles = self._names
        return Recommendations(
            ids=[[ids[item] for item in row] for row in kept],
            scores=[row[:n].tolist() for row, n in zip(found.scores, map(len, kept), strict=True)],
            titles=[[titles[item] for item in row] for row in kept],
            semantic_ids=[[self._semantic_ids[item] for item in row] for row in kept],
            users=users,
            certain=found.proven.tolist(),
            slack=found.slack.tolist(),
        )


def _nothing() -> Proven:
    bound, beam = np.empty(0, np.float32), np.empty(0, np.int64)
    return Proven(np.empty((0, 0), np.int64), np.empty((0, 0), np.float32), bound, beam)


def _id(value: Any, where: str) -> str:
    """An id as text: ids are text, whole numbers are taken for it."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"{where}: {value!r:.60} is no id; must be text, such as '007'")


def _device(name: str | None) -> Any:
    """The device of a name; raises ConfigError where torch has none such."""
    if name is None:
        return None
    import torch

    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device '{name}': cannot be used ({str(error).splitlines()[0]}); must be such as cpu or cuda"
        ) from error
