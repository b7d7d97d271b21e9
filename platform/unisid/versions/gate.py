"""Whether a new recommender takes the place of the one in use: a paired test over the same test samples.

All samples of a user are one draw. S samples.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from unisid.artifacts.metrics import HistoryRule
from unisid.bounds import Count, NotNegative, Range, Settings
from unisid.config import Json
from unisid.errors import ConfigError
from unisid.evaluation.figures import RESAMPLES, SEED, intervals, paired
from unisid.ops.by_user import Users, t_test
from unisid.ops.ranking import metric_values

Ranks = Float[NDArray[np.float64], " S"]


@dataclass(frozen=True, kw_only=True)
class Gate(Settings):
    """When a new recommender counts as not worse."""

    metric: str = "NDCG@10"
    """The metric that decides: HR@K or NDCG@K."""
    history: HistoryRule = "excluded"
    """Which items are ranked: all, or those that the user has not taken before."""
    level: Annotated[float, Range(0, 1, above=True, below=True)] = 0.05
    """The new one is refused where the paired test finds it worse at this level."""
    most_loss: NotNegative | None = None
    """Where given, a loss of so much must be ruled out too: the 95% interval of the difference must lie above it."""
    least_users: Count = 30
    """With test samples of fewer users than this nothing can be found, and the recommender in use stays."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name, _, cutoff = self.metric.partition("@")
        if name not in ("HR", "NDCG") or not cutoff.isdecimal() or int(cutoff) < 1:
            raise ConfigError(f"gate.metric: is '{self.metric}'; must be HR@K or NDCG@K, such as NDCG@10")

    @property
    def cutoff(self) -> int:
        """K."""
        return int(self.metric.partition("@")[2])


@dataclass(frozen=True)
class Decision:
    """What the gate found."""

    passed: bool
    why: str
    figures: Json
    """`samples` and their `users`; the metric's mean and 95% interval of `new` and `old`; their paired `difference`,
    and `p_worse`: the chance of a loss like this were there none."""


def too_few(gate: Gate, users: int) -> Decision | None:
    """The decision where there are test samples of too few users to find anything; None where there are enough."""
    if users >= gate.least_users:
        return None
    return Decision(False, f"test samples of {users} users, the gate needs {gate.least_users}", {"users": users})


def decide(gate: Gate, new: Ranks, old: Ranks, user: Int[np.ndarray, " S"]) -> Decision:
    """Compare the ranks that two recommenders give the same targets; NaN where a target was not listed.

    Args:
        user: of each sample.
    """
    users = Users.of(user)
    if (few := too_few(gate, len(users.counts))) is not None:
        return few
    column = 1 if gate.metric.startswith("NDCG") else 0
    ours, theirs = (metric_values(ranks, (gate.cutoff,)) for ranks in (new, old))
    means = [intervals(values, users, (gate.cutoff,), RESAMPLES, SEED)[gate.metric] for values in (ours, theirs)]
    ahead = paired(ours, theirs, users, (gate.cutoff,), RESAMPLES, SEED)[gate.metric]
    worse = t_test((theirs - ours)[:, column], users).p
    difference: dict[str, Any] = asdict(ahead.test) | {"low": ahead.low, "high": ahead.high}
    figures = {
        "samples": len(new),
        "users": len(users.counts),
        "new": asdict(means[0]),
        "old": asdict(means[1]),
        "difference": difference,
        "p_worse": worse,
    }
    of = f"{len(new):,} samples" + ("" if users.alone else f" of {len(users.counts):,} users")
    shown = f"{gate.metric} {means[0].mean:.4f} against {means[1].mean:.4f} ({of}, p {worse:.3g})"
    if worse < gate.level:
        return Decision(False, f"worse: {shown}, at the level {gate.level:g}", figures)
    if gate.most_loss is not None and ahead.low < -gate.most_loss:
        bound = f"a loss of {gate.most_loss:g} is not ruled out (95% from {ahead.low:+.4f})"
        return Decision(False, f"{bound}: {shown}", figures)
    return Decision(True, f"not worse: {shown}", figures)
