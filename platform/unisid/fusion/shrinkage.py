"""The graph's vector as far as interactions support it, else that of items with alike texts; beside it, the text.

    t_i = unit(A (text_i - mean text))    g_i = unit(mean graph layer of i)        a_i = n_i / (n_i + c)
    p_i = unit(sum over the k references j != i nearest by t of max(0, t_i . t_j)^s g_j)
    f_i = [w sqrt(1 - a_i) t_i ; unit(a_i g_i + (1 - a_i) p_i)]

n_i are the item's training interactions, and c says how many of them weigh as much as its neighbours do: a graph learns
little of an item with three, and its text says which items it resembles. An item without interactions has its text
and p_i. This is shrinkage of a noisy estimate towards what side information predicts (ours; James and Stein, 1961).
A is the identity, or makes all directions of the texts vary alike: whichever brings the references' p_j nearer to their
g_j. B items, R references, S width of the text, G of the graph, W of the fused vector.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.bounds import Count, NotNegative, Positive
from unisid.config import Json
from unisid.fusion import GRAPH, TEXT, FittedFusion, FusionConfig, Items, check_weights, in_order
from unisid.ops.principal import decorrelating

RIDGE = 0.1
"""Of the mean variance, added to every direction's before they are made alike."""
JUDGED = 2048
"""References by which whitening is judged, at most."""


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """How much evidence the graph needs, and what stands in for it. Codes keep lengths under `codes.scale whole`."""

    prior_interactions: NotNegative = 3.0
    """c: the number of training interactions at which the graph's own vector and the neighbours' count alike."""
    num_neighbours: Count = 10
    """k: references that stand for an item."""
    sharpness: Positive = 4.0
    """s: how much more the nearest of them count."""
    num_references: Count = 32_768
    """Items that may stand for others: all of a catalogue of no more, else about so many, drawn by their numbers."""
    whitening: Literal["auto", "on", "off"] = "auto"
    """Whether texts are compared with all their directions varying alike; 'auto': where the references' graph vectors
    are predicted better so, each by the others."""
    weights: Mapping[str, NotNegative] = field(default_factory=dict)
    """What a modality's part is multiplied by, by its name; 1 where it is not named."""

    def build(self, widths: Mapping[str, int]) -> "Shrinkage":
        return Shrinkage(self, widths)


class Shrinkage(FittedFusion):
    """The references' texts and graph vectors, the mean text, and the map under which texts are compared."""

    mean: Float[Tensor, " S"]
    axes: Float[Tensor, "S S"]
    """A, symmetric."""
    texts: Float[Tensor, "R S"]
    """t_j."""
    graphs: Float[Tensor, "R G"]
    """g_j."""
    numbers: Int[Tensor, " R"]
    """Which items the references are."""

    def __init__(self, config: Config, widths: Mapping[str, int]) -> None:
        super().__init__()
        check_weights(config.weights, widths)
        self.config, self.num_references = config, config.num_references
        self.names, self.width = in_order(widths), sum(widths.values())
        self.register_buffer("mean", torch.zeros(widths[TEXT]))
        self.register_buffer("axes", torch.eye(widths[TEXT]))
        self.register_buffer("texts", torch.zeros(0, widths[TEXT]))
        self.register_buffer("graphs", torch.zeros(0, widths[GRAPH]))
        self.register_buffer("numbers", torch.zeros(0, dtype=torch.int64))

    @property
    def count(self) -> int:
        return len(self.numbers)

    def reserve(self, count: int) -> None:
        for name in ("texts", "graphs", "numbers"):
            held = getattr(self, name)
            setattr(self, name, held.new_zeros(count, *held.shape[1:]))

    def fit(self, items: Items) -> Json:
        graphs = unit(items, GRAPH)
        texts = items[TEXT].mean().float()
        self.mean = texts[known(texts)].mean(0) if known(texts).any() else self.mean
        useful = (graphs != 0).any(1) & known(texts)
        assert items.numbers is not None
        self.graphs, self.numbers = graphs[useful], items.numbers[useful]
        count = torch.ones(len(items)) if items.interactions is None else items.interactions.float()
        ways = ("off", "on") if self.config.whitening == "auto" else (self.config.whitening,)
        axes = {way: self._axes(way, texts) for way in ways}
        cosines = {way: self._compare(texts[useful], axes[way], count[useful]) for way in ways}
        best = max(ways, key=lambda way: cosines[way])
        if best != ways[-1]:
            self._compare(texts[useful], axes[best], count[useful])
        return {"whitened": best == "on", "predicted": round(cosines[best], 4)}

    def _axes(self, way: str, texts: Float[Tensor, "R S"]) -> Float[Tensor, "S S"]:
        if way == "off":
            return torch.eye(len(self.mean)).to(texts)
        return decorrelating(texts[known(texts)] - self.mean, RIDGE)

    def _compare(self, texts: Float[Tensor, "R S"], axes: Float[Tensor, "S S"], count: Float[Tensor, " R"]) -> float:
        """Compare texts under a map from now on; returns the mean cosine of g_j and p_j over references, by a_j."""
        self.axes = axes
        self.texts = self.centred(texts)
        some = slice(None, None, -(-max(1, len(texts)) // JUDGED))
        weight = self.supported(count[some].to(texts))
        cosine = (self.predicted(self.texts[some], self.numbers[some]) * self.graphs[some]).sum(1)
        return float((weight * cosine).sum() / weight.sum().clamp_min(1e-9))

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        with torch.autocast(self.mean.device.type, enabled=False):  # rounded similarities would tie
            texts, graphs = self.centred(items[TEXT].mean().float()), unit(items, GRAPH)
            count = torch.zeros(len(items)) if items.interactions is None else items.interactions
            own = self.supported(count.to(texts))[:, None]
            shrunk = F.normalize(own * graphs + (1 - own) * self.predicted(texts, items.numbers), dim=-1)
            parts = {TEXT: (1 - own).sqrt() * texts, GRAPH: shrunk}
            parts |= {name: unit(items, name) for name in self.names if name not in parts}
            return torch.cat([self.config.weights.get(name, 1.0) * part for name, part in parts.items()], dim=-1)

    def supported(self, count: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """a_i; 0 for an item without interactions."""
        return torch.where(count > 0, count / (count + self.config.prior_interactions).clamp_min(1e-9), 0.0)

    def centred(self, texts: Float[Tensor, "B S"]) -> Float[Tensor, "B S"]:
        """t_i; zero where the text is."""
        return F.normalize((texts - self.mean) @ self.axes * known(texts)[:, None], dim=-1)

    def predicted(self, texts: Float[Tensor, "B S"], numbers: Int[Tensor, " B"] | None) -> Float[Tensor, "B G"]:
        """p_i of texts t_i; zero where no reference is alike. An item's own number is none of its references."""
        alike = texts @ self.texts.T
        if numbers is not None:
            alike = alike.masked_fill(numbers[:, None] == self.numbers, -1.0)
        nearest, which = alike.topk(min(self.config.num_neighbours, alike.shape[1]), dim=1)
        weights = nearest.clamp_min(0) ** self.config.sharpness
        return F.normalize(torch.einsum("bk,bkg->bg", weights, self.graphs[which]), dim=-1)


def unit(items: Items, name: str) -> Float[Tensor, "B _"]:
    """The mean of a modality's rows at length one; zero where it is missing."""
    return F.normalize(items[name].mean().float(), dim=-1)


def known(texts: Float[Tensor, "B S"]) -> Bool[Tensor, " B"]:
    """Whether each text is not all zero."""
    return (texts != 0).any(1)
