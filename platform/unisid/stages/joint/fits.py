"""Whether what is to be trained together fits together: found before anything trains."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unisid.artifacts.baseline import Baseline
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.fused import Fused
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Place
from unisid.backbones import BackboneConfig, tiger
from unisid.config import Json, plug_ins
from unisid.errors import ArtifactError, ConfigError
from unisid.joint import JointConfig
from unisid.stages.extension import Base
from unisid.tokenizers import TokenizerConfig, read_tokenizer

ITEMS = "items.weight"
"""The weights of a baseline that are its item vectors."""


def check_planned(config: Any, tokenizer: TokenizerConfig, instructed: bool, catalog: Json) -> None:
    """Refuse, in a plan, halves that cannot be trained together.

    Args:
        config: the stage's settings.
        instructed: whether the recipe has instructions.
        catalog: the address and the fingerprint of the recipe's.

    Raises:
        ConfigError: for a tokenizer or a recommender that the method cannot train.
        ArtifactError: for a trained teacher of another catalog.
    """
    method, recommender = config.method, config.recommender
    if method.needs_teacher:
        check_teacher(config.teacher_at, catalog)
    if tokenizer.kind not in method.tokenizers:
        fit = " or ".join(kind for kind in plug_ins("tokenizers") if kind in method.tokenizers)
        raise ConfigError(
            f"codes.tokenizer: '{tokenizer.kind}' cannot be trained by joint.method '{method.kind}'; must be {fit}"
        )
    _check_backbone(recommender.backbone)
    if instructed:
        raise ConfigError(
            "joint: a recipe with instructions teaches a language model, which is not trained with its "
            "tokenizer; leave one of them out"
        )
    if recommender.starts_from is not None:
        raise ConfigError(
            f"model.starts_from: is {recommender.starts_from.address}, and the recipe's joint training "
            "begins anew; leave one of them out"
        )


def _check_backbone(backbone: BackboneConfig) -> None:
    if not isinstance(backbone, tiger.Config):
        raise ConfigError(f"model.backbone: '{backbone.kind}' cannot be trained with its tokenizer; must be tiger")


def check_teacher(teacher: Base | None, catalog: Json) -> None:
    """Raise ArtifactError for a trained teacher of another catalogue.

    Args:
        catalog: the address and the fingerprint of the recipe's.
    """
    if teacher is None:
        return
    record = read_record(teacher.open("baseline"))
    of = (record.inputs if record is not None else {}).get("catalog", {"address": "none", "fingerprint": ""})
    if of["fingerprint"] != catalog["fingerprint"]:
        raise ArtifactError(
            f"joint.teacher_at: {teacher.address} was trained on {of['address']} ({of['fingerprint'][:12]}), this "
            f"recipe's items are those of {catalog['address']} ({catalog['fingerprint'][:12]}); give one of these"
        )


def check_inputs(inputs: Mapping[str, Place], method: JointConfig, teacher: Base | None) -> None:
    """Refuse an index or vectors of another number of items, another tokenizer, and a teacher of another catalogue.

    Raises:
        ArtifactError: for artifacts of different catalogs.
        ConfigError: for a tokenizer, or a teacher, of which nothing can be learned.
    """
    catalog, codes = Catalog.read(inputs["catalog"]), Codes.read(inputs["codes.first"])
    vectors = Fused.read(inputs["fused"]).shards
    if not len(codes.codes) == len(vectors) == catalog.num_items:
        raise ArtifactError(
            f"{codes.place}: has codes for {len(codes.codes)} items, {vectors.place} has {len(vectors)} vectors, the "
            f"catalog {catalog.place} has {catalog.num_items} items; all must come from one recipe"
        )
    tokenizer = read_tokenizer(codes.place)
    config: TokenizerConfig = tokenizer.config  # type: ignore[assignment]
    if config.kind not in method.tokenizers:
        raise ConfigError(
            f"{codes.place}: was made by '{config.kind}'; joint.method '{method.kind}' trains "
            f"{', '.join(method.tokenizers)}"
        )
    if codes.sizes[: config.num_levels] != config.sizes or not 0 <= codes.num_levels - config.num_levels <= 1:
        raise ArtifactError(
            f"{codes.place}: has levels of {list(codes.sizes)} codes, its tokenizer of {list(config.sizes)}; must be "
            "the same, and at most one more that counts"
        )
    if method.needs_teacher:
        check_teacher(teacher, {"address": catalog.record.address, "fingerprint": catalog.record.fingerprint})
        taught = len(teacher_vectors(inputs, teacher))
        if taught < catalog.num_items:
            raise ArtifactError(
                f"{inputs.get('baseline.teacher')}: has vectors of {taught} items, the catalog "
                f"{catalog.num_items}; both must come from one catalog"
            )


def teacher_vectors(inputs: Mapping[str, Place], teacher: Base | None) -> Float[Tensor, "N E"]:
    """The item vectors of the teacher; raises ConfigError where it has none."""
    found = Baseline.read(inputs["baseline.teacher"] if teacher is None else teacher.open("baseline"))
    weights = found.weights()
    if ITEMS not in weights:
        raise ConfigError(
            f"joint.teacher: {found.record.address} is a '{found.method}', which has no vector of each "
            "item; must be one that has, such as sasrec"
        )
    return weights[ITEMS].to(torch.float32)
