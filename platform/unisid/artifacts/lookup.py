"""What a person names, found: items and users by the shop's ids, artifacts by their address or as the newest."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from unisid.artifacts.catalog import WHY_LEFT_OUT, Catalog
from unisid.artifacts.order import newest
from unisid.artifacts.record import Record, read_record, shared_as
from unisid.artifacts.store import Address, Place, Store
from unisid.config import did_you_mean
from unisid.errors import ArtifactError, DataError
from unisid.log import logger

LOG = logger(__name__)

EXAMPLES = 3
"""Ids that an error names."""
FIND = "unisid items --title WORD finds items by title"


def item_numbers(
    catalog: Catalog, item_ids: Sequence[str], number: Mapping[str, int] | None = None, hint: str = FIND
) -> list[int]:
    """The items of the shop's ids, in order.

    Args:
        number: every item's number by its id, where the caller has it already.
        hint: what helps where an id is unknown, as the end of the error.
    Raises:
        DataError: the catalog has no such item.
    """
    known = number_of(catalog) if number is None else number
    for item_id in item_ids:
        if item_id not in known:
            raise unknown("item", item_id, catalog.item_ids, catalog, hint)
    return [known[item_id] for item_id in item_ids]


def number_of(catalog: Catalog) -> dict[str, int]:
    """Every item's number by its id."""
    return {item_id: item for item, item_id in enumerate(catalog.item_ids.to_pylist())}


def history_of(catalog: Catalog, user_id: str, hint: str = "for anybody else give --history ITEM ...") -> list[int]:
    """All items of a user, oldest first. Raises DataError where the catalog has no such user."""
    user = catalog.user_ids.index(user_id).as_py()
    if user < 0:
        raise unknown("user", user_id, catalog.user_ids, catalog, hint)
    return [int(item) for item in catalog.item[catalog.offsets[user] : catalog.offsets[user + 1]]]


def unknown(what: str, given: str, ids: pa.Array, catalog: Catalog, hint: str) -> DataError:
    """The error for an id that the catalog lacks.

    An id that is near another's letters is near nothing: only case, blanks and leading zeros are forgiven. Of an item
    that the catalog left out it says why.
    """
    why = catalog.left_out().get(given) if what == "item" else None
    if why is not None:
        return DataError(f"item '{given}': {catalog.record.address} left it out: {WHY_LEFT_OUT.get(why, why)}")
    near = next((known for known in ids.to_pylist() if _bare(known) == _bare(given)), None)
    guess = f"; did you mean '{near}'?" if near is not None else ""
    some = ", ".join(f"'{known}'" for known in ids[:EXAMPLES].to_pylist())
    return DataError(
        f"{what} '{given}': not in {catalog.record.address}, which has {len(ids):,} {what}s, such as "
        f"{some}{guess}; {hint}"
    )


def _bare(name: str) -> str:
    return name.strip().lower().lstrip("0")


def place_of(store: Store, address: Address) -> Place:
    """Where an artifact lies, under its own name or, shared, under another's. Raises ArtifactError where it is not."""
    if store.place(address).exists() or store.drafts(address):
        return store.place(address)
    if (twin := shared_as(store, address)) is not None:
        return store.place(twin)
    guess = did_you_mean(str(address), map(str, store.addresses()))
    raise ArtifactError(
        f"{address}: not in {store.root}{guess or '; unisid list names what is'}; where run '{address.name}' shares "
        f"another's, unisid plan RECIPE --name {address.name} says whose"
    )


def newest_of(store: Store, noun: str, name: str | None) -> tuple[Address, int]:
    """The artifact of a noun that was completed last, and how many there are.

    Args:
        name: only artifacts of this name; None for all.
    Raises:
        ArtifactError: there is none.
    """
    records: dict[Address, Record] = {}
    unread: list[str] = []
    addresses = [address for address in store.addresses(noun) if name in (None, address.name)]
    for known in addresses:
        try:
            if (record := read_record(store.place(known))) is not None:
                records[known] = record
        except ArtifactError as error:  # it may be the newest, but it cannot be what is meant
            unread.append(str(error))
    if not records:
        raise ArtifactError(f"{store.root}: {_why_none(store, noun, name, addresses, unread)}")
    for line in unread:
        LOG.warning(f"left aside: {line}")
    return newest(records), len(records)


def _why_none(store: Store, noun: str, name: str | None, addresses: Sequence[Address], unread: Sequence[str]) -> str:
    """Why no artifact of a noun can be read."""
    of = f" of '{name}'" if name else ""
    if unread:
        return f"no {noun}{of} here can be read:\n    " + "\n    ".join(unread)
    if addresses:
        return f"no complete {noun}{of} here yet, {', '.join(map(str, addresses))} half made; run the recipe again"
    names = sorted({address.name for address in store.addresses(noun)}) if name else []
    if names:
        return f"no {noun}{of} here{did_you_mean(str(name), names)}; known: {', '.join(names)}"
    return f"no {noun}{of} here yet; run a recipe first: unisid run demo"
