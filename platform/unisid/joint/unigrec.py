"""UniGRec: histories are read as soft codes, so that the next item's loss reaches the tokenizer (stage 2 of its paper).

An item of the history is, level by level, the mean of the token embeddings under the tokenizer's distribution over the
codewords; the target is spelled in hard codes. A teacher's item vectors are distilled into both halves. What is emitted
reads hard codes, to which the soft ones come near at a low temperature. B samples, T items of the longest history, U
items of a batch, L levels of an id, l of them quantized, K codes, D width of the recommender, d of codewords, E of the
teacher.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from unisid.backbones import NO_LIMITS, PAD, Backbone, Batch, Index, Limits
from unisid.backbones.tiger import State
from unisid.bounds import CountOrNone, NotNegative, Positive
from unisid.decoding.beam import Beam, Ranked
from unisid.decoding.beam import search as beam_search
from unisid.joint import Joint, JointConfig, Pair, Parts, Peers, mean_state, real_tokens
from unisid.ops.contrast import info_nce_both_ways
from unisid.ops.soft import symmetric_kl
from unisid.tokenizers.soft import SoftQuantizer


@dataclass(frozen=True, kw_only=True)
class Config(JointConfig):
    """Stage 2 of UniGRec; the defaults are those of its released run on Beauty."""

    tokenizers: ClassVar[tuple[str, ...]] = ("soft",)

    tokenizer_rate: NotNegative = 2e-7
    """The tokenizer's learning rate, whatever the recommender's is; 0: codes never move."""
    reconstruction_weight: NotNegative = 0.5
    """Of the vectors made again from soft codes: the mean over the history's items and over targets, half each."""
    tokenizer_distillation: NotNegative = 0.01
    """Weight of CD^T (eq. 18): what the encoder read and the target's teacher vector are given the same soft codes."""
    recommender_distillation: NotNegative = 0.1
    """Weight of CD^R (eq. 19, 20): the decoder's first state and the target's teacher vector find each other."""
    contrast_temperature: Positive = 0.07
    """tau' of CD^R."""
    code_temperature: Positive = 1.0
    """Temperature of the soft codes in CD^T, in the tokenizer's units: at its own the divergence of two nearly hard
    codes is without bound."""
    warm_epochs: CountOrNone = 10
    """Epochs before both distillations begin, as in the released code."""

    @property
    def needs_teacher(self) -> bool:
        return self.tokenizer_distillation > 0 or self.recommender_distillation > 0

    def build(self, pair: Pair) -> "UniGRec":
        return UniGRec(self, pair)


