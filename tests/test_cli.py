"""The command line inside this process: whatever is wrong with the input, one message, exit code 1, nothing made."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.artifacts.failing_disks import Brittle, no_file_larger_than
from tests.recommenders import N, stored
from tests.stages import ring
from tests.words import commands, unexplained
from unisid import cli, pipeline
from unisid.artifacts.record import RECORD, Record, read_record, require, write_record
from unisid.artifacts.store import Address, Place, Store
from unisid.cli.commands import every
from unisid.cli.session import Session
from unisid.stages.catalog.on_disk.memory import OWN

RECIPE = """
from dataclasses import replace
from tests.end_to_end.recipes import tiny
from unisid.datasets import tables
from unisid.planning import Recipe
from unisid.stages import catalog


def shop() -> Recipe:
    dataset = tables.Config(items="{folder}/items.csv", interactions="{folder}/rows.csv")
    config = catalog.Config(dataset=dataset, protocol="leave-one-out", k_core=0, title_rules=False)
    return replace(tiny("shop"), catalog=config)
"""
ITEMS = "item_id,title\n" + "".join(f"i{n},thing {n}\n" for n in range(8))
ROWS = "user_id,item_id,timestamp\n" + "".join(f"u{u},i{(u + n) % 8},{n}\n" for u in range(6) for n in range(5))


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    monkeypatch.setattr(Session, "tracker", lambda session: pipeline.NullTracker())


@pytest.fixture
def shop(tmp_path, capsys):
    """Runs a command over a small shop's tables; returns the exit code, what was printed and what was complained of."""
    (tmp_path / "recipe.py").write_text(RECIPE.format(folder=tmp_path))
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "rows.csv").write_text(ROWS)

    def unisid(*words, store=tmp_path / "store"):
        code = cli.main([*words, "--store", str(store)])
        out, complaint = capsys.readouterr()
        return code, out, complaint

    unisid.folder = tmp_path
    unisid.recipe = f"{tmp_path}/recipe.py:shop"
    unisid.run = lambda *words, **more: unisid("run", unisid.recipe, "--compute", "local", *words, **more)
    return unisid


def complete(store):
    found = Store(Place.of(store))
    return [str(a) for a in found.addresses() if read_record(found.place(a)) is not None]


def test_a_good_shop_becomes_a_catalog(shop):
    code, out, complaint = shop.run("--until", "catalog")
    assert (code, complaint) == (0, "")
    assert "catalog/shop/1" in out
    assert complete(shop.folder / "store") == ["catalog/shop/1"]
    code, out, said = shop.run("--until", "catalog", "--json")
    assert code == 0
    assert "everything is there" in said
    store = shop.folder / "store"
    assert json.loads(out) == {
        "artifacts": {"catalog": f"{store}/catalog/shop/1"},
        "report": f"{store}/reports/shop/1/report.html",
        "note": "",
        "figures": [],
        "groups": [],
        "lists": {},
        "baseline_lists": {},
    }


@pytest.mark.parametrize(
    ("items", "rows", "words", "message"),
    [
        (ITEMS + ",nameless\n", ROWS, (), "items.csv, column 'item_id', line 10: the id is missing"),
        (ITEMS + "i1,again\n", ROWS, (), "repeat an item id that came before: 'i1'"),
        (ITEMS, ROWS + "u1,i99,7\n", (), "name an item that the items lack: 'i99'"),
        (ITEMS, ROWS + "u1,i1,soon\n", (), "rows.csv, column 'timestamp', line 32: 'soon' is no time"),
        (ITEMS, ROWS + "u1,i1,\n", (), "line 32: '' is no time"),
        (ITEMS, ROWS.replace("timestamp", "when"), (), "no column 'timestamp'"),
        (ITEMS, ROWS, ("--catalog.k-core", "9"), "the 9-core of 30 interactions of 6 users with 8 items is empty"),
        (ITEMS, "user_id,item_id,timestamp\n", (), "the raw data hold no interactions"),
        ("", ROWS, (), "items.csv: is empty"),
        (
            ITEMS,
            ROWS,
            ("--metrics.cutoffs", "10", "--metrics.beam", "5"),
            "metrics.beam: 5 is smaller than the largest cut-off",
        ),
        (
            ITEMS,
            ROWS,
            ("--metrics.beam", "20"),
            "metrics.beam: 20 is smaller than the largest of the standard cut-offs",
        ),
        (ITEMS, ROWS, ("--model.beam", "5"), "model.beam: is 5; must be at least 10"),
        (ITEMS, ROWS, ("--catalog.k_cor", "2"), "no setting '--catalog.k_cor'; did you mean 'catalog.k_core'?"),
        (ITEMS, ROWS, ("--until", "catalogue"), "no stage 'catalogue'; did you mean 'catalog'?"),
    ],
)
def test_bad_input_is_one_message_and_nothing_made(shop, items, rows, words, message):
    (shop.folder / "items.csv").write_text(items)
    (shop.folder / "rows.csv").write_text(rows)
    code, _, complaint = shop.run(*(words if "--until" in words else ("--until", "catalog", *words)))
    assert code == 1
    assert complaint.startswith("error: ")
    assert message in complaint
    assert complete(shop.folder / "store") == []


