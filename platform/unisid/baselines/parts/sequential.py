"""Settings that sequence models share beside their own shape: width, dropout, loss."""

from dataclasses import dataclass

from unisid.artifacts.catalog import Catalog
from unisid.baselines.parts.learned import LearnedBaseline, LearnedConfig, Loss
from unisid.bounds import Count, ShareBelowOne, Width
from unisid.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SequentialConfig(LearnedConfig):
    """Base of the settings of models of sequences; how far back they read, the catalog's `history_length` says."""

    width: Width = 64
    """D: of an item's vector, and of all that is compared or joined with it."""
    dropout: ShareBelowOne = 0.5
    """The share that is dropped of vectors and of what the parts find; less where users are many or long."""
    loss: Loss = "ce"
    """ce: softmax over all items; sampled: over `num_negatives` of them, for large catalogues; bce: the first papers',
    against one item."""
    num_negatives: Count = 1024
    """Of `sampled`."""

    def build(self, catalog: Catalog) -> LearnedBaseline:
        """Raises ConfigError where a window may hold every item, so that none is left to be the negative of `bce`."""
        if self.loss == "bce" and catalog.num_items <= catalog.history_length + 1:
            raise ConfigError(
                f"{self.kind}.loss: bce needs an item that a window of {catalog.history_length + 1} does "
                f"not hold, of {catalog.num_items}; choose ce"
            )
        return super().build(catalog)
