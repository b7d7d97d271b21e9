"""Shapes are checked in tests: jaxtyping's import hook wraps every function of the tensor packages."""

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

ROOMS = (
    "ops",
    "decoding",
    "language",
    "graphs",
    "fusion",
    "tokenizers",
    "backbones",
    "baselines",
    "evaluation.figures",
    "experiments.results",
    "experiments.indexes",
    "training.feed",
)
install_import_hook([f"unisid.{room}" for room in ROOMS], "beartype.beartype")

settings.register_profile("unisid", deadline=None)  # a slow machine gives the same result
settings.load_profile("unisid")

from unisid.artifacts.store import Place  # after the hook, which must see every import


@pytest.fixture
def place(tmp_path) -> Place:
    """An empty local place."""
    return Place.of(tmp_path)


@pytest.fixture(scope="session")
def ray_compute():
    """One Ray session of four logical cores for all tests that need one."""
    from unisid.runtime.ray_compute import RayCompute

    with RayCompute.open(cpus=4) as compute:
        yield compute