def test_oddities_are_handled_and_counted(shop):
    (shop.folder / "items.csv").write_text(ITEMS + "cold,<b>Never</b> bought\nblank,\n")
    (shop.folder / "rows.csv").write_text(ROWS + "lone,i1,1\nu0,blank,9\n")
    code, _, _ = shop.run("--until", "catalog", "--catalog.keep-cold-items", "True")
    assert code == 0
    counts = read_record(Place.of(shop.folder / "store/catalog/shop/1")).counts
    found = {name: count for name, count in counts["oddities"].items() if count}
    assert found == {"cold_items": 1, "titles_with_markup": 1, "empty_texts": 1}
    assert counts["users_without_samples"] == 1


def test_sync_logs_what_is_there_and_refuses_what_is_not(shop):
    code, _, complaint = shop("sync", shop.recipe)
    assert code == 1
    assert "nothing of 'shop' is complete under these settings" in complaint
    assert not (shop.folder / "store").exists()
    shop.run("--until", "catalog")
    assert shop("sync", shop.recipe)[:2] == (0, "logged to MLflow: catalog/shop/1\n")
    assert json.loads(shop("sync", shop.recipe, "--json")[1]) == ["catalog/shop/1"]
    assert json.loads(shop("report", "shop", "--json")[1]) == {
        "report": f"{shop.folder}/store/reports/shop/1/report.html"
    }
    assert json.loads(shop("drop", "catalog/shop/1", "--json")[1]) == {"removed": "catalog/shop/1"}
    shop.run("--until", "catalog")
    code, out, complaint = shop("sync", shop.recipe, "--catalog.seed", "7")
    assert (code, out) == (1, "")
    assert "catalog/shop/1: was made from other settings" in complaint


def test_a_code_space_that_is_too_small_stops_at_the_codes(shop):
    code, _, complaint = shop.run(
        "--until",
        "codes",
        "--fused.fusion",
        "concat",
        "--codes.tokenizer.num_levels",
        "1",
        "--codes.tokenizer.codebook-size",
        "4",
    )
    assert code == 1
    assert "1 levels of 4 codes name 4 items" in complaint
    assert complete(shop.folder / "store")[-1] == "fused/shop/1"


def test_a_full_disk_is_one_message_and_goes_on_later(shop):
    with no_file_larger_than(1200):  # a lease is smaller, a table is not
        code, _, complaint = shop.run("--until", "catalog")
    assert code == 1
    assert ": cannot be written (" in complaint
    assert "free space or rights are needed, or another place for the store (--store)" in complaint
    assert complete(shop.folder / "store") == []
    assert "half made" in shop("list")[1]
    assert "half made" in shop("verify")[1]
    assert "no complete catalog here" in shop("show", "catalog/shop/1")[2]
    assert shop.run("--until", "catalog")[0] == 0
    assert complete(shop.folder / "store") == ["catalog/shop/1"]


def test_a_place_that_cannot_be_written_is_one_message(shop):
    (shop.folder / "file").write_text("no folder")
    code, _, complaint = shop.run("--until", "catalog", store=shop.folder / "file" / "store")
    assert code == 1
    assert ": cannot be written (" in complaint


def test_a_read_only_store_answers_and_refuses_changes(shop):
    store = f"brittle://{shop.folder.name}"
    Brittle.allow()
    assert shop.run("--until", "catalog", store=store)[0] == 0
    with Brittle.read_only():
        assert shop("show", "catalog/shop/1", store=store)[0] == 0
        assert shop("list", store=store)[0] == 0
        assert shop.run("--until", "catalog", store=store)[0] == 0
        for code, _, complaint in (
            shop.run("--until", "embeddings", store=store),
            shop("drop", "catalog/shop/1", store=store),
        ):
            assert code == 1
            assert "Read-only file system" in complaint
    assert complete(store) == ["catalog/shop/1"]


