"""Distinct numbers are those of a set, in order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unisid.ops.distinct import sorted_unique

NUMBERS = st.integers(0, 40) | st.integers(-(2**31), 2**31 - 1)


@given(arrays.arrays(st.sampled_from([np.int32, np.int64]), st.integers(0, 30), elements=NUMBERS))
def test_they_are_those_of_a_set_in_order_and_the_input_stays(values):
    before = values.copy()
    found = sorted_unique(values)
    assert found.tolist() == sorted(set(values.tolist()))
    assert found.dtype == values.dtype
    assert (values == before).all()
