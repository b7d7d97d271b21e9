"""Which index and which recommender are in use: the alias `champion`, and `previous` for the way back.

An index and the recommender trained on it are in use as a pair, and change as one: a champion recommender
never belongs to another index than the champion. MLflow moves one alias at a time; a promotion that was cut short
leaves a pair that does not fit, which the same command, given again, completes. Of two promotions at once each
looks whether what it leaves fits, and the last one's pair is in use.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from unisid.artifacts.codes import Codes
from unisid.artifacts.model import Model
from unisid.artifacts.reading import whole
from unisid.artifacts.record import RECORD, Record, require, require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError, DataError, UnisidError
from unisid.evaluation import index as quality
from unisid.log import logger
from unisid.masked import masked
from unisid.runtime import registry
from unisid.runtime.registry import CANDIDATE, CHAMPION, at_once, held, index_of, recommender_of, version_of
from unisid.runtime.tracking import Tracker
from unisid.runtime.tracking_faults import Contested, fault, is_trouble
from unisid.serving.recommender import vectors_of

LOG = logger(__name__)

PREVIOUS, PROMOTED = "previous", "unisid.promoted"
"""An alias, and the tag of a registered index that says when its name was promoted, in milliseconds since 1970."""
ATTEMPTS, PAUSE = 20, 0.5
"""How often an alias that others move too is moved, and the seconds in between, at most."""


@dataclass(frozen=True)
class Pair:
    """The versions of an index and of a recommender that are in use together; None for none."""

    index: str | None
    recommender: str | None

    def __str__(self) -> str:
        return f"index version {self.index or '-'}, recommender version {self.recommender or '-'}"


@dataclass(frozen=True)
class Registered:
    """What MLflow's registry holds under a name."""

    client: MlflowClient
    name: str

    def pair(self, alias: str) -> Pair:
        """The versions with an alias."""
        return Pair(*(self._aliases(model).get(alias) for model in self._models()))

    def tags(self, model: str, version: str) -> Mapping[str, str]:
        """A registered version's tags."""
        found: Mapping[str, str] = self.client.get_model_version(model, version).tags
        return found

    def fits(self, pair: Pair) -> bool:
        """Whether the recommender of a pair, if there is one, was trained on its index."""
        if pair.index is None or pair.recommender is None:
            return pair.recommender is None
        index, recommender = self._models()
        return held(self.tags(index, pair.index), "codes") == held(self.tags(recommender, pair.recommender), "codes")

    def give(self, alias: str, pair: Pair) -> None:
        """Move an alias to the versions of a pair, and away where it has none.

        Another process that moves it at the same time may leave the index of one pair and the recommender of the other:
        whichever of the two looks last finds that, and moves both again. Raises Contested where that never ends.
        """
        self._move(alias, pair)
        for _ in range(ATTEMPTS):
            now = self.pair(alias)
            if now == pair or self.fits(now):
                return
            time.sleep(random.uniform(0, PAUSE))
            self._move(alias, pair)
        raise Contested(f"others promote and roll back '{self.name}' at the same time")

    def stamp(self) -> None:
        """Note that the name was promoted now."""
        index, now = index_of(self.name), str(time.time_ns() // 1_000_000)
        at_once(partial(self.client.set_registered_model_tag, index, PROMOTED, now))

    def _move(self, alias: str, pair: Pair) -> None:
        for model, version in zip(self._models(), (pair.index, pair.recommender), strict=True):
            if version is not None:
                at_once(partial(self.client.set_registered_model_alias, model, alias, version))
            elif alias in self._aliases(model):
                at_once(partial(self.client.delete_registered_model_alias, model, alias))

    def _models(self) -> tuple[str, str]:
        return index_of(self.name), recommender_of(self.name)

    def _aliases(self, model: str) -> dict[str, str]:
        try:
            aliases = self.client.get_registered_model(model).aliases
            return {alias: str(version) for alias, version in aliases.items()}
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise


@dataclass(frozen=True)
class Promotion:
    """Puts what lies in a store into use under a registered name."""

    tracker: Tracker
    store: Store
    name: str
    run: str
    """The MLflow run that logged it."""

    @property
    def registered(self) -> Registered:
        return Registered(self.tracker.client, self.name)

    def pair(self, now: Pair, codes: Address | None, model: Address | None, gate: Mapping[str, float]) -> Pair:
        """The requested pair, registered; raises DataError or ArtifactError where it may not be in use."""
        index = self._champion(now) if codes is None else self._passed(codes, gate)
        if model is None:
            follower, keeps = self._following(now, index)
        else:
            follower, keeps = self.store.place(model), False
            if codes is None:
                self._require_champions(model, index)
        if follower is not None:
            Model.read(follower, index)  # all that may be refused is, before anything is registered
        version = self._register(index_of(self.name), {"codes": index.place} | self._catalog(index))
        if follower is None:
            return Pair(version, now.recommender if keeps else None)
        places = {"model": follower, "codes": index.place} | self._catalog(index)
        nouns = [noun for noun in vectors_of(follower) if noun in index.record.inputs]
        places |= {noun: require_input(self.store, index.record, noun) for noun in nouns}
        return Pair(version, self._register(recommender_of(self.name), places))

    def _champion(self, now: Pair) -> Codes:
        """The champion index, as it lies in the store."""
        if now.index is None:
            raise DataError(
                f"promote: {index_of(self.name)} has no champion; promote an index first, or the "
                "recommender together with its index: unisid promote codes/... model/..."
            )
        return Codes.read(held_in(self.store, self.registered.tags(index_of(self.name), now.index), "codes"))

    def _passed(self, codes: Address, gate: Mapping[str, float]) -> Codes:
        """An index that is not below its gate."""
        index = Codes.read(self.store.place(codes))
        with whole(index.place, RECORD, "the record of an index with its gate and its figures"):
            wanted, found = quality.Gate(**{**index.record.config["gate"], **gate}), quality.recorded(index.record)
        quality.check(wanted, found)
        return index

    def _require_champions(self, model: Address, index: Codes) -> None:
        trained = require(self.store.place(model), "model").inputs["codes"]
        if trained["fingerprint"] not in (index.record.fingerprint, *index.extends):
            raise DataError(
                f"promote: {model} is for {trained['address']} ({trained['fingerprint'][:12]}), the champion index is "
                f"{index.record.address} ({index.record.fingerprint[:12]}); promote both: unisid promote "
                f"{trained['address']} {model}"
            )

    def _following(self, now: Pair, index: Codes) -> tuple[Place | None, bool]:
        """Where the champion recommender lies if it must be registered beside this index; whether it stays as it is."""
        if now.recommender is None:
            return None, False
        tags = self.registered.tags(recommender_of(self.name), now.recommender)
        if held(tags, "codes") == index.record.fingerprint:
            return None, True
        if held(tags, "codes") not in index.extends:
            raise DataError(
                f"promote: the champion recommender, version {now.recommender}, was trained on "
                f"{tags['lineage.codes'].partition(' ')[0]}, which {index.record.address} does not extend; promote the "
                f"index together with a recommender trained on it: unisid promote {index.record.address} model/..."
            )
        return held_in(self.store, tags, "model"), False

    def _catalog(self, index: Codes) -> dict[str, Place]:
        return {"catalog": require_input(self.store, index.record, "catalog")}

    def _register(self, model: str, places: Mapping[str, Place]) -> str:
        log = registry.log_recommender if "model" in places else registry.log_index
        records: dict[str, Record] = {noun: require(place, noun) for noun, place in places.items()}
        LOG.info(log(self.tracker.client, self.run, model, places))
        version = version_of(self.tracker.client, model, records)
        assert version is not None
        return version


def held_in(store: Store, tags: Mapping[str, str], noun: str, where: str = "promote") -> Place:
    """Where an artifact that a version holds lies; raises ArtifactError where this store has another or none."""
    if f"lineage.{noun}" not in tags:
        raise ArtifactError(
            f"{where}: the version in use does not say which {noun} it holds; must be one that unisid registered"
        )
    address, _, fingerprint = tags[f"lineage.{noun}"].partition(" ")
    place = store.place(Address.parse(address))
    if not place.exists() or require(place, noun).fingerprint != fingerprint:
        raise ArtifactError(
            f"{where}: {address} ({fingerprint[:12]}), which is in use, is not in "
            f"{store.root}; give the store that holds it (--store)"
        )
    return place


def promote(
    tracker: Tracker, store: Store, codes: Address | None, model: Address | None, name: str, gate: Mapping[str, float]
) -> Pair:
    """Make an index, a recommender or both the champions of a name; returns the pair that is in use then.

    Args:
        gate: thresholds of `codes.gate` that are to replace those of the index's own settings.

    Raises:
        DataError: the index is below its gate, or the recommender was not trained on the champion index.
        ArtifactError: MLflow cannot be reached, or an artifact is not in the store.
    """

    def act(run: str) -> Pair:
        promotion = Promotion(tracker, store, name, run)
        registered = promotion.registered
        now = registered.pair(CHAMPION)  # a first version becomes the champion when it is registered
        pair = promotion.pair(now, codes, model, gate)
        if pair != now:
            if registered.fits(now):  # what was cut short is no way back
                registered.give(PREVIOUS, now)
            registered.give(CHAMPION, pair)
        registered.stamp()
        return pair

    params = {noun: str(address) for noun, address in (("codes", codes), ("model", model)) if address is not None}
    return _tracked(tracker, f"promote {name}", params, act)


def roll_back(tracker: Tracker, name: str) -> Pair:
    """Put the pair before this one back into use; returns it. A second time goes forward again."""

    def act(run: str) -> Pair:
        registered = Registered(tracker.client, name)
        before, now = registered.pair(PREVIOUS), registered.pair(CHAMPION)
        if before.index is None or before == now:
            raise DataError(f"promote: nothing was in use under '{name}' before {now}; there is no way back")
        if not registered.fits(before):
            raise DataError(f"promote: '{name}' is being promoted, or that was cut short; give that command again")
        registered.give(CHAMPION, before)
        if registered.fits(now):
            registered.give(PREVIOUS, now)
        registered.stamp()
        return before

    return _tracked(tracker, f"roll back {name}", {}, act)


def label(tracker: Tracker, store: Store, name: str, codes: Address, model: Address, tags: Mapping[str, str]) -> None:
    """Tag the registered version of a recommender over an index; nothing where it is not registered."""
    index = require(store.place(codes), "codes")
    places = {"model": store.place(model), "codes": store.place(codes)}
    places |= {"catalog": require_input(store, index, "catalog")}
    records = {noun: require(place, noun) for noun, place in places.items()}

    def act() -> None:
        found = version_of(tracker.client, recommender_of(name), records)
        for key, value in tags.items() if found is not None else ():
            at_once(partial(tracker.client.set_model_version_tag, recommender_of(name), found, key, value))

    reached(tracker, act)


def withdraw(registered: Registered, failed: Pair, why: str) -> Pair:
    """Put the pair before a failed one back into use, if the failed one still is; returns what is in use then.

    The failed version of the recommender says why, as `withdrawn`. Several servers may do it: the first one does.
    """
    now, before = registered.pair(CHAMPION), registered.pair(PREVIOUS)
    if failed.recommender is not None:
        model = recommender_of(registered.name)
        at_once(partial(registered.client.set_model_version_tag, model, failed.recommender, "withdrawn", why))
    if now != failed or before.index is None or not registered.fits(before):
        return now
    registered.give(CHAMPION, before)
    return before


def dismiss(registered: Registered, failed: Pair, why: str) -> None:
    """Take the alias `candidate` from a pair that is found wanting, where it still has it; its version says why."""
    if failed.recommender is not None:
        model = recommender_of(registered.name)
        at_once(partial(registered.client.set_model_version_tag, model, failed.recommender, "withdrawn", why))
    if registered.pair(CANDIDATE) == failed:
        registered.give(CANDIDATE, Pair(None, None))


def in_use(tracker: Tracker, name: str) -> dict[str, Pair]:
    """Alias -> the pair that has it."""
    return reached(
        tracker, lambda: {a: Registered(tracker.client, name).pair(a) for a in (CHAMPION, PREVIOUS, CANDIDATE)}
    )


def holdings(tracker: Tracker, name: str, pair: Pair) -> tuple[dict[str, str], dict[str, str]]:
    """The tags of a pair's versions, of the index and of the recommender; empty for none."""

    def read() -> tuple[dict[str, str], dict[str, str]]:
        registered = Registered(tracker.client, name)
        models = (index_of(name), pair.index), (recommender_of(name), pair.recommender)
        index, recommender = ({} if v is None else dict(registered.tags(model, v)) for model, v in models)
        return index, recommender

    found: tuple[dict[str, str], dict[str, str]] = reached(tracker, read)
    return found


def _tracked(tracker: Tracker, what: str, params: Mapping[str, str], act: Any) -> Pair:
    with tracker.pipeline(what, params, {}):
        run = tracker.parent
        if run is None:
            raise ArtifactError(
                f"promote: nothing was promoted: {tracker.trouble}; try again when that is put right, "
                "or set MLFLOW_TRACKING_URI"
            )
        pair: Pair = reached(tracker, lambda: act(run))
        return pair


def reached(tracker: Tracker, call: Any) -> Any:
    """Call MLflow and return its answer; raises ArtifactError where MLflow cannot be reached."""
    try:
        return call()
    except UnisidError:
        raise
    except Exception as error:
        if not is_trouble(error):
            raise
        found = fault(error)
        raise ArtifactError(
            f"promote: MLflow at {masked(tracker.uri)}: {found}; give the command again {found.when}, which completes "
            "what was begun"
        ) from None