def test_a_damaged_artifact_is_one_message(shop):
    shop.run("--until", "catalog")
    place = Store(Place.of(shop.folder / "store")).place(Address.parse("catalog/shop/1"))
    whole = place.read("items-00000.parquet")
    place.write("items-00000.parquet", whole[:-20])
    code, _, complaint = shop("show", "catalog/shop/1")
    assert code == 1
    assert "items-00000.parquet: has" in complaint
    code, _, complaint = shop.run("--until", "embeddings")
    assert code == 1
    assert "the file is truncated or missing" in complaint
    place.write("items-00000.parquet", whole)
    place.write("record.json", place.read("record.json").replace(b'"seed": 42', b'"seed": 43'))
    for words in (("list",), ("show", "catalog/shop/1"), ("plan", shop.recipe)):
        code, out, complaint = shop(*words)
        assert code == 1
        assert "does not match its contents" in out + complaint


def test_names_taken_by_other_artifacts_since_are_refused(shop):
    assert shop.run("--until", "codes", "--fused.fusion", "concat")[0] == 0
    assert shop("sid", "i1")[0] == 0
    shop("drop", "catalog/shop/1")
    code, _, complaint = shop("sid", "i1")
    assert code == 1
    assert "catalog/shop/1: no complete catalog here" in complaint
    assert shop.run("--until", "catalog", "--catalog.seed", "7")[0] == 0
    for words in (("sid", "i1"), ("items", "0")):
        code, _, complaint = shop(*words)
        assert code == 1
        assert "codes/shop/1 was made from" in complaint


def test_an_artifact_is_described(shop):
    shop.run("--until", "fused", "--fused.fusion", "concat")
    code, out, _ = shop("show", "fused/shop/1")
    record = read_record(Place.of(shop.folder / "store/fused/shop/1"))
    assert code == 0
    assert out.splitlines()[:2] == ["fused/shop/1", "The fused vectors: one vector an item, from text and graph."]
    words = [line.split() for line in out.splitlines()]
    for role in ("catalog", "embeddings", "graph"):
        assert any(f"{role}/shop/1" in line and record.inputs[role]["fingerprint"][:12] in line for line in words)
    assert ["fingerprint", record.fingerprint[:12]] in words
    assert ["items", "8"] in words
    assert ["fusion.kind", "concat"] in words
    body = json.loads(shop("show", "fused/shop/1", "--json")[1])
    assert (body["fingerprint"], body["counts"]) == (record.fingerprint, record.counts)


def test_a_shared_artifact_answers_to_the_run_that_shares_it(shop):
    shop.run("--until", "codes", "--fused.fusion", "concat")
    shop.run("--until", "codes", "--fused.fusion", "concat", "--name", "mine", "--codes.unique", "append")
    assert [a for a in complete(shop.folder / "store") if "/mine/" in a] == ["codes/mine/1"]
    for noun in ("fused", "catalog", "graph"):
        code, out, _ = shop("show", f"{noun}/mine/1")
        assert code == 0
        assert out.startswith(f"{noun}/mine/1 is shared, it lies at:\n\n{noun}/shop/1\n")
    code, _, complaint = shop("drop", "fused/mine/1")
    assert code == 1
    assert "what it names is fused/shop/1: unisid drop fused/shop/1" in complaint
    code, _, complaint = shop("show", "model/mine/1")
    assert code == 1
    assert "unisid plan RECIPE --name mine says whose" in complaint
    assert shop("sid", "i1", "--codes", "codes/mine")[0] == 0


def test_items_are_found_by_prefix_and_title_under_headings(shop):
    shop.run("--until", "codes", "--fused.fusion", "concat")
    head, *rows = shop("items", "--title", "THING", "3")[1].splitlines()
    assert head.split() == ["item", "semantic", "id", "title"]
    assert [row.split()[0] for row in rows] == ["i3"]
    assert len(shop("items")[1].splitlines()) == 1 + 8
    assert shop("items", "--limit", "2")[1].splitlines()[-1] == "... and 6 more (--limit)"
    sid = rows[0].split()[1]
    assert shop("items", sid)[1].splitlines()[1:] == shop("sid", "i3")[1].splitlines()[1:]
    code, _, complaint = shop("items", "--title", "nothing")
    assert code == 1
    assert "no title has 'nothing' in it" in complaint


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("i9", "which has 8 items, such as 'i"),
        ("9", "; unisid items --title WORD finds items by title"),
        ("I3", "; did you mean 'i3'?; unisid items"),
    ],
)
def test_an_unknown_id_is_not_guessed_at(shop, item, message):
    shop.run("--until", "codes", "--fused.fusion", "concat")
    code, _, complaint = shop("sid", item)
    assert code == 1
    assert f"item '{item}': not in catalog/shop/1" in complaint
    assert message in complaint
    assert ("did you mean" in complaint) == (item == "I3")


