"""Lists in the order of users, as MiniOneRec's evaluate.py and GRID's LocalPickleWriter leave them."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.stages import ring
from unisid.artifacts.catalog import TEST, TRAIN, Catalog
from unisid.errors import DataError
from unisid.judging.items_of_ids import ItemsOfIds
from unisid.judging.lists import read_lists
from unisid.judging.predictions import is_prediction, read_predictions, read_users
from unisid.judging.ranks import ranks_of

USERS = ["ann", "bob", "cyd"]


@pytest.fixture
def users(tmp_path) -> str:
    (tmp_path / "users.txt").write_text("\n".join(USERS))
    return str(tmp_path / "users.txt")


def results(path, lists, outputs=None) -> str:
    """As evaluate.py writes them."""
    rows = [
        {"input": "The user has ...", "output": f"{output}\n", "predict": each, "predict_ctr_prob": [1.0] * len(each)}
        for each, output in zip(lists, outputs or ["<a_1><b_2>"] * len(lists), strict=True)
    ]
    (path / "final_result.json").write_text(json.dumps(rows, indent=4))
    return str(path / "final_result.json")


def tensor(path, codes) -> str:
    """As merge_list_of_keyed_tensors_to_single_tensor leaves it: float32."""
    torch.save(torch.tensor(codes, dtype=torch.float32), path / "merged_predictions_tensor.pt")
    return str(path / "merged_predictions_tensor.pt")


def test_the_results_of_minionerec(tmp_path, users):
    path = results(tmp_path, [["<a_1><b_2>", '"<a_0><b_0>"\n'], ["<a_3><b_3>", "free text"], ["<a_0><b_1>"]])
    assert is_prediction(path)
    assert read_predictions(path, users).to_pydict() == {
        "user": ["ann", "ann", "bob", "bob", "cyd"],
        "place": [0] * 5,
        "lists": [1] * 5,
        "target": ["<a_1><b_2>"] * 5,
        "item": ["<a_1><b_2>", "<a_0><b_0>", "<a_3><b_3>", "free text", "<a_0><b_1>"],
    }


def test_the_tensor_of_grid(tmp_path, users):
    path = tensor(tmp_path, [[[1, 2, 0], [0, 0, 3]], [[0, 0, 0], [0, 0, 0]], [[4, 4, 0], [4, 4, 1]], [[0] * 3] * 2])
    assert is_prediction(path)
    found = read_predictions(path, users)
    assert found["user"].to_pylist() == ["ann", "ann", "cyd", "cyd"]
    assert found["item"].to_pylist() == ["<a_1><b_2><c_0>", "<a_0><b_0><c_3>", "<a_4><b_4><c_0>", "<a_4><b_4><c_1>"]
    np.save(tmp_path / "same.npy", torch.load(path).numpy().astype(np.int64))
    assert read_predictions(str(tmp_path / "same.npy"), users).equals(found)


def test_the_array_of_recbole(tmp_path, users):
    path = str(tmp_path / "external_item_list.npy")
    np.save(path, np.array([["i1", "i2"], ["[PAD]", "[PAD]"], ["i2", "[PAD]"]]))
    assert is_prediction(path)
    found = read_predictions(path, users)
    assert found["user"].to_pylist() == ["ann", "ann", "cyd"]
    assert found["item"].to_pylist() == ["i1", "i2", "i2"]
    np.save(path, np.array([[["i1"]]]))
    with pytest.raises(DataError, match=r"is of shape \(1, 1, 1\) and type <U2; .* as RecBole's external_item_list"):
        read_predictions(path, users)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("u.csv", "user_id,history_item_sid,item_id\nann,\"['<a_1>', '<b_2>']\",3\nbob,[],4\ncyd,[],5\n"),
        ("u.tsv", "user_id:token\tage\nann\t1\nbob\t2\ncyd\t3\n"),
        ("u.user2id", "bob\t1\nann\t0\ncyd\t2\n"),
        ("u.txt", "ann\nbob\n\ncyd\n"),
        ("u.jsonl", '{"user_id": "ann"}\n{"user_id": "bob"}\n{"user_id": "cyd"}\n'),
    ],
)
def test_users_are_read_in_order(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_users(str(tmp_path / name)) == USERS


@pytest.mark.parametrize("text", ["ann 0\nbob 2\n", "ann 0\nbob\n", "a b c\n", "ann 0\nbob 0\n"])
def test_what_are_no_users_is_refused(tmp_path, text):
    (tmp_path / "u.txt").write_text(text)
    with pytest.raises(DataError, match="must hold a user a line, or a user and a number, each from 0 up to"):
        read_users(str(tmp_path / "u.txt"))


def test_what_is_no_list_for_each_user_is_refused(tmp_path, users):
    path = results(tmp_path, [["<a_1>"]] * 2)
    with pytest.raises(DataError, match="has 2 lists, .*users.txt 3 users; must have a list for each"):
        read_predictions(path, users)
    with pytest.raises(DataError, match="names no users; give the file of them in its order: --users FILE"):
        read_predictions(path, "")
    with pytest.raises(DataError, match="has 4 lists, .*users.txt 3 users"):
        read_predictions(results(tmp_path, [["<a_1>"]] * 4), users)


def test_users_may_lie_in_a_lake(tmp_path):
    deltalake.write_deltalake(f"{tmp_path}/users", pa.table({"user_id": ["ann", "bob"]}))
    assert read_users(f"{tmp_path}/users") == ["ann", "bob"]


def test_rows_at_the_end_that_list_nothing_are_left_aside(tmp_path, users):
    """More rows than users, the last of them empty: as a padded batch leaves them."""
    found = read_predictions(results(tmp_path, [["<a_1>"], ["<a_2>"], ["<a_3>"], []]), users)
    assert found["item"].to_pylist() == ["<a_1>", "<a_2>", "<a_3>"]


def test_a_user_may_stand_in_several_rows(tmp_path):
    (tmp_path / "twice.txt").write_text("ann\nbob\nann\n")
    found = read_predictions(results(tmp_path, [["<a_1>"], ["<a_2>", "<a_3>"], ["<a_4>"]]), str(tmp_path / "twice.txt"))
    assert found["place"].to_pylist() == [0, 0, 0, 1]
    assert found["lists"].to_pylist() == [2, 1, 1, 2]


@pytest.fixture
def several(place) -> Catalog:
    """Two users with three test samples each: items 2, 3, 4 and 7, 8, 9."""
    walks, labels = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], [[TRAIN] * 2 + [TEST] * 3] * 2
    return Catalog.read(ring.write_catalog(place / "several", walks, 15, labels))


SPELLED = ItemsOfIds("x.json", np.arange(15)[:, None])
ROWS = ["1", "0", "0", "1", "0", "1"]
TARGETS = [7, 2, 3, 8, 4, 9]


def listed(path, rows, targets, lists):
    (path / "users.txt").write_text("\n".join(rows))
    spelled = [[f"<a_{item}>" for item in each] for each in lists]
    return results(path, spelled, [f"<a_{target}>" for target in targets]), str(path / "users.txt")


def test_every_test_sample_has_its_own_list(several, tmp_path):
    """In the order of time among the user's rows; each list begins with 14, then has the target at its own place."""
    ahead = [[14, *range(10, 10 + n), target] for n, target in enumerate(TARGETS[:5])] + [[14]]
    path, users = listed(tmp_path, ROWS, TARGETS, ahead)
    lists = read_lists(path, several, spelled=SPELLED, users=users)
    assert (lists.users, lists.longest) == (2, 6 - 1 + 1)
    ranks, lengths = ranks_of(lists, several, several.samples(TEST))
    wanted = [3, 4, 6, 2, 5, np.nan]  # of the targets 2, 3, 4, 7, 8, 9
    np.testing.assert_array_equal(ranks["allowed"], wanted)
    np.testing.assert_array_equal(ranks["excluded"], wanted)
    assert lengths["allowed"].tolist() == [3, 4, 6, 2, 5, 1]


