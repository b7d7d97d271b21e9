"""Units of times: tables meet in the finest, and times that cannot be true are told from the others."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.raw.time_ranges import PER_SECOND, UNITS, coarsest, in_one_unit, outlying, rescaled, when


def test_tables_meet_in_their_finest_unit_and_leave_in_the_coarsest_that_loses_nothing():
    parts = [
        pa.table({"timestamp": pa.array([1, None], pa.timestamp("s"))}),
        pa.table({"timestamp": pa.array([1500], pa.timestamp("ms"))}),
        pa.table({"timestamp": [7]}),
    ]
    joined = pa.concat_tables(in_one_unit(parts))["timestamp"]
    assert joined.type == pa.timestamp("ms")
    assert joined.cast(pa.int64()).to_pylist() == [1000, None, 1500, 7000]
    assert coarsest(np.array([2_000_000, 5_000_000]), "us")[1] == "s"
    assert coarsest(np.array([2_000_000, 5_001_000]), "us")[0].tolist() == [2000, 5001]
    assert rescaled(np.array([10**18, -(10**18), 3]), "s", "ns").tolist() == [2**63 - 1, 1 - 2**63, 3 * 10**9]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1), st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_the_coarsest_unit_loses_nothing_and_a_finer_one_gives_it_back(values, unit, scale):
    given_ = np.array(values, np.int64) // PER_SECOND[scale] * PER_SECOND[scale]
    found, coarse = coarsest(given_, unit)
    assert UNITS.index(coarse) <= UNITS.index(unit)
    assert rescaled(found, coarse, unit).tolist() == given_.tolist()


@pytest.mark.parametrize("unit", UNITS)
def test_times_are_odd_beside_usual_ones_alone(unit):
    days = np.array(
        ["2020-01-01", "2021-05-05", "1970-01-01", "2080-01-01", "1979-01-01", "2022-01-01"], f"datetime64[{unit}]"
    )
    values = days.astype(np.int64)
    assert outlying(values, unit).tolist() == [False, False, True, True, False, False]
    assert not outlying(values[2:4], unit).any(), "there is nothing usual to compare with"
    assert (when(int(values[1]), unit), when(52_000 * 31_556_952, "s")) == ("2021-05-05", "the year 53,970")