def test_unknown_recipes_and_files(shop):
    for words, message in (
        (("run", "demoo"), "recipe 'demoo': not known; did you mean 'demo'?"),
        (("run", f"{shop.folder}/recipe.py:shoop"), "did you mean 'shop'?"),
        (("run", f"{shop.folder}/absent.py:shop"), "is not there"),
        (("run",), "which recipe? known:"),
        (("drop", "codes/none/1"), "nothing is there to remove"),
        (("sid", "i1"), "no codes here yet; run a recipe first"),
        (("recommend", "--user", "u1"), "no model here yet; run a recipe first"),
    ):
        code, _, complaint = shop(*words)
        assert code == 1
        assert message in complaint


def test_the_list_goes_on_past_a_damaged_artifact(shop):
    shop.run("--until", "catalog")
    shop.run("--until", "catalog", "--name", "other", "--catalog.k-core", "1")
    record = shop.folder / "store" / "catalog" / "other" / "1" / "record.json"
    record.write_text("{")
    code, out, complaint = shop("list")
    assert code == 1
    assert "1 damaged, as listed" in complaint
    assert [line.split()[0] for line in out.splitlines()] == ["catalog/other/1", "catalog/shop/1"]
    assert "damaged: " in out.splitlines()[0]


@pytest.fixture
def ring_store(tmp_path):
    """A store with a catalog of a ring, its index and an untrained recommender."""
    return stored(tmp_path / "ring").root


def test_what_comes_next_is_told_with_titles_and_scores(ring_store, capsys):
    """Of a user of the catalog, and of the same history given by hand."""
    past = [f"item {number}" for number in ring.walks(12, N)[3]]

    def recommended(*words):
        assert cli.main(["recommend", *words, "--k", "5", "--store", str(ring_store)]) == 0
        return capsys.readouterr().out

    answer = recommended("--user", "3")
    assert answer == recommended("--history", *past)
    head, *rows = answer.splitlines()
    assert head.split("  ")[0] == "rank"
    assert ["score" in head, head.endswith("title")] == [True, True]
    cells = [re.split(r" {2,}", row) for row in rows]
    assert [rank for rank, *_ in cells] == list("12345")
    assert all(item == title and item not in past for _, _, item, title in cells)
    scores = [float(score) for _, score, _, _ in cells]
    assert scores == sorted(scores, reverse=True)
    assert max(scores) < 0
    again = [re.split(r" {2,}", row)[2] for row in recommended("--user", "3", "--allow-history").splitlines()[1:]]
    assert [item for item in again if item not in past] == [item for _, _, item, _ in cells][
        : len(set(again) - set(past))
    ]


def test_facts_are_printed_as_json_too(ring_store, capsys):
    """The same as in the table, and nothing else on the standard output."""

    def body(*words):
        assert cli.main([*words, "--json", "--store", str(ring_store)]) == 0
        return json.loads(capsys.readouterr().out)

    assert [(row["address"], row["state"]) for row in body("list")] == [
        ("catalog/ring/1", "complete"),
        ("codes/ring/1", "complete"),
        ("model/ring/1", "complete"),
    ]
    assert all(row["fingerprint"] and row["created"] is not None for row in body("list"))
    assert {row["artifact"] for row in body("verify")} == {"catalog/ring/1", "codes/ring/1", "model/ring/1"}
    pair = {"codes": "codes/ring/1", "model": "model/ring/1", "why": "the newest"}
    found = body("sid", "item 3")
    [one] = found.pop("items")
    assert found == pair
    assert body("items", one["semantic_id"]) == pair | {"items": [one]}
    assert (one["item"], one["title"]) == ("item 3", "item 3")
    assert len(body("items", "--limit", "4")["items"]) == 4
    alone = body("sid", "item 3", "--codes", "codes/ring/1")
    assert (alone["codes"], alone["model"], alone["why"]) == ("codes/ring/1", None, "named")
    answer = body("recommend", "--user", "3", "--k", "2")
    assert (answer["model"], answer["codes"], answer["why"]) == ("model/ring/1", "codes/ring/1", "the newest")
    assert [row["rank"] for row in answer["items"]] == [1, 2]
    assert answer["items"][0]["score"] >= answer["items"][1]["score"]
    narrow = body("recommend", "--user", "3", "--k", "2", "--beams", "2")
    assert narrow["certain"] < 2
    assert narrow["slack"] > 0
    sure = body("recommend", "--user", "3", "--k", "2", "--beams", "2", "--widest", str(N))
    assert (sure["certain"], sure["slack"]) == (2, 0)
    assert "demo" in [row["name"] for row in body("recipes")]
    entries = body("plan", "demo", "--catalog.dataset", "synthetic")
    assert [entry["state"] for entry in entries] == ["to make"] * len(entries)
    assert entries[0]["address"] == "catalog/demo/1"


