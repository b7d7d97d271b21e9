"""The registered recommenders, loaded and asked as a server would: in process, through MLflow's own application."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from packaging.requirements import Requirement
from starlette.testclient import TestClient

from tests.recommenders import TITLES, N, made
from tests.runtime.stores import mlflow_at
from tests.stages import ring
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.ops.semantic_ids import spell
from unisid.runtime import registry


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """TIGER and LC-Rec under one registry; the places of each."""
    root = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{root}/mlflow.db"
    client = MlflowClient(uri, uri)
    experiment = client.create_experiment("e", artifact_location=(root / "files").as_uri())
    places = {}
    for kind in ("tiger", "lcrec"):
        places[kind] = made(Place.of(root / kind), root / kind / "language", kind)
        ring.record(places[kind]["model"], "model", {"kind": kind}, {}, ring.entry(places[kind]["codes"], "codes"))
        run = client.create_run(experiment).info.run_id
        said = list(registry.register(client, run, kind, places[kind]))
        assert any(f"{kind}-recommender version 1" in line for line in said)
    with mlflow_at(uri):
        yield places


@pytest.fixture(scope="module")
def models(registered):
    return {kind: mlflow.pyfunc.load_model(f"models:/{kind}-recommender@champion") for kind in registered}


def ids(*items):
    return [f"id-{item}" for item in items]


@pytest.mark.parametrize("kind", ["tiger", "lcrec"])
def test_histories_give_items_with_titles(models, kind):
    histories = [ids(1, 2, 3), ids(9)]
    answer = models[kind].predict(pd.DataFrame({"history": histories}), params={"k": 7})
    for row, history in zip(answer.itertuples(), histories, strict=True):
        assert len(row.item_ids) == len(row.titles) == len(row.scores) == 7
        assert not set(row.item_ids) & set(history)
        assert row.titles == [TITLES[int(item_id.removeprefix("id-"))] for item_id in row.item_ids]
        assert row.scores == sorted(row.scores, reverse=True)


def test_words_give_items_and_items_words(models):
    found = models["lcrec"].predict(pd.DataFrame({"text": ["a blue lamp", "desk"]}), params={"k": N})
    assert sorted(found["item_ids"][0]) == sorted(ids(*range(N)))
    titles = models["lcrec"].predict(pd.DataFrame({"item_id": ids(3, 4)}))["title"]
    assert titles.tolist() == models["lcrec"].unwrap_python_model().recommender.title_of([3, 4])


def test_a_semantic_id_has_the_title_of_its_item(models, registered):
    sids = [spell(codes) for codes in Codes.read(registered["lcrec"]["codes"]).codes[[5, 3]]]
    titles = models["lcrec"].predict(pd.DataFrame({"sid": sids}))["title"]
    expected = models["lcrec"].predict(pd.DataFrame({"item_id": ids(5, 3)}))["title"]
    assert titles.tolist() == expected.tolist()
    wrong = [sids[0][: sids[0].rindex("<")], f"{sids[0]}<z_0>", "<a_99><b_0><c_0>", "a word", sids[1]]
    answer = models["lcrec"].predict(pd.DataFrame({"sid": wrong}))
    assert answer["title"].tolist() == ["", "", "", "", expected[1]]
    assert all("semantic id" in problem for problem in answer["problem"][:4])
    assert answer["problem"][4] == ""
    with pytest.raises(Exception, match="'tiger' has semantic ids and no words"):
        models["tiger"].predict(pd.DataFrame({"sid": sids}))


@pytest.mark.parametrize("column", [{"text": ["pen"]}, {"item_id": ["id-1"]}])
def test_tiger_has_no_words(models, column):
    with pytest.raises(Exception, match="'tiger' has semantic ids and no words"):
        models["tiger"].predict(pd.DataFrame(column))


@pytest.mark.parametrize(
    ("table", "params", "message"),
    [
        ({"text": ["pen"], "item_id": ["id-1"]}, {}, "of the columns history, text, item_id, sid; must be exactly one"),
        ({"title": ["pen"]}, {}, "has none of the columns history, text, item_id, sid; must be exactly one"),
        ({"history": [["id-1"]]}, {"k": 0}, "k"),
        ({"history": [["id-1"]]}, {"k": 1000}, "1000"),
        ({"text": ["pen"]}, {"allowed": ["id-1"]}, "'allowed' is for histories, not for 'text'"),
    ],
)
def test_what_is_wrong_with_the_whole_batch_is_refused(models, table, params, message):
    with pytest.raises(MlflowException) as error:
        models["lcrec"].unwrap_python_model().predict(None, pd.DataFrame(table), params)
    assert message in str(error.value)
    assert error.value.get_http_status_code() == 400


@pytest.mark.parametrize("kind", ["tiger", "lcrec"])
def test_a_bad_row_costs_the_others_nothing(models, kind):
    histories = [ids(1, 2), ["id-1", "gone"], ["gone", "lost", "away", "off"], [], None, ids(3)]
    answer = models[kind].predict(pd.DataFrame({"history": histories}), params={"k": 4})
    alone = models[kind].predict(pd.DataFrame({"history": [ids(1, 2), ids(1), ids(3)]}), params={"k": 4})
    assert answer["item_ids"].tolist() == [alone["item_ids"][0], alone["item_ids"][1], [], [], [], alone["item_ids"][2]]
    assert answer["problem"].tolist() == [
        "",
        "history: skipped what is not in the catalogue: 'gone'",
        "history: has no item of the catalogue of 20, only 'gone', 'lost', 'away' and 1 more; must have one",
        "history: is empty; must have at least one item id",
        "history: is missing; must be a list of item ids",
        "",
    ]


def test_bad_texts_and_items_are_problems_of_their_rows(models):
    found = models["lcrec"].predict(pd.DataFrame({"text": ["pen", None, " "]}), params={"k": 2})
    assert [len(row) for row in found["item_ids"]] == [2, 0, 0]
    assert found["problem"].tolist() == [
        "",
        "text: is missing; must be text",
        "text: ' ' has no words in it; must have at least one",
    ]
    named = models["lcrec"].predict(pd.DataFrame({"item_id": ["id-1", "nothing"]}))
    assert named["problem"].tolist() == ["", "item_id: no item 'nothing' in its catalogue of 20 items"]
    assert named["title"][1] == ""


def test_only_allowed_items_are_recommended_for_all_rows_or_for_each(models):
    histories = pd.DataFrame({"history": [ids(1), ids(2), ids(3)]})
    shared = models["tiger"].predict(histories, params={"k": 5, "allowed": [*ids(4, 5, 6), "elsewhere"]})
    assert [sorted(row) for row in shared["item_ids"]] == [ids(4, 5, 6)] * 3
    each = histories.assign(allowed=[ids(4, 5), None, ["elsewhere"]])
    rows = models["tiger"].predict(each, params={"k": 5})
    assert sorted(rows["item_ids"][0]) == ids(4, 5)
    assert rows["item_ids"][1] == models["tiger"].predict(histories, params={"k": 5})["item_ids"][1]
    assert rows["item_ids"][2] == []
    assert rows["problem"].tolist() == ["", "", "no item may be recommended: each is in the history or not allowed"]
    both = models["tiger"].predict(each, params={"k": 5, "allowed": ids(5, 6)})
    assert [sorted(row) for row in both["item_ids"]] == [ids(5), ids(5, 6), []]
    none = models["tiger"].predict(histories, params={"k": 5, "allowed": []})
    assert none["item_ids"].tolist() == [[], [], []]


def test_items_of_the_history_come_again_where_they_may(models):
    asked = pd.DataFrame({"history": [ids(*range(N))]})
    assert models["tiger"].predict(asked, params={"k": 3})["problem"][0].startswith("no item may be recommended")
    assert len(models["tiger"].predict(asked, params={"k": 3, "exclude_history": False})["item_ids"][0]) == 3


def test_the_index_answers_key_by_key(registered):
    index = mlflow.pyfunc.load_model("models:/tiger-index@champion")
    there = index.predict(pd.DataFrame({"key": ["id-1", "gone", "id-2"]}))
    assert there["problem"].tolist() == ["", "key: no item 'gone' in this index of 20 items", ""]
    back = index.predict(pd.DataFrame({"key": [there["sid"][0], "a word"]}), params={"direction": "sid_to_items"})
    assert back["item_ids"].tolist() == [["id-1"], []]
    assert "semantic id" in back["problem"][1]
    with pytest.raises(MlflowException, match="must be 'item_to_sid' or 'sid_to_items'"):
        index.predict(pd.DataFrame({"key": ["id-1"]}), params={"direction": "up"})


def test_what_a_server_installs_is_what_a_package_index_has(registered):
    folder = Path(mlflow.artifacts.download_artifacts("models:/tiger-recommender@champion"))
    wanted = [Requirement(line) for line in (folder / "requirements.txt").read_text().splitlines()]
    assert {"mlflow", "torch", "transformers", "pyarrow"} <= {found.name for found in wanted}
    for found in wanted:
        assert found.name != "unisid"
        assert found.url is None
        assert "+" not in str(found.specifier)
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(found.specifier)), found
    assert (folder / "code" / "unisid" / "serving" / "recommender.py").exists()
    compiled = [each for each in folder.rglob("__pycache__") if each.parent != folder]  # written at loading
    assert not compiled


@pytest.mark.slow
def test_the_model_brings_its_own_code(registered):
    """Served where this package is not installed, it runs the code that lies beside it."""
    program = (
        "import sys, mlflow, pandas as pd\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        here = path if path else sys.path\n"
        "        if name == 'unisid' and not any('models/m-' in entry for entry in here):\n"
        "            raise ModuleNotFoundError('not installed', name=name)\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "model = mlflow.pyfunc.load_model('models:/tiger-recommender@champion')\n"
        "import unisid\n"
        "assert 'models/m-' in unisid.__file__, unisid.__file__\n"
        "print(model.predict(pd.DataFrame({'history': [['id-1']]}), params={'k': 3})['item_ids'][0])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert len(ast.literal_eval(result.stdout.splitlines()[-1])) == 3


def test_another_index_is_refused(registered, tmp_path):
    other = ring.write_index(Place.of(tmp_path), N, seed=9)
    with pytest.raises(Exception, match="was trained on the codes"):
        mlflow.pyfunc.load_model("models:/lcrec-recommender@champion", model_config={"codes": str(other)})


@pytest.mark.parametrize("kind", ["tiger", "lcrec"])
def test_it_answers_over_http(models, kind):
    server = TestClient(scoring_server.init(models[kind]))
    assert server.get("/ping").status_code == 200
    body = {"dataframe_records": [{"history": ids(1, 2)}], "params": {"k": 3}}
    [answer] = server.post("/invocations", json=body).json()["predictions"]
    expected = models[kind].predict(pd.DataFrame({"history": [ids(1, 2)]}), params={"k": 3})
    assert answer["item_ids"] == expected["item_ids"][0]
    assert set(answer) == {"item_ids", "titles", "scores", "problem"}
    body = {"dataframe_records": [{"text": "blue pen"}], "params": {"k": 3}}
    reply = server.post("/invocations", json=body)
    if kind == "lcrec":
        assert len(reply.json()["predictions"][0]["item_ids"]) == 3
    else:
        assert reply.status_code == 400
        assert "has semantic ids and no words" in reply.text
    records = [{"history": ids(1)}, {"history": ["gone"]}]
    body = {"dataframe_records": records, "params": {"k": 2, "allowed": ids(4, 5), "exclude_history": False}}
    good, bad = server.post("/invocations", json=body).json()["predictions"]
    assert sorted(good["item_ids"]) == ids(4, 5)
    assert bad["item_ids"] == []
    assert "'gone'" in bad["problem"]
    reply = server.post("/invocations", json=body | {"params": {"k": 1000}})
    assert reply.status_code == 400
    assert "1000" in reply.json()["message"]
    assert "serialized input" not in reply.text
