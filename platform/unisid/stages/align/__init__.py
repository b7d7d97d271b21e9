"""Makes the model of a recipe with `align`: the recommender that its `model` settings train, further trained on its
own answers.

A prompt is the history before a training interaction, its target that interaction's item. The recommender answers each
prompt with a group of items, and the loss of an objective (`unisid.alignment`) is minimised on them. The result is an
ordinary model of the same backbone. B prompts, G answers, C compared items, L levels, E items that may not be answered.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.alignment import AlignmentConfig, Answered, Group, Shown, grpo
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import write_model
from unisid.artifacts.reading import contents, whole
from unisid.artifacts.sequences import Sequences
from unisid.artifacts.store import Place
from unisid.backbones import Backbone, Batch, Index, LanguageBackbone, Limits
from unisid.bounds import Count, CountOrNone, Positive, Range, Settings
from unisid.compute import Job, Metrics, Pool, Task, Worker
from unisid.config import Json, identity_where, runtime, to_record
from unisid.decoding.beam import MOST_BEAMS
from unisid.errors import ConfigError
from unisid.evaluation.validation import CUTOFF
from unisid.legend import NDCG
from unisid.ops.prompts import Prompts
from unisid.stages import model
from unisid.stages.align import rewards
from unisid.stages.align.prompts import TrainingRows
from unisid.stages.extension import Base
from unisid.stages.model import warm_start
from unisid.training import loop
from unisid.training.loop import Accumulation, Training
from unisid.training.objective import Parts

START = "model.first"
"""The role of the recommender that it begins with."""


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """How the recommender is aligned after supervised training."""

    objective: AlignmentConfig = field(default_factory=grpo.Config)
    """The loss on its answers: any kind in `alignment`; `sft` is the control."""
    rollout: Literal["beam", "sample"] = "beam"
    """How a prompt is answered: by the likeliest items of a beam search, or by items drawn from the distribution."""
    temperature: Positive = field(default=1.0, metadata=identity_where(lambda config: config.rollout == "sample"))
    """Of `sample`: what log p is divided by."""
    answers: Annotated[int, Range(2, MOST_BEAMS)] = 16
    """G: of every prompt. All are items of the index; beams are distinct, samples need not be."""
    batch_size: Count = 64
    """Prompts a step, over all workers."""
    micro_batch: CountOrNone = runtime(0)
    """Prompts that a worker learns from at once. 0: its whole share of a step."""
    prompts_per_epoch: CountOrNone = 0
    """Prompts between two validations; 0 for all training interactions. None comes twice before all came once."""
    training: Training = field(
        default_factory=lambda: Training(epochs=2, learning_rate=1e-5, warmup_steps=20, gradient_clip=0.3, patience=100)
    )
    """How long and how fast; its seed also draws the prompts."""
    keeps_start: bool = True
    """Whether the weights that it begins with are kept where no later validation is better."""
    starts_from: Base | None = field(default=None, metadata=identity_where(lambda config: bool(config.starts_from)))
    """A trained model to begin with, by its address (model/NAME/VERSION), of this recipe's index and backbone. Left
    out: the recipe trains it by its `model` settings."""
    reward: Base | None = field(default=None, metadata=identity_where(lambda config: bool(config.reward)))
    """A trained model of the same index, of any backbone, by its address: log p of an answer under it is what the
    answer is worth. Read by objectives that prefer answers by a reward model (`ipa`)."""
    recommender: model.Config | None = None
    """The recipe's own `model`: filled in where a run is planned."""
    pool: Pool = runtime(Pool())
    """The workers that train."""

    def __post_init__(self) -> None:
        super().__post_init__()
        workers = max(1, self.pool.workers)
        if self.batch_size % workers:
            raise ConfigError(f"align: batch_size {self.batch_size} over {workers} workers; must divide evenly")
        if self.objective.needs_rewards != (self.reward is not None):
            raise ConfigError(
                f"align.reward: '{self.objective.kind}' prefers answers by a reward model, and there is none; give the "
                "address of a trained model of the same index"
                if self.reward is None
                else f"align.reward: '{self.objective.kind}' reads no reward model; leave it out, or give another "
                "align.objective (ipa)"
            )
        share = self.batch_size // workers
        if self.micro_batch and share % self.micro_batch:
            raise ConfigError(
                f"align: micro_batch {self.micro_batch} does not divide the {share} prompts that each worker has of "
                f"batch_size {self.batch_size}; {math.gcd(share, self.micro_batch)} would"
            )

    def fits(self, num_items: int) -> None:
        """Raises ConfigError where a catalog of so many items is too small for the settings."""
        if self.answers > num_items:
            raise ConfigError(
                f"align.answers: is {self.answers}, the catalog has {num_items} items; must be at most {num_items}"
            )


