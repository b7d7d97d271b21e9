import pyarrow as pa

from tests.baselines.catalogs import write_catalog
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.tables import write_table
from unisid.baselines.parts.attributes import attributes


def catalog_of(place, texts: list[str]) -> Catalog:
    made = write_catalog(place / "catalog", [[0, 1, 2, 3]] * 3, num_items=len(texts))
    names = [f"i{number}" for number in range(len(texts))]
    write_table(made.place, "items", 0, pa.table({"item_id": names, "title": names, "text": texts}))
    return Catalog.read(made.place)


def test_words_of_several_items_are_attributes(place):
    """Not those of one item alone, nor of most items; the more frequent first."""
    found = attributes(catalog_of(place, ["Red lamp", "a red, red chair", "the lamp: red", "a rug", "a a", "a"]), 9)
    assert found.tolist() == [[1, 1], [1, 0], [1, 1], [0, 0], [0, 0], [0, 0]]
    assert attributes(catalog_of(place, ["Red lamp", "red", "red lamp", "x", "y", "z"]), 1).shape == (6, 1)


def test_a_catalog_without_shared_words_has_one_attribute_that_no_item_has(place):
    assert attributes(catalog_of(place, ["one", "two", "three", "four", ""]), 5).tolist() == [[0.0]] * 5
