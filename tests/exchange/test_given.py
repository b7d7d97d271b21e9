"""Ids that others made: every file that is read, items that are checked, and what is refused with a reason."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.exchange import packages
from tests.exchange.test_reader import OLD
from tests.lines import logged
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place, Store
from unisid.errors import ConfigError, DataError
from unisid.exchange import reader
from unisid.exchange.given import Given, on_catalog, read
from unisid.exchange.indexes import export_codes
from unisid.stages import codes as stage
from unisid.tokenizers import read_tokenizer, rqkmeans, rqvae

CODES = np.array([[1, 0, 2], [0, 3, 2], [1, 0, 1], [4, 4, 4], [0, 0, 0]], np.int32)
TOKENS = {str(n): [f"<{a}_{c}>" for a, c in zip("abc", row, strict=True)] for n, row in enumerate(CODES.tolist())}
NAMES = [f"B{item}" for item in range(5)]


@pytest.fixture
def catalog(place) -> Catalog:
    return Catalog.read(packages.write_catalog(Store(place), 5))


def written(tmp_path, name: str) -> str:
    """A file of each kind, by its name."""
    path = tmp_path / name
    named = dict(zip(NAMES, TOKENS.values(), strict=True))
    if name == "lcrec.json":
        path.write_text(json.dumps(TOKENS))
    elif name == "ids.json":
        path.write_text(json.dumps(named))
    elif name == "numbers.json":
        path.write_text(json.dumps(dict(zip(NAMES, CODES.tolist(), strict=True))))
    elif name == "codes.parquet":
        pq.write_table(pa.table({"item_id": NAMES, "codes": CODES.tolist()}), path)
    elif name == "sid.parquet":
        pq.write_table(pa.table({"item_id": NAMES, "sid": ["".join(each) for each in named.values()]}), path)
    elif name == "grid.pt":
        torch.save(torch.from_numpy(CODES.T.copy()), path)
    else:
        np.save(path, CODES)
    return str(path)


def item2id(tmp_path, text: str | None = None) -> str:
    path = tmp_path / "shop.item2id"
    path.write_text("".join(f"{name}\t{n}\n" for n, name in enumerate(NAMES)) if text is None else text)
    return str(path)


@pytest.mark.parametrize("name", ["ids.json", "numbers.json", "codes.parquet", "sid.parquet"])
def test_files_that_name_items_are_read(catalog, tmp_path, name):
    codes, theirs = on_catalog(Given(path=written(tmp_path, name)), catalog)
    assert np.array_equal(codes, CODES)
    assert theirs.sizes == (5, 5, 5)


@pytest.mark.parametrize("name", ["lcrec.json", "grid.pt", "matrix.npy"])
@pytest.mark.parametrize(
    "text",
    [None, "\n".join(NAMES), "".join(f"{n} {name}\n" for n, name in enumerate(NAMES))],
    ids=["item2id", "list", "turned"],
)
def test_files_that_number_items_are_read_with_a_file_of_ids(catalog, tmp_path, name, text):
    given = Given(path=written(tmp_path, name), items=item2id(tmp_path, text))
    assert np.array_equal(on_catalog(given, catalog)[0], CODES)


def test_a_package_comes_back_as_the_index_it_was(tmp_path):
    store = Store(Place.of(tmp_path / "store"))
    codes = packages.stored(store, rqkmeans.Config(num_levels=3, codebook_size=6, restarts=1))
    export_codes(codes, store, str(tmp_path / "p"))
    again = packages.make(store, stage.Config(given=Given(path=str(tmp_path / "p"))), ("catalog",), name="again")
    assert np.array_equal(again.codes, codes.codes)
    assert again.sizes == codes.sizes
    assert again.record.counts["from"]["address"] == "codes/t/1"
    vectors = torch.randn(9, 12)
    assert torch.equal(read_tokenizer(again.place).encode(vectors), read_tokenizer(codes.place).encode(vectors))
    export_codes(again, store, str(tmp_path / "q"))
    assert (tmp_path / "p" / "items.parquet").read_bytes() == (tmp_path / "q" / "items.parquet").read_bytes()


def test_an_old_package_is_taken_back_for_good(place):
    """Its tokenizer's settings and weights are read by today's, and encode its examples as the package says."""
    store = Store(place)
    packages.write_catalog(store, 48)
    found = packages.make(store, stage.Config(given=Given(path=str(OLD))), ("catalog",))
    old = reader.Package(str(OLD))
    assert np.array_equal(found.codes, old.codes())
    assert found.sizes == old.sizes
    assert found.record.counts["from"]["fingerprint"] == old.manifest["fingerprint"]
    tokenizer, example = read_tokenizer(found.place), reader.arrays(OLD / "examples.npz")
    assert isinstance(tokenizer, rqvae.RQVAE)
    assert np.array_equal(tokenizer.encode(torch.from_numpy(example["vectors"])).numpy(), example["codes"])


def test_an_old_package_that_goes_out_again_is_encoded_as_before(place, tmp_path):
    store = Store(place)
    packages.write_catalog(store, 48)
    export_codes(
        packages.make(store, stage.Config(given=Given(path=str(OLD))), ("catalog",)), store, str(tmp_path / "p")
    )
    old, new = reader.Package(str(OLD)), reader.Package(str(tmp_path / "p"))
    vectors = np.random.default_rng(0).normal(size=(200, 12))
    assert np.array_equal(new.encode(vectors), old.encode(vectors))


def test_items_that_share_an_id_are_counted_in_a_further_level(tmp_path):
    store = Store(Place.of(tmp_path / "store"))
    packages.write_catalog(store, 3)
    (tmp_path / "i.json").write_text(json.dumps({"B0": [1, 2], "B1": [1, 2], "B2": [0, 0]}))
    with logged() as said:
        found = packages.make(store, stage.Config(given=Given(path=str(tmp_path / "i.json"))), ("catalog",))
    assert found.codes.tolist() == [[1, 2, 0], [1, 2, 1], [0, 0, 0]]
    assert "2 of 3 items share their semantic id with another" in "\n".join(said)
    assert found.record.counts["quality"]["distinct_share"] == pytest.approx(2 / 3)


def test_what_the_catalog_lacks_is_left_out_and_named(catalog, tmp_path):
    (tmp_path / "i.json").write_text(json.dumps(dict(zip([*NAMES, "B9"], [*CODES.tolist(), [7, 7, 7]], strict=True))))
    with logged() as said:
        codes, theirs = on_catalog(Given(path=str(tmp_path / "i.json")), catalog)
    assert np.array_equal(codes, CODES)
    assert theirs.sizes == (8, 8, 8)
    assert "1 items that catalog/t/1 lacks are left out, such as 'B9'" in "\n".join(said)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"B0": [1], "B1": [2]}', "has no semantic id for 3 of 5 items of catalog/t/1, such as 'B2', 'B3', 'B4'"),
        ('{"0": [1], "1": [2]}', "none of its 2 items is in catalog/t/1: it has such as '0', '1', the catalog such as"),
        ("[1, 2]", "must hold item -> tokens"),
        ("{", "is no JSON"),
        ('{"B0": ["<b_1>"]}', "item 'B0': semantic id '<b_1>': must look like"),
        ('{"B0": 7}', "item 'B0': is 7; must be tokens such as <a_12>, or whole numbers"),
        ('{"B0": [1.5]}', "item 'B0': is \\[1.5\\]; must be tokens"),
        ('{"B0": [1, 2], "B1": [1]}', "item 'B1' has 1 codes, 'B0' 2; must have one a level each"),
        ('{"B0": [-1], "B1": [1]}', "codes from -1 to 1; must lie in 0 to"),
        ('{"B0": [1], "B1": [2], "B0": [3]}', "item 'B0' has two semantic ids; must have one"),
    ],
    ids=["missing", "other catalog", "list", "broken", "letters", "number", "real", "unequal", "negative", "twice"],
)
def test_bad_files_are_refused(catalog, tmp_path, body, message):
    (tmp_path / "i.json").write_text(body)
    with pytest.raises(DataError, match=message):
        on_catalog(Given(path=str(tmp_path / "i.json")), catalog)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: pq.write_table(pa.table({"id": [1]}), p / "i.parquet") or "i.parquet", "must have item_id and"),
        (lambda p: (p / "i.parquet").write_bytes(b"PAR1") and "i.parquet", "is not a whole Parquet file"),
        (lambda p: np.save(p / "i.npy", np.zeros((2, 2))) or "i.npy", "must hold a matrix of whole numbers"),
        (lambda p: (p / "i.npy").write_bytes(b"x") and "i.npy", "is no matrix"),
        (lambda p: torch.save({"a": print}, p / "i.pt") or "i.pt", "is no matrix"),
        (lambda p: "none.json", "cannot be read"),
        (
            lambda p: (
                pq.write_table(pa.table({"item_id": [None, "a"], "codes": [[1], [2]]}), p / "i.parquet") or "i.parquet"
            ),
            "column 'item_id', row 1: the id is missing",
        ),
        (
            lambda p: (
                pq.write_table(pa.table([["a"], ["b"], [[1]]], ["item_id", "item_id", "codes"]), p / "i.parquet")
                or "i.parquet"
            ),
            "2 columns are called 'item_id'",
        ),
    ],
    ids=["columns", "parquet", "reals", "npy", "pickle", "none", "no id", "column twice"],
)
def test_files_of_another_kind_are_refused(tmp_path, write, message):
    with pytest.raises(DataError, match=message):
        read(Given(path=str(tmp_path / write(tmp_path))))


def test_numbers_without_an_id_are_named(tmp_path):
    with pytest.raises(DataError, match="has no id of 3 items, such as number '2', '3', '4'"):
        read(Given(path=written(tmp_path, "lcrec.json"), items=item2id(tmp_path, "B0\nB1\n")))


def test_a_number_with_two_ids_is_refused(tmp_path):
    with pytest.raises(DataError, match="number '1' stands twice; must have one id"):
        read(Given(path=written(tmp_path, "lcrec.json"), items=item2id(tmp_path, "B0\t0\nB1\t1\nB2\t1\n")))


def test_the_file_is_the_source_and_not_its_place(tmp_path):
    one = Given(path=written(tmp_path, "ids.json"))
    (tmp_path / "other").mkdir()
    two = Given(path=written(tmp_path / "other", "ids.json"))
    assert one.source()["fingerprint"] == two.source()["fingerprint"]
    assert one.source()["fingerprint"] != Given(path=written(tmp_path, "codes.parquet")).source()["fingerprint"]


def test_given_ids_extend_nothing():
    from unisid.stages.extension import Base

    with pytest.raises(ConfigError, match=r"codes.given: ids that others made extend no index \(codes.base\)"):
        stage.Config(given=Given(path="a"), base=Base(address="codes/t/1"))
