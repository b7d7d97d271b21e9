"""The pair that is to answer: the promoted one of a name, looked for again and again, and the newest until there is
one; or one that was named."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.lookup import newest_of
from unisid.artifacts.record import require, require_input
from unisid.artifacts.store import Address, Place, Stamp, Store
from unisid.errors import ArtifactError, ConfigError, UnisidError
from unisid.log import logger
from unisid.runtime import promotion, registry
from unisid.runtime.http.adding import Adding
from unisid.runtime.promotion import Registered, held_in
from unisid.runtime.registry import CANDIDATE, CHAMPION, index_of, recommender_of
from unisid.runtime.tracking import tracker
from unisid.runtime.tracking_faults import fault, is_trouble
from unisid.serving import mapped
from unisid.serving.columns import Columns, read_table
from unisid.serving.filters import Filters
from unisid.serving.pair import Pair
from unisid.serving.recommender import vectors_of
from unisid.serving.settings import Serving

LOG = logger(__name__)


@dataclass(frozen=True)
class Source:
    """Where the pair comes from."""

    store: str
    name: str = ""
    """The registered name whose champion answers; it is followed when it changes. Until there is one, the newest
    recommender of this name answers."""
    model: str = ""
    """The address of a recommender that answers instead, for good."""
    codes: str = ""
    """The address of an index that extends the recommender's own (only beside `model`)."""
    until_promoted: str = ""
    """The address of the recommender that answers until a pair is promoted, alike in all replicas; empty for the newest
    of the name."""

    def __post_init__(self) -> None:
        if bool(self.name) == bool(self.model):
            raise ConfigError(
                "serve: must have either a registered name (--name shop) or a recommender (--model model/shop/1)"
            )
        if self.codes and not self.model:
            raise ConfigError(f"serve: --codes {self.codes} stands beside --model; what is promoted has its own index")


