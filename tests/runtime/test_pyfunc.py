"""The registered recommenders, loaded and asked as a server would: in process, through MLflow's own application."""

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.pyfunc import scoring_server
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
    for wrong in (sids[0][: sids[0].rindex("<")], f"{sids[0]}<z_0>", "<a_99><b_0><c_0>", "a word"):
        with pytest.raises(Exception, match="semantic id"):
            models["lcrec"].predict(pd.DataFrame({"sid": [wrong]}))
    with pytest.raises(Exception, match="'tiger' knows semantic ids and no words"):
        models["tiger"].predict(pd.DataFrame({"sid": sids}))


@pytest.mark.parametrize("column", [{"text": ["pen"]}, {"item_id": ["id-1"]}])
def test_tiger_knows_no_words(models, column):
    with pytest.raises(Exception, match="'tiger' knows semantic ids and no words"):
        models["tiger"].predict(pd.DataFrame(column))


@pytest.mark.parametrize(("table", "message"), [
    ({"text": ["pen"], "item_id": ["id-1"]}, r"\['text', 'item_id'\] of the columns history, text, item_id, sid; must"),
    ({"history": [["id-1", "nothing"]]}, "no item 'nothing' in its catalogue of 20 items"),
    ({"item_id": ["nothing"]}, "no item 'nothing'"),
    ({"history": [[]]}, "history 0: is empty"),
    ({"text": ["pen", None]}, "text of row 1 is .*; must be text"),
])  # fmt: skip
def test_bad_questions_are_refused(models, table, message):
    with pytest.raises(Exception, match=message):
        models["lcrec"].unwrap_python_model().predict(None, pd.DataFrame(table))


def test_another_index_is_refused(registered, tmp_path):
    other = ring.write_index(Place.of(tmp_path), N, seed=9)
    with pytest.raises(Exception, match="speaks the codes"):
        mlflow.pyfunc.load_model("models:/lcrec-recommender@champion", model_config={"codes": str(other)})


@pytest.mark.parametrize("kind", ["tiger", "lcrec"])
def test_it_answers_over_http(models, kind):
    server = TestClient(scoring_server.init(models[kind]))
    assert server.get("/ping").status_code == 200
    body = {"dataframe_records": [{"history": ids(1, 2)}], "params": {"k": 3}}
    [answer] = server.post("/invocations", json=body).json()["predictions"]
    expected = models[kind].predict(pd.DataFrame({"history": [ids(1, 2)]}), params={"k": 3})
    assert answer["item_ids"] == expected["item_ids"][0]
    assert set(answer) == {"item_ids", "titles", "scores"}
    body = {"dataframe_records": [{"text": "blue pen"}], "params": {"k": 3}}
    reply = server.post("/invocations", json=body)
    if kind == "lcrec":
        assert len(reply.json()["predictions"][0]["item_ids"]) == 3
    else:
        assert reply.status_code >= 400
        assert "knows semantic ids and no words" in reply.text