class UniGRec(Joint):
    """Tokenizer, recommender, and the projections of both distillations, which learn too."""

    def __init__(self, config: Config, pair: Pair) -> None:
        super().__init__(pair)
        assert isinstance(pair.tokenizer, SoftQuantizer)
        self.config, self.soft = config, pair.tokenizer.soften
        self.unit = pair.tokenizer.unit
        width, latent = pair.backbone.t5.config.d_model, pair.tokenizer.codebooks.shape[2]
        taught = self.teacher.shape[-1]
        self.heads = nn.ModuleDict()
        if config.tokenizer_distillation:
            self.heads["read"], self.heads["taught"] = nn.Linear(width, latent), nn.Linear(taught, latent)
        if config.recommender_distillation:
            self.heads["predicted"] = nn.Linear(width, taught)

    def shares(self, epoch: int) -> tuple[float, float]:
        return 1.0, 1.0

    def reader(self) -> Backbone:
        return SoftReader(self)

    def loss(self, batch: Batch, index: Index, peers: Peers, epoch: int) -> tuple[Float[Tensor, ""], Parts]:
        """L_rec + w L_recon + l_T CD^T + l_R CD^R (eq. 22)."""
        config, real = self.config, batch.histories != PAD
        items, place = torch.unique(torch.cat([batch.histories[real], batch.targets]), return_inverse=True)
        read, wanted = place[: -len(batch.targets)], place[-len(batch.targets) :]
        embedded, error = self.soft_items(items)
        memory, encoded = self.backbone.read(spread(embedded[read], real, self._padding()), self._real(batch))
        targets = index.tokens(batch.targets)
        states = self.backbone.target_states(memory, targets)
        loss = self.backbone.states_loss(states, targets)
        shown = {"recommendation": loss.detach()}
        if config.reconstruction_weight:
            reconstruction = (error[read].mean() + error[wanted].mean()) / 2
            loss = loss + config.reconstruction_weight * reconstruction
            shown["reconstruction"] = reconstruction.detach()
        if config.needs_teacher:
            # Before its time a distillation counts 0 times: every weight has a gradient in every step.
            due = float(epoch >= config.warm_epochs)
            pooled = mean_state(encoded, self._real(batch))
            for name, weight, value in self._distilled(pooled, states[:, 0], batch.targets, peers):
                loss, shown[name] = loss + due * weight * value, value.detach()
        return loss, shown

    def soft_items(self, items: Int[Tensor, " U"]) -> tuple[Float[Tensor, "U L D"], Float[Tensor, " U"]]:
        """Items as the encoder reads them, and how far each is from its vector made again.

        An item that had to give way to another of the same codes is read by the codes that it got, and so is the level
        that counts the items of a tuple.
        """
        tokenizer = self.tokenizer
        assert isinstance(tokenizer, SoftQuantizer)
        standard = tokenizer.standardise(self.vectors[items])
        soft = tokenizer.soften(tokenizer.latent(standard), tokenizer.last_temperatures())
        error = (tokenizer.restore(soft.quantized) - standard).square().mean(1)
        hard = self.backbone.embed(self._tokens(items))
        levels = soft.log_p.shape[1]
        probabilities, rows = soft.log_p.exp(), self.backbone.t5.shared.weight
        means = [
            probabilities[:, level] @ rows[first : first + size]
            for level, (first, size) in enumerate(zip(self.backbone.level_starts, self.sizes, strict=True))
            if level < levels
        ]
        mixed = torch.where(self.moved[items][:, None, None], hard[:, :levels], torch.stack(means, 1))
        return torch.cat([mixed, hard[:, levels:]], 1), error

    def soft_histories(self, histories: Int[Tensor, "B T"]) -> tuple[Float[Tensor, "B P D"], Bool[Tensor, "B P"]]:
        """Histories as the encoder reads them, and which positions are real."""
        real = histories != PAD
        items, place = torch.unique(histories[real], return_inverse=True)
        embedded = self.soft_items(items)[0][place]
        return spread(embedded, real, self._padding()), real_tokens(histories, len(self.sizes))

    def _distilled(
        self, pooled: Float[Tensor, "B D"], first: Float[Tensor, "B D"], targets: Int[Tensor, " B"], peers: Peers
    ) -> list[tuple[str, float, Float[Tensor, ""]]]:
        """Name, weight and value of each distillation."""
        config, teacher, found = self.config, self.teacher[targets], []
        if config.tokenizer_distillation:
            temperatures = self.unit * config.code_temperature
            pair = (self.heads["read"](pooled), self.heads["taught"](teacher))
            kl = symmetric_kl(*(self.soft(each, temperatures).log_p for each in pair))
            found.append(("tokenizer_distillation", config.tokenizer_distillation, kl))
        if config.recommender_distillation:
            predicted, start = self.heads["predicted"](first), peers.rank * len(targets)
            contrast = info_nce_both_ways(
                predicted, teacher, targets, peers.all_gather, start, config.contrast_temperature
            )
            found.append(("recommender_distillation", config.recommender_distillation, contrast))
        return found

    def _tokens(self, items: Int[Tensor, " U"]) -> Int[Tensor, "U L"]:
        starts = torch.tensor(self.backbone.level_starts, device=items.device) - self.backbone.level_starts[0]
        return self.codes[items].long() + starts

    def _padding(self) -> Float[Tensor, " D"]:
        return self.backbone.embed(torch.tensor(PAD, device=self.codes.device))

    def _real(self, batch: Batch) -> Bool[Tensor, "B P"]:
        return real_tokens(batch.histories, len(self.sizes))


def spread(
    embedded: Float[Tensor, "n L D"], real: Bool[Tensor, "B T"], padding: Float[Tensor, " D"]
) -> Float[Tensor, "B P D"]:
    """The items' embeddings at their places, item after item, and padding elsewhere."""
    place = (real.flatten().cumsum(0) - 1).clamp_min(0).view(real.shape)
    whole = torch.where(real[..., None, None], embedded[place], padding)
    return whole.flatten(1, 2)


class SoftReader(Backbone):
    """The recommender in a search, with soft histories: `decoding.beam.Decoder` whose prompts are items."""

    prunes = True

    def __init__(self, joint: UniGRec) -> None:
        super().__init__()
        self.joint, self.tiger = joint, joint.backbone
        self.level_starts = joint.backbone.level_starts

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        tokens = index.tokens(targets)
        memory, _ = self.tiger.read(*self.joint.soft_histories(histories))
        logits = self.tiger.logits(self.tiger.target_states(memory, tokens), slice(None)).float()
        return -F.cross_entropy(logits.transpose(1, 2), tokens + self.level_starts[0], reduction="none")

    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        return -self.log_probs(batch.histories, batch.targets, index).mean()

    def search(
        self,
        histories: Int[Tensor, "B T"],
        index: Index,
        *,
        k: int,
        beam: Beam,
        limits: Limits = NO_LIMITS,
        renormalised: bool = False,
    ) -> Ranked:
        return beam_search(
            self,
            histories,
            index.trie,
            k=k,
            beam=beam,
            excluded=limits.excluded,
            allowed=limits.allowed,
            renormalised=renormalised,
            floor=limits.floor,
        )

    def start(self, prompts: Int[Tensor, "B T"]) -> tuple[State, Float[Tensor, "B 1 D"]]:
        return self.tiger.begin(self.tiger.read(*self.joint.soft_histories(prompts))[0])

    def step(self, state: State, tokens: Any, parents: Any) -> tuple[State, Float[Tensor, "B K D"]]:
        return self.tiger.step(state, tokens, parents)

    def logits(self, hidden: Any, entries: slice) -> Float[Tensor, "B K V"]:
        return self.tiger.logits(hidden, entries)