@dataclass
class Follower:
    """Loads the pair in use, and the next one when another is promoted; the table of columns when its file changes."""

    source: Source
    settings: Serving
    use: Callable[[Pair], None]
    """Takes each new pair, already warm."""
    refuse: Callable[[str], None] = lambda why: None
    """Takes the reason why what is promoted is not loaded; empty when all is well again."""
    try_out: Callable[[Pair | None], None] = lambda pair: None
    """Takes each new candidate, already warm; None where there is none any more."""
    pair: Pair | None = None
    candidate: Pair | None = None
    withdrawn: dict[tuple[str, str], str] = field(default_factory=dict)
    """Versions of pairs that were withdrawn -> why: they are not loaded again."""
    _stamp: Stamp | None = None
    _trouble: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _due: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise UnisidError where there is nothing to load, or it is not in the store; loads nothing."""
        try:
            (self._named if self.source.model else self._promoted)()
        except UnisidError:
            raise
        except Exception as error:
            if not is_trouble(error):
                raise
            raise ArtifactError(f"serve: MLflow: {fault(error)}") from None

    def look(self) -> bool:
        """Look once; returns whether another pair, or other columns, are in use now. Never raises for what may pass:
        the pair in use stays, and `refuse` gets the reason."""
        try:
            changed = self._look()
        except UnisidError as error:
            self.refuse(str(error))
            return False
        except Exception as error:
            if not is_trouble(error):
                raise
            self.refuse(f"serve: MLflow: {fault(error)}")
            return False
        self.refuse("")
        return changed

    def follow(self) -> threading.Thread:
        """Look again and again, in a thread that ends with `stop`."""
        thread = threading.Thread(target=self._follow, name="unisid-follower", daemon=True)
        thread.start()
        return thread

    def withdraw(self, pair: Pair, why: str) -> None:
        """Move the aliases back from a pair that the guard found wanting, and load it no more."""
        versions = (pair.versions.index_version, pair.versions.model_version)
        self.withdrawn[versions], self.pair = why, None
        LOG.error(f"{pair.versions.model} over {pair.versions.index} is withdrawn: {why}")
        if not self.source.name:
            return
        try:
            back = promotion.withdraw(self._registered, promotion.Pair(*versions), why)
            if back == promotion.Pair(*versions):
                LOG.error(f"nothing was promoted under '{self.source.name}' before it: promote another pair")
            else:
                LOG.error(f"in use under '{self.source.name}' again: {back}")
        except Exception as error:
            if not is_trouble(error):
                raise
            LOG.error(f"MLflow: {fault(error)}; the aliases stay where they are, this server keeps the pair before")

    def dismiss(self, pair: Pair, why: str) -> None:
        """Take the alias `candidate` from a pair that the guard found wanting, and load it no more."""
        versions = (pair.versions.index_version, pair.versions.model_version)
        self.withdrawn[versions], self.candidate = why, None
        LOG.error(f"the candidate {pair.versions.model} over {pair.versions.index} is dismissed: {why}")
        try:
            promotion.dismiss(self._registered, promotion.Pair(*versions), why)
        except Exception as error:
            if not is_trouble(error):
                raise
            LOG.error(f"MLflow: {fault(error)}; its alias stays where it is, this server loads it no more")

    def adding(self) -> Adding | None:
        """The `Adding` of items to the index in use; None where the settings or the source allow none."""
        return Adding(self._store, self.source.name) if self.settings.adds and self.source.name else None

    def alias_moved(self, model: str) -> bool:
        """Look at once where an alias of a registered model moved that is followed; returns whether it is."""
        if not self.source.name or model not in (index_of(self.source.name), recommender_of(self.source.name)):
            return False
        self.look_soon()
        return True

    def look_soon(self) -> None:
        """Let the thread of `follow` look at once."""
        self._due.set()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._due.set()

    def _follow(self) -> None:
        while True:
            self._due.wait(self.settings.poll)
            if self._stop.is_set():
                return
            self._due.clear()  # before the look: what moves while it is under way is looked at again
            try:
                self.look()
            except Exception:
                LOG.exception("looking for the pair in use failed")

    def _look(self) -> bool:
        stamp = self._stamp_of_columns()
        made = self._named if self.source.model else self._promoted
        places, same = made(), stamp == self._stamp
        if places is not None or (self.pair is not None and not same):
            found = places() if places is not None else self._with_columns(self.pair)
            self.pair, self._stamp = found.warm(), stamp
            self.use(found)
        candidate = self._look_at_candidate(same)
        return candidate or places is not None or not same

    def _with_columns(self, pair: Pair | None) -> Pair:
        """A pair with the table of columns as it is now."""
        assert pair is not None
        return replace(pair, filters=Filters(self._columns(pair.catalog), self.settings.named_rules()))

    def _look_at_candidate(self, same: bool) -> bool:
        """Load the candidate where it is to answer; one that cannot be loaded costs the pair in use nothing.

        Args:
            same: whether the table of columns did not change.
        """
        if not self.source.name or not (self.settings.shadow or self.settings.canary):
            return False
        now = self._registered.pair(CANDIDATE)
        versions = (now.index, now.recommender)
        known = self.candidate and (self.candidate.versions.index_version, self.candidate.versions.model_version)
        try:
            if now == self._registered.pair(CHAMPION) or None in versions or versions in self.withdrawn:
                found = None
            elif versions == known:
                found = self.candidate if same else self._with_columns(self.candidate).warm()
            else:
                found = self._registered_pair(now)().warm()
            trouble = ""
        except UnisidError as error:
            found, trouble = None, str(error)
        if trouble and trouble != self._trouble:
            LOG.warning(f"the candidate of '{self.source.name}' is not tried: {trouble}")
        self._trouble = trouble
        if found is self.candidate:
            return False
        self.candidate = found
        self.try_out(found)
        return True

    @functools.cached_property
    def _store(self) -> Store:
        return Store(Place.of(self.source.store))

    @functools.cached_property
    def _registered(self) -> Registered:
        return Registered(tracker(self._store.root).client, self.source.name)

    def _named(self) -> Callable[[], Pair] | None:
        return None if self.pair is not None else self._addressed(Address.parse(self.source.model), self.source.codes)

    def _addressed(self, recommender: Address, address: str = "") -> Callable[[], Pair]:
        """A function that loads a recommender with its own index, or with the index of an address."""
        model = self._store.place(recommender)
        record = require(model, "model")
        codes = self._store.place(Address.parse(address)) if address else require_input(self._store, record, "codes")
        vectors = {
            noun: require_input(self._store, require(codes, "codes"), noun)
            for noun in vectors_of(model)
            if noun in require(codes, "codes").inputs
        }
        catalog = require_input(self._store, require(codes, "codes"), "catalog")
        return functools.partial(self._load, model, codes, catalog, vectors if address else {})

    def _promoted(self) -> Callable[[], Pair] | None:
        """A function that loads the champions; None where they are in use already."""
        registered, name = self._registered, self.source.name
        now = registered.pair(CHAMPION)
        if now.index is None or now.recommender is None:
            return self._newest(now)
        used = self.pair and (self.pair.versions.index_version, self.pair.versions.model_version)
        if used == (now.index, now.recommender):
            return None
        if (why := self.withdrawn.get((now.index, now.recommender))) is not None:
            raise ArtifactError(f"serve: '{name}' has {now}, which was withdrawn: {why}")
        return self._registered_pair(now)

    def _newest(self, now: promotion.Pair) -> Callable[[], Pair] | None:
        """A function that loads the newest recommender while none is promoted; None where it answers already.

        Raises:
            ArtifactError: there is none, or a promoted pair was in use before.
        """
        name, wanted = self.source.name, "must have both: unisid promote codes/... model/..."
        if self.pair is not None and self.pair.versions.model_version:
            raise ArtifactError(f"serve: '{name}' has {now} in use; {wanted} --name {name}")
        if self.pair is not None:
            return None
        try:
            given = self.source.until_promoted
            newest = Address.parse(given) if given else newest_of(self._store, "model", name)[0]
        except ArtifactError as error:
            raise ArtifactError(f"serve: '{name}' has {now} in use; {wanted} --name {name}; {error}") from None
        load = self._addressed(newest)

        def loaded() -> Pair:
            LOG.warning(f"no pair is promoted under '{name}': {newest} answers until one is")
            return load()

        return loaded

    def _registered_pair(self, now: promotion.Pair) -> Callable[[], Pair]:
        """A function that loads the versions of a pair; raises ArtifactError where they do not fit or are missing."""
        registered, name = self._registered, self.source.name
        if not registered.fits(now):
            raise ArtifactError(
                f"serve: '{name}' has {now}, and its recommender belongs to another index; promote "
                "both, or finish the promotion that was cut short"
            )
        assert now.index is not None  # the caller has looked
        assert now.recommender is not None
        tags = registered.tags(recommender_of(name), now.recommender)
        model, codes, catalog = (held_in(self._store, tags, noun, "serve") for noun in registry.RECOMMENDER)
        nouns = [noun for noun in vectors_of(model) if f"lineage.{noun}" in tags]
        vectors = {noun: held_in(self._store, tags, noun, "serve") for noun in nouns}
        return functools.partial(self._load, model, codes, catalog, vectors, (now.index, now.recommender))

    def _load(
        self,
        model: Place,
        codes: Place,
        catalog: Place,
        vectors: dict[str, Place],
        registered: tuple[str, str] = ("", ""),
    ) -> Pair:
        return Pair.load(
            model,
            codes,
            catalog,
            self._columns,
            self.settings.named_rules(),
            vectors,
            registered,
            new_share=self.settings.new_share,
            folder=mapped.here(),
            beams=self.settings.beams,
        )

    def _columns(self, catalog: Catalog) -> Columns:
        path = self.settings.columns
        found = Columns.of(catalog, read_table(path) if path else None, path)
        if found.unknown or found.left:
            LOG.warning(
                "%s: %d items are not in %s; left out: %s", path, found.unknown, catalog.record.address, found.left
            )
        return found

    def _stamp_of_columns(self) -> Stamp | None:
        place = Place.of(self.settings.columns) if self.settings.columns else None
        return None if place is None else place.parent.stamp(place.name)
