"""Ten rounds of killing and of two at once; `make kill` does more."""

import pytest

from tests.kill import killing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    return killing.calm(tmp_path_factory.mktemp("calm"))


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_run_heals(seed, tmp_path, calm):
    killing.killed(seed, tmp_path, calm)


def test_a_run_on_ray_that_is_killed_heals(tmp_path, calm):
    killing.killed(100, tmp_path, calm, "ray")


@pytest.mark.parametrize("seed", range(2))
def test_the_same_recipe_at_once(seed, tmp_path, calm):
    killing.at_once(seed, tmp_path, calm)


def test_other_settings_under_the_same_name_at_once(tmp_path, calm):
    killing.other_settings(0, tmp_path, calm)


def test_what_is_made_is_not_dropped(tmp_path, calm):
    assert killing.dropping(0, tmp_path, calm) > 0
