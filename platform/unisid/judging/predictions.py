"""Lists without users, in the order of a file of users, as MiniOneRec, GRID and RecBole's programs write them.

- MiniOneRec: a JSON array of objects, of which each `predict` holds ids as text, best first, and `output` the id that
  was to be found. The users are those of the test file that it was given, a row an object: one may stand in several.
- GRID: a tensor [users, k, levels] of codes, best first (`merged_predictions_tensor.pt`), whose rows are users by
  number. It is of float32, filled up by zeros where a user has no list.
- RecBole: an array [users, k] of items' ids, best first: what `numpy.save` makes of the `external_item_list` that
  its example of a case study ends with. `[PAD]` fills up where a user has fewer than k items.

U users, k list length, L levels.
"""

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.artifacts.reading import contents
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.judging.tables import columns, known_as
from unisid.log import logger
from unisid.ops.semantic_ids import spell_all
from unisid.raw.files import head, is_parquet, read_whole
from unisid.raw.folders import Found
from unisid.raw.ids import ids
from unisid.raw.json_lines import is_json
from unisid.raw.lake import find_table
from unisid.raw.rows import shown
from unisid.raw.tabular import parts_of, read_rows

LOG = logger(__name__)
PREDICT, OUTPUT = "predict", "output"
"""The fields of MiniOneRec's results that hold a list and what it was to find."""
PADDING = "[PAD]"
"""What RecBole calls the item of number 0, which is none."""
TENSORS = (".pt", ".pth", ".npy")


def is_prediction(path: str) -> bool:
    """Whether a file is a tensor by its name, or begins as MiniOneRec's results do: with an array of objects."""
    return path.lower().endswith(TENSORS) or (is_json(start := head(path)) and start.lstrip().startswith(b"["))


def read_predictions(path: str, users: str) -> pa.Table:
    """The entries of lists whose users another file names, in order.

    Columns: `user`; `item`, a semantic id's text or an item's id; `place`, from 0, of the list among its user's
    `lists`, as many; and `target`, the id that the list was to find, where the file says so.

    Raises:
        DataError: it holds no such lists, or not as many as there are users.
    """
    lists, targets = (_of_tensor(path), None) if path.lower().endswith(TENSORS) else _of_results(path)
    if not users:
        raise DataError(f"{path}: names no users; give the file of them in its order: --users FILE")
    known = read_users(users)
    given = max((number for number, each in enumerate(lists, 1) if each), default=0)
    if given > len(known) or len(lists) < len(known):
        raise DataError(f"{path}: has {given:,} lists, {users} {len(known):,} users; must have a list for each")
    if without := sum(not each for each in lists[: len(known)]):
        LOG.info(f"{path}: {without:,} of {len(known):,} users have no list in it")
    lists, targets = lists[: len(known)], None if targets is None else targets[: len(known)]
    row = np.repeat(np.arange(len(known)), [len(each) for each in lists])
    user = pa.array(known, pa.string())
    columns = {"user": user, "place": places(user), "lists": _counts(user)}
    if targets is not None:
        columns["target"] = pa.array(targets, pa.string())
    texts = pa.array([text for each in lists for text in each], pa.string())
    return pa.table(columns).take(row).append_column("item", texts)


def places(user: pa.Array) -> pa.Array:
    """How often each row's user stood in a row before."""
    number = user.dictionary_encode().indices.to_numpy()
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], number[order])
    found = np.empty(len(number), np.int64)
    found[order] = np.arange(len(number)) - first
    return pa.array(found)


def _counts(user: pa.Array) -> pa.Array:
    number = user.dictionary_encode().indices.to_numpy()
    return pa.array(np.bincount(number)[number])


