"""Which artifacts are in use under a registered name, as MLflow's registry says, without writing to it."""

from unisid.artifacts.store import Address, Store
from unisid.errors import ArtifactError, UnisidError
from unisid.runtime.tracking_place import sqlite_file, tracking_uri

Held = dict[str, tuple[Address, str]]
"""Noun -> address and fingerprint of what a registered version holds."""


def promoted(store: Store, name: str) -> tuple[Held, Held]:
    """What the champion index and the champion recommender of a name hold; empty for none.

    Raises:
        ArtifactError: MLflow cannot be reached.
    """
    database = sqlite_file(tracking_uri(store.root))
    if database is not None and not database.exists():
        return {}, {}
    from unisid.runtime import promotion  # with MLflow, which takes more than a second
    from unisid.runtime.registry import CHAMPION
    from unisid.runtime.tracking import tracker

    tracking = tracker(store.root)
    pair = promotion.in_use(tracking, name)[CHAMPION]
    index, recommender = promotion.holdings(tracking, name, pair)
    return _addresses(index), _addresses(recommender)


def _addresses(tags: dict[str, str]) -> Held:
    """What a version holds, by its tags."""
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
