"""Which cores a map is given on a cluster, node by node: workers must find a node, or they would wait for ever."""

import pytest

from unisid.compute import Pool, Step
from unisid.runtime import ray_data, ray_session
from unisid.runtime.ray_compute import RayCompute

PARTS = [{"n": 1}, {"n": 2}]


class Idle:
    """A group of two workers, one on each node."""

    def __init__(self, pool):
        self.pool, self.alive = pool, True

    def close(self):
        self.alive = False


@pytest.fixture
def mapped(monkeypatch):
    """The cores that a map's workers ask Ray for, on two nodes of four cores, where an idle group lies on both."""

    def of(held, asked, own=False):
        group = Idle(Pool(workers=2, cpus=held))
        compute = RayCompute(own)
        compute.group = group
        sizes = []
        monkeypatch.setattr(ray_session, "total", lambda what: 8.0 if what == "CPU" else 0.0)
        monkeypatch.setattr(ray_session, "largest", lambda what: 4.0)
        monkeypatch.setattr(ray_session, "each", lambda what: [4.0, 4.0])
        monkeypatch.setattr(ray_session, "free", lambda what: [4.0 - held * group.alive] * 2)
        # a step's pool is what Ray is asked for: the settings of its actors
        monkeypatch.setattr(ray_data, "single", lambda part, steps, grants: sizes.extend(grants))
        list(compute.map(PARTS[:1], *[Step(dict, pool) for pool in asked]))
        return group.alive, [grant.cpus for grant in sizes]

    return of


def test_an_idle_group_ends_where_what_it_leaves_holds_no_worker(mapped):
    assert mapped(2.5, [Pool(cpus=2)]) == (False, [2.0]), "a core and a half on each node, three in all"
    assert mapped(2.5, [Pool(cpus=1.5)]) == (True, [1.5])
    assert mapped(2.5, [Pool(cpus=2)], own=True) == (True, [2.0]), "cores of one machine are one machine's"


def test_a_worker_larger_than_any_node_is_counted_with_a_nodes_cores(mapped):
    alive, [cores] = mapped(1.0, [Pool(cpus=8)])
    assert not alive
    assert cores <= 4.0
