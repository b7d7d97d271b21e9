"""Trials as real processes of Ray Tune."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from tests import forked
from tests.end_to_end.recipes import tiny
from tests.search.quick_search import RECIPE, launch, made, quick, search
from unisid.artifacts.store import Place
from unisid.runtime.ray_tune import RayTune
from unisid.search.definition import Search, Stopping
from unisid.search.space import parse

pytestmark = pytest.mark.slow


class Killing:
    """RayTune, whose first trial's process is killed when it has first told of itself."""

    def __init__(self, tune):
        self.tune, self.killed = tune, []
        self.check = tune.check

    def run(self, pieces, work, share, on_event, asha=None):
        def listen(number, kind, more):
            on_event(number, kind, more)
            if kind == "reported" and not self.killed:
                self.killed.append(more["pid"])
                os.kill(more["pid"], signal.SIGKILL)

        self.tune.run(pieces, work, share, listen, asha)


def test_trials_on_ray_survive_a_killed_process_and_make_what_is_made_here(ray_compute, tmp_path):
    """Two processes fuse in each trial, the first trial's process dies in its recommender, and all is as if not."""
    base = quick()
    base = replace(base, fused=replace(tiny().fused, pool=replace(tiny().fused.pool, workers=2, cpus=1)))
    asked = Search(
        recipe=base,
        space=parse(["fused.loss.structure_weight=0,1"]),
        objectives=("index", "ndcg"),
        stopping=Stopping(measure="ndcg", grace=3),
    )
    runner = Killing(RayTune(concurrent=1))
    found, said = launch(asked, Place.of(tmp_path / "ray"), runner)
    assert len(runner.killed) == 1
    assert "structure_weight 0.0: begun again, its process died" in said
    assert found[0].state == "complete"
    assert found[1].state in ("complete", "stopped")
    calm, _ = launch(replace(asked, stopping=None), Place.of(tmp_path / "calm"))
    assert found[0].values == calm[0].values


def test_the_worse_index_gets_no_recommender(ray_compute, tmp_path):
    asked = search(
        ["codes.tokenizer.codebook_size=24,5"],
        objectives=("ndcg", "index"),
        stopping=Stopping(measure="distinct", reduction=2),
    )
    found, _ = launch(asked, Place.of(tmp_path), RayTune(concurrent=1))
    assert [outcome.state for outcome in found] == ["complete", "stopped"]
    assert found[1].values["distinct"] < found[0].values["distinct"]
    assert "ndcg" in found[0].values
    assert "ndcg" not in found[1].values
    assert found[1].note == f"after 1 at {found[1].values['distinct']:.4f}"
    again, _ = launch(asked, Place.of(tmp_path), RayTune(concurrent=1), resume=True)
    assert again == found


@contextlib.contextmanager
def _heeding_interrupts():
    """Where tests run in a shell's background, Ctrl-C is ignored and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_search_is_broken_off_and_gone_on_with_by_command(tmp_path):
    command = [
        "search",
        RECIPE,
        "--fused.fusion",
        "concat",
        "--space",
        "codes.tokenizer.codebook_size=6,7",
        "--concurrent",
        "1",
        "--store",
        str(tmp_path),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    with (tmp_path / "out").open("wb") as out:
        with _heeding_interrupts():
            first = forked.begin(*command, env=environment, out=out, err=out)
        folder = tmp_path / "searches" / "tiny-codebook_size"
        deadline = time.monotonic() + 300
        while not list(folder.glob("trial-*.json")) and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=120) == 130, (tmp_path / "out").read_text()
    done = len(list(folder.glob("trial-*.json")))
    assert done == 1
    before = made(Place.of(tmp_path))
    again = subprocess.run(  # the script of a job
        [sys.executable, "-m", "jobs.search", *command[1:], "--resume"],
        cwd=forked.ROOT,
        env=environment | {"PYTHONPATH": str(forked.ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 trials up to codes, 1 of them over already" in again.stdout
    assert len(list(folder.glob("trial-*.json"))) == 2
    assert {a: when for a, when in made(Place.of(tmp_path)).items() if a in before} == before
    assert "best by index: --codes.tokenizer.codebook_size" in again.stdout
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
    last = next(r for r in runs if r.data.tags.get("kind") == "search" and r.info.status == "FINISHED")
    nested = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == last.info.run_id]
    assert len(nested) == 2
    assert all(0 < run.data.metrics["index"] < 1 for run in nested)
    assert {run.data.params["codes.tokenizer.codebook_size"] for run in nested} == {"6", "7"}
    attached = [f.path for f in client.list_artifacts(last.info.run_id, "report")]
    assert any(path.endswith("sensitivity.png") for path in attached)
