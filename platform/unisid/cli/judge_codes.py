"""`unisid judge --codes`: semantic ids of any systems side by side, and a recipe's recommender trained on each."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import functools
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from unisid.cli.options import named
from unisid.cli.tables import json_text
from unisid.errors import ConfigError, DataError

if TYPE_CHECKING:
    from unisid.artifacts.store import Place, Store
    from unisid.cli.judge import Judge
    from unisid.config import Json
    from unisid.evaluation.ranks import Ranks
    from unisid.experiments.codes import Around

TABLE = "indexes.json of `unisid experiment`"


def judge_codes(asked: Judge) -> None:
    """Print the figures of ids; with a recipe, also how its recommenders compare."""
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.lookup import newest_of, place_of
    from unisid.artifacts.store import Address
    from unisid.experiments.codes import Around, predicted
    from unisid.report.judgement import indexes, judgement

    if asked.lists or asked.metrics:
        raise ConfigError("--codes: judges semantic IDs, --lists and --metrics ranked lists; give one command for each")
    store = asked.session.opened
    address = Address.parse(asked.catalog) if asked.catalog else newest_of(store, "catalog", None)[0]
    catalog = Catalog.read(place_of(store, address))
    around = Around.of(store, catalog)
    found: dict[str, Json] = {}
    table = _results(asked.predict) if asked.predict else None
    for name, where in named(asked.codes, "--codes"):
        found[name] = _figures(where, asked.items or "", store, around)
        if table is not None:
            guess = predicted(table, found[name])
            found[name]["predicted"] = None if guess is None else asdict(guess)
    compared = _trained(asked, asked.train, store) if asked.train else None
    if asked.json:
        body = {"catalog": catalog.record.address, "indexes": found, "recommenders": compared}
        return print(json_text(body))
    print(indexes(found, catalog.record.address))
    if compared is not None:
        print(f"\n{judgement(compared)}")


def _figures(where: str, items: str, store: Store, around: Around) -> Json:
    """Of an index that is in the store, or of a file."""
    from unisid.artifacts.codes import Codes
    from unisid.exchange.given import Given, on_catalog
    from unisid.experiments.codes import figures

    if (place := _stored(where, store)) is None:
        codes, theirs = on_catalog(Given(path=where, items=items), around.catalog)
        return figures(codes, theirs.sizes, around)
    index, own = Codes.read(place), around.catalog.record
    if index.record.inputs.get("catalog", {}).get("fingerprint") != own.fingerprint:
        raise DataError(f"--codes: {where} is of another catalog than {own.address}; export it, and give the package")
    return figures(index.codes, index.sizes, around, index.record.part("quality"))


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


def _trained(asked: Judge, name: str, store: Store) -> Json:
    """The recipe's own recommender, then one on each system's ids, all trained alike and judged paired."""
    from unisid import pipeline, recipes
    from unisid.artifacts.catalog import Catalog
    from unisid.artifacts.metrics import Metrics
    from unisid.artifacts.record import require
    from unisid.artifacts.store import Address
    from unisid.evaluation.ranks import usable_cutoffs
    from unisid.exchange.given import Given
    from unisid.judging import judgement

    recipe = recipes.configure(recipes.find(name), [])
    systems: dict[str, list[Ranks]] = {}
    machines, tracker = functools.partial(asked.session.machines, asked.compute), asked.session.tracker()
    wanted = {recipe.name: recipe}
    for system, where in named(asked.codes, "--codes"):
        place = _stored(where, store)
        if place is not None and place == store.place(Address("codes", recipe.name, recipe.version)):
            continue
        path, items = (where, asked.items or "") if place is None else (_packed(store, place, system), "")
        given = replace(recipe.codes, given=Given(path=path, items=items))
        wanted[system] = replace(recipe, name=f"{recipe.name}-{system}", codes=given, joint=None)
    for system, each in wanted.items():
        places = pipeline.run_on(each, store, machines, tracker)
        metrics, catalog = Metrics.read(places["metrics"]), Catalog.read(places["catalog"])
        own = str(require(places["metrics"], "metrics").config["method"])
        systems[system] = [judgement.recorded(metrics, catalog)[own]]
    cutoffs = usable_cutoffs(asked.cutoffs, catalog.num_items, "--cutoffs")
    return judgement.judge(systems, catalog, cutoffs, asked.difference)


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
