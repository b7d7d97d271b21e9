"""Whether a new recommender takes the place of the one in use: a paired test over the same test samples. S samples."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from unisid.artifacts.metrics import HistoryRule
from unisid.bounds import Count, NotNegative, Range, Settings
from unisid.config import Json
from unisid.errors import ConfigError
from unisid.evaluation.figures import RESAMPLES, SEED, intervals, paired
from unisid.ops.ranking import metric_values, paired_test


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
    least_samples: Count = 30
    """With fewer test samples than this nothing can be found, and the recommender in use stays."""

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
    """`samples`; the metric's mean and 95% interval of `new` and `old`; their paired `difference`, and `p_worse`: the
    chance of a loss like this were there none."""


def too_few(gate: Gate, samples: int) -> Decision:
    """The decision where there are too few samples to find anything."""
    why = f"{samples} test samples, the gate needs {gate.least_samples}"
    return Decision(False, why, {"samples": samples})


def decide(gate: Gate, new: NDArray[np.float64], old: NDArray[np.float64]) -> Decision:
    """Compare the ranks [S] that two recommenders give the same targets; NaN where a target was not listed."""
    if len(new) < gate.least_samples:
        return too_few(gate, len(new))
    column = 1 if gate.metric.startswith("NDCG") else 0
    ours, theirs = (metric_values(ranks, (gate.cutoff,)) for ranks in (new, old))
    means = [intervals(values, (gate.cutoff,), RESAMPLES, SEED)[gate.metric] for values in (ours, theirs)]
    ahead = paired(ours, theirs, (gate.cutoff,), RESAMPLES, SEED)[gate.metric]
    worse = paired_test(theirs[:, column], ours[:, column]).p
    difference: dict[str, Any] = asdict(ahead.test) | {"low": ahead.low, "high": ahead.high}
    figures = {
        "samples": len(new),
        "new": asdict(means[0]),
        "old": asdict(means[1]),
        "difference": difference,
        "p_worse": worse,
    }
    shown = f"{gate.metric} {means[0].mean:.4f} against {means[1].mean:.4f} ({len(new):,} samples, p {worse:.3g})"
    if worse < gate.level:
        return Decision(False, f"worse: {shown}, at the level {gate.level:g}", figures)
    if gate.most_loss is not None and ahead.low < -gate.most_loss:
        bound = f"a loss of {gate.most_loss:g} is not ruled out (95% from {ahead.low:+.4f})"
        return Decision(False, f"{bound}: {shown}", figures)
    return Decision(True, f"not worse: {shown}", figures)
