"""Lists in every format are the same lists; whatever cannot be judged is refused with the reason."""

import json

import deltalake
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.stages import ring
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.tables import write_table
from unisid.errors import ConfigError, DataError
from unisid.judging.lists import read_lists

USERS, LENGTH = 20, 5


@pytest.fixture
def table(catalog) -> pd.DataFrame:
    """Five items a user, best first."""
    random = np.random.default_rng(0)
    rows = [
        {"user_id": str(user), "item_id": f"item {item}", "rank": rank, "score": 1.0 - rank / 10}
        for user in range(USERS)
        for rank, item in enumerate(random.permutation(15)[:LENGTH].tolist(), 1)
    ]
    return pd.DataFrame(rows)


def write(table, path, form):
    """The table as another system writes it."""
    if form == "parquet":
        table.sample(frac=1, random_state=1).to_parquet(path / "a.parquet")
    elif form == "recbole":
        names = {"user_id": "user_id:token", "item_id": "item_id:token", "score": "score:float"}
        table.drop(columns="rank").rename(columns=names).to_csv(path / "a.csv", sep="\t", index=False)
    elif form == "ranks from 0":
        table.assign(rank=table["rank"] - 1).drop(columns="score").to_csv(path / "a.csv", index=False)
    elif form == "rows":
        table[["user_id", "item_id"]].to_csv(path / "a.csv", index=False)
    elif form == "lists":
        table.groupby("user_id", as_index=False).agg(items=("item_id", list)).to_parquet(path / "a.parquet")
    elif form == "json":
        lists = table.groupby("user_id")["item_id"].agg(list)
        lines = [json.dumps({"uid": user, "recommendations": items}) for user, items in lists.items()]
        (path / "a.jsonl").write_text("\n".join(lines))
    elif form == "parts":
        (path / "a").mkdir()
        table[:30].to_parquet(path / "a" / "0.parquet")
        table[30:].to_parquet(path / "a" / "1.parquet")
        return str(path / "a")
    elif form == "other names":
        table[["user_id", "item_id"]].rename(columns={"user_id": "who", "item_id": "what"}).to_csv(path / "a.csv")
    return str(next(path.glob("a.*")))


@pytest.mark.parametrize(
    ("form", "order"),
    [
        ("parquet", "rank"),
        ("recbole", "score"),
        ("ranks from 0", "rank"),
        ("rows", "row"),
        ("lists", "row"),
        ("json", "row"),
        ("parts", "rank"),
        ("other names", "row"),
    ],
)
def test_every_format_holds_the_same_lists(table, catalog, tmp_path, form, order):
    names = {"user": "who", "item": "what"} if form == "other names" else None
    found = read_lists(write(table, tmp_path, form), catalog, names)
    assert found.order == order
    assert found.users == USERS
    assert found.longest == LENGTH
    wanted = table.assign(user=table["user_id"].astype(int)).sort_values(["user", "rank"])
    assert found.user.tolist() == wanted["user"].tolist()
    assert [f"item {number}" for number in found.item] == wanted["item_id"].tolist()


def test_a_trec_run_is_ordered_by_its_score(catalog, place, tmp_path):
    run = tmp_path / "a.run"
    run.write_text("3 Q0 item4 1 0.5 mine\n")
    with pytest.raises(DataError, match="item 'item4': not in catalog/ring/1"):
        read_lists(str(run), catalog)
    names = [f"i{number}" for number in range(15)]  # a run's ids hold no blanks
    write_table(place / "catalog", "items", 0, pa.table({"item_id": names, "title": names, "text": names}))
    run.write_text("3 Q0 i4 1 0.5 mine\n3 Q0 i9 2 0.75 mine\n\n")
    found = read_lists(str(run), Catalog.read(place / "catalog"))
    assert (found.item.tolist(), found.order) == ([9, 4], "score")
    run.write_text("3 Q0 1 0.5 mine\n")
    with pytest.raises(DataError, match=r"a\.run, line 1: has 5 fields, a TREC run has six"):
        read_lists(str(run), catalog)
    run.write_text("3 Q0 1 1 high mine\n")
    with pytest.raises(DataError, match="field 'score': must hold numbers"):
        read_lists(str(run), catalog)


def test_equal_scores_are_ties(table, catalog, tmp_path):
    table.assign(score=1.0).drop(columns="rank").to_parquet(tmp_path / "a.parquet")
    assert set(read_lists(str(tmp_path / "a.parquet"), catalog).score) == {1.0}


