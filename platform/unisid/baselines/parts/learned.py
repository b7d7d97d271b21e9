"""What the baselines that a training loop fits have in common: what they learn from, and what they offer.

They learn from windows of users' training sequences. Every draw (a mask, a negative) is a function of the step and of
the row's place in it, so that W workers draw what one draws. B windows, T items of the longest, N items, D width,
P positions that have a next item.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.baselines import BaselineConfig, Histories
from unisid.baselines.popularity import count_users
from unisid.ops.next_item import binary_loss, sampled_softmax_loss, softmax_loss, unknown_items
from unisid.ops.padding import PAD as PAD
from unisid.ops.padding import padded
from unisid.ops.seeded import seed_of

NEGATIVES = 1
"""The stream that negatives are drawn from."""


@dataclass(frozen=True)
class Windows:
    """One worker's share of a step's windows; a user's items oldest first, each the target of those before it."""

    items: Int[Tensor, "B T"]
    """Item numbers, then PAD; as wide as the longest window of the whole step."""
    users: Int[Tensor, " B"]
    seed: int = 0
    """Of the step: the same on every worker."""
    first: int = 0
    """The place of the first row among those of the step."""
    of: int = 0
    """Rows of the step, on all workers; 0 for no more than these."""

    def __len__(self) -> int:
        return len(self.items)

    def to(self, device: torch.device) -> "Windows":
        return replace(self, items=self.items.to(device), users=self.users.to(device))

    def share(self, rows: range) -> "Windows":
        """Some of a step's rows, where these are all of them."""
        own = slice(rows.start, rows.stop)
        return replace(self, items=self.items[own], users=self.users[own], first=rows.start, of=len(self))

    def draws(self, *shape: int, stream: int = 0) -> Float[Tensor, "B ..."]:
        """Uniform in [0, 1), float64: of these rows, whichever worker has them. Streams are unrelated."""
        rows = slice(self.first, self.first + len(self))
        return self._uniform(stream, max(self.of, rows.stop), *shape)[rows].to(self.items.device)

    def shared_draws(self, *shape: int, stream: int = 0) -> Float[Tensor, "..."]:
        """Uniform in [0, 1), float64: the same for all rows of the step."""
        return self._uniform(stream, *shape).to(self.items.device)

    def _uniform(self, stream: int, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed_of(self.seed, stream))
        return torch.rand(*shape, generator=generator, dtype=torch.float64)


class LearnedBaseline(nn.Module):
    """A baseline that learns from windows. Its weights are all that is learned; it must not keep what it is shown."""

    popularity: Float[Tensor, " N"]
    """The answer to a history without items; counted from the catalog, so no part of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: dict[str, float] = {}
        self.popularity = torch.zeros(1)

    @abstractmethod
    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        """The loss summed over all predictions in these windows."""

    @abstractmethod
    def count(self, windows: Windows) -> int:
        """The number of terms that `loss` sums."""

    @abstractmethod
    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        """Float32 scores for each history. Output for empty histories is ignored."""

    def blend(self, catalog: Catalog, rows: NDArray[np.int64], total: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Fit how much each part of a score counts to validation samples; returns the weights by name.

        By default a score has one part, and there is nothing to fit.

        Args:
            rows: this worker's share, as `Catalog.samples` gives them.
            total: the sum of a tensor over all workers.
        """
        return {}

    @torch.no_grad()
    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        """As `Baseline.scores`; in eval mode equal inputs have equal scores.

        A model that predicts the next item from those before it has learned nothing of the first one. An empty history
        is scored by popularity, whether the user is in the catalog or not.
        """
        found = self.answer(histories)
        found[torch.from_numpy(histories.lengths == 0)] = self.popularity.to(found.device)
        return found


class LearnedConfig(BaselineConfig):
    """Base of the settings of baselines that the stage trains."""

    trained: ClassVar[bool] = True

    @abstractmethod
    def model(self, catalog: Catalog) -> LearnedBaseline:
        """The baseline at its start; torch's random state decides its weights."""

    def build(self, catalog: Catalog) -> LearnedBaseline:
        """The baseline at its start, with what it answers where there is no history."""
        found = self.model(catalog)
        found.popularity = count_users(catalog)
        return found


Loss = Literal["ce", "bce", "sampled"]
"""Of next items. ce: softmax over all items; sampled: over some, drawn uniformly and shared by a whole step, for large
catalogues; bce: the sigmoid of the target and of one item that the window does not hold."""
States = Callable[[Int[Tensor, "B T"], Int[Tensor, " B"]], Float[Tensor, "B T D"]]
"""Items [B, T] (PAD at the end) and users [B] -> the model's hidden vector after each item."""


def next_item_loss(
    states: States, items: Float[Tensor, "N D"], windows: Windows, loss: Loss, num_negatives: int
) -> Float[Tensor, ""]:
    """The sum over next items, of a model that reads forward: a state must not depend on later items."""
    read, labels = windows.items[:, :-1], windows.items[:, 1:]
    return labelled_loss(states(read, windows.users), labels, items, windows, loss, num_negatives)


def labelled_loss(
    states: Float[Tensor, "B t D"],
    labels: Int[Tensor, "B t"],
    items: Float[Tensor, "N D"],
    windows: Windows,
    loss: Loss,
    num_negatives: int,
) -> Float[Tensor, ""]:
    """The loss summed over the places that have a target (elsewhere `labels` is PAD)."""
    places = labels != PAD
    known, targets = states[places], labels[places]
    if loss == "ce":
        return softmax_loss(known, items, targets)
    if loss == "sampled":
        draws = windows.shared_draws(num_negatives, stream=NEGATIVES)
        return sampled_softmax_loss(known, items, targets, (draws * len(items)).long())
    negatives = unknown_items(windows.items, windows.draws(labels.shape[1], stream=NEGATIVES), len(items))
    return binary_loss(known, items, targets, negatives[places])


def count_next(windows: Windows) -> int:
    """How many next items the windows hold."""
    return int((windows.items[:, 1:] != PAD).sum())


def last_states(states: States, histories: Histories, device: torch.device) -> Float[Tensor, "B D"]:
    """The state after each history's last item; without meaning for an empty history."""
    items = padded(histories.items, histories.lengths, width=1).to(device)
    lengths = torch.from_numpy(histories.lengths).to(device)
    last = (lengths - 1).clamp(min=0)
    return states(items, users_of(histories, device))[torch.arange(len(last), device=device), last]


def score_all(states: States, items: Float[Tensor, "N D"], histories: Histories) -> Float[Tensor, "B N"]:
    """Of a model that reads forward: every item's vector times the state after a history's last item."""
    return dot_all(last_states(states, histories, items.device), items)


def users_of(histories: Histories, device: torch.device) -> Int[Tensor, " B"]:
    """The samples' users; PAD where none is known."""
    if histories.users is None:
        return torch.full((len(histories),), PAD, device=device)
    return torch.from_numpy(histories.users.astype(np.int64)).to(device)


def dot_all(states: Float[Tensor, "B D"], items: Float[Tensor, "N D"]) -> Float[Tensor, "B N"]:
    """Scores of all items in float32, whatever the precision around: rounded scores would tie."""
    with torch.autocast(states.device.type, enabled=False):
        return states.float() @ items.float().T
