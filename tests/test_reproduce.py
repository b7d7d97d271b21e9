"""A run is a function of (recipe, seed, data): made again it is the same, and what is not is said."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.search.quick_search import quick
from unisid import pipeline
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.tables import write_table
from unisid.artifacts.weights import write_json
from unisid.baselines import bprmf, gru4rec, itemknn
from unisid.cli import main
from unisid.datasets import tables
from unisid.errors import ArtifactError, ConfigError
from unisid.reproduce import _what_differs, lineage, recipe_of, reproduce
from unisid.runtime.local import LocalCompute
from unisid.stages import baseline
from unisid.training.loop import Training

CODES = Address("codes", "quick", "1")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    store = Store(Place.of(tmp_path_factory.mktemp("run")))
    pipeline.run(quick(), store, LocalCompute(), pipeline.NullTracker(), "metrics")
    return store


def again(address, store, place):
    return reproduce(address, store, Store(Place.of(place)), LocalCompute())


def test_a_whole_run_made_again_is_equal_byte_for_byte(whole, tmp_path):
    found = again(Address("metrics", "quick", "1"), whole, tmp_path)
    assert [str(compared.address) for compared in found] == [
        f"{noun}/quick/1"
        for noun in ("catalog", "embeddings", "graph", "fused", "codes", "sequences", "model", "metrics")
    ]
    assert [compared.differing for compared in found] == [()] * 8
    assert all(compared.files > 0 for compared in found)
    assert str(found[4]) == f"codes/quick/1: {found[4].files} files, equal byte for byte"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        (gru4rec.Config(width=8, hidden_width=8), {"baseline.safetensors"}),
        (bprmf.Config(width=8, epochs=5), {"baseline.safetensors"}),
        (itemknn.Config(), set()),
    ],
)
def test_a_baseline_made_here_is_made_again_by_ray_train_byte_for_byte(ray_compute, tmp_path, kind, weights):
    how = Training(epochs=2, learning_rate=1e-2, schedule="constant")
    fitted = baseline.Config(baseline=kind, training=how, resamples=20)
    store, address = Store(Place.of(tmp_path / "run")), Address("baseline", "quick", "1")
    recipe = replace(quick(), baseline=fitted)
    pipeline.run(recipe, store, LocalCompute(), pipeline.NullTracker(), "baseline")
    found = reproduce(address, store, Store(Place.of(tmp_path / "again")), ray_compute)
    assert [(str(each.address), each.differing) for each in found] == [("catalog/quick/1", ()), (str(address), ())]
    assert {"metrics.json"} | weights <= set(store.place(address).sizes())


def test_the_recipe_is_read_back_with_what_bears_no_identity(whole):
    recipe = recipe_of(lineage(CODES, whole))
    assert recipe.codes == quick().codes
    assert recipe.catalog == quick().catalog


def test_figures_that_an_older_version_did_not_measure_are_counted_apart(place):
    old, new = ({"a": {"excluded": {name: {"mean": 0.5} for name in names}}} for names in (["HR@5"], ["HR@5", "MRR@5"]))
    for where, figures in ((place / "old", old), (place / "new", new)):
        write_json(where, "metrics.json", figures)
    [said] = _what_differs("metrics", place / "old", place / "new")
    assert said == "a.excluded.HR@5.mean by 0, no figure by more; 1 figures are new"


def test_what_differs_is_said_in_numbers(whole, tmp_path, capsys):
    """The recorded index loses its order: two items exchange their semantic ids."""
    shutil.copytree(whole.root.uri, tmp_path / "first", symlinks=True)
    store = Store(Place.of(tmp_path / "first"))
    place = store.place(CODES)
    codes = Codes.read(place).codes.copy()
    codes[[0, 1]] = codes[[1, 0]]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(codes).reshape(-1)), codes.shape[1])
    write_table(place, "items", 0, pa.table({"codes": flat}))
    if read_record(place).files["items-00000.parquet"] != place.sizes()["items-00000.parquet"]:
        pytest.skip("the table is not as long as it was, which is another error")
    words = [
        "reproduce",
        str(CODES),
        "--store",
        store.root.uri,
        "--into",
        str(tmp_path / "again"),
        "--compute",
        "local",
    ]
    assert main(words) == 1
    shown = capsys.readouterr()
    share = f"{2 / len(codes):.2%}"
    assert f"codes/quick/1: items-00000.parquet differ; {share} of the items have another semantic id" in shown.out
    assert "catalog/quick/1: 3 files, equal byte for byte" in shown.out
    assert "1 of 5 artifacts differ, as listed" in shown.err
    assert main([*words, "--json"]) == 1
    rows = {row["address"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["codes/quick/1"]["differing"] == ["items-00000.parquet"]
    assert (rows["catalog/quick/1"]["files"], rows["catalog/quick/1"]["differing"]) == (3, [])


def test_the_store_of_the_run_is_not_where_it_is_made_again(whole):
    with pytest.raises(ConfigError, match=r"is the store of the run itself; give another folder \(--into\)"):
        reproduce(CODES, whole, whole, LocalCompute())


def test_what_is_not_there_cannot_be_made_again(whole, tmp_path):
    with pytest.raises(ArtifactError, match="no complete codes here"):
        again(Address("codes", "other", "1"), whole, tmp_path)


def test_other_raw_data_are_named(tmp_path):
    """The catalogue's file has changed since."""
    items = ["item_id,title", *(f"i{n},title {n}" for n in range(8))]
    interactions = ["user_id,item_id,timestamp", *(f"u{n % 6},i{n % 8},{n}" for n in range(48))]
    Path(tmp_path, "items.csv").write_text("\n".join(items) + "\n")
    Path(tmp_path, "interactions.csv").write_text("\n".join(interactions) + "\n")
    dataset = tables.Config(items=str(tmp_path / "items.csv"), interactions=str(tmp_path / "interactions.csv"))
    recipe = replace(quick(), catalog=replace(quick().catalog, dataset=dataset, k_core=0))
    store = Store(Place.of(tmp_path / "run"))
    pipeline.run(recipe, store, LocalCompute(), pipeline.NullTracker(), "catalog")
    Path(tmp_path, "items.csv").write_text(Path(tmp_path, "items.csv").read_text().replace("title 3", "another title"))
    with pytest.raises(ConfigError) as error:
        again(Address("catalog", "quick", "1"), store, tmp_path / "again")
    assert "catalog/quick/1 cannot be made again from here; what differs:" in str(error.value)
    assert "raw data and pretrained weights must be where they were, and what they were" in str(error.value)
