"""What a rule costs at 10^4 to 10^6 items: compiling it, finding it again, and the search under it beside none.

python -m benchmarks.rules

An untrained TIGER of the smallest size ranks 16 users by 50 beams over three levels: the smaller the model, the larger
the share of the rule. The rule is `in_stock and retailer == 7 and price < 20`; it leaves 1 item of 50 or so.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from unisid.backbones import Index, tiger
from unisid.decoding import trie
from unisid.serving.columns import Columns
from unisid.serving.filters import Filters
from unisid.serving.recommender import Recommender

INDICES = {10**4: 64, 10**5: 128, 10**6: 256}
"""Items, and the codes of each of the three levels."""
RULE = "in_stock and retailer == 7 and price < 20"
USERS, K, RUNS = 16, 10, 7
"""The median of the runs counts."""
SMALL = tiger.Config(
    width=16, num_heads=2, head_width=8, feedforward_width=16, num_encoder_layers=1, num_decoder_layers=1
)


def main() -> dict[str, Any]:
    """Milliseconds by number of items."""
    result: dict[str, Any] = {"users": USERS, "k": K, "threads": torch.get_num_threads(), "rule": RULE}
    for items, size in INDICES.items():
        result[f"items_{items}"] = _measure(items, size)
    return result


def _measure(items: int, size: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    columns = Columns(
        {
            "in_stock": pa.array(rng.random(items) < 0.8),
            "retailer": pa.array(rng.integers(0, 10, items)),
            "price": pa.array(rng.gamma(2.0, 30.0, items)),
        }
    )
    recommender = _recommender(items, size)
    histories = [rng.integers(0, items, 20) for _ in range(USERS)]
    mask = Filters(columns).rule(RULE)
    filters = Filters(columns)
    filters.rule(RULE)
    found, _ = recommender.rank(histories, K, allowed=mask)
    assert mask[found[found >= 0]].all()
    return {
        "obey": int(mask.sum()),
        "compile_ms": _milliseconds(lambda: Filters(columns).rule(RULE)),
        "again_ms": _milliseconds(lambda: filters.rule(RULE)),
        "search_ms": _milliseconds(lambda: recommender.rank(histories, K)),
        "search_under_rule_ms": _milliseconds(lambda: recommender.rank(histories, K, allowed=mask)),
    }


def _recommender(items: int, size: int) -> Recommender:
    """An untrained one over random unique codes."""
    torch.manual_seed(0)
    chosen = np.random.default_rng(1).choice(size**3, items, replace=False)
    codes = torch.from_numpy(np.stack(np.unravel_index(chosen, (size,) * 3), axis=1))
    index = Index(codes, (size,) * 3, trie.build(codes))
    return Recommender(SMALL.build(index).eval(), index, 20, torch.device("cpu"))


def _milliseconds(act: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        act()
        times.append(time.perf_counter() - begun)
    return round(1000 * float(np.median(times)), 3)


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
