"""Lists as JSON that is no table, as programs write them that call a recommender of cornac for each user.

- One object, user -> list of items, best first: what `json.dump` makes of {user: model.recommend(user, k=10)}.
- Lines of answers of cornac's server: {"query": {"uid": "196", ...}, "recommendations": [...]}.
"""

import json
import re
from typing import Any

import pyarrow as pa

from unisid.errors import DataError
from unisid.raw.files import head, read_whole
from unisid.raw.json_lines import is_json, objects, text_blocks
from unisid.raw.rows import shown

FIRST = re.compile(r'\s*\{\s*("(?:[^"\\]|\\.)*")\s*:\s*\[')
"""How an object begins whose first field is a list."""
ANSWER = re.compile(r'\s*\{\s*"(query"\s*:\s*\{|recommendations"\s*:\s*\[[^]{}]*\]\s*,\s*"query"\s*:\s*\{)')
"""How an answer of cornac's server begins."""


def is_by_user(path: str, users: pa.Array) -> bool:
    """Whether a file begins as an object whose first field is called as a user and holds a list."""
    start = head(path)
    found = FIRST.match(start.decode("utf8", "replace")) if is_json(start) else None
    try:
        return found is not None and users.index(json.loads(found[1])).as_py() >= 0
    except ValueError:
        return False


def is_answers(path: str) -> bool:
    """Whether a file begins as an answer of cornac's server does."""
    start = head(path)
    return is_json(start) and ANSWER.match(start.decode("utf8", "replace")) is not None


def read_by_user(path: str) -> pa.Table:
    """The entries of an object of lists, by user.

    Raises:
        DataError: it is no whole object, a user stands in it twice, or holds no list of ids.
    """
    try:
        found = json.loads(read_whole(path).decode("utf8"), object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is no JSON ({shown(error)}); must be one object, user -> list of items") from None
    lists: dict[str, list[str]] = {}
    for user, items in found:
        if user in lists:
            raise DataError(f"{path}: user '{shown(user)}' stands in it twice; give each user one list")
        lists[user] = _ids(items, f"{path}, user '{shown(user)}'")
    return _entries(list(lists), list(lists.values()))


def read_answers(path: str) -> pa.Table:
    """The entries of answers of cornac's server, an answer a line.

    Raises:
        DataError: a line is no such answer.
    """
    users, lists = [], []
    for first, block in text_blocks(path):
        for row, line in zip(*objects(path, first, block.decode()), strict=True):
            query = row.get("query")
            user = query.get("uid") if isinstance(query, dict) else None
            if not isinstance(user, str):
                raise DataError(f"{path}, line {line}: has no query.uid; must be an answer of cornac's /recommend")
            users.append(user)
            lists.append(_ids(row.get("recommendations"), f"{path}, line {line}"))
    return _entries(users, lists)


def _ids(items: Any, where: str) -> list[str]:
    whole = isinstance(items, list) and all(
        isinstance(item, (str, int)) and not isinstance(item, bool) for item in items
    )
    if not whole:
        raise DataError(f"{where}: holds '{shown(items)}'; must be a list of items' ids, best first")
    return [str(item) for item in items]


def _entries(users: list[str], lists: list[list[str]]) -> pa.Table:
    user = [user for user, items in zip(users, lists, strict=True) for _ in items]
    item = [item for items in lists for item in items]
    return pa.table({"user": pa.array(user, pa.string()), "item": pa.array(item, pa.string())})