def test_a_score_of_minus_infinity_is_no_entry(table, catalog, tmp_path):
    """RecBole strikes items out by it: what the user took, and the padding, which is no item of the catalog."""
    score = np.where(table["rank"] > 3, -np.inf, table["score"])
    padded = table.assign(score=score, item_id=table["item_id"].where(table["rank"] < 5, "[PAD]"))
    padded.drop(columns="rank").to_parquet(tmp_path / "a.parquet")
    found = read_lists(str(tmp_path / "a.parquet"), catalog)
    assert (found.longest, found.users) == (3, USERS)
    assert np.isfinite(found.score).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.assign(item_id=t["item_id"].replace("item 3", "item 99")),
            "item 'item 99': not in catalog/ring/1",
        ),
        (lambda t: t.assign(user_id=t["user_id"].replace("3", "99")), "user '99': not in catalog/ring/1"),
        (lambda t: pd.concat([t, t[:1]]), "1 items stand twice in a list, such as 'item "),
        (
            lambda t: t.assign(rank=[*t["rank"][:-1], np.nan]),
            "column 'rank', row 100: must be a number",
        ),
        (lambda t: t.assign(rank=-t["score"]), r"has the rank -\d.*; ranks count from 0 or 1"),
        (lambda t: t.assign(rank="first"), "column 'rank': must hold numbers"),
        (lambda t: t.drop(columns="item_id"), r"no column of the item; it has: user_id, rank, score; name one of them"),
        (lambda t: t[:0], "holds no entry"),
        (lambda t: t.assign(item_id=None), "the id is missing"),
    ],
)
def test_what_cannot_be_judged_is_refused(table, catalog, tmp_path, change, message):
    change(table).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        read_lists(str(tmp_path / "a.parquet"), catalog)


def test_users_without_a_test_sample_are_refused(place, tmp_path):
    walks = ring.walks(20, 15)
    labels = [[0] * len(items) if user == 4 else ring.leave_one_out(len(items)) for user, items in enumerate(walks)]
    catalog = Catalog.read(ring.write_catalog(place / "some", walks, 15, labels))
    pd.DataFrame({"user": ["4", "5"], "item": ["item 1", "item 2"]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=r"1 users have no test sample in catalog/ring/1, such as '4'; .*it has 19"):
        read_lists(str(tmp_path / "a.csv"), catalog)


def test_lists_may_lie_in_a_lake(table, catalog, tmp_path):
    uri = f"{tmp_path}/lists"
    deltalake.write_deltalake(uri, pa.Table.from_pandas(table, preserve_index=False))
    found, wanted = read_lists(uri, catalog), read_lists(write(table, tmp_path, "parquet"), catalog)
    assert (found.item.tolist(), found.user.tolist()) == (wanted.item.tolist(), wanted.user.tolist())


def test_lists_that_hold_the_future_are_refused(table, catalog, tmp_path):
    """The catalog's times are seconds; each user's target has a time of its own."""
    rows = catalog.samples(TEST)
    target = dict(zip(catalog.user[rows].tolist(), catalog.timestamp[rows].tolist(), strict=True))
    times = np.array([target[int(user)] for user in table["user_id"]])
    path = tmp_path / "a.parquet"
    table.assign(time=(times - 1).astype("datetime64[s]")).to_parquet(path)
    assert read_lists(str(path), catalog).users == USERS
    late = np.where(table["user_id"] == "7", times, times - 1)
    table.assign(time=late.astype("datetime64[s]")).to_parquet(path)
    with pytest.raises(DataError, match="1 lists hold the future: .* such as that of user '7'"):
        read_lists(str(path), catalog)


def test_a_column_of_another_kind_or_name_is_refused(table, catalog, tmp_path):
    table.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ConfigError, match="'who' is no kind of column; they are user, item, rank, score, time"):
        read_lists(str(tmp_path / "a.csv"), catalog, {"who": "user_id"})
    with pytest.raises(DataError, match="no column 'person'; it has: user_id, item_id, rank, score"):
        read_lists(str(tmp_path / "a.csv"), catalog, {"user": "person"})
    with pytest.raises(DataError, match="lists: there is no file"):
        read_lists(str(tmp_path / "b.csv"), catalog)
