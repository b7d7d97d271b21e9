"""fused, codes.first, sequences (and a teacher) -> joint: a tokenizer and a recommender that learn from one another.

It begins with an index and its tokenizer, `codes.first`, which the ordinary stage made; and ends with both halves and
the ids between them, from which `codes` and `model` are made (`stages/codes/emitted.py`, `stages/model/emitted.py`).
After an epoch in which the tokenizer moved, all ids are made anew and stay unique; trie, labels and the counting level
follow at the same point. N items, L levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes, write_codes
from unisid.artifacts.model import write_model
from unisid.artifacts.sequences import Sequences
from unisid.artifacts.vectors import item_vectors
from unisid.artifacts.weights import write_weights
from unisid.backbones import Batch, Index
from unisid.backbones.tiger import Tiger
from unisid.bounds import Settings
from unisid.compute import Job, Metrics, Stream, Task, Worker
from unisid.config import Json, to_record
from unisid.errors import ConfigError
from unisid.evaluation.validation import CUTOFF
from unisid.joint import MOVED_BY, Joint, JointConfig, Pair, unigrec
from unisid.legend import NDCG
from unisid.log import logger
from unisid.stages import baseline, model
from unisid.stages.catalog.summary import repeated_in
from unisid.stages.extension import Base, take_over
from unisid.stages.joint.changes import changes
from unisid.stages.joint.current import Live, unique_now
from unisid.stages.joint.fits import check_inputs, teacher_vectors
from unisid.tokenizers import DESCRIPTION, WEIGHTS, read_tokenizer
from unisid.training import loop
from unisid.training.loop import Accumulation
from unisid.training.objective import Parts

LOG = logger(__name__)

FIRST, TEACHER = "codes.first", "baseline.teacher"
"""The roles of the index that it begins with, and of the recommender that teaches."""


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """How the recipe's tokenizer and its recommender are trained together, after the tokenizer was by itself."""

    method: JointConfig = field(default_factory=unigrec.Config)
    """Any kind in `joint`."""
    teacher: baseline.Config | None = None
    """The recommender without ids whose item vectors teach; trained first, as any baseline is."""
    teacher_at: Base | None = None
    """A trained baseline that teaches in place of `teacher`, by its address (baseline/NAME/VERSION); of the same
    catalog."""
    recommender: model.Config | None = None
    """The recipe's own `model`, which learns here: filled in where a run is planned."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method.needs_teacher and self.teacher is None and self.teacher_at is None:
            raise ConfigError(
                f"joint.method: '{self.method.kind}' distils a teacher, and there is none; give "
                "joint.teacher or joint.teacher_at, or set the weights of what it teaches to "
                "0"
            )
        if self.teacher is not None and not self.teacher.baseline.trained:
            raise ConfigError(
                f"joint.teacher: '{self.teacher.baseline.kind}' learns no item vectors; must be a "
                "baseline that is trained, such as sasrec"
            )


def inputs(config: Config) -> tuple[str, ...]:
    """The roles that it reads."""
    taught = (TEACHER,) if config.method.needs_teacher and config.teacher_at is None else ()
    return ("catalog", "fused", FIRST, "sequences", *taught)


def sources(config: Config) -> dict[str, Json]:
    """The teacher, where another run trained it."""
    used = config.method.needs_teacher and config.teacher_at is not None
    return {"teacher": config.teacher_at.source()} if used and config.teacher_at else {}


def make(job: Job[Config]) -> Json:
    """Train both, keep the best weights and their ids; says how it went."""
    task = job.task
    check_inputs(job.inputs, job.config.method, job.config.teacher_at)
    recommender = model.filled(task.config.recommender)
    left = repeated_in(Catalog.read(job.inputs["catalog"]).record.counts, "valid", "set model.valid_history to allowed")
    if left and recommender.valid_history == "excluded":
        LOG.warning(left)
    job.judged_by(NDCG)
    stream = Stream(job.inputs["sequences"], "train-", ("history", "target"))
    counts = job.compute.fit(
        train, task, name=job.name, pool=recommender.pool, work=job.work, streams={"train": stream}, report=job.report
    )
    moved, first = counts["moved"]["changed_share"], counts["moved"]["changed_first_level"]
    LOG.info(f"{moved:.1%} of the items have other codes than before, {first:.1%} from the first level on")
    return counts


def train(worker: Worker, task: Task[Config]) -> Json:
    """Run on every worker: train both halves; the first worker writes them."""
    config, recommender = task.config, model.filled(task.config.recommender)
    catalog, codes = Catalog.read(task.inputs["catalog"]), Codes.read(task.inputs[FIRST])
    index = Index.of(codes.codes, codes.sizes)
    torch.manual_seed(recommender.training.seed)
    backbone = recommender.backbone.build(index)
    assert isinstance(backbone, Tiger)
    backbone.count(catalog, index)
    tokenizer = read_tokenizer(codes.place).requires_grad_(config.method.tokenizer_rate > 0)
    vectors = torch.from_numpy(item_vectors(task.inputs, ("fused",))["fused"])
    teacher = teacher_vectors(task.inputs, config.teacher_at) if config.method.needs_teacher else None
    joint = config.method.build(Pair(tokenizer, backbone, vectors, index.codes, codes.sizes, teacher))
    objective = Jointly(worker, task, joint.to(worker.device), index.to(worker.device), catalog)
    outcome = loop.run(worker, objective, recommender.training, objective.accumulation)
    objective.follow()
    reader = joint.eval().reader()
    with torch.no_grad():
        soft = {} if reader is None else {f"soft_ndcg_{CUTOFF}": objective.judge(reader)["score"]}
    if worker.rank == 0:
        take_over(codes.place, task.out, (DESCRIPTION,))
        write_weights(task.out, WEIGHTS, tokenizer.state_dict())
        write_codes(task.out, joint.codes.cpu().numpy(), codes.sizes)
        write_model(task.out, to_record(recommender.backbone), backbone.weights(), backbone.files())
    samples = outcome.epochs * objective.steps_per_epoch() * recommender.batch_size
    return {
        "items": len(codes.codes),
        "sizes": list(codes.sizes),
        "parameters": sum(p.numel() for p in backbone.parameters()),
        f"valid_ndcg_{CUTOFF}": outcome.best_score,
        **soft,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "precision": outcome.precision,
        "samples_per_second": round(samples / max(outcome.seconds, 1e-9), 1),
        "moved": changes(codes.codes, joint.codes.cpu().numpy(), len(tokenizer.codebooks)),
    }


class Jointly:
    """The objective: the method's loss on batches of the recommender's kind, over ids that follow the tokenizer."""

    higher_is_better: bool = NDCG.higher_is_better
    parts: tuple[str, ...] = MOVED_BY
    whole_epochs = True
    """Ids are made anew before an epoch, and are in no checkpoint."""

    def __init__(self, worker: Worker, task: Task[Config], joint: Joint, index: Index, catalog: Catalog) -> None:
        config, recommender = task.config, model.filled(task.config.recommender)
        self.worker, self.joint, self.method = worker, joint, config.method
        self.model: nn.Module = joint
        self.judge = model.validation_ranker(
            worker, catalog, index, Sequences.read(task.inputs["sequences"]), recommender
        )
        self.plain = model.NextItem(worker, Task(recommender, task.inputs, task.out), index, joint.backbone, self.judge)
        self.rate = recommender.training.learning_rate
        self.epoch, self.fresh = 0, True

    @property
    def accumulation(self) -> Accumulation[Batch]:
        """How micro-batches add up."""
        return self.plain.accumulation

    def steps_per_epoch(self) -> int:
        return self.plain.steps_per_epoch()

    def shares(self, epoch: int) -> tuple[float, float]:
        tokenizer, rest = self.joint.shares(epoch)
        return tokenizer * self.method.tokenizer_rate / self.rate, rest

    def batches(self, epoch: int) -> Iterator[Batch]:
        if not self.fresh or epoch != self.epoch + 1:  # a fit that goes on may have been saved before codes were made
            self.refresh(epoch)
        self.follow()
        self.epoch, self.fresh = epoch, False
        return self.plain.batches(epoch)

    def loss(self, batch: Batch) -> tuple[Float[Tensor, ""], Parts]:
        loss, parts = self.joint.loss(batch, self.plain.index, self.worker, self.epoch)
        return loss, parts

    def validate(self) -> Metrics:
        """As the emitted pair is judged: by hard codes, made anew."""
        self.refresh(self.epoch + 1)
        self.follow()
        self.fresh = True
        return self.judge(self.joint.backbone)

    @torch.no_grad()
    def refresh(self, epoch: int) -> None:
        """Make all ids anew, before an epoch, where the tokenizer has moved; on one worker, which hands them to all."""
        if self.method.tokenizer_rate == 0 or epoch == 0:
            return
        joint = self.joint
        if self.worker.rank == 0:
            live = Live(joint.tokenizer, joint.vectors)
            codes, moved = unique_now(live, joint.sizes, len(joint.tokenizer.codebooks))
            joint.codes.copy_(torch.from_numpy(codes))
            joint.moved.copy_(torch.from_numpy(moved))
        self.worker.broadcast(joint.codes)
        joint.moved.copy_(self.worker.broadcast(joint.moved.int()).bool())

    def follow(self) -> None:
        """Let labels, the trie and validation be of the present ids."""
        if torch.equal(self.plain.index.codes, self.joint.codes):
            return
        index = Index.of(self.joint.codes.cpu().numpy(), self.joint.sizes).to(self.worker.device)
        self.plain.index = self.judge.index = index