def inputs(config: Config) -> tuple[str, ...]:
    """The roles that it reads."""
    read = config.recommender.backbone.vectors() if config.recommender is not None else ()
    return ("catalog", "codes", "sequences", *read, *((START,) if config.starts_from is None else ()))


def sources(config: Config) -> dict[str, Json]:
    """The pretrained weights that the backbone began with, where it did, the model that it begins with, and the one by
    which its answers are judged."""
    pretrained = config.recommender.backbone.sources() if config.recommender is not None else {}
    others = {"start": config.starts_from, "reward": config.reward}
    return pretrained | {role: base.source() for role, base in others.items() if base is not None}


def make(job: Job[Config]) -> Json:
    """Train and keep the best weights; returns the counts of the record."""
    task = job.task
    check(task)
    job.judged_by(NDCG)
    return job.compute.fit(train, task, name=job.name, pool=job.config.pool, work=job.work, report=job.report)


def check(task: Task[Config]) -> None:
    """Raise ConfigError or ArtifactError where the recommender cannot be aligned by these settings."""
    config, backbone = task.config, model.filled(task.config.recommender).backbone
    if not backbone.aligns:
        raise ConfigError(
            f"align: '{backbone.kind}' ranks by two streams merged, which have no log p to learn from; must be another "
            "backbone"
        )
    catalog = Catalog.read(task.inputs["catalog"])
    config.fits(catalog.num_items)
    config.objective.check(len(Codes.read(task.inputs["codes"]).sizes))
    warm_start.check(config.starts_from, backbone, task.inputs["codes"])
    if config.reward is not None:
        rewards.check(config.reward, task.inputs["codes"])
    number = len(TrainingRows(catalog, Sequences.read(task.inputs["sequences"]), config.training.seed))
    if config.batch_size > number:
        raise ConfigError(
            f"align.batch_size: is {config.batch_size}, there are {number} training prompts; must be at most {number}"
        )


def train(worker: Worker, task: Task[Config]) -> Json:
    """Train on one worker; the first writes the model. Returns the counts of the record."""
    config, recommender = task.config, model.filled(task.config.recommender)
    catalog = Catalog.read(task.inputs["catalog"])
    index = model.index_of(task.inputs, recommender.backbone, catalog)
    torch.manual_seed(config.training.seed)
    backbone = recommender.backbone.build(index)
    start = warm_start.place_of(config.starts_from, {}) or task.inputs[START]
    warm_start.load(start, backbone, catalog, index, task.inputs["codes"])
    _restore_prompts(start, backbone)
    objective = Aligned(worker, task, catalog, index.to(worker.device), backbone)
    outcome = loop.run(worker, objective, config.training, objective.accumulation, validate_first=config.keeps_start)
    if worker.rank == 0:
        write_model(task.out, to_record(recommender.backbone), backbone.weights(), backbone.files())
    prompts = outcome.epochs * objective.steps_per_epoch() * config.batch_size
    return {
        "parameters": sum(p.numel() for p in backbone.parameters()),
        f"valid_ndcg_{CUTOFF}": outcome.best_score,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "precision": outcome.precision,
        "prompts": prompts,
        "prompts_per_second": round(prompts / max(outcome.seconds, 1e-9), 1),
    }


def _restore_prompts(start: Place, backbone: Backbone) -> None:
    """Give a language model the prompts that are stored beside its initial weights."""
    if not isinstance(backbone, LanguageBackbone):
        return
    from unisid.language.files import PROMPTS  # slow, with transformers: of language models alone

    if start.exists(PROMPTS):
        with whole(start, PROMPTS, "what a language model is prompted with"):
            backbone.ask_with(Prompts.from_json(contents(start, PROMPTS)))


@dataclass(frozen=True)
class Prompted:
    """A batch of prompts, and, after the rollout, the answers that are compared."""

    batch: Batch
    excluded: Int[Tensor, "B E"] | None
    """Items that may not be answered."""
    group: Group | None = None
    shown: Shown = field(default_factory=dict)
    reference: Float[Tensor, "B C L"] | None = None


