"""What every `Compute` owes a stage: Ray and local give the same bytes with one worker, the same numbers with two."""

import os

import numpy as np
import pytest
import torch

from tests.figures import of_epochs
from tests.runtime import toy_fit
from unisid.artifacts.store import Place
from unisid.compute import Pool, Step
from unisid.errors import ConfigError, DataError
from unisid.runtime import ray_session
from unisid.runtime.local import LocalCompute

ONE, TWO = Pool(workers=1), Pool(workers=2)
PARTS = [{"n": n} for n in (5, 1, 3, 8, 2, 4)]


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return toy_fit.write_rows(Place.of(tmp_path_factory.mktemp("rows")))


def fit(compute, tmp_path, stream, pool, task=None, name="toy"):
    shown = []
    result = compute.fit(
        toy_fit.train,
        task or toy_fit.Toy(),
        name=name,
        pool=pool,
        work=Place.of(tmp_path),
        streams={"rows": stream},
        report=shown.append,
    )
    return result, of_epochs(shown)


@pytest.mark.slow
def test_one_worker_gives_the_same_bytes_and_reports(ray_compute, tmp_path, stream):
    local, local_shown = fit(LocalCompute(), tmp_path / "local", stream, ONE)
    ray, ray_shown = fit(ray_compute, tmp_path / "ray", stream, ONE)
    assert ray["weights"] == local["weights"]
    assert ray_shown == local_shown
    assert [m["epoch"] for m in ray_shown] == [1, 2, 3, 4]
    assert local["pid"] == os.getpid() != ray["pid"]


@pytest.mark.slow
def test_no_workers_means_inside_this_process(ray_compute, tmp_path, stream):
    inside, _ = fit(ray_compute, tmp_path / "a", stream, Pool(workers=0))
    assert inside["pid"] == os.getpid()
    assert inside["weights"] == fit(LocalCompute(), tmp_path / "b", stream, ONE)[0]["weights"]


@pytest.mark.slow
def test_fits_of_one_shape_share_a_group(ray_compute, tmp_path, stream):
    pids = {fit(ray_compute, tmp_path, stream, ONE, name=f"toy-{n}")[0]["pid"] for n in range(3)}
    assert len(pids) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("disaster", "error", "text"),
    [
        ("data error", DataError, "rows: row 3 is NaN; must be finite"),
        ("bug", KeyError, "no such thing"),
    ],
)
def test_an_error_comes_out_as_itself_at_once(ray_compute, tmp_path, stream, disaster, error, text):
    before, _ = fit(ray_compute, tmp_path / "before", stream, ONE)
    with pytest.raises(error, match=text):
        fit(ray_compute, tmp_path / "wrong", stream, ONE, toy_fit.Toy(disaster=disaster))
    after, _ = fit(ray_compute, tmp_path / "after", stream, ONE)
    assert after["weights"] == before["weights"]


@pytest.mark.slow
def test_a_fit_of_the_same_name_resumes_in_another_process(ray_compute, tmp_path, stream):
    """As after a driver's restart: the work place is all that is left."""
    undisturbed, shown = fit(LocalCompute(), tmp_path / "whole", stream, ONE)
    with pytest.raises(DataError):
        fit(LocalCompute(), tmp_path / "broken", stream, ONE, toy_fit.Toy(disaster="data error"))
    resumed, rest = fit(ray_compute, tmp_path / "broken", stream, ONE)
    assert resumed["weights"] == undisturbed["weights"]
    assert rest == shown[2:]


