"""What every artifact is tried on."""

import pytest

from unisid.artifacts.store import Place


@pytest.fixture(params=["disk", "memory"])
def anywhere(request, tmp_path):
    """An empty place on a disk, and one on another file system."""
    place = Place.of(tmp_path if request.param == "disk" else f"memory://{tmp_path.name}")
    yield place
    place.clear()