def test_a_damaged_artifact_is_listed_as_json(ring_store, capsys):
    (Path(ring_store.uri) / "codes/ring/1/record.json").write_text("{")
    assert cli.main(["list", "--json", "--store", str(ring_store)]) == 1
    out, complaint = capsys.readouterr()
    states = {row["address"]: row["state"] for row in json.loads(out)}
    assert states["codes/ring/1"].startswith("damaged: ")
    assert "1 damaged, as listed" in complaint


def recommended(store, capsys, *words):
    """Exit code, the items that are printed, what is said aside."""
    code = cli.main(["recommend", *words, "--store", str(store)])
    out, aside = capsys.readouterr()
    return code, [re.split(r" {2,}", row)[2] for row in out.splitlines()[1:]], aside


def test_how_far_an_answer_is_certain_is_said_aside(ring_store, capsys):
    words = ["--user", "3", "--k", "2", "--beams", "2"]
    code, _, aside = recommended(ring_store, capsys, *words)
    assert re.search(
        r"the first [01] of 2 are certainly the best by this recommender; .* \(--widest 20 searches on\)", aside
    )
    _, _, aside = recommended(ring_store, capsys, *words, "--widest", str(N))
    assert "certainly the best by this recommender" in aside
    code, _, complaint = recommended(ring_store, capsys, "--all", "--out", "lists", "--widest", "4")
    assert (code, "--widest is for one user; for everybody give --beams" in complaint) == (1, True)


def test_files_say_what_may_be_recommended(ring_store, capsys, tmp_path):
    allowed, excluded = tmp_path / "stock.txt", tmp_path / "sold.txt"
    allowed.write_text("\ufeffitem 3\n\n item 5 \nitem 9\r\nitem 11\ngone\n", encoding="utf-8")
    excluded.write_text("item 9\n")
    words = ("--history", "item 3", "--k", "4")
    code, items, aside = recommended(ring_store, capsys, *words, "--allowed", str(allowed))
    assert (code, sorted(items)) == (0, ["item 11", "item 5", "item 9"])
    assert f"{allowed}: 1 of 5 item ids are not in catalog/ring/1, such as 'gone'" in aside
    assert "only 3 items may be recommended" in aside
    code, items, _ = recommended(
        ring_store, capsys, *words, "--allow-history", "--allowed", str(allowed), "--excluded", str(excluded)
    )
    assert sorted(items) == ["item 11", "item 3", "item 5"]
    code, items, _ = recommended(ring_store, capsys, "--history", "item 3", "--k", str(N), "--excluded", str(excluded))
    excluded.write_text("")
    assert recommended(ring_store, capsys, *words, "--excluded", str(excluded))[0] == 0
    excluded.write_text("item 9\n")
    assert (len(items), {"item 3", "item 9"} & set(items)) == (N - 2, set())


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("--allowed", None, "cannot be read"),
        ("--excluded", None, "cannot be read"),
        ("--allowed", b"\xff\xfe\x00", "cannot be read"),
        (
            "--allowed",
            b"",
            "names none of the 20 items of catalog/ring/1; must have an item id a line, such as 'item 0'",
        ),
        ("--allowed", b"gone\n", "1 of 1 item ids are not in"),
    ],
)
def test_a_file_of_no_items_is_refused(ring_store, capsys, tmp_path, option, content, message):
    path = tmp_path / "ids.txt"
    if content is not None:
        path.write_bytes(content)
    code, items, complaint = recommended(ring_store, capsys, "--history", "item 3", option, str(path))
    assert (code, items) == (1, [])
    assert message in complaint


