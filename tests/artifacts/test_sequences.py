"""Sequences: samples of a catalog in order; those of a store from before they held items alone are named as such."""

import numpy as np
import pyarrow as pa
import pytest

from tests.stages import ring
from unisid.artifacts.catalog import TEST, VALID, Catalog
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.sequences import USERS, Sequences
from unisid.artifacts.store import Address, Store
from unisid.artifacts.tables import write_table
from unisid.errors import ArtifactError, DriftError
from unisid.planning import Recipe, plan, refuse_drift

N = 12
CONFIG = {"sliding_window": True, "seed": 42}


@pytest.fixture
def store(place) -> Store:
    """A store as it was before the seams: sequences hold tokens and were made from codes; users have no table."""
    found = Store(place)
    places = {noun: found.place(Address(noun, "a", "1")) for noun in ("catalog", "codes", "sequences")}
    ring.write_catalog(places["catalog"], ring.walks(9, N), N)
    ring.write_index(places["codes"], N)
    catalog, counts = Catalog.read(places["catalog"]), {}
    for split, name in ((VALID, "valid"), (TEST, "test")):
        rows = catalog.samples(split)
        items, lengths = catalog.history(rows)
        histories = pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(lengths)]), items)
        columns = {"user": catalog.user[rows], "history": histories, "target": catalog.item[rows], "tokens": histories}
        write_table(places["sequences"], name, 0, pa.table(columns))
        counts[name] = len(rows)
    inputs = ring.entry(places["catalog"], "catalog") | ring.entry(places["codes"], "codes")
    write_record(places["sequences"], Record(address="sequences/a/1", config=CONFIG, inputs=inputs, counts=counts))
    return found


def test_samples_of_an_older_form_are_read_without_their_tokens(store):
    held = Sequences.read(store.place(Address.parse("sequences/a/1")))
    catalog = Catalog.read(store.place(Address.parse("catalog/a/1")))
    assert (held.rows(catalog, TEST) == catalog.samples(TEST)).all()
    assert held.table("valid").column_names == ["user", "history", "target"]


@pytest.mark.parametrize("read", [lambda held: held.table(USERS, ["history"]), lambda held: held.num_samples(USERS)])
def test_its_missing_table_of_users_is_said(store, read):
    held = Sequences.read(store.place(Address.parse("sequences/a/1")))
    wanted = (
        "has no table 'users', for it was written when sequences held tokens; make it anew: unisid drop sequences/a/1"
    )
    with pytest.raises(ArtifactError, match=wanted):
        read(held)


def test_a_recipe_of_its_name_says_what_differs_and_the_two_ways_out(store):
    [_, entry] = plan(Recipe(name="a"), store, "sequences", without_data=True)
    assert entry.state == "drift"
    assert any(line.startswith("inputs.codes: ") and line.endswith(" -> (absent)") for line in entry.difference)
    with pytest.raises(
        DriftError, match=r"(?s)sequences/a/1: was made from other .*give this run a name .*unisid drop seq"
    ):
        refuse_drift([entry])


def test_samples_of_another_catalog_are_refused(store, tmp_path):
    held = Sequences.read(store.place(Address.parse("sequences/a/1")))
    other = ring.write_catalog(store.root / "other", ring.walks(9, N, seed=1), N)
    with pytest.raises(ArtifactError, match=r"its 9 test samples are not the 9 of the catalog .*; both must come from"):
        held.rows(Catalog.read(other), TEST)
