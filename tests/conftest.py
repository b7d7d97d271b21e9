"""Shapes are checked in tests: jaxtyping's import hook wraps the functions of every module that writes them."""

import os

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests import shapes

WHOLE = ("ops", "decoding", "language", "graphs", "fusion", "tokenizers", "backbones", "baselines", "training.feed")
"""Where every type is checked; in all other modules that write shapes, these are."""
whole = tuple(f"unisid.{room}" for room in WHOLE)
others = [name for name in shapes.modules() if not any(f"{name}.".startswith(f"{room}.") for room in whole)]
install_import_hook(whole, "beartype.beartype")
install_import_hook(others, "tests.shapes.checked")

# Ray's workers give way to everything else by default: beside another test they would hardly run
os.environ.setdefault("RAY_worker_niceness", "0")

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
