"""How a language model learns from instructions: the words of every response, judged by ranking all items.

A step's loss is the sum over all learned entries of the global batch by their number: neither how many workers share
it nor how many micro-batches they cut it into changes what is learned.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from unisid.artifacts.instructions import Instructions
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table
from unisid.backbones import LanguageBackbone, Packed
from unisid.compute import Metrics, Worker
from unisid.config import Json
from unisid.errors import DataError
from unisid.evaluation.validation import CUTOFF, ValidationRanker
from unisid.legend import LOSS, NDCG, Figure
from unisid.training.loop import Accumulation, Training
from unisid.training.objective import Parts
from unisid.training.packing import COUNTED, Batching, Packer, Steps

SELECTED: Mapping[str, Figure] = {"ndcg": NDCG, "loss": LOSS}
"""What decides the best epoch, by the setting `select`."""


class Learning(Protocol):
    """The settings that it reads; `stages.model.Config` says what each means."""

    @property
    def select(self) -> Literal["ndcg", "loss"]: ...
    @property
    def samples_per_epoch(self) -> int: ...
    @property
    def training(self) -> Training: ...


class Instructed:
    """The objective of a recipe that has instructions."""

    def __init__(
        self,
        worker: Worker,
        place: Place,
        language: LanguageBackbone,
        judge: ValidationRanker,
        batching: Batching,
        learning: Learning,
    ) -> None:
        self.higher_is_better = SELECTED[learning.select].higher_is_better
        seed = learning.training.seed
        self.worker, self.language, self.judge, self.batching = worker, language, judge, batching
        self.model: nn.Module = language
        self.packer = Packer(language, batching.packed)
        self.order = Steps(lambda: worker.stream("train"), self.packer, batching, seed)
        wanted = learning.samples_per_epoch or Instructions.read(place).num_rows("train")
        self.steps = max(1, wanted // batching.batch_size)
        self.valid = self._validation(place, seed)

    @property
    def accumulation(self) -> Accumulation[Packed]:
        """How the loop is to add up what `loss` gives."""
        return Accumulation(
            micro_batches=self.batching.micro_batches, count=lambda packed: packed.num_labels, tokens=num_tokens
        )

    def steps_per_epoch(self) -> int:
        return self.steps

    def batches(self, epoch: int) -> Iterator[Packed]:
        for step in self.order.steps(epoch * self.steps, self.steps):
            if self.packer.counts["dropped"] == self.packer.counts["samples"]:
                raise DataError(
                    f"instructions: none of the {self.packer.counts['samples']} rows read so far fits "
                    f"{self.language.max_tokens} tokens; raise model.backbone.max_tokens"
                )
            yield from step

    def loss(self, batch: Packed) -> tuple[Float[Tensor, ""], Parts]:
        return self.language.loss_of(batch.to(self.worker.device)), {}

    def validate(self) -> Metrics:
        """Ranking metrics and the mean loss over the validation instructions' learned entries; one is the score."""
        sums = torch.zeros(2, dtype=torch.float64, device=self.worker.device)
        for packed in self.valid:
            sums += torch.stack(
                [self.language.loss_of(packed.to(self.worker.device)), sums.new_tensor(packed.num_labels)]
            )
        total, count = self.worker.all_reduce(sums).tolist()
        ranked, loss = self.judge(self.language), total / max(1.0, count)
        ndcg = {} if self.higher_is_better else {f"ndcg_{CUTOFF}": ranked["score"], "score": loss}
        return {**ranked, **ndcg, "loss": loss}

    def counts(self) -> Json:
        """Counts of the rows that the first worker read, those read again included, by what became of them."""
        return {"instructions": {name: self.packer.counts[name] for name in COUNTED}}

    def _validation(self, place: Place, seed: int) -> list[Packed]:
        """This worker's share of the validation instructions: as many, drawn by seed, as samples are ranked."""
        table = read_table(place, "valid", list(Instructions.read(place).words))
        drawn = np.random.default_rng(seed).permutation(table.num_rows)[: len(self.judge.rows)]
        own = table.take(np.sort(drawn)[self.worker.rank :: self.worker.size])
        samples = Packer(self.language, self.packer.packed).samples(own) if own.num_rows else []
        return self.packer.micro_batches(samples, -(-len(samples) // self.batching.micro_batch_size))


def num_tokens(packed: Packed) -> int:
    """Entries that belong to a sample: a sample has two at least, and what fills a row up stays at position 0."""
    return int((packed.positions > 0).sum() + (packed.positions == 1).sum())
