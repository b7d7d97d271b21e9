"""Interactions by user in tables of whole users, out of tables that end anywhere."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa


def of_whole_users(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, in tables that hold all of each of their users: about as long as those given, or a user's where
    one has more.

    Args:
        tables: ordered by their column `user`.
    """
    held: list[pa.Table] = []
    for piece in tables:
        if not piece.num_rows:
            continue
        user = piece["user"].to_numpy()
        whole = int(np.searchsorted(user, user[-1]))  # the last user may go on in the next table
        if not whole and held and held[-1]["user"][-1].as_py() == user[0]:
            held.append(piece)
            continue
        found = pa.concat_tables([*held, piece.slice(0, whole)])
        held = [piece.slice(whole)]
        if found.num_rows:
            yield found
    if held:
        yield pa.concat_tables(held)
