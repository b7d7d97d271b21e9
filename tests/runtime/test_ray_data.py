"""What `map` decides before Ray Data runs: how many actors fit, and what travels as a block."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime import toy_fit
from unisid import errors
from unisid.compute import Pool
from unisid.errors import ArtifactError, ConfigError
from unisid.runtime.ray_data import Link, answer, find_place, fit_into, onto, unwrap, wrap

pools = st.builds(Pool, workers=st.integers(0, 9), cpus=st.floats(0.1, 8), gpus=st.sampled_from([0.0, 0.5, 1.0]))


@given(st.lists(pools, min_size=1, max_size=4), st.integers(1, 20), st.floats(1, 64))
def test_all_pools_run_at_once_within_what_there_is(asked, parts, cpus):
    granted = fit_into(asked, parts, cpus, gpus=8.0)
    assert sum(g.workers * g.cpus for g in granted) <= cpus + 0.01
    assert sum(g.workers * g.gpus for g in granted) <= 8.0
    for ask, grant in zip(asked, granted, strict=True):
        assert 1 <= grant.workers <= max(1, min(ask.workers, parts))
        assert 0 < grant.cpus <= max(ask.cpus, 0.001)
        assert grant.gpus == ask.gpus


def test_what_fits_is_granted_as_asked():
    asked = [Pool(workers=2, cpus=1), Pool(workers=1, cpus=2, gpus=1)]
    assert fit_into(asked, 10, 4.0, 1.0) == asked


def test_the_larger_pool_gives_way_first():
    granted = fit_into([Pool(workers=6), Pool(workers=2)], 10, 4.0, 0.0)
    assert [g.workers for g in granted] == [2, 2]


def test_as_many_workers_share_what_is_left_without_a_node():
    asked = [Pool(workers=1, cpus=0.5), Pool(workers=3, cpus=1)]
    granted = fit_into(asked, 10, 4.0, 0.0, lasting=2.0)
    assert [g.workers for g in granted] == [1, 3]
    assert sum(g.workers * g.cpus for g in granted) <= 2.0


def test_what_is_left_here_and_there_holds_no_worker_of_both():
    """Half a core of each of two nodes is no core; two workers of one core each find theirs, a third does not."""
    assert not find_place([1.0], [0.5, 0.5])
    assert find_place([1.0, 1.0], [1.0, 1.0])
    assert not find_place([1.0, 1.0, 1.0], [1.5, 1.5])
    assert not find_place([1.0, 1.0, 2.0], [2.0, 2.0]), "the two small ones may lie on one node each"
    assert onto([0.5, 0.5], [Pool(cpus=1)]) == [Pool(cpus=0.5)]
    assert onto([4.0, 4.0], [Pool(cpus=8)]) == [Pool(cpus=4)]


def test_workers_that_nodes_hold_stay_as_they_are():
    asked = [Pool(workers=2, cpus=2), Pool(workers=3, cpus=0.5)]
    assert onto([4.0, 4.0], asked) == asked
    assert onto([], asked) == asked


@given(st.lists(pools, min_size=1, max_size=4), st.lists(st.floats(0.5, 16), min_size=1, max_size=5), st.randoms())
def test_workers_find_a_node_in_any_order(asked, nodes, draw):
    """Wherever each is put that fits, the next one finds a node too."""
    granted = onto(nodes, fit_into(asked, 20, max(1.0, sum(nodes)), gpus=99.0))
    sizes = [grant.cpus for grant in granted for _ in range(grant.workers)]
    left = list(nodes)
    draw.shuffle(sizes)
    for size in sizes:
        holding = [place for place, cores in enumerate(left) if cores >= size - 1e-4]
        assert holding, (size, left)
        left[draw.choice(holding)] -= size


def test_gpus_that_are_not_there_are_refused():
    with pytest.raises(ConfigError, match=r"one worker of each of 2 chained steps needs 1.5 GPUs, there are 1; set"):
        fit_into([Pool(gpus=1), Pool(gpus=0.5)], 5, 8.0, 1.0)


@pytest.mark.parametrize("kind", ["ConfigError", "DataError", "ArtifactError", "DriftError"])
def test_an_error_is_passed_down_the_chain_as_itself(kind):
    def fail(table):
        raise getattr(errors, kind)("here: wrong; right")

    block = answer(lambda t: t, answer(fail, pa.table({"n": [1]})))
    with pytest.raises(getattr(errors, kind), match="here: wrong; right"):
        unwrap(block)


def test_a_step_that_cannot_be_made_says_why():
    with pytest.raises(ArtifactError, match="model: no weights here"):
        unwrap(Link(toy_fit.make_nothing, 1.0)(pa.table({"n": [1]})))


def test_other_errors_are_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        answer(lambda t: 1 // 0, pa.table({"n": [1]}))


def test_an_empty_table_keeps_its_schema():
    empty = toy_fit.repeat(pa.table({"n": [0]}))
    assert unwrap(wrap(empty)).schema == empty.schema
    assert answer(lambda t: t.slice(0, 0), wrap(empty)).num_rows == 1
    full = toy_fit.repeat(pa.table({"n": [2]}))
    assert wrap(full) is full


def test_a_step_sees_the_table_and_not_the_message():
    seen = []
    answer(lambda t: seen.append(t) or t, wrap(pa.table({"n": pa.array([], pa.int8())})))
    assert seen[0].schema == pa.schema({"n": pa.int8()})
