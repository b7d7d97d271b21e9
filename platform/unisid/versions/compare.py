"""Two indexes side by side, matched by the shop's item ids: what moved, and how their levels are used.

N items, n of them in both, L levels.
"""

import math
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.config import Json
from unisid.evaluation.index import entropy
from unisid.ops.prefixes import row_keys
from unisid.ops.semantic_ids import spell
from unisid.printable import printable
from unisid.report.tables import align

SHOWN = 5
"""How many examples are named."""


def compare(left: tuple[Codes, Catalog], right: tuple[Codes, Catalog]) -> Json:
    """Figures of the change from the left index to the right one; shares of items are None where none is in both."""
    (before, old), (after, new) = left, right
    number = pc.index_in(old.item_ids, value_set=new.item_ids)
    both = np.flatnonzero(number.is_valid().to_numpy(zero_copy_only=False))
    there = number.drop_null().to_numpy().astype(np.int64)
    one, two = before.codes[both], after.codes[there]
    levels = min(before.num_levels, after.num_levels)
    same = np.logical_and.accumulate(one[:, :levels] == two[:, :levels], axis=1)  # prefix by prefix
    whole = same[:, -1] & (before.num_levels == after.num_levels)
    changed = np.flatnonzero(~whole)[:SHOWN]
    ids = old.item_ids.take(both[changed]).to_pylist()
    return {
        "indexes": [_described(codes) for codes in (before, after)],
        "items": {
            "both": len(both),
            "only_left": len(old.item_ids) - len(both),
            "only_right": len(new.item_ids) - len(both),
        },
        "changed": _share(~whole),
        "changed_prefix": [_share(~same[:, level]) for level in range(levels)],
        "examples": [
            {"item_id": item, "left": spell(one[row]), "right": spell(two[row])}
            for item, row in zip(ids, changed.tolist(), strict=True)
        ],
    }


def table(found: Json) -> str:
    """The comparison for a terminal."""
    left, right = found["indexes"]
    items = found["items"]
    rows: list[list[str]] = [["", left["address"], right["address"], "change"]]
    rows += [
        _row(name, left[key], right[key], form)
        for name, key, form in (
            ("items", "items", "{:,.0f}"),
            ("share of the code space in use", "filled", "{:.3%}"),
            ("items in the fullest last-but-one prefix", "fullest_prefix", "{:,.0f}"),
            ("items whose nearest id was taken", "moved_share", "{:.2%}"),
            ("distinct before resolution", "distinct_share", "{:.2%}"),
        )
    ]
    for key in ("usage", "entropy"):
        for level, (one, two) in enumerate(zip(left[key], right[key], strict=False), 1):
            rows.append(_row(f"{key} of level {level}", one, two, "{:.2%}"))
    lines = [align(rows, right=True), ""]
    lines.append(
        f"{items['both']:,} items in both, {items['only_left']:,} only in {left['address']}, "
        f"{items['only_right']:,} only in {right['address']}"
    )
    if found["changed"] is not None:
        prefixes = ", ".join(f"{share:.2%} by level {m}" for m, share in enumerate(found["changed_prefix"], 1))
        lines.append(f"semantic id changed: {found['changed']:.2%} of these; prefix changed: {prefixes}")
    lines += [f"  {printable(e['item_id'])}  {e['left']} -> {e['right']}" for e in found["examples"]]
    return "\n".join(lines)


def _described(codes: Codes) -> Json:
    """How an index uses its levels, as it is published: after collisions were resolved."""
    values, sizes = codes.codes, codes.sizes
    shares = [np.bincount(values[:, m], minlength=size) / max(1, len(values)) for m, size in enumerate(sizes)]
    fullest = np.unique(row_keys(values[:, :-1]), return_counts=True)[1].max(initial=0)
    quality = codes.record.counts.get("quality", {})
    return {
        "address": codes.record.address,
        "fingerprint": codes.record.fingerprint,
        "extends": list(codes.extends),
        "sizes": list(sizes),
        "items": len(values),
        "filled": len(values) / math.prod(sizes),
        "usage": [float((share > 0).mean()) for share in shares],
        "entropy": [entropy(share) for share in shares],
        "fullest_prefix": int(fullest),
        "distinct_share": quality.get("distinct_share"),
        "moved_share": quality.get("moved_share"),
    }


def _row(name: str, one: Any, two: Any, form: str) -> list[str]:
    shown = ["-" if value is None else form.format(value) for value in (one, two)]
    drift = "" if one is None or two is None else form.replace(":", ":+").format(two - one)
    return [name, *shown, drift]


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None