class Aligned:
    """The objective: prompts, the recommender's answers, and the loss that the settings name.

    The recommender stays in evaluation mode: dropout would make the policy that answers another than the one that
    is trained.
    """

    higher_is_better: bool = NDCG.higher_is_better

    def __init__(self, worker: Worker, task: Task[Config], catalog: Catalog, index: Index, backbone: Backbone) -> None:
        config, recommender = task.config, model.filled(task.config.recommender)
        sequences = Sequences.read(task.inputs["sequences"])
        self.worker, self.config, self.index = worker, config, index
        self.model: nn.Module = backbone
        self.backbone, self.reference = backbone, self._kept(backbone)
        self.reward = None if config.reward is None else rewards.load(config.reward, task.inputs, worker.device)
        self.prompts = TrainingRows(catalog, sequences, config.training.seed)
        self.steps = max(1, (config.prompts_per_epoch or len(self.prompts)) // config.batch_size)
        share = config.batch_size // worker.size
        self.at_once = config.micro_batch or share
        self.accumulation: Accumulation[Prompted] = Accumulation(micro_batches=share // self.at_once)
        self.excludes = recommender.valid_history == "excluded"
        self.judge = model.validation_ranker(worker, catalog, index, sequences, recommender)

    def _kept(self, backbone: Backbone) -> Backbone | None:
        """A frozen copy of the initial recommender, whole on every worker; None where the objective needs none."""
        if not self.config.objective.needs_reference:
            return None
        kept = copy.deepcopy(backbone).requires_grad_(False).eval()
        return kept.to(self.worker.device)

    def steps_per_epoch(self) -> int:
        return self.steps

    def batches(self, epoch: int) -> Iterator[Prompted]:
        self.model.eval()
        for step in range(epoch * self.steps, (epoch + 1) * self.steps):
            rows = self.prompts.step(step, self.config.batch_size)[self.worker.rank :: self.worker.size]
            for start in range(0, len(rows), self.at_once):
                yield self.prompted(rows[start : start + self.at_once])

    def prompted(self, rows: Int[np.ndarray, " B"]) -> Prompted:
        """The prompts of some training interactions."""
        device = self.worker.device
        excluded = self.prompts.past(rows).to(device) if self.excludes else None
        return Prompted(self.prompts.batch(rows).to(device), excluded)

    def rollout(self, prompted: Prompted) -> Prompted:
        """Prompts with the items that are compared, and the reference's log probabilities of these."""
        objective, batch = self.config.objective, prompted.batch
        answers = self.answers(prompted) if objective.explores else batch.targets[:, None]
        worth = None if self.reward is None else rewards.of(self.reward, batch.histories, answers)
        group, shown = objective.group(Answered(answers, batch.targets, self.index.codes, worth))
        found = replace(prompted, group=group, shown=shown)
        if self.reference is None:
            return found
        return replace(found, reference=self.reference.log_probs_of(batch.histories, group.items, self.index))

    def answers(self, prompted: Prompted) -> Int[Tensor, "B G"]:
        """The recommender's items for each prompt, best first where it searches."""
        limits, histories, k = Limits(excluded=prompted.excluded), prompted.batch.histories, self.config.answers
        if self.config.rollout == "beam":
            return self.backbone.likeliest(histories, self.index, k=k, limits=limits).items
        return self.backbone.draw(histories, self.index, k=k, temperature=self.config.temperature, limits=limits)

    def loss(self, prompted: Prompted) -> tuple[Float[Tensor, ""], Parts]:
        """The mean loss over prompts; those without a gradient are skipped."""
        assert prompted.group is not None
        group, histories = prompted.group, prompted.batch.histories
        if group.useful is not None:
            rows = group.useful.nonzero()[:, 0]
            rows = rows if len(rows) else rows.new_zeros(1)
            group, histories = group.rows(rows), histories[rows]
        log_p = self.backbone.log_probs_of(histories, group.items, self.index)
        losses, shown = self.config.objective.loss(group, log_p, prompted.reference)
        return losses.sum() / len(prompted.batch.targets), {**prompted.shown, **shown}

    def validate(self) -> Metrics:
        return self.judge(self.backbone)
