"""Ten rounds of killing and of two at once, two rounds at a time; `make kill` does more."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kill import killing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROUNDS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    **{f"killed {seed}": (killing.killed, (seed,)) for seed in range(5)},
    "killed on Ray": (killing.killed, (104,)),
    "at once 0": (killing.at_once, (0,)),
    "at once 1": (killing.at_once, (1,)),
    "other settings": (killing.other_settings, (0,)),
    "dropping": (killing.dropping, (0,)),
}


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """All rounds, under way; each is a process or two of its own and waits more than it works."""
    calm = killing.calm(tmp_path_factory.mktemp("calm"))
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(act, *seed, tmp_path_factory.mktemp("round"), calm, *(["ray"] if "Ray" in name else []))
            for name, (act, seed) in ROUNDS.items()
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", ROUNDS)
def test_it_heals(rounds, name):
    found = rounds[name].result()
    assert name != "dropping" or found > 0, "no drop met a run at work"
