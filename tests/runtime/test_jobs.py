"""`ray job submit` to a real head: the package travels, a failed run is a failed job, a stopped one goes on later."""

import subprocess

import pytest
import requests
from mlflow import MlflowClient

from tests.end_to_end import waiting
from tests.runtime import heads
from unisid.artifacts.record import read_record, require
from unisid.artifacts.store import NOUNS, Address, Place, Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RECIPE = "tests/end_to_end/recipes.py:tiny"
SUBMIT = ("job", "submit", "--working-dir", ".", "--runtime-env", "cluster/runtime_env.yaml")
"""As every docstring in jobs/ has it."""
WHERE = """
import ray, unisid
ray.init(log_to_driver=False)
there = ray.get(ray.remote(lambda: __import__("unisid").__file__).remote())
print("DRIVER", unisid.__file__)
print("WORKER", there)
"""


@pytest.fixture(scope="module")
def head():
    with heads.head(dashboard=True) as found:
        yield found


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def submitted(head, store):
    """The whole tiny pipeline, submitted and waited for."""
    result = submit(head, "whole", "jobs.pipeline", "--store", str(store))
    return result, head


def submit(head, name, module, *words, recipe=RECIPE):
    return head.command(*SUBMIT, "--submission-id", name, "--", "python", "-m", module, recipe, *words)


def ended(head, name):
    """A job's status and its own exit code."""
    info = asked(head, name)
    return [info["status"], str(info["driver_exit_code"])]


def log_of(head, name):
    return asked(head, f"{name}/logs")["logs"]


def asked(head, name):
    """What the dashboard says of a job; a command that does so takes three seconds of a core."""
    token = {"Authorization": f"Bearer {head.env['RAY_AUTH_TOKEN']}"}
    answer = requests.get(f"{head.dashboard}/api/jobs/{name}", headers=token, timeout=60)
    answer.raise_for_status()
    return answer.json()


def test_a_pipeline_succeeds(submitted, store):
    result, head = submitted
    log = result.stdout + result.stderr
    assert result.returncode == 0, log
    assert ended(head, "whole") == ["SUCCEEDED", "0"]
    assert "model/tiny/1" in log
    assert "HR@5" in log
    for noun in NOUNS:
        if noun not in ("keywords", "instructions", "baseline", "joint"):
            require(Store(Place.of(store)).place(Address(noun, "tiny", "1")), noun)


def test_its_models_are_registered(submitted, store):
    client = MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db")
    names = {model.name for model in client.search_registered_models()}
    assert names == {"tiny-index", "tiny-recommender"}
    version = client.get_model_version_by_alias("tiny-recommender", "champion")
    assert version.tags["address"] == "model/tiny/1"


def test_what_it_registered_is_put_into_use_by_a_job(submitted, store):
    """And one whose index does not exist fails."""
    _, head = submitted
    words = ("--", "python", "-m", "jobs.promote", "model/tiny/1", "--store", str(store))
    result = head.command(*SUBMIT, "--submission-id", "promoted", *words)
    assert ended(head, "promoted") == ["SUCCEEDED", "0"], result.stdout + result.stderr
    client = MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db")
    for name in ("tiny-index", "tiny-recommender"):
        assert int(client.get_model_version_by_alias(name, "champion").version) == 1
    words = ("--", "python", "-m", "jobs.promote", "codes/none/1", "--store", str(store))
    result = head.command(*SUBMIT, "--submission-id", "refused", *words)
    assert ended(head, "refused") == ["FAILED", "1"]
    assert "codes/none/1" in result.stdout + result.stderr


def test_the_log_can_be_read_later(submitted):
    _, head = submitted
    assert "registry: tiny-recommender version 1" in head.command("job", "logs", "whole").stdout


def test_a_wrong_key_fails_the_job(head, store):
    result = submit(head, "wrong", "jobs.codes", "--store", str(store), "--codes.tokenizer.num_levles", "4")
    assert result.returncode == 1
    assert ended(head, "wrong") == ["FAILED", "1"]
    assert "did you mean 'codes.tokenizer.num_levels'" in result.stdout + result.stderr
    assert "Traceback" not in log_of(head, "wrong")


def test_a_store_that_would_be_lost_is_refused(head):
    result = submit(head, "lost", "jobs.catalog")
    assert ended(head, "lost") == ["FAILED", "1"]
    assert "store 'runs': would lie in this job's own copy" in result.stdout + result.stderr


def test_the_package_travels_with_the_job(head):
    """The driver and the workers import what was submitted, not what happens to be installed."""
    result = head.command(*SUBMIT, "--", "python", "-c", WHERE)
    found = [line.split()[1] for line in result.stdout.splitlines() if line.startswith(("DRIVER", "WORKER"))]
    assert len(found) == 2, result.stdout + result.stderr
    assert all("/runtime_resources/" in path for path in found), found


def test_a_stopped_job_goes_on_where_it_was(submitted, store, tmp_path):
    """`ray job stop` in the middle of a training; all before it is shared with the first pipeline."""
    head, held = submitted[1], waiting.write(tmp_path, waiting.TRAINING)
    recipe = f"{held.file}:tiny"
    words = (
        "--name",
        "slow",
        "--store",
        str(store),
        "--model.training.epochs",
        "14",
        "--model.training.patience",
        "50",
    )
    place = Store(Place.of(store)).place(Address("model", "slow", "1"))
    running = subprocess.Popen(
        [
            str(heads.RAY),
            *SUBMIT,
            "--submission-id",
            "stopped",
            "--",
            "python",
            "-m",
            "jobs.model",
            recipe,
            *words,
            "--model.training.checkpoint_seconds",
            "0",
        ],
        cwd=heads.ROOT,
        env=head.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    heads.until(lambda: list(store.glob("model/slow/.1.*/.work/*/checkpoint-*/complete")), "a checkpoint is there")
    assert head.command("job", "stop", "stopped").returncode == 0
    running.communicate(timeout=120)  # it follows the log, and may leave before the last lines are there
    assert ended(head, "stopped")[0] == "STOPPED"
    log = log_of(head, "stopped")
    assert "interrupted: what is complete stays; the same command goes on from there" in log, log
    assert "Traceback" not in log
    assert read_record(place) is None
    held.open()
    again = submit(head, "again", "jobs.model", *words, recipe=recipe)
    assert ended(head, "again") == ["SUCCEEDED", "0"], again.stdout
    assert "[1/1] model/slow/1" in again.stdout
    assert waiting.first_epoch(again.stdout) > 1
    require(place, "model")
