"""The flow of artifacts: resolve what each stage needs, skip what is complete, make the rest.

A recipe is the whole configuration, one part a noun. Because an artifact's fingerprint follows from settings and
inputs alone, a plan is known before anything runs; and an artifact of equal fingerprint under any other name is
shared rather than made again.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from unisid import at_work, making, publication, stages
from unisid import config as settings
from unisid.artifacts import by_fingerprint, lease
from unisid.artifacts.record import (
    RECORD,
    check_files,
    find,
    fingerprint_of,
    read_record,
    require,
)
from unisid.artifacts.roles import in_flow, noun_of
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.bounds import Settings
from unisid.compute import Compute
from unisid.config import Json, runtime
from unisid.errors import ArtifactError, ConfigError, DriftError
from unisid.log import about, logger
from unisid.planned import Planned, State
from unisid.recipe_roles import address_of, config_of, emits, is_aligned, key_of, roles_of
from unisid.stages.catalog import fits
from unisid.stages.extension import Base
from unisid.stages.flow import ALIGN, STAGES, Maker, emission, extension, gift
from unisid.stages.joint.fits import check_planned
from unisid.tracker import NullTracker as NullTracker
from unisid.tracker import Tracker as Tracker

LOG = logger(__name__)
GONE_ON_FROM = {"starts_from": "", "base": "", "aligned_to": "", "teacher_at": "baseline"}
"""Settings that name an artifact by its address -> its noun; empty: that of whose settings they are."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """A whole run: what it is called, and the settings of every stage."""

    name: str = runtime("unnamed")
    """The artifacts' name: catalog/NAME/VERSION and so on."""
    version: str = runtime("1")
    """The artifacts' version."""
    note: str = runtime("")
    """Warnings that a report shows before its figures."""
    catalog: stages.catalog.Config = field(default_factory=stages.catalog.Config)
    embeddings: stages.embeddings.Config = field(default_factory=stages.embeddings.Config)
    modalities: Mapping[str, stages.embeddings.Config] = field(default_factory=dict)
    """Further embeddings of the items, by the name of the modality: what images show, a second encoder's text. Each is
    an artifact of its own, embeddings/NAME.MODALITY/VERSION."""
    graph: stages.graph.Config = field(default_factory=stages.graph.Config)
    fused: stages.fused.Config = field(default_factory=stages.fused.Config)
    joint: stages.joint.Config | None = None
    """How `codes` and `model` are trained together, after the tokenizer was by itself; a recipe that leaves it out
    trains one after the other."""
    codes: stages.codes.Config = field(default_factory=stages.codes.Config)
    keywords: stages.keywords.Config | None = None
    """What the items of every token have in common, in words; a recipe that leaves it out makes none."""
    sequences: stages.sequences.Config = field(default_factory=stages.sequences.Config)
    instructions: stages.instructions.Config | None = None
    """What a language model is taught in words; a recipe that leaves it out makes none."""
    model: stages.model.Config = field(default_factory=stages.model.Config)
    align: stages.align.Config | None = None
    """How the recommender goes on to learn from its own answers; a recipe that leaves it out ends with `model`."""
    baseline: stages.baseline.Config | None = None
    """A trained baseline, which the metrics then show too; a recipe that leaves it out trains none."""
    metrics: stages.metrics.Config = field(default_factory=stages.metrics.Config)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.modalities:
            if name in ("text", "graph"):
                own = f"'{name}', which is that of every recipe's own {name}"
                raise ConfigError(f"recipe.modalities: has the name {own}; give it another")
        if self.joint is not None and self.codes.given is not None:
            raise ConfigError("recipe.joint: trains a tokenizer, and codes.given has ids without one; leave one out")
        for stage, config in ((stages.instructions, self.instructions), (stages.model, self.model)):
            if config is not None and self.keywords is None and "keywords" in stage.inputs(config):
                reader = f"{stage.__name__.rpartition('.')[2]} reads what tokens have in common"
                raise ConfigError(f"recipe.keywords: is left out, but {reader}; give it keywords=keywords.Config()")