def test_lists_for_other_targets_or_other_counts_are_refused(several, catalog, tmp_path):
    lists = [[14]] * 6
    path, users = listed(tmp_path, ROWS, [7, 3, 2, 8, 4, 9], lists)
    with pytest.raises(DataError, match=r"such as '<a_3>' where that has 'item 2': another order of users, ids or"):
        read_lists(path, several, spelled=SPELLED, users=users)
    path, users = listed(tmp_path, ROWS[:5], TARGETS[:5], lists[:5])
    with pytest.raises(DataError, match="user '1' has 2 lists and 3 test samples in catalog/ring/1; must have a list"):
        read_lists(path, several, spelled=SPELLED, users=users)
    path, users = listed(tmp_path, ["0", "1"], [2, 7], lists[:2])
    assert read_lists(path, several, spelled=SPELLED, users=users).sample is None
    path, users = listed(tmp_path, ["0"], [int(catalog.item[catalog.samples(TEST)[0]] + 1) % 15], lists[:1])
    with pytest.raises(DataError, match="were to find other targets than the test samples of catalog/ring/1"):
        read_lists(path, catalog, spelled=SPELLED, users=users)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"predict": ["<a_1>"]}, {"user": 1, "items": []}], "object 2: has no list of texts 'predict'"),
        ([{"predict": [1, 2]}], "object 1: has no list of texts 'predict'"),
        ([[1, 2]], "object 1: has no list of texts 'predict'"),
    ],
)
def test_an_array_of_something_else_is_refused(tmp_path, users, content, message):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_predictions(str(tmp_path / "a.json"), users)
    (tmp_path / "a.json").write_text('[{"predict": ')
    with pytest.raises(DataError, match="is no JSON"):
        read_predictions(str(tmp_path / "a.json"), users)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[1, 2]], r"is of shape \(1, 2\) and type float64; must be whole numbers, users by list by lev"),
        ([[[0.5, 1]]], "must be whole numbers"),
        ([[[-1, 1]]], "must be whole numbers"),
        ([[[float("nan"), 1]]], "must hold whole numbers"),
    ],
)
def test_a_tensor_of_something_else_is_refused(tmp_path, users, codes, message):
    with pytest.raises(DataError, match=message):
        read_predictions(tensor(tmp_path, codes), users)


