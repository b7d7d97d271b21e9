"""A recommender, its index, the shop's ids and the rules over its items, as one immutable value.

A new pair replaces the old one as a whole; a request that began with one pair ends with it. N items.
"""

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import require
from unisid.artifacts.store import Place
from unisid.baselines.popularity import count_users
from unisid.ops.keywords import Prefix, names_below
from unisid.ops.semantic_ids import spell_all
from unisid.serving.columns import Columns
from unisid.serving.filters import Filters
from unisid.serving.recommender import Recommender
from unisid.serving.texts import Texts


@dataclass(frozen=True)
class Versions:
    """The identity of a pair's artifacts, part of every answer."""

    index: str
    """The address of the index: codes/shop/2."""
    index_fingerprint: str
    model: str
    """The address of the recommender."""
    model_fingerprint: str
    index_version: str = ""
    """The version of the index in MLflow's registry; empty for a pair that was not promoted."""
    model_version: str = ""


@dataclass(frozen=True)
class Pair:
    """A recommender with its index and its catalogue."""

    recommender: Recommender
    codes: Codes
    catalog: Catalog
    filters: Filters
    versions: Versions
    item_ids: list[str] = field(repr=False)
    titles: list[str] = field(repr=False)
    item_of: Mapping[str, int] = field(repr=False)

    @classmethod
    def load(
        cls,
        model: Place,
        codes: Place,
        catalog: Place,
        columns: Columns | None = None,
        partitions: Mapping[str, str] | None = None,
        vectors: Mapping[str, Place] | None = None,
        registered: tuple[str, str] = ("", ""),
        device: torch.device | None = None,
        new_share: float | None = None,
    ) -> "Pair":
        """The pair of stored artifacts.

        Args:
            registered: the versions of index and recommender in MLflow's registry.
            new_share: as `Recommender.load`.

        Raises:
            ArtifactError: as `Recommender.load`.
            ConfigError: for a partition whose rule does not fit the columns.
        """
        recommender = Recommender.load(model, codes, catalog, device, vectors, new_share)
        read, shop, trained = Codes.read(codes), Catalog.read(catalog), require(model, "model")
        item_ids = shop.item_ids.to_pylist()
        versions = Versions(
            read.record.address, read.record.fingerprint, trained.address, trained.fingerprint, *registered
        )
        return cls(
            recommender,
            read,
            shop,
            Filters(columns or Columns.of(shop), partitions or {}),
            versions,
            item_ids,
            [title or "" for title in shop.titles.to_pylist()],
            {item_id: item for item, item_id in enumerate(item_ids)},
        )

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.item_ids)

    @functools.cached_property
    def sids(self) -> list[str]:
        """The items' semantic ids [N], spelled."""
        return list(spell_all(self.codes.codes))

    @functools.cached_property
    def user_of(self) -> Mapping[str, int]:
        """User id -> user number."""
        return {user_id: user for user, user_id in enumerate(self.catalog.user_ids.to_pylist())}

    @functools.cached_property
    def popular(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """All items [N] by how many users took them in training, most first (among equals the lower number), and the
        logarithm of each one's share, every item counted once more so that none is 0."""
        counts = count_users(self.catalog).numpy().astype(np.float64) + 1
        order = np.argsort(-counts, kind="stable")
        return order, np.log(counts / counts.sum())[order].astype(np.float32)

    def name_of(self, prefix: Prefix) -> str:
        """The keywords of a prefix's titles compared with its siblings'; '' where there are none."""
        before = prefix[:-1]
        if before not in self._named:
            self._named[before] = names_below(before, self.codes, self.titles)
        return self._named[before].get(prefix, "")

    @functools.cached_property
    def _named(self) -> dict[Prefix, dict[Prefix, str]]:
        """The names of a prefix's children, by prefix; computed once each."""
        return {}

    @functools.cached_property
    def texts(self) -> Texts:
        """The titles, for queries in words."""
        return Texts(self.titles)

    def titled(self, text: str, most: int) -> list[int]:
        """The first items whose titles contain all words of a text, case ignored."""
        words = text.lower().split()
        found = (item for item, title in enumerate(self.titles) if all(word in title.lower() for word in words))
        return list(itertools.islice(found, most)) if words else []

    def beside(self, item: int, most: int = 10) -> list[int]:
        """Other items under the longest prefix that an item shares with any, by semantic id."""
        codes = tuple(self.codes.codes[item].tolist())
        for level in range(len(codes) - 1, -1, -1):
            below = self.codes.find(codes[:level])
            if len(below) > 1:
                place = int(np.flatnonzero(below == item)[0])
                some = below[max(0, place - most) : place + most + 1]
                return [int(other) for other in some if other != item][:most]
        return []

    def history_of(self, user: int) -> NDArray[np.int64]:
        """All items of a user, oldest first."""
        rows = slice(self.catalog.offsets[user], self.catalog.offsets[user + 1])
        return self.catalog.item[rows].astype(np.int64)

    def warm(self) -> "Pair":
        """The same pair, after computing what its first request would have to wait for."""
        _ = self.sids, self.user_of, self.popular
        self.recommender.rank([[0]], 1)
        return self
