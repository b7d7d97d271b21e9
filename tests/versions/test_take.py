"""Ids that others made become an ordinary index of a catalog, once."""

import json

import pytest

from tests.exchange import packages
from tests.lines import logged
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import require, require_input
from unisid.artifacts.store import Address, Store
from unisid.config import to_record
from unisid.errors import ConfigError, DriftError
from unisid.exchange.given import Given
from unisid.stages import codes as stage
from unisid.stages.flow import settings_of
from unisid.versions.take import take_codes

THEIRS = Address("codes", "theirs", "1")


def test_it_is_made_once_and_is_what_a_recipe_would_make(place, tmp_path):
    store, path = Store(place), tmp_path / "i.json"
    shop = packages.write_catalog(store, 4)
    path.write_text(json.dumps({f"B{n}": [n, 0] for n in range(4)}))
    with logged():
        made = take_codes(store, THEIRS, packages.at("catalog"), str(path))
        again = take_codes(store, Address("codes", "again", "1"), packages.at("catalog"), str(path))
    assert again == made == store.place(THEIRS)
    codes = Codes.read(made)
    assert codes.codes.tolist() == [[n, 0] for n in range(4)]
    assert require_input(store, codes.record, "catalog") == shop
    own = settings_of("codes", codes.record)
    assert own.given.path == str(path)
    assert codes.record.config == to_record(stage.Config(given=Given(path=str(path))), identity=True)
    assert set(codes.record.config) == {"given", "gate"}
    assert codes.record.inputs["catalog"]["fingerprint"] == require(shop, "catalog").fingerprint


def test_another_index_at_the_address_is_drift_and_other_nouns_are_refused(place, tmp_path):
    store, path = Store(place), tmp_path / "i.json"
    packages.write_catalog(store, 2)
    path.write_text('{"B0": [0], "B1": [1]}')
    with logged():
        take_codes(store, THEIRS, packages.at("catalog"), str(path))
    path.write_text('{"B0": [1], "B1": [0]}')
    with pytest.raises(DriftError, match="inputs.given"):
        take_codes(store, THEIRS, packages.at("catalog"), str(path))
    with pytest.raises(ConfigError, match="is no index's address; must be codes/NAME/VERSION"):
        take_codes(store, Address("model", "theirs", "1"), packages.at("catalog"), str(path))