def plan(
    recipe: Recipe, store: Store, until: str = NOUNS[-1], there: dict[str, Address] | None = None, *,
    without_data: bool = False,
) -> list[Planned]:  # fmt: skip
    """What a run of the recipe would find and make, in order, up to and including the noun `until`.

    Args:
        there: fingerprint -> address of artifacts that are known to be complete; those that are found are added.
        without_data: leave the raw data unread: a catalog that is there counts as made from them.
    """
    there = {} if there is None else there
    if until not in (known := in_flow({*NOUNS, *roles_of(recipe)})):
        raise ConfigError(f"no stage '{until}'{settings.did_you_mean(until, known)}; known: {', '.join(known)}")
    if until not in roles_of(recipe):
        raise ConfigError(f"recipe '{recipe.name}': has no {until}; give it settings: {until}={until}.Config()")
    recipe = found_bases(recipe, store)
    planned: dict[str, Planned] = {}
    makes = owner.makes if (owner := lease.owner_of(store, recipe.name, recipe.version)) is not None else {}
    for noun in needed(recipe, until):
        stage, config = stage_of(recipe, noun), config_of(recipe, noun)
        inputs = {
            role: {"address": str(planned[role].address), "fingerprint": planned[role].fingerprint}
            for role in inputs_of(recipe, noun)
        }
        unread = without_data and noun == "catalog"
        inputs |= _made_from(store, recipe) if unread else stage.sources(config)
        if noun == "joint":
            check_planned(config, recipe.codes.tokenizer, recipe.instructions is not None, inputs["catalog"])
        identity = settings.to_record(config, identity=True)
        entry = resolve(noun, address_of(recipe, noun), identity, inputs, store, there)
        if entry.state in ("half made", "to make") and str(entry.address) in makes:
            entry = replace(entry, at_work=f"at work ({owner})")
        planned[noun] = entry
    fits.check_planned(recipe.catalog, (config_of(recipe, noun) for noun in planned))
    if "catalog" in planned and planned["catalog"].state in ("complete", "shared"):
        fits.check_fits(store.place(planned["catalog"].address), (config_of(recipe, noun) for noun in planned))
    return list(planned.values())


def look_again(planned: list[Planned], store: Store) -> list[Planned]:
    """A plan as things stand now: what was not there is looked for; settings and fingerprints are what they were."""
    found: dict[str, Planned] = {}
    for entry in planned:
        if entry.state not in ("complete", "shared"):
            inputs = {role: given | ({"address": str(found[role].address)} if role in found else {})
                      for role, given in entry.inputs.items()}  # fmt: skip
            entry = resolve(entry.noun, entry.address, entry.config, inputs, store, {})
        found[entry.noun] = entry
    return list(found.values())


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
    with opened as compute, _told(recipe, store, planned, tracker):
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
    with at_work.writing(store, recipe.name, recipe.version, planned), _told(recipe, store, planned, tracker):
        for entry in planned:
            record = require(places[entry.noun], noun_of(entry.noun))
            params = settings.flatten(record.config | record.runtime, key_of(entry.noun, recipe))
            with tracker.stage(entry.noun, params) as log:
                making.retell(places[entry.noun], log)
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
def _told(recipe: Recipe, store: Store, planned: list[Planned], tracker: Tracker) -> Iterator[None]:
    """A tracker's run, at whose end the report is written and registered. That this was done is noted when the run is
    closed: what was killed before is done again."""
    folder, prints = report_place(recipe, store), _fingerprints(planned)
    places = {entry.noun: store.place(entry.address) for entry in planned}
    tags = {f"fingerprint.{noun}": each for noun, each in prints.items()} | {"note": recipe.note}
    with tracker.pipeline(recipe.name, settings.flatten(settings.to_record(recipe)), tags):
        yield
        done = publication.publish(recipe.name, recipe.note, prints, places, folder, tracker)
    publication.keep(folder, done)


def missing(planned: list[Planned]) -> list[Planned]:
    """What a run would make."""
    return [entry for entry in planned if entry.state in ("half made", "to make")]


def refuse_drift(planned: list[Planned]) -> None:
    """Raise DriftError for the first artifact that stands in the way of another of its name."""
    for entry in planned:
        if entry.state == "drift":
            changes = "\n    ".join(entry.difference)
            raise DriftError(
                f"{entry.address}: was made from other settings or inputs:\n    {changes}\n"
                f"  Either keep it and give this run a name of its own (--name or --version; equal artifacts are "
                f"shared, not made again), or remove it first: unisid drop {entry.address}"
            )


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