def test_an_empty_answer_says_why(ring_store, capsys):
    code, items, complaint = recommended(ring_store, capsys, "--history", *(f"item {n}" for n in range(N)))
    assert (code, items) == (1, [])
    assert f"none of the {N} items of catalog/ring/1 is left" in complaint
    assert "--allow-history" in complaint


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("recommend", "--history", "item 3", "--k", "0"), "k is 0"),
        (("recommend", "--history", "item 3", "--k", "1000000"), "k is 1000000"),
        (("recommend", "--user", ""), "user '': not in catalog/ring/1"),
        (("recommend", "--history", ""), "item '': not in catalog/ring/1"),
        (("items", "--limit", "0"), "--limit: 0 items; must be at least 1"),
        (("items", "--limit", "-1"), "--limit: -1 items"),
        (("items", "9" * 5000), "semantic id"),
        (("items", "<a_" + "9" * 5000 + ">"), "semantic id"),
        (("items", "<a_99>"), "no item has it"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_odd_words_about_items_are_one_message(ring_store, capsys, words, message):
    code = cli.main([*words, "--store", str(ring_store)])
    out, complaint = capsys.readouterr()
    assert (code, out) == (1, "")
    assert "error: " in complaint
    assert message in complaint


def later_index(store, created):
    """An index codes/later/1 of the same catalogue, completed at this time."""
    first = require(store.place(Address("codes", "ring", "1")), "codes")
    later = ring.write_index(store.place(Address("codes", "later", "1")), N, seed=4)
    write_record(later, replace(first, address="codes/later/1", config={"seed": 4}, created=created))


def test_an_index_that_a_search_left_is_not_in_use(ring_store, capsys):
    """A search or a cold start leaves indexes of its own."""
    where = ("--store", str(ring_store))
    pair = "model/ring/1 with codes/ring/1 (the newest) answers"
    for _ in range(2):
        for words in (("sid", "item 3"), ("items", "--limit", "1")):
            assert cli.main([*words, *where]) == 0
            assert capsys.readouterr().err.splitlines()[0] == "codes/ring/1 with model/ring/1 (the newest) answers"
        assert cli.main(["recommend", "--user", "3", *where]) == 0
        assert capsys.readouterr().err.splitlines()[0] == pair
        later_index(Store(ring_store), "2026-01-02")
    assert cli.main(["sid", "item 3", *where]) == 0
    used = capsys.readouterr().out
    for address, same in (("codes/later/1", False), ("codes/ring/1", True)):
        assert cli.main(["sid", "item 3", "--codes", address, *where]) == 0
        output, aside = capsys.readouterr()
        assert (output == used, aside) == (same, f"{address} (named) answers\n")


@pytest.mark.parametrize("created", ["2026-01-02", "1999-01-02T00:00:00+00:00"])
def test_without_a_recommender_the_newest_index_answers_whatever_the_clock_said(ring_store, capsys, created):
    store = Store(ring_store)
    store.place(Address("model", "ring", "1")).remove(RECORD)  # it is being trained
    later_index(store, created)
    assert cli.main(["sid", "item 3", "--store", str(ring_store)]) == 0
    said = capsys.readouterr().err
    assert said == "codes/later/1 (the newest of 2 indexes, without a recommender) answers\n"


def test_a_name_says_whose_pair_answers_and_an_address_stands_without_one(ring_store, capsys):
    where = ("--store", str(ring_store))
    for words in (("sid", "item 3"), ("items", "0"), ("recommend", "--user", "3")):
        assert cli.main([*words, "--name", "ring", *where]) == 0
        assert "codes/ring/1" in capsys.readouterr().err
        assert cli.main([*words, "--name", "rnig", *where]) == 1
        assert "of 'rnig' here; did you mean 'ring'?" in capsys.readouterr().err
        option = ("--model", "model/ring/1") if words[0] == "recommend" else ("--codes", "codes/ring/1")
        assert cli.main([*words, "--name", "ring", *option, *where]) == 1
        assert f"--name ring: stands beside {option[1]}; must be one of them" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("sid", "item 3"), ("items", "0"), ("recommend", "--user", "3")])
def test_a_store_of_a_newer_version_is_not_called_empty(ring_store, capsys, words):
    """Every record says another format: that is said, and nothing is to be removed."""
    store = Store(ring_store)
    for address in store.addresses():
        place = store.place(address)
        place.write(RECORD, json.dumps(json.loads(place.read(RECORD)) | {"format": 99, "code_version": "7.0"}).encode())
    assert cli.main([*words, "--store", str(ring_store)]) == 1
    complaint = capsys.readouterr().err
    assert f"no {'model' if words[0] == 'recommend' else 'codes'} here can be read:" in complaint
    assert "has format 99, of unisid 7.0; this version reads formats up to 1. Nothing is damaged" in complaint
    assert "here yet" not in complaint
    for command in ("list", "verify"):
        assert cli.main([command, "--store", str(ring_store)]) == 1
        shown = capsys.readouterr()
        assert shown.out.count("cannot be read: ") == 3
        assert "3 cannot be read, as listed; nothing says that they are damaged" in shown.err
        assert "drop" not in shown.err + shown.out


