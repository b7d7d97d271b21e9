"""A recommender, its index, the shop's ids and the rules over its items, as one immutable value.

A new pair replaces the old one as a whole; a request that began with one pair ends with it. N items.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import Model
from unisid.artifacts.record import require
from unisid.artifacts.store import Place
from unisid.ops.keywords import Prefix, names_below
from unisid.serving import arrays
from unisid.serving.arrays import Contents
from unisid.serving.columns import Columns
from unisid.serving.filters import Filters
from unisid.serving.mapped import Held, hold, key_of
from unisid.serving.recommender import Recommender, vectors_of
from unisid.serving.strings import Spelled
from unisid.serving.texts import Texts, weighed


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
    contents: Contents
    filters: Filters
    versions: Versions
    folder: Path | None = None
    """The folder of mapped files; None where the arrays are this process's own."""
    held: tuple[Held, ...] = field(default=(), repr=False)
    """Keeps the files of the arrays while the pair lives."""

    @classmethod
    def load(
        cls,
        model: Place,
        codes: Place,
        catalog: Place,
        columns: Callable[[Catalog], Columns] = Columns.of,
        partitions: Mapping[str, str] | None = None,
        vectors: Mapping[str, Place] | None = None,
        registered: tuple[str, str] = ("", ""),
        device: torch.device | None = None,
        new_share: float | None = None,
        folder: Path | None = None,
        beams: tuple[int, ...] = (),
    ) -> "Pair":
        """The pair of stored artifacts.

        Args:
            columns: what returns the columns of the catalogue that is read.
            registered: the versions of index and recommender in MLflow's registry.
            new_share: as `Recommender.load`.
            folder: where arrays lie in files that all processes of this machine map (`mapped.here`); None: in this
                process's own memory.
            beams: of its searches by level, the last for all further ones; empty: as `Recommender.beams`.

        Raises:
            ArtifactError: as `Recommender.load`.
            ConfigError: for a partition whose rule does not fit the columns.
        """
        read, shop, trained, places = Codes.read(codes), Catalog.read(catalog), require(model, "model"), vectors or {}
        Model.read(model, read)  # what may not be loaded is refused before anything is made
        nouns = vectors_of(model)
        identity = arrays.identity(read, shop, places, nouns)
        held = hold(folder, key_of("index", *identity), lambda: arrays.made(read, shop, places, nouns))
        contents = Contents.of(read, shop, held.arrays)
        recommender = Recommender.load(model, codes, catalog, device, vectors, new_share, index=contents.index)
        if beams:
            recommender = replace(recommender, beams=beams)
        shared = [held]
        if folder is not None and arrays.tensors(recommender.backbone):
            key = key_of("weights", arrays.content_of(model, trained), *identity, new_share)
            shared.append(hold(folder, key, lambda: arrays.raw(recommender.backbone)))
            arrays.replace_equal(recommender.backbone, shared[-1].arrays)
        filters = Filters(columns(contents.catalog), partitions or {})
        versions = Versions(
            read.record.address, read.record.fingerprint, trained.address, trained.fingerprint, *registered
        )
        return cls(recommender, contents, filters, versions, folder, tuple(shared))

    @property
    def codes(self) -> Codes:
        """The index."""
        return self.contents.codes

    @property
    def catalog(self) -> Catalog:
        """The catalogue."""
        return self.contents.catalog

    @property
    def item_ids(self) -> Sequence[str]:
        """The shop's ids [N]."""
        return self.contents.item_ids

    @property
    def titles(self) -> Sequence[str]:
        """The titles [N]; '' where there is none."""
        return self.contents.titles

    @property
    def item_of(self) -> Mapping[str, int]:
        """Item id -> item."""
        return self.contents.item_of

    @property
    def user_of(self) -> Mapping[str, int]:
        """User id -> user number."""
        return self.contents.user_of

    @property
    def sids(self) -> Sequence[str]:
        """The items' semantic ids [N], spelled."""
        return Spelled(self.codes.codes)

    @property
    def popular(self) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """All items, most popular first, and the logarithms of their shares, as `Contents.popular`."""
        return self.contents.popular

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.item_ids)

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
        return Texts(self._words.arrays, self.num_items)

    @functools.cached_property
    def _words(self) -> Held:
        key = key_of("words", arrays.content_of(self.catalog.place, self.catalog.record))
        return hold(self.folder, key, lambda: weighed(self.titles))

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

    def history_of(self, user: int) -> Int[np.ndarray, " T"]:
        """All items of a user, oldest first."""
        rows = slice(self.catalog.offsets[user], self.catalog.offsets[user + 1])
        return self.catalog.item[rows].astype(np.int64)

    def warm(self) -> "Pair":
        """The same pair, after computing what its first request would have to wait for."""
        self.recommender.rank([[0]], 1)
        return self
