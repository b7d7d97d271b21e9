"""TREC runs: lines of six fields between blanks, without a header, known by their name or their first line."""

import pyarrow as pa

from unisid.errors import DataError
from unisid.judging.tables import numbers_of
from unisid.raw.files import head, read_whole
from unisid.raw.rows import Numbered

RUN = ("user", "Q0", "item", "rank", "score", "tag")
ENDINGS = (".run", ".trec")
"""What the name of a TREC run may end in."""


def is_run(path: str) -> bool:
    """Whether a file is called as a TREC run, or has a first line as one: six fields, the second of them Q0."""
    if path.lower().endswith(ENDINGS):
        return True
    first = head(path).decode("utf8", "replace").lstrip().split("\n", 1)[0].split()
    return len(first) == len(RUN) and first[1].upper() == RUN[1]


def read_run(path: str) -> pa.Table:
    """A run's entries; its score decides, as it does for trec_eval."""
    users, items, scores = [], [], []
    for number, line in enumerate(read_whole(path).decode("utf8", "replace").splitlines(), 1):
        fields = line.split()
        if len(fields) == len(RUN):
            users.append(fields[0])
            items.append(fields[2])
            scores.append(fields[4])
        elif fields:
            raise DataError(f"{path}, line {number}: has {len(fields)} fields, a TREC run has six: {' '.join(RUN)}")
    columns = {"user": pa.array(users, pa.string()), "item": pa.array(items, pa.string())}
    score = numbers_of(pa.chunked_array([pa.array(scores, pa.string())]), f"{path}, field 'score'", Numbered())
    return pa.table(columns | {"score": score})
