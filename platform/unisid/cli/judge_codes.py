"""`unisid judge --codes`: semantic ids of any systems side by side, and a recipe's recommender trained on each."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import contextlib
import functools
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from unisid.cli.options import named
from unisid.config import json_text
from unisid.errors import ArtifactError, ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.store import Place, Store
    from unisid.cli.judge import Judge
    from unisid.config import Json
    from unisid.evaluation.ranks import Ranks
    from unisid.experiments.codes import Vectors
    from unisid.planning import Recipe

TABLE = "indexes.json of `unisid experiment`"
LEARNED = ("joint.", "sequences.", "instructions.", "model.", "align.")
"""What the keys begin with of seeds that --seeds replace: those of what is learned on given semantic ids."""


def judge_codes(command: Judge) -> None:
    """Print the figures of ids; with a recipe, also of its own, and how its recommenders compare on each."""
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.lookup import newest_of, place_of
    from unisid.artifacts.store import Address
    from unisid.experiments.codes import ItemData, figures, predicted
    from unisid.report.judgement import indexes, judgement

    if command.lists or command.metrics:
        raise ConfigError("--codes: judges semantic IDs, --lists and --metrics ranked lists; give one command for each")
    store = command.session.opened
    table = _results(command.predict) if command.predict else None
    recipe = _recipe(command, command.train) if command.train else None
    if recipe is not None:
        place = _made(command, recipe, "catalog")["catalog"]
    else:
        address = Address.parse(command.catalog) if command.catalog else newest_of(store, "catalog", None)[0]
        place = place_of(store, address)
    catalog = Catalog.read(place)
    given = {
        name: read_codes(where, command.items or "", store, catalog) for name, where in named(command.codes, "--codes")
    }  # before anything is trained on them
    compared = None
    if recipe is not None:
        own = _made(command, recipe, "codes")["codes"]
        compared = _trained(command, recipe)
        given = {recipe.name: _stored_index(own, store, catalog)} | given
    around = ItemData.of(store, catalog)
    found = {name: figures(each.codes, each.sizes, around, each.quality, each.vectors) for name, each in given.items()}
    if table is not None:
        for each in found.values():
            guess = predicted(table, each)
            each["predicted"] = None if guess is None else asdict(guess)
    if command.json:
        body = {"catalog": catalog.record.address, "indexes": found, "recommenders": compared}
        return print(json_text(body))
    print(indexes(found, catalog.record.address))
    if compared is not None:
        print(f"\n{judgement(compared)}")


@dataclass(frozen=True)
class Index:
    """Semantic ids on a catalog, and what is known of how they were made."""

    codes: NDArray[np.int32]
    """[N, L]."""
    sizes: tuple[int, ...]
    quality: Json | None = None
    """What the record of an index says of its codes before collisions were resolved."""
    vectors: Vectors | None = None


def read_codes(where: str, items: str, store: Store, catalog: Catalog) -> Index:
    """An index that is in the store, or the semantic ids of a package or a file."""
    from unisid.exchange.given import Given, on_catalog
    from unisid.experiments.codewords import vectors_of_package

    if (place := _stored(where, store)) is not None:
        return _stored_index(place, store, catalog)
    codes, theirs = on_catalog(Given(path=where, items=items), catalog)
    near = None if theirs.package is None else vectors_of_package(theirs.package, codes)
    return Index(codes, theirs.sizes, vectors=None if near is None else lambda rows: near[rows])


def _stored_index(place: Place, store: Store, catalog: Catalog) -> Index:
    from unisid.artifacts.codes import Codes
    from unisid.artifacts.fused import Fused
    from unisid.artifacts.record import require_input

    index = Codes.read(place)
    if index.record.inputs.get("catalog", {}).get("fingerprint") != catalog.record.fingerprint:
        raise DataError(
            f"--codes: {index.record.address} is of another catalog than {catalog.record.address}; export it, and give "
            "the package"
        )
    vectors: Vectors | None = None
    with contextlib.suppress(ArtifactError):  # it was removed, or the index was imported
        vectors = Fused.read(require_input(store, index.record, "fused")).vectors
    return Index(index.codes, index.sizes, index.record.part("quality"), vectors)


def _recipe(command: Judge, name: str) -> Recipe:
    """The recipe that is trained on each.

    Raises:
        ConfigError: it has another catalog than is command for, or ids of another origin bear its name.
    """
    from unisid import recipes

    if len(set(command.seeds)) < len(command.seeds):
        raise ConfigError(f"--seeds: {', '.join(map(str, command.seeds))}; must be different")
    recipe = recipes.configure(recipes.find(name), [])
    own = f"{recipe.name}/{recipe.version}"
    if command.catalog not in (None, f"catalog/{own}"):
        raise ConfigError(
            f"--catalog: is {command.catalog}, with --train it is the recipe's, catalog/{own}; leave it out"
        )
    for system, where in named(command.codes, "--codes"):
        if system == recipe.name and where != f"codes/{own}":
            raise ConfigError(f"--codes: '{system}' is what the recipe's own ids are called; give these another name")
    return recipe


def _made(command: Judge, recipe: Recipe, until: str = "metrics") -> dict[str, Place]:
    from unisid import pipeline

    session = command.session
    machines = functools.partial(session.machines, command.compute)
    return pipeline.run_on(recipe, session.opened, machines, session.tracker(), until)


def _stored(where: str, store: Store) -> Place | None:
    """The index of an address; None where the words are a path."""
    from unisid.artifacts.lookup import place_of
    from unisid.artifacts.store import Address

    return place_of(store, Address.parse(where)) if where.startswith("codes/") and where.count("/") <= 2 else None


def _results(path: str) -> Json:
    from unisid.artifacts.reading import contents
    from unisid.artifacts.store import Place

    place = Place.of(path)
    try:
        found = json.loads(contents(place.parent, place.name))
    except ValueError as error:
        raise DataError(f"--predict {path}: is no JSON ({error}); must be {TABLE}") from None
    if not isinstance(found, dict):
        raise DataError(f"--predict {path}: holds no object; must be {TABLE}")
    return found


def _trained(command: Judge, recipe: Recipe) -> Json:
    """The recipe's own recommender, then one on each system's ids, all trained alike and judged paired."""
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.metrics import Metrics
    from unisid.artifacts.store import Address
    from unisid.evaluation.ranks import usable_cutoffs
    from unisid.exchange.given import Given
    from unisid.judging import judgement

    store = command.session.opened
    systems: dict[str, list[Ranks]] = {}
    recipe = replace(recipe, metrics=replace(recipe.metrics, test_samples=0))  # what is judged is ranked in full
    wanted = {recipe.name: recipe}
    for system, where in named(command.codes, "--codes"):
        place = _stored(where, store)
        if place is not None and place == store.place(Address("codes", recipe.name, recipe.version)):
            continue
        path, items = (where, command.items or "") if place is None else (_packed(store, place, system), "")
        given = replace(recipe.codes, given=Given(path=path, items=items))
        wanted[system] = replace(recipe, name=f"{recipe.name}-{system}", codes=given, joint=None)
    for system, each in wanted.items():
        systems[system] = []
        for one in by_seed(each, command.seeds):
            places = _made(command, one)
            metrics, catalog = Metrics.read(places["metrics"]), Catalog.read(places["catalog"])
            systems[system].append(next(iter(judgement.recorded(metrics, catalog).values())))
    cutoffs = usable_cutoffs(command.cutoffs, catalog.num_items, "--cutoffs")
    return judgement.judge(systems, catalog, cutoffs, command.difference)


def by_seed(recipe: Recipe, seeds: tuple[int, ...]) -> list[Recipe]:
    """The recipe under each seed, on the same semantic ids unless they are trained with it; as it is without seeds."""
    from unisid.experiments.definition import seeded

    if not seeds:
        return [recipe]
    return [replace(seeded(recipe, seed, LEARNED), name=f"{recipe.name}-{seed}") for seed in seeds]


def _packed(store: Store, place: Place, name: str) -> str:
    """The package of an index that lies in the store, written beside the reports once."""
    from unisid.artifacts.codes import Codes
    from unisid.exchange.indexes import export_codes

    codes = Codes.read(place)
    folder = store.root / "packages" / name / codes.record.fingerprint[:12]
    if not folder.exists("manifest.json"):
        folder.clear()
        export_codes(codes, store, folder.uri)
    return folder.uri
