"""Items that are added between two days are recommended at once, and keep their ids after the night."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.versions import shop
from tests.versions.test_update import World, begun, clicks, world  # noqa: F401
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.cli import main
from unisid.errors import DataError
from unisid.pipeline import NullTracker
from unisid.versions.add import add


def table(folder, *numbers, name="added"):
    path = folder / f"{name}.parquet"
    titles = [shop.title(number) for number in numbers]
    pq.write_table(pa.table({"item_id": [f"i{number}" for number in numbers], "title": titles}), path)
    return str(path)


def added(world, items):  # noqa: F811
    return add(world.store, "shop", items, world._machines, NullTracker())


def test_added_items_have_ids_at_once_and_keep_them_after_the_night(world, tmp_path):  # noqa: F811
    found = added(world, table(tmp_path, 60, 61))
    assert world.promoted == [("codes/shop/2", None)]
    assert (found["catalog"]["new"], found["catalog"]["moved_semantic_ids"]) == (2, 0)
    codes = Codes.read(world.store.place(shop.at("codes", "2")))
    more = added(world, table(tmp_path, 62, name="more"))
    assert more["base"]["address"] == "codes/shop/2"
    assert added(world, table(tmp_path, 62, name="more")) == more  # once is enough
    night = world.day(shop.items(tmp_path, 65, "all"), clicks(tmp_path, count=65))
    assert (night["index"]["address"], night["catalog"]["new"]) == ("codes/shop/4", 2)
    after = Codes.read(world.store.place(shop.at("codes", "4")))
    assert np.array_equal(after.codes[:62], codes.codes)
    ids = Catalog.read(world.store.place(shop.at("catalog", "4"))).item_ids.to_pylist()
    assert ids[60:63] == Catalog.read(world.store.place(shop.at("catalog", "3"))).item_ids.to_pylist()[60:]


def test_another_process_that_added_meanwhile_is_gone_on_from(world, tmp_path, monkeypatch):  # noqa: F811
    from unisid.versions import add as module

    real, other = module.update, []

    def late(*words):
        if not other:
            other.append(table(tmp_path, 70, name="other"))
            added(world, other[0])
        return real(*words)

    monkeypatch.setattr(module, "update", late)
    found = added(world, table(tmp_path, 60))
    assert found["base"]["address"] == "codes/shop/2"
    assert Catalog.read(world.store.place(shop.at("catalog", "3"))).item_ids[60:].to_pylist() == ["i70", "i60"]


def test_what_is_wrong_is_refused(world, tmp_path, capsys):  # noqa: F811
    path = tmp_path / "bare.parquet"
    pq.write_table(pa.table({"item_id": ["i60"]}), path)
    with pytest.raises(DataError, match="title"):
        added(world, str(path))
    assert main(["index", "add", str(path), "--name", "none", "--store", str(tmp_path / "nowhere")]) == 1
    assert "error: " in capsys.readouterr().err