def inputs_of(recipe: Recipe, role: str) -> list[str]:
    """The roles that go straight into one; what has no settings is left out."""
    known = roles_of(recipe)
    if role not in known:
        return []
    found: list[str] = []
    for wanted in stage_of(recipe, role).inputs(config_of(recipe, role)):
        every = wanted.removesuffix("*")
        found += [each for each in known if each == wanted or (every != wanted and each.startswith(every))]
    return found


def stage_of(recipe: Recipe, role: str) -> Maker:
    """What makes a role's artifact: its noun's stage, or the one that extends where the settings name a base,
    or the one that takes what others made."""
    if getattr(config_of(recipe, role), "base", None) is not None:
        return extension(noun_of(role))
    if getattr(config_of(recipe, role), "given", None) is not None:
        return gift(noun_of(role))
    if is_aligned(recipe, role):
        return ALIGN
    return emission(noun_of(role)) if emits(recipe, role) else STAGES[noun_of(role)]


def found_bases(recipe: Recipe, store: Store) -> Recipe:
    """The recipe with the fingerprints of what it goes on from, where it gives addresses alone.

    Raises:
        ConfigError: an artifact would start from, or extend, itself.
        ArtifactError: nothing lies there.
    """
    for role, (name, noun) in itertools.product(roles_of(recipe), GONE_ON_FROM.items()):
        key = f"{key_of(role, recipe)}.{name}"
        base: Base | None = settings.at(recipe, key)
        if base is not None and not (base.fingerprint and base.place):
            if base.address == str(address_of(recipe, role)):
                raise ConfigError(f"{key}: {base.address} is the {role} that this recipe makes; give the run another "
                                  "name or version (--name or --version)")  # fmt: skip
            recipe = settings.override(recipe, key, base.found(store, noun or noun_of(role)))
    return recipe


def needed(recipe: Recipe, until: str) -> list[str]:
    """The roles that a run goes through, in the order of the flow but each after what goes into it."""
    inputs, stack = dict[str, list[str]](), [until]
    while stack:
        role = stack.pop()
        inputs[role] = inputs_of(recipe, role)
        stack.extend(each for each in inputs[role] if each not in inputs)
    found, left = list[str](), in_flow(inputs)
    while left:
        found.append(next(role for role in left if not {*inputs[role]} - {*found}))
        left.remove(found[-1])
    return found


def _made_from(store: Store, recipe: Recipe) -> dict[str, Json]:
    """What the recipe's catalog was made from; where there is none, raw data that have not been read."""
    record = read_record(store.place(Address("catalog", recipe.name, recipe.version)))
    return dict(record.inputs) if record is not None else {"raw data": {"address": "not read", "fingerprint": ""}}


def resolve(
    noun: str, address: Address, identity: Json, inputs: dict[str, Json], store: Store, there: dict[str, Address]
) -> Planned:
    """One artifact's entry in a plan, of its settings and inputs."""
    wanted = fingerprint_of(noun_of(noun), identity, inputs)
    if (known := there.get(wanted)) is not None:
        return Planned(noun, known, "complete" if known == address else "shared", wanted, identity, inputs)
    place = store.place(address)
    record = read_record(place)
    state: State
    difference: tuple[str, ...] = ()
    if record is not None and record.fingerprint == wanted:
        check_files(place, record)
        state = "complete"
    elif (twin := find(store, noun_of(noun), wanted)) is not None:
        address, state = twin, "shared"
    elif record is not None:
        state = "drift"
        before = record.config | {"inputs": {r: e["fingerprint"][:12] for r, e in record.inputs.items()}}
        after = identity | {"inputs": {r: e["fingerprint"][:12] for r, e in inputs.items()}}
        difference = tuple(settings.differences(before, after))
    else:
        state = "half made" if store.draft(address, wanted).exists() else "to make"
    if state in ("complete", "shared"):
        there[wanted] = address
    return Planned(noun, address, state, wanted, identity, inputs, difference)
