"""Pieces of work as trials: each heard of once, retried when killed, stopped when behind; bad requests refused."""

from pathlib import Path

import pytest

from tests.runtime.pieces import Heard, Piece, work
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.errors import ConfigError, DataError
from unisid.runtime.ray_tune import RayTune
from unisid.runtime.trials import Asha, Share


def _same(worker, task):
    return task


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"longest": 4, "grace": 5}, "grace 5; must be from 1 to 4"),
        ({"longest": 4, "grace": 0}, "grace 0; must be from 1"),
        ({"longest": 4, "reduction": 1.0}, "reduction 1; must be above 1"),
    ],
)
def test_asha_refuses_what_can_not_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        Asha(**settings)


def test_no_trial_at_once_is_refused():
    with pytest.raises(ConfigError, match="0 trials at once; must be at least 1"):
        RayTune(concurrent=0)


@pytest.mark.slow
def test_what_the_machine_has_not_is_said_before_anything_runs(ray_compute):
    tune = RayTune()
    tune.check(Share(cpus=4), None)
    with pytest.raises(ConfigError, match=r"a trial needs 64 CPUs on one node, .* has 4 CPUs and 0 GPUs; lower"):
        tune.check(Share(cpus=64), None)
    with pytest.raises(ConfigError, match=r"a trial needs 1 CPUs and 2 GPUs on one node"):
        tune.check(Share(gpus=2), None)
    RayTune(own=False).check(Share(cpus=64), None)  # a cluster may grow


@pytest.mark.slow
def test_a_cluster_that_does_not_grow_is_given_up(ray_compute, monkeypatch):
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "3")
    heard = Heard()
    with pytest.raises(ConfigError, match="a trial needs 64 CPUs on one node"):
        RayTune(own=False).run([Piece(1.0)], work, Share(cpus=64), heard)
    assert not heard


@pytest.mark.slow
def test_trials_run_beside_one_another_where_the_driver_stands(ray_compute, tmp_path):
    """Each waits for the other to begin; one at a time would never end."""
    heard = Heard()
    pieces = [Piece(float(n), marker=str(tmp_path / str(n)), wanted=2) for n in range(2)]
    RayTune(concurrent=2).run(pieces, work, Share(cpus=1), heard)
    assert [heard.last(n)[0] for n in range(2)] == ["done", "done"]
    results = [heard.last(n)[1] for n in range(2)]
    assert results[0]["pid"] != results[1]["pid"]
    assert {Path(result["folder"]) for result in results} == {Path.cwd()}
    assert [more["value"] for kind, more in heard[1] if kind == "reported"] == [1.0, 2.0, 3.0]


@pytest.mark.slow
def test_trials_get_the_cores_of_an_idle_worker_group(ray_compute, tmp_path):
    """A group that held all four cores of the session would let no trial start."""
    ray_compute.fit(_same, 3, name="all", pool=Pool(workers=1, cpus=4), work=Place.of(tmp_path))
    assert ray_compute.group is not None
    heard = Heard()
    RayTune.beside(ray_compute).run([Piece(1.0)], work, Share(cpus=4), heard)
    assert heard.last(0)[0] == "done"


@pytest.mark.slow
def test_a_killed_trial_is_begun_again_and_others_are_left_alone(ray_compute, tmp_path):
    heard = Heard()
    pieces = [Piece(1.0, disaster="kill", marker=str(tmp_path / "struck")), Piece(2.0)]
    RayTune().run(pieces, work, Share(), heard)
    assert (tmp_path / "struck").exists()
    assert heard.kinds(0).count("begun") == 2
    assert heard.last(0)[0] == "done"
    assert heard.kinds(1) == ["begun", "reported", "reported", "reported", "done"]


@pytest.mark.slow
def test_faults_of_the_program_are_final_and_curable_ones_end_after_some_attempts(ray_compute):
    heard = Heard()
    RayTune(max_failures=1).run([Piece(1.0, disaster="bug"), Piece(1.0, disaster="loss")], work, Share(), heard)
    assert heard.kinds(0).count("begun") == 1
    assert heard.last(0)[0] == "lost"
    assert "TypeError: as planned" in heard.last(0)[1]["error"]
    assert heard.kinds(1).count("begun") == 2
    assert heard.last(1)[0] == "lost"
    assert "RuntimeError" in heard.last(1)[1]["error"]


@pytest.mark.slow
def test_asha_stops_those_that_are_behind_and_the_rest_end(ray_compute):
    """No dashboard: a stopped trial's bundle is free for the next one all the same."""
    heard = Heard()
    pieces = [Piece(slope, times=9, pause=0.05) for slope in (5.0, 4.0, 3.0, 2.0, 1.0, 6.0)]
    RayTune(concurrent=1).run(pieces, work, Share(cpus=4), heard, Asha(longest=9, grace=1, reduction=3))
    ends = [heard.last(n)[0] for n in range(6)]
    assert ends[0] == "done", "the first is ahead of all before it"
    assert ends[5] == "done", "the best of all"
    assert ends[1:5] == ["stopped"] * 4
    assert all(heard.kinds(n).count("reported") < 9 for n in range(1, 5))
    assert heard.kinds(5).count("reported") == 9


@pytest.mark.slow
def test_what_the_driver_raises_ends_the_run_as_itself(ray_compute):
    def on_event(number, kind, more):
        if kind == "reported":
            raise DataError("the disk is full")

    with pytest.raises(DataError, match="the disk is full"):
        RayTune().run([Piece(1.0, pause=0.1), Piece(2.0)], work, Share(), on_event)
