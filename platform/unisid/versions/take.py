"""An index of semantic ids that others made, as an ordinary artifact of a catalog that is in the store."""

from unisid import config as settings
from unisid import making
from unisid.artifacts.lookup import place_of
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.at_work import writing
from unisid.errors import ConfigError
from unisid.exchange.given import Given
from unisid.planning import missing, refuse_drift, resolve
from unisid.runtime.machines import machines
from unisid.stages import codes
from unisid.stages.flow import gift
from unisid.tracker import NullTracker


def take_codes(store: Store, to: Address, catalog: Address, path: str, items: str = "") -> Place:
    """Where the index lies, made of a package or a file unless it is there; it may be shared.

    Args:
        items: a file with the shop's ids of items that `path` numbers.
    Raises:
        ConfigError: the address is no index's.
        DataError: as `exchange.given.on_catalog`.
        DriftError: another index lies at the address.
    """
    if to.noun != "codes":
        raise ConfigError(f"--to {to}: is no index's address; must be codes/NAME/VERSION, such as codes/theirs/1")
    config = codes.Config(given=Given(path=str(Place.of(path)), items=str(Place.of(items)) if items else ""))
    maker, shop = gift("codes"), place_of(store, catalog)
    record = require(shop, "catalog")
    inputs = {"catalog": {"address": record.address, "fingerprint": record.fingerprint}, **maker.sources(config)}
    identity = settings.to_record(config, identity=True)
    planned = [resolve("codes", to, identity, inputs, store, {})]
    refuse_drift(planned)
    if missing(planned):
        with writing(store, to.name, to.version, planned) as held, machines("local") as compute:
            around = making.Surroundings(store, {"catalog": shop, "codes": store.place(to)}, compute, held)
            making.make(planned[0], maker, config, around, NullTracker())
    return store.place(planned[0].address)
