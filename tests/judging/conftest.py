"""A catalog whose users walk along a ring; the last item of each is the test target."""

import pytest

from tests.stages import ring
from unisid.artifacts.catalog import Catalog

NUM_ITEMS = 15


@pytest.fixture
def catalog(place) -> Catalog:
    return Catalog.read(ring.write_catalog(place / "catalog", ring.walks(20, NUM_ITEMS), NUM_ITEMS))
