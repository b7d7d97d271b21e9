"""Everybody's recommendations beside `Recommender.rank`; a run that died goes on and leaves the same bytes."""

import hashlib
import json
import os
import time
from dataclasses import replace

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.memory import InMemoryCatalog

from tests import forked
from tests.lines import logged
from tests.serving import ring_pair
from unisid.artifacts.store import Address, Place
from unisid.cli import main
from unisid.compute import Pool
from unisid.errors import ArtifactError, DataError, DriftError
from unisid.raw.lake import find_table
from unisid.raw.lake_output import WrittenTable
from unisid.runtime.local import LocalCompute
from unisid.serving import overnight
from unisid.serving.overnight import Overnight, Sources, recommend_all

SMALL = Overnight(k=4, shard=5, pool=Pool(workers=0))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    store = ring_pair.store(tmp_path_factory.mktemp("overnight"), 1, 2)
    return Sources(*(store.place(Address.parse(text)) for text in ("model/ring/1", "codes/ring/1", "catalog/ring/1")))


def run(sources, out, settings=SMALL, compute=None, said=None):
    with logged(said):
        return recommend_all(sources, settings, Place.of(out), compute or LocalCompute())


def files(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def test_every_user_gets_what_rank_gives(sources, tmp_path):
    counts = run(sources, tmp_path / "out")
    assert counts == {"users": 12, "shards": 3, "rows": 48, "popularity": 0, "problems": 0}
    table = pq.read_table(tmp_path / "out").to_pandas()  # as anybody reads it: the folder is one table
    pair = ring_pair.load({"model": sources.model, "codes": sources.codes, "catalog": sources.catalog}, None)
    items, _ = pair.recommender.rank([pair.history_of(user) for user in range(12)], 4)
    for user, numbers in enumerate(items):
        rows = table[table.user_id == str(user)]
        assert rows.item_id.tolist() == ring_pair.ids(*numbers)
        assert rows["rank"].tolist() == [1, 2, 3, 4]
        assert rows.semantic_id.tolist() == [pair.sids[number] for number in numbers]
        assert rows.score.tolist() == sorted(rows.score, reverse=True)


class Dying(LocalCompute):
    """Dies after two shards."""

    def map(self, parts, *steps):
        for number, table in enumerate(super().map(parts, *steps)):
            if number == 1:
                raise KeyboardInterrupt
            yield table


def test_a_run_that_died_goes_on_and_leaves_the_same_bytes(sources, tmp_path):
    run(sources, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(sources, tmp_path / "cut", compute=Dying())
    begun = files(tmp_path / "cut")
    assert overnight.DONE not in begun
    assert len([name for name in begun if name.endswith(".parquet")]) == 2
    said = []
    run(sources, tmp_path / "cut", said=said)
    assert "goes on with 1 of 3 shards" in said[0]
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    again = []
    run(sources, tmp_path / "cut", said=again)
    assert "complete, 12 users in 3 shards" in again[0]


@pytest.mark.slow
def test_a_killed_process_leaves_whole_shards_and_the_next_one_the_same_bytes(tmp_path):
    store = ring_pair.store(tmp_path / "store", 1)
    words = ["recommend", "--store", str(store.root), "--model", "model/ring/1", "--all", "--compute", "local"]
    words += ["--shard", "1"]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    process = forked.begin(*words, "--out", str(tmp_path / "cut"), env=os.environ)
    while process.poll() is None and not list((tmp_path / "cut").glob("*.parquet")):
        time.sleep(0.001)
    process.kill()
    process.wait()
    for path in (tmp_path / "cut").glob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
    assert main([*words, "--out", str(tmp_path / "cut")]) == 0
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


@pytest.mark.slow
def test_ray_data_writes_the_same_bytes(sources, tmp_path, ray_compute):
    run(sources, tmp_path / "here")
    run(sources, tmp_path / "ray", replace(SMALL, pool=Pool(workers=2)), ray_compute)
    assert files(tmp_path / "ray") == files(tmp_path / "here")


def test_other_recommendations_are_not_mixed_with_these(sources, tmp_path):
    run(sources, tmp_path / "out")
    with pytest.raises(DriftError, match=r"settings\.k: 4 -> 5"):
        run(sources, tmp_path / "out", replace(SMALL, k=5))
    run(sources, tmp_path / "out", replace(SMALL, pool=Pool(workers=1)))  # who does the work changes nothing
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DriftError, match=r"holds notes\.txt"):
        run(sources, tmp_path / "mine")


def test_beams_by_level_are_those_of_rank_and_part_of_what_is_written(sources, tmp_path):
    narrow, out = replace(SMALL, beams=(5, 4)), Place.of(tmp_path / "out")
    pair = overnight._Worker(sources, narrow, out).pair
    assert pair.recommender.beams == (5, 4)
    run(sources, tmp_path / "out", narrow)
    items, _ = pair.recommender.rank([pair.history_of(user) for user in range(12)], 4)
    assert pq.read_table(tmp_path / "out")["item_id"].to_pylist() == ring_pair.ids(*items.ravel())
    with pytest.raises(DriftError, match=r"settings\.beams"):
        run(sources, tmp_path / "out")
    assert run(sources, tmp_path / "out", narrow)["rows"] == 48
    run(sources, tmp_path / "older")
    assert "beams" not in json.loads((tmp_path / "older" / overnight.BEGUN).read_text())["settings"]


def test_a_table_of_histories_and_a_rule(sources, tmp_path):
    facts, path = tmp_path / "facts.parquet", tmp_path / "histories.parquet"
    pq.write_table(ring_pair.TABLE, facts)
    histories = pa.array([ring_pair.ids(1, 2), [], None, ["gone", "id-4"]], pa.list_(pa.string()))
    pq.write_table(pa.table({"user_id": ["a", "b", "c", "d"], "history": histories}), path)
    settings = replace(SMALL, histories=str(path), columns=str(facts), rule="stock and price < 8")
    counts = run(sources, tmp_path / "out", settings)
    assert counts == {"users": 4, "shards": 1, "rows": 3 + 4 + 4, "popularity": 1, "problems": 1}
    table = pq.read_table(tmp_path / "out").to_pandas()
    assert sorted(table[table.user_id == "a"].item_id) == ["id-4", "id-5", "id-7"]
    assert set(table.item_id) <= set(ring_pair.ids(1, 2, 4, 5, 7))
    assert set(table[table.user_id == "b"].source) == {"popularity"}
    assert "c" not in set(table.user_id)


def test_wrong_tables_and_rules_are_refused(sources, tmp_path):
    path = tmp_path / "histories.csv"
    path.write_text("user_id,history\na,id-1\n")
    with pytest.raises(DataError, match="'history' is a column of string; must be one of lists"):
        run(sources, tmp_path / "a", replace(SMALL, histories=str(path)))
    path.write_text("user,history\na,id-1\n")
    with pytest.raises(DataError, match="must have 'user_id'"):
        run(sources, tmp_path / "b", replace(SMALL, histories=str(path)))
    with pytest.raises(DataError, match="no column 'prize'"):
        run(sources, tmp_path / "c", replace(SMALL, rule="prize < 3"))
    with pytest.raises((DataError, ArtifactError), match="missing"):
        run(sources, tmp_path / "d", replace(SMALL, columns=str(tmp_path / "missing.parquet")))


def command(store, *words):
    return main(["recommend", "--store", str(store.root), "--model", "model/ring/1", "--compute", "local", *words])


def test_the_command_writes_and_refuses_words_that_do_not_go_together(tmp_path, capsys):
    store, out = ring_pair.store(tmp_path / "store", 1), tmp_path / "out"
    assert command(store, "--all", "--out", str(out), "--k", "3") == 0
    assert "36 rows for 12 users in 1 files" in capsys.readouterr().out
    assert pq.read_table(out).num_rows == 36
    assert command(store, "--all", "--out", str(out), "--k", "3", "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert command(store, "--user", "1", "--k", "3", "--beams", "2", "1") == 0  # nowhere fewer than k
    assert len(capsys.readouterr().out.splitlines()) > 3
    assert (body["out"], body["rows"], body["users"], body["into"]) == (str(out), 36, 12, None)
    for words, message in (
        (["--all"], "say where: --out FOLDER"),
        (["--user", "1", "--out", str(out)], "are for --all and --histories"),
        (["--all", "--out", str(out), "--allowed", "x"], "are for one user"),
        (["--all", "--out", str(out), "--k", "0"], "overnight.k: is 0"),
    ):
        assert command(store, *words) == 1
        assert message in capsys.readouterr().err


def test_a_quota_holds_for_every_user(sources, tmp_path):
    facts = tmp_path / "facts.parquet"
    pq.write_table(ring_pair.TABLE, facts)
    settings = replace(SMALL, columns=str(facts), quota="colour", most_of_each=1)
    run(sources, tmp_path / "out", settings)
    colour = dict(zip(ring_pair.TABLE["item_id"].to_pylist(), ring_pair.TABLE["colour"].to_pylist(), strict=True))
    table = pq.read_table(tmp_path / "out").to_pandas()
    colours = table.item_id.map(colour).groupby(table.user_id)
    assert (colours.nunique() == colours.size()).all()
    assert colours.size().max() == 4
    with pytest.raises(DataError, match="size"):
        run(sources, tmp_path / "other", replace(settings, quota="size"))


@pytest.mark.parametrize("kind", ["delta", "lance"])
def test_the_rows_go_into_a_table_in_one_commit(sources, tmp_path, capsys, kind):
    store = str(sources.model.parent.parent.parent)
    words = ["recommend", "--store", store, "--model", "model/ring/1", "--all", "--k", "4", "--shard", "5"]
    words += ["--compute", "local", "--out", str(tmp_path / "out"), "--into", f"{kind}:{tmp_path / 'table'}"]
    for version in range(2):  # the second time the files lie there already, and the table is replaced
        assert main(words) == 0
        line = capsys.readouterr().out.splitlines()[-1]
        assert line == f"{kind}:{Place.of(tmp_path / 'table').uri}: version {version + (kind == 'lance')}"
        address = find_table("test", str(tmp_path / "table"))
        held = address.open()
        rows = pa.concat_tables([held.read(n, held.schema.names) for n in range(len(held.files))])
        order = [("user_id", "ascending"), ("rank", "ascending")]
        assert rows.sort_by(order).to_pylist() == pq.read_table(tmp_path / "out").sort_by(order).to_pylist()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quota", "brand"], "--quota brand: must be COLUMN=N"),
        (["--quota", "brand=0"], "--quota brand=0: must be COLUMN=N"),
        (["--into", "nowhere"], "--into nowhere: must be delta:PATH, lance:PATH, iceberg:CATALOG/SPACE.TABLE, bigq"),
        (["--into", "iceberg:shop"], "--into iceberg:shop: must be delta:PATH"),
        (["--into", "sqlite:shop"], "--into sqlite:shop: must be sqlite:FILE/TABLE"),
        (["--into", "snowflake:shop"], "--into snowflake:shop: must be snowflake:DATABASE.SCHEMA.TABLE"),
        (["--into", "bigquery:s.t"], "--into bigquery:s.t: must be bigquery:PROJECT.DATASET.TABLE"),
    ],
)
def test_words_that_name_no_quota_and_no_table_are_refused(sources, tmp_path, capsys, words, message):
    store = str(sources.model.parent.parent.parent)
    given = ["recommend", "--store", store, "--model", "model/ring/1", "--all", "--out", str(tmp_path / "out"), *words]
    assert main(given) != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_table_of_other_columns_stays_as_it_was(sources, tmp_path):
    run(sources, tmp_path / "out")
    deltalake.write_deltalake(str(tmp_path / "table"), pa.table({"other": [1]}))
    table = WrittenTable.of("test", f"delta:{tmp_path / 'table'}")
    with pytest.raises(DataError, match=r"a Delta Lake table that cannot be written .*; the files lie in "):
        table.replace(Place.of(tmp_path / "out"), overnight.FAMILY, 3)
    assert deltalake.DeltaTable(str(tmp_path / "table")).to_pyarrow_table().to_pydict() == {"other": [1]}


def test_an_iceberg_table_is_replaced(sources, tmp_path, monkeypatch):
    run(sources, tmp_path / "out")
    catalog = InMemoryCatalog("shop", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("shop")
    monkeypatch.setattr("pyiceberg.catalog.load_catalog", lambda name: catalog)
    table = WrittenTable.of("test", "iceberg:shop/shop.tonight")
    for _ in range(2):
        assert table.replace(Place.of(tmp_path / "out"), overnight.FAMILY, 3).startswith("snapshot ")
        rows = catalog.load_table("shop.tonight").scan().to_arrow().to_pandas()
        assert sorted(rows.item_id) == sorted(pq.read_table(tmp_path / "out").to_pandas().item_id)
