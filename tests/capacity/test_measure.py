"""One stage measured: its requests, its memory, what it made."""

import numpy as np

from tests.end_to_end.recipes import tiny
from unisid.artifacts.store import Address, Place, Store
from unisid.capacity import measure
from unisid.capacity.calibrate import small
from unisid.ops import nearest
from unisid.ops.nearest import Nearest


def test_a_stage_is_measured(place, monkeypatch):
    """Requests reach a file system at least once for every file that is made."""
    for owner, name in [*((Place, name) for name in measure.REQUESTS), (Nearest, "build")]:
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back afterwards
    store, recipe = Store(place), small(tiny(), 120)
    found = measure.stage("catalog", recipe, store)
    files = store.place(Address("catalog", recipe.name, "1")).sizes()
    assert found["requests"] >= len(files)
    assert found["peak_mib"] >= found["before_mib"] > 50
    assert found["counts"]["items"] <= 120


def test_the_searched_lists_are_noted(monkeypatch):
    monkeypatch.setattr(Nearest, "build", Nearest.build)  # put back afterwards
    monkeypatch.setattr(nearest, "FEWEST", 2)
    found, vectors = measure.searched(), np.eye(64, dtype=np.float32).repeat(8, axis=0)
    Nearest.build(vectors, 3)
    Nearest.build(vectors, 3, exact_limit=100)
    assert found == [0, 2]
