"""How wide a beam must be: for how many users the best items are proven to be found, by width.

n users, W widths, k best items.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from unisid.artifacts.catalog import TEST, Catalog
from unisid.config import Json
from unisid.decoding.beam import Beam, narrowest, spelled, widest
from unisid.errors import DataError
from unisid.serving.recommender import Recommender

USERS, SEED = 1_000, 42


def certainty(
    recommender: Recommender,
    catalog: Catalog,
    widths: Sequence[Beam],
    k: int,
    users: int = USERS,
    advance: Callable[[Beam], None] = lambda width: None,
) -> Json:
    """Width -> figures of the search for the k best items of test users, what they took before left out.

    `proven`: the share of users all of whose k items are certainly the best. `first`: how many of the first items are,
    on average. `slack`: how much more than the last item one that was missed may score, on average over the users for
    whom there is a bound; None where there is none. `found`: the share of the widest search's items that a narrower
    one finds, proven or not. `per_second`: users that it answered.

    Args:
        widths: of the beam, at every level alike or by level.
        users: at most so many, drawn by seed.
        advance: given each width when it is done.
    """
    rows = catalog.samples(TEST)
    if not len(rows):
        raise DataError(f"{catalog.record.address}: has no test sample, whose history a search could be tried with")
    chosen = np.sort(np.random.default_rng(SEED).choice(rows, min(users, len(rows)), replace=False))
    past, lengths = catalog.past(chosen)
    histories = np.split(past.astype(np.int64), np.cumsum(lengths)[:-1])
    found, seconds = {}, {}
    for width in sorted(set(widths), key=lambda each: (widest(each), narrowest(each), spelled(each))):
        begun = time.monotonic()
        found[width] = recommender.prove(histories, k, beam_width=width)
        seconds[width] = time.monotonic() - begun
        advance(width)
    best = list(found.values())[-1].items
    return {
        "users": len(chosen),
        "k": k,
        "widths": {
            spelled(width): {
                "proven": float(each.whole.mean()),
                "first": float(each.proven.mean()),
                "slack": _mean_slack(each.slack),
                "found": _shared(each.items, best),
                "per_second": len(chosen) / max(seconds[width], 1e-9),
            }
            for width, each in found.items()
        },
    }


def _mean_slack(slack: Float[np.ndarray, " n"]) -> float | None:
    known = slack[np.isfinite(slack)]
    return float(known.mean()) if len(known) else None


def _shared(items: Int[np.ndarray, "n k"], best: Int[np.ndarray, "n k"]) -> float:
    """The share of the best items that stand in the rows of others."""
    real = best >= 0
    return float(((best[:, :, None] == items[:, None, :]).any(2) & real).sum() / max(1, real.sum()))
