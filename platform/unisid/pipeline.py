"""The flow of artifacts: skip what is complete, make the rest, publish it.

`planning` says what a recipe would make; its `Recipe` and `plan` are offered here too, as recipe files of users import
them.
"""

import contextlib
from collections.abc import Callable, Iterator

from unisid import at_work, making, publication
from unisid import config as settings
from unisid.artifacts import by_fingerprint, lease
from unisid.artifacts.record import RECORD, read_record, require
from unisid.artifacts.roles import noun_of
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.bounds import Settings
from unisid.compute import Compute
from unisid.errors import ArtifactError
from unisid.log import about, logger
from unisid.planned import Planned
from unisid.planning import Recipe as Recipe
from unisid.planning import found_bases, missing, refuse_drift, stage_of
from unisid.planning import plan as plan
from unisid.recipe_roles import config_of, key_of
from unisid.stages.catalog import fits
from unisid.tracker import NullTracker as NullTracker
from unisid.tracker import Tracker as Tracker

LOG = logger(__name__)


def run(recipe: Recipe, store: Store, compute: Compute, tracker: Tracker, until: str = NOUNS[-1]) -> dict[str, Place]:
    """`run_on`, on machines that are there already."""
    return run_on(recipe, store, lambda: contextlib.nullcontext(compute), tracker, until)


def run_on(
    recipe: Recipe,
    store: Store,
    machines: Callable[[], contextlib.AbstractContextManager[Compute]],
    tracker: Tracker,
    until: str = NOUNS[-1],
) -> dict[str, Place]:
    """Make and publish what is missing; returns where every artifact of the recipe lies.

    One process at a time writes under a name and version: where another is at work on the same settings, this one
    waits, and goes on with what that left undone. The machines are opened only where something is to be made.

    Raises:
        DriftError: before anything is made, where an address holds, or another process makes, an artifact of other
            settings.
    """
    recipe = found_bases(recipe, store)
    planned = plan(recipe, store, until)
    refuse_drift(planned)
    done = is_done(recipe, store, planned, tracker)
    if not missing(planned):
        LOG.info(
            "everything is there, nothing to make" + ("" if done else "; what was not published yet is published now")
        )
        folder = report_place(recipe, store)
        if done and publication.published(folder).waits_for_sync(folder, tracker):
            LOG.info("MLflow was not given everything when it was made: `unisid sync RECIPE` hands it over")
    if done:
        lease.clear(store, recipe.name, recipe.version)  # of a run that was killed when all was done
    else:
        with at_work.writing(store, recipe.name, recipe.version, planned) as held:
            planned = plan(recipe, store, until)
            refuse_drift(planned)
            if not is_done(recipe, store, planned, tracker):
                _carry_out(recipe, store, planned, machines, tracker, held)
    return {entry.noun: store.place(entry.address) for entry in planned}


def is_done(recipe: Recipe, store: Store, planned: list[Planned], tracker: Tracker) -> bool:
    """Whether a run would find everything made and published."""
    folder = report_place(recipe, store)
    return not missing(planned) and not publication.published(folder).lacks(_fingerprints(planned), folder, tracker)


def _carry_out(
    recipe: Recipe, store: Store, planned: list[Planned],
    machines: Callable[[], contextlib.AbstractContextManager[Compute]], tracker: Tracker,
    held: lease.Lease,
) -> None:  # fmt: skip
    """Make what is missing of a plan, then the report."""
    places = {entry.noun: store.place(entry.address) for entry in planned}
    wanted = missing(planned)
    for entry in wanted:
        if isinstance(config := config_of(recipe, entry.noun), Settings):
            config.check_tools()
    opened = machines() if wanted else contextlib.nullcontext()
    with opened as compute, _tracked(recipe, store, planned, tracker):
        for number, entry in enumerate(wanted, 1):
            LOG.info(f"[{number}/{len(wanted)}] {entry.address}")
            assert compute is not None
            config = config_of(recipe, entry.noun)
            with (
                tracker.stage(
                    entry.noun, settings.flatten(settings.to_record(config), key_of(entry.noun, recipe))
                ) as log,
                about(str(entry.address)),
            ):
                around = making.Surroundings(store, places, compute, held)
                making.make(entry, stage_of(recipe, entry.noun), config, around, log)
            if entry.noun == "catalog":
                fits.check_fits(places["catalog"], (config_of(recipe, noun) for noun in places))
        held.check()


