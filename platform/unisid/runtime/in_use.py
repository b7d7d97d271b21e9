"""Which artifacts are in use under a registered name, as MLflow's registry says, without writing to it."""

from typing import Any

from unisid.artifacts.store import Address, Store
from unisid.errors import ArtifactError, UnisidError
from unisid.runtime.tracking_place import sqlite_file, tracking_uri

Held = dict[str, tuple[Address, str]]
"""Noun -> address and fingerprint of what a registered version holds."""
PAGE = 100
"""Registered models that are listed at once."""


def promoted(store: Store, name: str) -> tuple[Held, Held]:
    """The artifacts of the champion index and of the champion recommender of a name; empty for none.

    Raises:
        ArtifactError: MLflow cannot be reached.
    """
    if not _has_registry(store):
        return {}, {}
    from unisid.runtime import promotion  # with MLflow, which takes more than a second
    from unisid.runtime.registry import CHAMPION
    from unisid.runtime.tracking import tracker

    tracking = tracker(store.root)
    pair = promotion.reached(tracking, lambda: promotion.Registered(tracking.client, name).pair(CHAMPION))
    index, recommender = promotion.holdings(tracking, name, pair)
    return _addresses(index), _addresses(recommender)


def promoted_names(store: Store) -> list[str]:
    """The names that have a champion index, the one promoted last first; empty for none.

    A name whose first index is champion because it was the first comes after those that were promoted, as of when it
    was registered.

    Raises:
        ArtifactError: MLflow cannot be reached.
    """
    if not _has_registry(store):
        return []
    from unisid.runtime import promotion
    from unisid.runtime.registry import CHAMPION, index_of
    from unisid.runtime.tracking import tracker

    tracking = tracker(store.root)

    def found() -> list[str]:
        times: dict[str, tuple[bool, int]] = {}
        page: Any = None
        while page is None or page.token:
            page = tracking.client.search_registered_models(max_results=PAGE, page_token=page and page.token)
            for model in page:
                name = model.name.removesuffix(index_of(""))
                if name != model.name and CHAMPION in model.aliases:
                    is_chosen = promotion.PROMOTED in model.tags or promotion.PREVIOUS in model.aliases
                    noted = model.tags.get(promotion.PROMOTED, "")
                    times[name] = is_chosen, int(noted if noted.isdecimal() else model.creation_timestamp)
        return sorted(times, key=lambda name: (*times[name], name), reverse=True)

    names: list[str] = promotion.reached(tracking, found)
    return names


def _has_registry(store: Store) -> bool:
    """Whether MLflow may hold anything of a store: a server may, a database that is not there does not."""
    database = sqlite_file(tracking_uri(store.root))
    return database is None or database.exists()


def _addresses(tags: dict[str, str]) -> Held:
    """The artifacts of a registered version, from its tags."""
    found: Held = {}
    for noun in ("model", "codes"):
        address, _, fingerprint = tags.get(f"lineage.{noun}", "").partition(" ")
        if address:
            try:
                found[noun] = Address.parse(address), fingerprint
            except UnisidError as error:
                raise ArtifactError(
                    f"MLflow: a registered version says lineage.{noun} = {address!r} ({error})"
                ) from None
    return found
