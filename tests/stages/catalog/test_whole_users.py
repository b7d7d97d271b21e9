"""Tables that end anywhere become tables of whole users, with the same rows."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from unisid.stages.catalog.whole_users import of_whole_users


@given(st.lists(st.integers(1, 9), max_size=8), st.lists(st.integers(0, 5), max_size=30))
def test_each_user_is_in_one_table_and_no_row_is_lost(counts, cuts):
    user = np.repeat(np.arange(len(counts)), counts)
    whole = pa.table({"user": user, "place": np.arange(len(user))})
    ends = np.minimum(np.append(np.cumsum(cuts), len(user)), len(user)).astype(int)
    starts = np.append(0, ends[:-1])
    pieces = [whole.slice(start, end - start) for start, end in zip(starts, ends, strict=True)]
    found = list(of_whole_users(pieces))
    assert all(table.num_rows for table in found)
    assert [place for table in found for place in table["place"].to_pylist()] == list(range(len(user)))
    owners = [set(table["user"].to_pylist()) for table in found]
    assert sum(map(len, owners)) == len(set().union(*owners))