def sync(
    recipe: Recipe,
    store: Store,
    tracker: Tracker,
    until: str = NOUNS[-1],
) -> list[Address]:
    """Write everything complete to the tracker, from the artifacts alone: for when it was away during the run.

    Waits while a run of the same recipe is at work, which writes to the tracker itself.

    Raises:
        DriftError, ArtifactError: what lies there is of other settings, or nothing does.
        ArtifactError: the tracker was not given all; the text says what is missing.
    """
    whole = plan(recipe, store, until)
    refuse_drift(whole)
    planned = [entry for entry in whole if entry.state in ("complete", "shared")]
    if not planned:
        raise ArtifactError(f"{store.root}: nothing of '{recipe.name}' is complete under these settings; give those "
                            "that it was run with, or run it first")  # fmt: skip
    places = {entry.noun: store.place(entry.address) for entry in planned}
    done = []
    with at_work.writing(store, recipe.name, recipe.version, planned), _tracked(recipe, store, planned, tracker):
        for entry in planned:
            record = require(places[entry.noun], noun_of(entry.noun))
            params = settings.flatten(record.config | record.runtime, key_of(entry.noun, recipe))
            with tracker.stage(entry.noun, params) as log:
                making.replay(places[entry.noun], log)
                log.finish(record, places[entry.noun])
            done += [] if tracker.trouble else [entry.address]
    if tracker.trouble:
        missed = [*(str(entry.address) for entry in planned if entry.address not in done), "report", "registry"]
        raise ArtifactError(f"sync: not all was synchronised; missing: {', '.join(missed)}; {tracker.trouble}")
    return done


def _fingerprints(planned: list[Planned]) -> dict[str, str]:
    return {entry.noun: entry.fingerprint for entry in planned}


def report_place(recipe: Recipe, store: Store) -> Place:
    return store.root / "reports" / recipe.name / recipe.version


@contextlib.contextmanager
def _tracked(recipe: Recipe, store: Store, planned: list[Planned], tracker: Tracker) -> Iterator[None]:
    """A tracker's run, at whose end the report is written and registered. That this was done is noted when the run is
    closed: what was killed before is done again."""
    folder, prints = report_place(recipe, store), _fingerprints(planned)
    places = {entry.noun: store.place(entry.address) for entry in planned}
    tags = {f"fingerprint.{noun}": each for noun, each in prints.items()} | {"note": recipe.note}
    with tracker.pipeline(recipe.name, settings.flatten(settings.to_record(recipe)), tags):
        yield
        done = publication.publish(recipe.name, recipe.note, prints, places, folder, tracker)
    publication.keep(folder, done)


def drop(store: Store, address: Address) -> None:
    """Remove one artifact, complete or not. The record goes first: what is half removed is not complete.

    Raises:
        BusyError: a run makes or needs it.
    """
    place, drafts = store.place(address), store.drafts(address)
    if not place.exists() and not drafts and lease.owner_of(store, address.name, address.version) is None:
        raise ArtifactError(f"{address}: nothing is there to remove")
    with at_work.unused(store, address):
        record = None
        with contextlib.suppress(ArtifactError):  # a damaged one is dropped all the same
            record = read_record(place)
        place.remove(RECORD)
        for part in (place, *drafts):
            part.clear()
        if record is not None:
            by_fingerprint.leave(store, address, record.fingerprint)