def test_what_cannot_be_read_is_left_aside_in_words(ring_store, capsys):
    store = Store(ring_store)
    place = store.place(Address("model", "newer", "1"))
    place.write(RECORD, b'{"format": 2}')
    assert cli.main(["sid", "item 3", "--store", str(ring_store)]) == 0
    assert "left aside: " in (aside := capsys.readouterr().err)
    assert "model/newer/1/record.json: has format 2" in aside


def test_an_index_that_is_half_made_is_named(ring_store, capsys):
    Store(ring_store).place(Address("codes", "ring", "1")).remove(RECORD)
    assert cli.main(["sid", "item 3", "--store", str(ring_store)]) == 1
    assert "codes/ring/1: no complete codes here; run the recipe that makes it" in capsys.readouterr().err
    Store(ring_store).place(Address("model", "ring", "1")).remove(RECORD)
    assert cli.main(["sid", "item 3", "--store", str(ring_store)]) == 1
    assert "no complete codes here yet, codes/ring/1 half made; run the recipe again" in capsys.readouterr().err


def test_a_lookup_needs_no_torch(ring_store):
    """`unisid sid` and its like answer at once."""
    words = ["sid", "item 3", "--json", "--store", str(ring_store)]
    program = (
        f"import sys, unisid.cli; assert unisid.cli.main({words!r}) == 0; "
        "assert 'torch' not in sys.modules and 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", list(commands()))
