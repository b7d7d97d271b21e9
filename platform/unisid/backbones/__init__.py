"""Backbones: from a history of items, the next item's semantic id.

Histories and targets are item numbers; an `Index` says which codes and which vectors the items have. Tokens are
numbered as `Codes.tokens` does, level after level from 0; `PAD` fills short rows on the right. Other vocabulary
entries (specials, words) are backbone-specific. What a kind implements is one of `Backbone`, `TokenBackbone` and
`LanguageBackbone`, which lie in `parts/` and are imported from here.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

from unisid.backbones.parts.index import PAD as PAD
from unisid.backbones.parts.index import Index as Index
from unisid.backbones.parts.index import draw_items as draw_items
from unisid.backbones.parts.index import level_starts as level_starts
from unisid.backbones.parts.interface import NO_LIMITS as NO_LIMITS
from unisid.backbones.parts.interface import Backbone as Backbone
from unisid.backbones.parts.interface import Batch as Batch
from unisid.backbones.parts.interface import Limits as Limits
from unisid.backbones.parts.language import NO_LOSS as NO_LOSS
from unisid.backbones.parts.language import LanguageBackbone as LanguageBackbone
from unisid.backbones.parts.language import Packed as Packed
from unisid.backbones.parts.tokens import TokenBackbone as TokenBackbone
from unisid.config import Json, PlugIn
from unisid.errors import ConfigError


class BackboneConfig(PlugIn):
    """Base of every backbone's settings."""

    aligns: ClassVar[bool] = True
    """Whether it can learn from its own answers: whether what it is ranked by has a log p with a gradient."""

    @property
    def learns_from(self) -> Literal["samples", "windows"]:
        """Histories with one target each, or windows of users' sequences in which every item but the first is one."""
        return "samples"

    @abstractmethod
    def build(self, index: Index) -> Backbone:
        """A backbone with fresh weights for the items of an index; pretrained ones where it begins there."""

    def rebuild(self, index: Index, files: Mapping[str, bytes]) -> Backbone:
        """The structure alone, of what `Backbone.files` wrote; a trained model's weights are loaded into it."""
        return self.build(index)

    def vectors(self) -> tuple[str, ...]:
        """The names of the item vectors that it reads (fused, graph): nouns whose artifacts hold them."""
        return ()

    def reads(self) -> tuple[Literal["keywords"], ...]:
        """Nouns besides vectors that its first weights are made from."""
        return ()

    def sources(self) -> dict[str, Json]:
        """Pretrained weights that go in: role -> address and fingerprint."""
        return {}


def check_length(kind: str, max_length: int, length: int) -> None:
    """Raises ConfigError where a catalogue's histories, of so many items, are longer than what a backbone reads."""
    if length > max_length:
        raise ConfigError(
            f"{kind}.max_length: is {max_length}, the catalogue's histories have {length} items; must be at least that"
        )
