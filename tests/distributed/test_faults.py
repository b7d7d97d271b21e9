"""Processes are killed: nothing is lost, nothing is told twice, and the result is that of a run left in peace."""

import functools
import time

import psutil
import pytest
import ray

from tests.figures import of_epochs
from tests.runtime import toy_fit
from unisid.artifacts.store import Place
from unisid.compute import Pool, Step

ONE, TWO = Pool(workers=1), Pool(workers=2)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return toy_fit.write_rows(Place.of(tmp_path_factory.mktemp("rows")))


def fit(compute, work, stream, pool, task):
    shown = []
    result = compute.fit(
        toy_fit.train, task, name="toy", pool=pool, work=Place.of(work), streams={"rows": stream}, report=shown.append
    )
    return result, of_epochs(shown)


def test_a_fit_whose_worker_is_killed_resumes_to_the_same_end(ray_compute, tmp_path, stream):
    calm, calm_shown = fit(ray_compute, tmp_path / "calm", stream, TWO, toy_fit.Toy())
    marker = tmp_path / "struck"
    task = toy_fit.Toy(disaster="kill", on_rank=1, marker=str(marker))
    struck, struck_shown = fit(ray_compute, tmp_path / "struck-work", stream, TWO, task)
    assert marker.exists()
    assert struck["weights"] == calm["weights"]
    assert struck["pid"] != calm["pid"]
    assert struck_shown == calm_shown


def test_a_fit_whose_group_is_ended_under_it_resumes_to_the_same_end(ray_compute, tmp_path, stream):
    """Ray Train ends the process group of the survivors while they compute; what they stumble over then, of whatever
    type, is not taken for an error of the job."""
    calm, calm_shown = fit(ray_compute, tmp_path / "calm", stream, TWO, toy_fit.Toy())
    task = toy_fit.Toy(disaster="disband", on_rank=0, marker=str(tmp_path / "struck"))
    struck, struck_shown = fit(ray_compute, tmp_path / "struck-work", stream, TWO, task)
    assert (tmp_path / "struck").exists()
    assert struck["weights"] == calm["weights"]
    assert struck["pid"] != calm["pid"]
    assert struck_shown == calm_shown


def test_an_error_that_comes_back_is_final(ray_compute, tmp_path, stream):
    """Each attempt ends at the same step from the same checkpoint: two are enough."""
    with pytest.raises(RuntimeError, match=r"shapes \[3\] and \[4\] do not match") as caught:
        fit(ray_compute, tmp_path, stream, TWO, toy_fit.Toy(disaster="runtime error"))
    assert "toy_fit.py" in caught.value.__notes__[0]


def test_a_map_whose_actor_dies_loses_no_part(ray_compute, tmp_path):
    parts = [{"n": n} for n in range(1, 8)]
    steps = [
        Step(functools.partial(toy_fit.make_die_once, str(tmp_path / "died")), TWO),
        Step(toy_fit.make_repeat, ONE),
    ]
    tables = list(ray_compute.map(parts, *steps))
    assert (tmp_path / "died").exists()
    assert sorted(t.num_rows for t in tables) == [1, 2, 3, 4, 5, 6, 7]


def test_a_map_of_one_part_whose_process_dies_loses_nothing(ray_compute, tmp_path):
    dies = functools.partial(toy_fit.make_die_once, str(tmp_path / "died"))
    tables = list(ray_compute.map([{"n": 4}], Step(dies, TWO), Step(toy_fit.make_repeat, ONE)))
    assert (tmp_path / "died").exists()
    assert [t.num_rows for t in tables] == [4]


def test_an_interrupted_map_of_one_part_is_given_up(ray_compute, tmp_path, monkeypatch):
    """Its process, in the middle of the first step, is ended; the second is not begun."""
    marker = tmp_path / "pid"
    steps = Step(functools.partial(toy_fit.make_wait, str(marker)), ONE), Step(toy_fit.make_repeat, ONE)

    def interrupted(reference):
        deadline = time.monotonic() + 60
        while not marker.exists():
            assert time.monotonic() < deadline, "the step has not begun"
            time.sleep(0.1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ray, "get", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(ray_compute.map([{"n": 1}], *steps))
    pid, deadline = int(marker.read_text()), time.monotonic() + 60
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline, "the step goes on"
        time.sleep(0.1)


def test_an_interrupted_fit_is_given_up(ray_compute, tmp_path, stream):
    """The driver's own failure, here in `report`, ends the workers wherever they are, and the next fit has others."""
    groups = []

    def tired(metrics):
        if "epoch" in metrics:
            groups.append(ray_compute.group)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ray_compute.fit(
            toy_fit.train,
            toy_fit.Toy(disaster="stand still", on_rank=1),
            name="long",
            pool=TWO,
            work=Place.of(tmp_path),
            streams={"rows": stream},
            report=tired,
        )
    assert len(groups) == 1
    assert ray_compute.group is None
    assert not groups[0].alive
    fit(ray_compute, tmp_path / "next", stream, TWO, toy_fit.Toy())
