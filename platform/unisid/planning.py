"""What a recipe would make: its roles in order, each with its inputs, its fingerprint and whether it is there.

A recipe is the whole configuration, one part a noun. Because an artifact's fingerprint follows from settings and
inputs alone, a plan is known before anything runs; and an artifact of equal fingerprint under any other name is
shared rather than made again.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from unisid import config as settings
from unisid import stages
from unisid.artifacts import lease
from unisid.artifacts.record import check_files, find, fingerprint_of, read_record
from unisid.artifacts.roles import in_flow, noun_of
from unisid.artifacts.store import NOUNS, Address, Store
from unisid.bounds import Settings
from unisid.config import Json, runtime
from unisid.errors import ConfigError, DriftError
from unisid.planned import Planned, State
from unisid.recipe_roles import address_of, config_of, emits, is_aligned, key_of, roles_of
from unisid.stages.catalog import fits
from unisid.stages.extension import Base
from unisid.stages.flow import ALIGN, STAGES, Maker, emission, extension, gift
from unisid.stages.joint.fits import check_planned

GONE_ON_FROM = {"starts_from": "", "base": "", "aligned_to": "", "teacher_at": "baseline", "reward": "model"}
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
        ranked, most = self.metrics.test_samples, self.baseline.test_samples if self.baseline is not None else 0
        if most and not 0 < ranked <= most:
            raise ConfigError(
                f"metrics.test_samples: {ranked or 'all'} test samples are ranked, and {most} by the recipe's "
                f"baseline; must be 1 to {most}, or baseline.test_samples 0"
            )
        for stage, config in ((stages.instructions, self.instructions), (stages.model, self.model)):
            if config is not None and self.keywords is None and "keywords" in stage.inputs(config):
                reader = f"{stage.__name__.rpartition('.')[2]} reads what tokens have in common"
                raise ConfigError(f"recipe.keywords: is left out, but {reader}; give it keywords=keywords.Config()")


def plan(
    recipe: Recipe, store: Store, until: str = NOUNS[-1], there: dict[str, Address] | None = None, *,
    without_data: bool = False,
) -> list[Planned]:  # fmt: skip
    """The artifacts that a run would reuse or make, in order, up to and including the noun `until`.

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


def missing(planned: list[Planned]) -> list[Planned]:
    """The planned artifacts that a run would make."""
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
    """The maker of a role's artifact: its noun's stage, or `extend` where the settings name a base, or `given` where
    they name what others made."""
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
    """The sources that the recipe's catalog was made from; without a catalog, raw data that have not been read."""
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