def test_what_runs_code_is_refused(catalog, tmp_path, users):
    torch.save({"a": USERS.__class__, "b": print}, tmp_path / "a.pt")
    with pytest.raises(DataError, match="is no tensor"):
        read_predictions(str(tmp_path / "a.pt"), users)
    (tmp_path / "merged_predictions.pkl").write_bytes(b"")
    with pytest.raises(DataError, match="is a pickle, which runs whatever it holds when it is read"):
        read_lists(str(tmp_path / "merged_predictions.pkl"), catalog)


def test_the_line_of_the_documentation_makes_lists_of_a_pickle(catalog, tmp_path):
    """Of the rows that GRID's writer dumps: a user's number and a tensor [k, levels]."""
    page = (Path(__file__).parents[2] / "docs" / "howto" / "judge.md").read_text()
    line = next(line.strip() for line in page.splitlines() if "import json, pickle" in line)
    rows = [{"user_id": user, "semantic_ids": np.array([[user, 0], [14, 0]])} for user in range(3)]
    (tmp_path / "merged_predictions.pkl").write_bytes(pickle.dumps(rows))
    subprocess.run(line.replace("python", sys.executable, 1), shell=True, cwd=tmp_path, check=True)
    spelled = ItemsOfIds("x", np.column_stack([np.arange(15), np.zeros(15)]).astype(np.int32))
    found = read_lists(str(tmp_path / "grid.jsonl"), catalog, spelled=spelled)
    assert found.user.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.item.tolist() == [0, 14, 1, 14, 2, 14]
