"""A recommender as a model of the transformers library: what its folder holds, and how prompts are built. L levels."""

from __future__ import annotations  # torch is named here and not imported

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unisid.config import Json
from unisid.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class HuggingFace:
    """A model as the library keeps it."""

    files: Mapping[str, bytes]
    """What lies beside the weights."""
    weights: Mapping[str, Tensor]
    """Under the library's names, tied ones once."""
    level_starts: tuple[int, ...]
    """The vocabulary entry of code 0, by level [L]."""
    prompting: Json
    """How a history becomes a prompt, in vocabulary entries."""


def none_of_it(kind: str) -> ConfigError:
    """The error for a backbone, by its kind, that is no model of the library."""
    return ConfigError(
        f"backbone '{kind}': is no model of the transformers library, so that no folder of it can be written; export a "
        "recommender of the kind tiger or lcrec"
    )
