"""A real MLflow server goes away at the end of a stage; what it missed it is told when it is back."""

import contextlib

import pytest
from mlflow import MlflowClient

from tests.runtime import heads, tracking_server
from unisid import cli, making
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store

RECIPE = "tests/end_to_end/recipes.py:tiny"
WORDS = (RECIPE, "--fused.fusion", "concat")
NOUNS = ("catalog", "embeddings", "graph", "fused", "codes")


@contextlib.contextmanager
def server(folder, port):
    """An MLflow server over the SQLite file and the files of a folder, until the context ends."""
    runs, files = f"sqlite:///{folder}/mlflow.db", f"{folder}/files"
    words = ("--backend-store-uri", runs, "--artifacts-destination", files)
    process = tracking_server.started(port, folder / "mlflow.log", *words)
    try:
        yield process
    finally:
        heads.end(process, seconds=0)


@pytest.fixture
def port(monkeypatch):
    """Where the server of this process's environment listens, when it does."""
    (found,) = heads.free_ports(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{found}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return found


@pytest.mark.slow
def test_a_server_that_was_down_at_the_end_of_a_stage_is_told_later(port, tmp_path, monkeypatch, capsys):
    written = making.write_record
    with server(tmp_path, port) as process:

        def write_record(place, record):
            if record.noun == "codes":
                heads.end(process, seconds=0)
            written(place, record)

        monkeypatch.setattr(making, "write_record", write_record)
        code = cli.main(["run", *WORDS, "--until", "codes", "--compute", "local", "--store", str(tmp_path / "store")])
    said = capsys.readouterr().out
    assert code == 0, said
    assert said.count("cannot be reached") == 1
    assert "nothing is lost: run `unisid sync RECIPE` when it is back" in said
    codes = require(Store(Place.of(tmp_path / "store")).place(Address("codes", "tiny", "1")), "codes")

    with server(tmp_path, port):
        assert cli.main(["sync", *WORDS, "--store", str(tmp_path / "store")]) == 0
        said = capsys.readouterr().out
        assert [line for line in said.splitlines() if line.startswith("logged")] == [
            f"logged to MLflow: {noun}/tiny/1" for noun in NOUNS
        ]
        client = MlflowClient(tracking_uri=f"http://127.0.0.1:{port}")
        runs = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
        whole = next(r for r in runs if r.info.run_name == "tiny" and r.info.status == "FINISHED")
        told = {r.info.run_name: r for r in runs if r.data.tags.get("mlflow.parentRunId") == whole.info.run_id}
        assert set(told) == set(NOUNS)
        assert told["codes"].data.tags["fingerprint"] == codes.fingerprint
        assert told["codes"].data.metrics["quality.distinct_share"] == codes.counts["quality"]["distinct_share"]
        assert client.get_metric_history(told["graph"].info.run_id, "loss")
        attached = [f.path for f in client.list_artifacts(whole.info.run_id, "report")]
        assert "report/report.html" in attached
        champion = client.get_model_version_by_alias("tiny-index", "champion")
        assert champion.tags["fingerprint"] == codes.fingerprint


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with the catalog of the recipe, whose run MLflow was told of."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    words = ["run", *WORDS, "--until", "catalog", "--compute", "local", "--store", str(tmp_path / "store")]
    assert cli.main(words) == 0
    return tmp_path / "store"


@pytest.mark.slow
def test_sync_claims_no_success_where_the_experiment_was_deleted(store, capsys):
    client = MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db")
    experiment = client.get_experiment_by_name("unisid").experiment_id
    client.delete_experiment(experiment)
    capsys.readouterr()
    assert cli.main(["sync", *WORDS, "--store", str(store)]) == 1
    said = capsys.readouterr()
    assert "logged to MLflow" not in said.out
    assert "sync: not all was synchronised; missing: catalog/tiny/1, report, registry" in said.err
    assert f"mlflow experiments restore --experiment-id {experiment}" in said.err
    client.restore_experiment(experiment)
    assert cli.main(["sync", *WORDS, "--store", str(store)]) == 0
    assert "logged to MLflow: catalog/tiny/1" in capsys.readouterr().out


@pytest.mark.slow
def test_no_command_prints_or_writes_a_secret(tmp_path, monkeypatch, capsys):
    """The store's URI, data's, and the tracker's hold one; neither the terminal nor a file does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    secret = "hunter2"
    table = Place.of(f"memory://key:{secret}@shop-{tmp_path.name}/raw?secret_key={secret}")
    rows = [f"u{n % 7},i{n * n % 11},{1_600_000_000 + n}" for n in range(60)]
    table.write("interactions.csv", "\n".join(["user_id,item_id,timestamp", *rows]).encode())
    table.write("items.csv", "\n".join(["item_id,title", *(f"i{n},a red thing {n}" for n in range(11))]).encode())
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "from unisid.datasets import tables\nfrom unisid.pipeline import Recipe\nfrom unisid.stages import catalog\n"
        "def shop() -> Recipe:\n    'A shop.'\n    return Recipe(name='shop', catalog=catalog.Config(k_core=0, dataset="
        f"tables.Config(items={(table / 'items.csv').uri!r}, interactions={(table / 'interactions.csv').uri!r})))\n"
    )
    store = f"memory://key:{secret}@store-{tmp_path.name}/runs?token={secret}"
    for uri in (f"nonsense://shop:{secret}@db/x", f"http://shop:{secret}@127.0.0.1:9", f"sqlite:///{tmp_path}/m.db"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        for words in (
            ["run", f"{recipe}:shop", "--until", "catalog", "--compute", "local"],
            ["plan", f"{recipe}:shop"],
            ["sync", f"{recipe}:shop"],
            ["list"],
            ["show", "catalog/shop/1"],
            ["show", "codes/shop/1"],
            ["promote", "--status", "shop"],
            ["promote", "codes/shop/1"],
            ["sid", "i1"],
            ["show", "catalog/shop/1", "--json"],
            ["drop", "codes/shop/1"],
        ):
            code = cli.main([*words, "--store", store])
            if words[0] == "run":
                assert code == (1 if "nonsense" in uri else 0)
            said = capsys.readouterr()
            assert secret not in said.out + said.err, words
    made = Store(Place.of(store)).place(Address("catalog", "shop", "1"))
    report = Place.of(store) / "reports" / "shop" / "1"
    assert "record.json" in made.sizes()
    assert "report.html" in report.sizes()
    for place in (made, report):
        for name in place.sizes():
            assert secret.encode() not in place.read(name), name
    for file in tmp_path.rglob("*"):
        if file.is_file() and file != recipe and "__pycache__" not in file.parts:
            assert secret.encode() not in file.read_bytes(), file