def test_every_command_and_each_of_its_words_is_explained(name, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([*name.split(), "--help"])
    shown = capsys.readouterr().out
    assert left.value.code == 0
    assert "exit codes: 0 done" in shown
    kind = dict(every())[name]
    assert kind.__doc__.rstrip().endswith(".")
    assert unexplained(kind) == []
    for word in commands()[name]:
        assert word.is_positional or f"--{word.name.replace('_', '-')}" in shown


def test_help_names_every_command_and_says_what_it_does(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert left.value.code == 0
    for name, kind in every():
        assert name.startswith("index ") or f"• {name} {kind.__doc__.split(chr(10))[0]}" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Expected one of {plan, run,"),
        (("plna", "demo"), "unisid: no command 'plna'; did you mean 'plan'?"),
        (("index",), "Expected one of {extend, add, refresh, compare, cold-start}"),
        (("index", "extent"), "unisid index: no command 'extent'; did you mean 'extend'?"),
        (("list", "more"), "Unrecognized options: more"),
        (("sid", "i1", "--cods", "codes/a"), "--codes ADDRESS"),
        (("sid",), "no ITEM is given; give one or more"),
        (("recommend",), "Missing required argument group"),
        (("recommend", "--user", "a", "--all"), "--user and --all are not allowed together"),
        (("run", "demo", "--compute", "cloud"), "invalid choice 'cloud' for argument '--compute'"),
        (("items", "--limit", "few"), "invalid literal for int() with base 10: 'few'"),
        (("list", "--quiet", "--verbose"), "--quiet and --verbose are not allowed together"),
        (("reproduce", "metrics/demo/1"), "--into"),
        (("plan", "demo", "extra"), "demo extra are 2 words; must be one RECIPE"),
    ],
)
def test_wrong_words_are_said_and_end_with_2(words, message, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(list(words))
    out, complaint = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert message in " ".join(complaint.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--catalog.seed", "3", "demo"), "which recipe, which stands before its settings (--catalog.seed 3 demo)?"),
        (("demo", "--untli", "codes"), "no setting '--untli'; did you mean 'until'?"),
    ],
)
def test_a_recipe_stands_before_its_settings(words, message, capsys):
    assert cli.main(["plan", *words]) == 1
    assert message in capsys.readouterr().err


def test_help_on_a_recipe_has_its_settings(shop, capsys):
    with pytest.raises(SystemExit) as left:
        shop("run", "--help", shop.recipe)
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert "Make what a recipe still lacks" in shown
    assert "--codes.tokenizer.num-levels" in shown


def test_the_architecture_names_every_command():
    page = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text()
    assert [name for name in commands() if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    "words",
    [
        ("codes/shop/2", "--rollback", "shop"),
        ("--status", "shop", "--distinct", "0.5"),
        ("--status", "shop", "--rollback", "shop"),
    ],
)
def test_promote_leaves_nothing_undone_without_a_word(shop, words):
    code, _, complaint = shop("promote", *words)
    assert code == 1
    assert "stands alone: give one command after the other" in complaint


@pytest.mark.parametrize("noun", ["metrics", "baseline"])
def test_cutoffs_past_the_catalogue_are_refused_once_it_is_there(shop, noun):
    """And not hours later, when they are used: a run ends behind its catalog, a plan of it before anything."""
    text = (shop.folder / "recipe.py").read_text()
    added = "baseline=baseline.Config(), " if noun == "baseline" else ""
    text = text.replace("catalog=config)", f"catalog=config, {added.rstrip(', ')})").replace(", )", ")")
    text = text.replace("from unisid.stages import catalog", "from unisid.stages import baseline, catalog")
    (shop.folder / "recipe.py").write_text(text)
    words = (f"--{noun}.cutoffs", "1", "9")
    message = f"{noun}.cutoffs: 9 is more than the catalogue's 8 items; must be at most 8"
    code, _, complaint = shop.run(*words)
    assert (code, message in complaint) == (1, True)
    assert complete(shop.folder / "store") == ["catalog/shop/1"]
    code, _, complaint = shop("plan", shop.recipe, *words)
    assert (code, message in complaint) == (1, True)
    assert shop("plan", shop.recipe, *words, "--until", "codes")[0] == 0
    assert shop("plan", shop.recipe, f"--{noun}.cutoffs", "1", "8")[0] == 0


HALF = ("embeddings", "codes", "model")


@pytest.mark.parametrize("left", ["in a draft", "at its place"])
def test_every_command_says_what_is_half_made_and_drop_removes_it(shop, left):
    """A run that was killed leaves a draft; an earlier version, and a drop that was ended, files without a record."""
    assert shop.run("--until", "catalog")[0] == 0
    store = Store(Place.of(shop.folder / "store"))
    for noun in HALF:
        address = Address(noun, "shop", "1")
        half = store.draft(address, "0" * 64) if left == "in a draft" else store.place(address)
        half.write("states-00000.arrow", b"half")
    code, listed, complaint = shop("list")
    assert (code, complaint) == (0, "")
    for noun in ("catalog", *HALF):
        [line] = [line for line in listed.splitlines() if f"{noun}/shop/1" in line]
        assert ("half made" in line) == (noun in HALF), line
    code, verified, _ = shop("verify")
    assert code == 0, "nothing that is whole was changed"
    assert verified.count("half made") == len(HALF)
    code, one, _ = shop("verify", "codes/shop/1")
    assert "half made" in one
    code, planned, _ = shop("plan", shop.recipe, "--until", "codes")
    assert code == 0
    assert re.search(r"catalog/shop/1 +complete", planned)
    assert re.search(r"embeddings/shop/1 +(half made|to make)", planned)
    assert not re.search(r"(embeddings|codes)/shop/1 +complete", planned)
    for words in (("sid", "i1"), ("recommend", "--history", "i1"), ("show", "codes/shop/1")):
        code, out, complaint = shop(*words)
        assert (code, out) == (1, "")
        assert complaint.startswith("error: ")
        assert "no complete" in complaint
    for noun in HALF:
        assert shop("drop", f"{noun}/shop/1")[0] == 0
    assert "half made" not in shop("list")[1]
    assert complete(shop.folder / "store") == ["catalog/shop/1"]
    assert shop("drop", "codes/shop/1")[0] == 1
    assert shop.run("--until", "embeddings")[0] == 0


def test_the_plans_tree_goes_by_where_the_catalog_is_sorted(shop):
    """As a catalog of the same shop took it that was filtered otherwise."""
    gib, store = 2**30, Store(Place.of(shop.folder / "store"))
    _, out, _ = shop("plan", shop.recipe, "--json")
    settings, counts = json.loads(out)[0]["config"] | {"k_core": 1}, {"items": 8, "interactions": 3}
    held = {"memory": {"before": 0, "peak": 4 * gib}, "seconds": 1.0}
    record = Record(address="catalog/other/1", config=settings, inputs={}, counts=counts, **held)
    write_record(store.place(Address.parse("catalog/other/1")), record)

    def memory(*words):
        code, out, complaint = shop("plan", shop.recipe, "--json", *words)
        assert code == 0, complaint
        return json.loads(out)[0]["memory"]

    plain = memory()
    assert plain == memory("--catalog.memory", "0")
    assert plain["low"] == 4 * gib
    assert plain["high"] > 39 * gib
    assert memory("--catalog.memory", "2") == {"low": 2 * gib + OWN, "high": 2 * gib + OWN, "records": 1}
    assert "2.58 GB, by 1 record" in shop("plan", shop.recipe, "--catalog.memory", "2")[1]
