"""GRU4Rec: a gated recurrent network over the history's items, whose last state is compared with every item's vector.

    x_t = e(i_t)        h = GRU(x)        s_j = <W h_T, e(j)>

Hidasi et al., 2016, with the softmax over all items that the authors' later work (Hidasi and Karatzoglou, 2018) and
every fair comparison found stronger than the first losses. B rows, T items, D width, N items.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Histories
from unisid.baselines.parts.learned import LearnedBaseline, Windows, count_next, next_item_loss, score_all
from unisid.baselines.parts.sequential import SequentialConfig
from unisid.bounds import Layers, ShareBelowOne, Width
from unisid.ops.dropout import dropout

SPREAD = 0.02
"""Standard deviation of the items' first vectors."""


@dataclass(frozen=True, kw_only=True)
class Config(SequentialConfig):
    """The recurrent network."""

    hidden_width: Width = 128
    """Of the recurrent state."""
    num_layers: Layers = 1
    """Recurrent layers."""
    dropout: ShareBelowOne = 0.3
    """Of item vectors and between layers."""

    def model(self, catalog: Catalog) -> "Gru4Rec":
        return Gru4Rec(self, catalog.num_items)


class Gru4Rec(LearnedBaseline):
    """What is filled up stands after every real item, and the network reads forward only: it needs no mask."""

    def __init__(self, config: Config, num_items: int) -> None:
        super().__init__()
        self.config = config
        self.items = nn.Embedding(num_items, config.width)
        between = config.dropout if config.num_layers > 1 else 0.0
        self.recurrent = nn.GRU(config.width, config.hidden_width, config.num_layers, batch_first=True, dropout=between)
        self.out = nn.Linear(config.hidden_width, config.width)
        nn.init.normal_(self.items.weight, std=SPREAD)

    def states(self, items: Int[Tensor, "B T"], users: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        vectors = dropout(self.items(items.clamp(min=0)), self.config.dropout if self.training else 0.0)
        found: Tensor = self.out(self.recurrent(vectors)[0])
        return found

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        config = self.config
        return next_item_loss(self.states, self.items.weight, windows, config.loss, config.num_negatives)

    def count(self, windows: Windows) -> int:
        return count_next(windows)

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        return score_all(self.states, self.items.weight, histories)
