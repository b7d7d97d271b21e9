"""The curve of an artifact: the points as they were reported, and what its score is."""

import pyarrow as pa
import pytest

from unisid.artifacts.curve import FILE, read_curve, read_score, write_curve
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.errors import ArtifactError
from unisid.legend import RECONSTRUCTION


@pytest.fixture(params=["disk", "memory"])
def anywhere(request, tmp_path):
    return Place.of(tmp_path if request.param == "disk" else f"memory://curve-{tmp_path.name}")


def test_curve(anywhere):
    curve = [(0, "loss", 0.5), (0, "valid", 1.0), (3, "loss", 0.1)]
    write_curve(anywhere, [])
    assert read_curve(anywhere) == []
    assert read_score(anywhere) is None
    write_curve(anywhere, curve)
    assert read_curve(anywhere) == curve
    assert read_score(anywhere) is None, "a curve from before they said it"
    write_curve(anywhere, curve, RECONSTRUCTION)
    assert read_curve(anywhere) == curve
    assert read_score(anywhere) == RECONSTRUCTION


def test_another_table_is_no_curve(place):
    write_table(place, "other", 0, pa.table({"step": ["a"], "name": ["loss"], "value": [0.5]}))
    place.write(FILE, place.read(next(iter(place.sizes()))))
    with pytest.raises(ArtifactError, match="curve.parquet: is not a curve"):
        read_curve(place)
    place.write(FILE, b"PAR1")
    for read in (read_curve, read_score):
        with pytest.raises(ArtifactError, match="curve.parquet"):
            read(place)
