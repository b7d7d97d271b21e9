"""Which index and which recommender a command uses where none is named: the promoted ones, else the newest.

Whichever it is, it is said. The promoted pair of a name counts only where it lies in this store as it was promoted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unisid.artifacts.lookup import newest_of, place_of
from unisid.artifacts.record import require, require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError, ConfigError
from unisid.log import logger
from unisid.runtime.in_use import promoted

LOG = logger(__name__)


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

    def __str__(self) -> str:
        return f"{self.model.address} with {self.codes.address} ({self.why})"


def index_in_use(store: Store, name: str | None) -> Place:
    """The promoted index of a name, else the newest; None for the name of the newest."""
    newest, count = newest_of(store, "codes", name)
    named = newest.name if name is None else name
    if (found := _promoted(store, named, 0)) is not None and "codes" in found:
        place, why = found["codes"], f"promoted under '{named}'"
    else:
        place, why = store.place(newest), "the newest"
    if count > 1 or place != store.place(newest):
        LOG.info(f"{place.address} is {why} of {count} codes here; --codes names another")
    return place


def pair_in_use(store: Store, name: str | None) -> Pair:
    """The promoted recommender of a name with its index, else the newest; None for the name of the newest.

    Raises:
        ArtifactError: there is none, or what the newest was made from is gone.
    """
    newest, count = newest_of(store, "model", name)
    named = newest.name if name is None else name
    if (found := _promoted(store, named, 1)) is not None and {"model", "codes"} <= found.keys():
        pair = _pair(store, found["model"], found["codes"], f"promoted under '{named}'")
    else:
        pair = _pair(store, store.place(newest), None, "the newest")
    if count > 1 or pair.model != store.place(newest):
        LOG.info(f"{pair.model.address} is {pair.why} of {count} model here; --model names another")
    return pair


def named_pair(store: Store, model: Address | None, codes: Address | None, name: str | None) -> Pair:
    """The recommender of an address, or the one in use, with its own index or an index that extends it."""
    if model is None:
        pair = pair_in_use(store, name)
        return pair if codes is None else _pair(store, pair.model, place_of(store, codes), pair.why)
    return _pair(store, place_of(store, model), None if codes is None else place_of(store, codes), "named")


def _pair(store: Store, model: Place, codes: Place | None, why: str) -> Pair:
    from unisid.serving.recommender import vectors_of  # with torch

    index = require_input(store, require(model, "model"), "codes") if codes is None else codes
    record = require(index, "codes")
    vectors = {noun: require_input(store, record, noun) for noun in vectors_of(model) if noun in record.inputs}
    return Pair(model, index, require_input(store, record, "catalog"), why, vectors)


def _promoted(store: Store, name: str, which: int) -> dict[str, Place] | None:
    """Where what was promoted lies; None where nothing was, or not all of it is here, which is said."""
    try:
        held = promoted(store, name)[which]
    except (ArtifactError, ConfigError) as error:
        LOG.warning(f"what is promoted under '{name}' cannot be known, the newest is used: {error}")
        return None
    places = {}
    for noun, (address, fingerprint) in held.items():
        place = store.place(address)
        try:
            same = require(place, noun).fingerprint == fingerprint
        except ArtifactError:
            same = False
        if not same:
            LOG.warning(
                f"{address} ({fingerprint[:12]}), promoted under '{name}', is not in {store.root}; the newest is used"
            )
            return None
        places[noun] = place
    return places