def read_users(path: str) -> list[str]:
    """The users' ids in order: of a table's column, of lines, or of pairs of an id and its number (user2id)."""
    if (table := find_table("users", path)) is not None:
        path = table.address
    if table is not None or is_parquet(path) or known_as("user", columns(path)):
        name = known_as("user", columns(path))
        if not name:
            raise DataError(f"{path}: no column of the user; must have user_id")
        pieces = [read_rows(one, (name,)) for one in parts_of("interactions", Found(path))]
        return [user for piece, rows in pieces for user in ids(piece[name], f"{path}, '{name}'", rows).to_pylist()]
    lines = [line.split("\t") if "\t" in line else line.split() for line in _text(path).splitlines() if line.strip()]
    if all(len(line) == 1 for line in lines):
        return [line[0] for line in lines]
    numbered = {line[1]: line[0] for line in lines if len(line) == 2 and line[1].isdecimal()}
    if len(numbered) < len(lines) or any(str(number) not in numbered for number in range(len(lines))):
        raise DataError(
            f"{path}: must hold a user a line, or a user and a number, each from 0 up to {len(lines) - 1:,} once; or "
            "be a table with user_id"
        )
    return [numbered[str(number)] for number in range(len(lines))]


def _text(path: str) -> str:
    return read_whole(path).decode("utf8", "replace")


def _of_results(path: str) -> tuple[list[list[str]], list[str] | None]:
    """The lists of MiniOneRec's results, by row, and what each was to find; None where an object does not say."""
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is no JSON ({shown(error)}); must be an array of objects, whole") from None
    lists = []
    for number, row in enumerate(found, 1):
        each = row.get(PREDICT) if isinstance(row, dict) else None
        if not isinstance(each, list) or not all(isinstance(text, str) for text in each):
            raise DataError(
                f"{path}, object {number}: has no list of texts '{PREDICT}', as MiniOneRec writes; write other lists "
                "one object a line: `jq -c '.[]'` makes such lines of an array"
            )
        lists.append([_bare(text) for text in each])
    outputs = [row.get(OUTPUT) for row in found]
    known = all(isinstance(text, str) for text in outputs)
    return lists, [_bare(text) for text in outputs] if known else None


def _bare(text: str) -> str:
    return text.strip(' \n"')


def _of_tensor(path: str) -> list[list[str]]:
    """The lists of an array, by row: of ids [U, k], or of codes [U, k, L], spelled.

    Codes that are all zeros are no list, but for a list of one id.
    """
    found = _tensor(path)
    if found.ndim == 2 and found.dtype.kind == "U":
        return [[text for text in row if text != PADDING] for row in found.tolist()]
    if (
        found.dtype.kind == "U"
        or found.ndim != 3
        or not found.size
        or (found < 0).any()
        or (found != np.floor(found)).any()
    ):
        raise DataError(
            f"{path}: is of shape {found.shape} and type {found.dtype}; must be whole numbers, users by list by "
            "levels, as GRID's merged_predictions_tensor.pt, or text, users by list, as RecBole's external_item_list"
        )
    codes = found.astype(np.int64)
    num_users, length, levels = codes.shape
    ids, of = np.unique(codes.reshape(-1, levels), axis=0, return_inverse=True)
    texts = np.array(spell_all(ids), dtype=object)[of.reshape(num_users, length)]
    filled = (codes == 0).all((1, 2)) if length > 1 else np.zeros(num_users, bool)
    return [[] if empty else row for empty, row in zip(filled.tolist(), texts.tolist(), strict=True)]


def _tensor(path: str) -> NDArray[Any]:
    place = Place.of(path)
    data = contents(place.parent, place.name)  # torch.save writes a ZIP archive, which is no table
    try:
        if path.lower().endswith(".npy"):
            found: Any = np.load(io.BytesIO(data), allow_pickle=False)
        else:
            import torch

            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True).double().numpy()
    except Exception as error:
        raise DataError(f"{path}: is no tensor ({shown(error)}); must hold one, as torch.save writes it") from None
    kind = found.dtype.kind if isinstance(found, np.ndarray) else ""
    if kind not in ("i", "u", "f", "U") or (kind != "U" and not np.isfinite(found).all()):
        raise DataError(f"{path}: must hold whole numbers or text")
    return found