@pytest.mark.slow
def test_two_workers_equal_one(ray_compute, tmp_path, stream):
    one = toy_fit.weights(fit(LocalCompute(), tmp_path / "one", stream, ONE)[0])
    local = toy_fit.weights(fit(LocalCompute(), tmp_path / "local", stream, TWO)[0])
    ray = toy_fit.weights(fit(ray_compute, tmp_path / "ray", stream, TWO)[0])
    np.testing.assert_allclose(local, one, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ray, one, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_workers_share_a_stream_row_by_row(ray_compute, tmp_path, stream):
    def rows(compute, pool):
        return compute.fit(toy_fit.shares, None, name="s", pool=pool, work=Place.of(tmp_path), streams={"rows": stream})

    assert rows(LocalCompute(), ONE) == [list(range(63))]
    assert rows(LocalCompute(), TWO) == rows(ray_compute, TWO) == [list(range(0, 62, 2)), list(range(1, 62, 2))]


@pytest.mark.slow
def test_gathered_gradients_equal_one_process(ray_compute, tmp_path):
    rows = torch.randn(6, 3, generator=torch.Generator().manual_seed(3))

    def gradient(compute, pool):
        return compute.fit(toy_fit.gathered_gradient, rows, name="g", pool=pool, work=Place.of(tmp_path))

    one = gradient(LocalCompute(), ONE)
    torch.testing.assert_close(gradient(LocalCompute(), TWO), one)
    torch.testing.assert_close(gradient(ray_compute, TWO), one)


def by_part(tables):
    return sorted(tables, key=lambda t: (t.num_rows, t["part"].to_pylist()))


@pytest.mark.slow
def test_maps_give_the_same_tables(ray_compute):
    steps = Step(toy_fit.make_repeat, TWO), Step(toy_fit.make_only_odd, ONE)
    local, ray = by_part(LocalCompute().map(PARTS, *steps)), by_part(ray_compute.map(PARTS, *steps))
    assert [t.num_rows for t in ray] == [0, 1, 1, 2, 2, 4]
    assert all(a.equals(b) and a.schema == b.schema for a, b in zip(local, ray, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_map_of_one_part_gives_the_same_table_whether_it_is_empty_or_not(ray_compute, n):
    steps = Step(toy_fit.make_repeat, TWO), Step(toy_fit.make_only_odd, ONE)
    [local], [ray] = LocalCompute().map([{"n": n}], *steps), ray_compute.map([{"n": n}], *steps)
    assert ray.equals(local)
    assert ray.schema == local.schema


@pytest.mark.slow
def test_an_error_in_a_map_of_one_part_comes_out_as_itself(ray_compute):
    with pytest.raises(DataError, match=r"part 3: is empty; must hold rows"):
        list(ray_compute.map([{"n": 3}], Step(toy_fit.make_refuse, ONE), Step(toy_fit.make_repeat, ONE)))


@pytest.mark.slow
def test_an_error_in_a_map_comes_out_as_itself(ray_compute):
    with pytest.raises(DataError, match=r"part 3: is empty; must hold rows"):
        list(ray_compute.map(PARTS, Step(toy_fit.make_refuse, ONE), Step(toy_fit.make_repeat, ONE)))


def test_a_map_without_workers_runs_here(ray_compute):
    here = Pool(workers=0)
    tables = list(ray_compute.map([{"n": 2}], Step(toy_fit.make_repeat, here)))
    assert [t.num_rows for t in tables] == [2]
    assert list(ray_compute.map([], Step(toy_fit.make_repeat, ONE))) == []


def test_a_pool_beyond_the_machine_is_refused(ray_compute, tmp_path):
    with pytest.raises(ConfigError, match=r"99 workers of 1 CPUs each, this machine's Ray hands out 4"):
        ray_compute.fit(toy_fit.shares, None, name="s", pool=Pool(workers=99), work=Place.of(tmp_path))
    with pytest.raises(ConfigError, match=r"needs 1 GPUs, there are 0"):
        list(ray_compute.map(PARTS, Step(toy_fit.make_repeat, Pool(workers=1, gpus=1))))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_streams_and_maps_need_no_core_beside_workers_that_hold_all(ray_compute, tmp_path, stream):
    """A worker with every core reads its stream, and the idle one makes room for a map."""
    everything = Pool(workers=1, cpus=ray_session.total("CPU"))
    read = ray_compute.fit(
        toy_fit.shares, None, name="s", pool=everything, work=Place.of(tmp_path), streams={"rows": stream}
    )
    assert read == [list(range(63))]
    assert sum(table.num_rows for table in ray_compute.map(PARTS, Step(toy_fit.make_repeat, ONE))) == 23
