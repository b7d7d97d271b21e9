"""Which recommender and which index answer where none is named: one pair for every command, the API and serving.

Promoted pairs come first, of several names the one promoted last; else the newest recommender with its own index; an
index alone only where there is no recommender at all. Whichever it is, a line says so, and why. A promoted pair counts
only where it lies in this store as it was promoted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from unisid.artifacts.lookup import newest_of, place_of
from unisid.artifacts.record import require, require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError, ConfigError
from unisid.log import logger
from unisid.runtime.in_use import promoted, promoted_names

LOG = logger(__name__)
NAMED = "named"
"""Why a pair answers that the caller names."""


@dataclass(frozen=True)
class Pair:
    """A recommender and the index that it generates."""

    model: Place
    codes: Place
    catalog: Place
    why: str
    """Why this one: "promoted under 'demo'", "the newest" or "named"."""
    vectors: Mapping[str, Place] = field(default_factory=dict)
    """Noun -> the item vectors of the index that the recommender reads."""
    name: str = ""
    """What it is promoted under; else the recommender's own name."""

    def __str__(self) -> str:
        return f"{self.model.address} with {self.codes.address} ({self.why})"


@dataclass(frozen=True)
class _Choice:
    """Which recommender answers, before anything of it is read."""

    model: Place
    codes: Place | None
    """None for the recommender's own."""
    why: str
    name: str

    def index(self, store: Store) -> Place:
        """Raises ArtifactError where the recommender's own index is gone."""
        return self.codes or require_input(store, require(self.model, "model"), "codes")

    def pair(self, store: Store) -> Pair:
        """Raises ArtifactError where something that it was made from is gone."""
        from unisid.serving.recommender import vectors_of  # with torch

        index = self.index(store)
        record = require(index, "codes")
        vectors = {noun: require_input(store, record, noun) for noun in vectors_of(self.model) if noun in record.inputs}
        return Pair(self.model, index, require_input(store, record, "catalog"), self.why, vectors, self.name)


@dataclass(frozen=True)
class Index:
    """An index, and the recommender that it is in use with."""

    codes: Place
    model: Place | None
    """None where there is no recommender, or the index alone is named."""
    why: str

    def __str__(self) -> str:
        with_it = "" if self.model is None else f" with {self.model.address}"
        return f"{self.codes.address}{with_it} ({self.why})"

    def facts(self) -> dict[str, str | None]:
        """Its artifacts and why they are used, for `--json`."""
        model = None if self.model is None else str(self.model.address)
        return {"codes": str(self.codes.address), "model": model, "why": self.why}


def pair_in_use(store: Store, name: str | None) -> Pair:
    """The pair that is promoted under a name, else the newest of that name; None for any name.

    Raises:
        ArtifactError: there is no recommender, or what the newest was made from is gone.
    """
    pair = _chosen(store, name).pair(store)
    LOG.info(f"{pair} answers")
    return pair


def named_pair(store: Store, model: Address | None, codes: Address | None, name: str | None) -> Pair:
    """The recommender of an address, or the one in use, with its own index or an index that extends it.

    Raises:
        ConfigError: both an address and a name are given.
        ArtifactError: as `pair_in_use`.
    """
    if model is None and codes is None:
        return pair_in_use(store, name)
    index = None if codes is None else place_of(store, codes)
    if model is None:
        pair = replace(_chosen(store, name), codes=index).pair(store)
    else:
        _refuse_both(model, name)
        pair = _Choice(place_of(store, model), index, NAMED, model.name).pair(store)
    LOG.info(f"{pair} answers")
    return pair


def index_in_use(store: Store, name: str | None, codes: Address | None = None) -> Index:
    """The index of an address, or of the pair in use; where there is no recommender, the promoted or newest index.

    Raises:
        ConfigError: both an address and a name are given.
        ArtifactError: there is no index.
    """
    if codes is not None:
        _refuse_both(codes, name)
        index = Index(place_of(store, codes), None, NAMED)
    else:
        index = _index_of_pair(store, name) or _index_alone(store, name)
    LOG.info(f"{index} answers")
    return index


def _refuse_both(address: Address, name: str | None) -> None:
    if name is not None:
        raise ConfigError(f"--name {name}: stands beside {address}; must be one of them: an address alone is enough")


def served(store: Store, name: str | None) -> tuple[str, str]:
    """The name whose promoted pair a server follows, and the recommender that answers until there is one, by address.

    Raises:
        ArtifactError: as `pair_in_use`.
    """
    choice = _chosen(store, name)
    return choice.name, str(choice.model.address)


def _chosen(store: Store, name: str | None) -> _Choice:
    return _promoted_pair(store, name) or _newest_pair(store, name)


def _promoted_pair(store: Store, name: str | None) -> _Choice | None:
    """The pair of a name, or of the name promoted last; None where none is here."""
    for each, why in _promoted_names(store, name):
        held = _promoted(store, each, 1, name is not None)
        if {"model", "codes"} <= held.keys():
            return _Choice(held["model"], held["codes"], why, each)
    return None


def _newest_pair(store: Store, name: str | None) -> _Choice:
    """The newest recommender with its own index; raises ArtifactError where none is complete."""
    newest, count = newest_of(store, "model", name)
    why = "the newest" if count == 1 else f"the newest of {count} recommenders"
    return _Choice(store.place(newest), None, why, newest.name)


def _index_of_pair(store: Store, name: str | None) -> Index | None:
    """The index of the pair in use; None where there is no recommender."""
    try:
        choice = _chosen(store, name)
    except ArtifactError:
        return None
    return Index(choice.index(store), choice.model, choice.why)


def _index_alone(store: Store, name: str | None) -> Index:
    """The index that is promoted without a recommender, else the newest."""
    for each, why in _promoted_names(store, name):
        held = _promoted(store, each, 0, name is not None)
        if "codes" in held:
            return Index(held["codes"], None, why)
    newest, count = newest_of(store, "codes", name)
    why = "the newest" if count == 1 else f"the newest of {count} indexes"
    return Index(store.place(newest), None, f"{why}, without a recommender")


def _promoted_names(store: Store, name: str | None) -> list[tuple[str, str]]:
    """The names to look under, the one promoted last first, each with why it is taken."""
    if name is not None:
        return [(name, f"promoted under '{name}'")]
    try:
        names = promoted_names(store)
    except ArtifactError as error:
        LOG.warning(f"what is promoted cannot be known, the newest is used: {error}")
        return []
    several = f", the last of {len(names)} names" if len(names) > 1 else ""
    return [(each, f"promoted under '{each}'{several}") for each in names]


def _promoted(store: Store, name: str, which: int, is_named: bool) -> dict[str, Place]:
    """Where what was promoted lies; empty where nothing was, or not all of it is here, which is said.

    Args:
        which: 0 for the index, 1 for the recommender with its index.
        is_named: whether the caller named it; what others keep in other stores is left aside without a word.
    """
    try:
        held = promoted(store, name)[which]
    except (ArtifactError, ConfigError) as error:
        LOG.warning(f"what is promoted under '{name}' cannot be known, the newest is used: {error}")
        return {}
    places = {}
    for noun, (address, fingerprint) in held.items():
        place = store.place(address)
        try:
            same = require(place, noun).fingerprint == fingerprint
        except ArtifactError:
            same = False
        if not same:
            if is_named or address.name in (store.root / noun).folders():
                LOG.warning(
                    f"{address} ({fingerprint[:12]}), promoted under '{name}', is not in {store.root}; it is left aside"
                )
            return {}
        places[noun] = place
    return places
