"""ItemKNN: items that the same users took, seen from the history, its latest items first.

    s_ij = c_ij / sqrt(c_i c_j) * c_ij / (c_ij + shrinkage), s_ii = 0        c: numbers of training users
    score(j) = sum over the history's items i of decay^age(i) * s_ij        age 0 is the latest

Where kinds of event have weights, c_ij is the sum over users of the product of the two items', and c_i is c_ii.
Shrinkage and decay are those of the best validation NDCG@10, history excluded, on the given grid: a tuned
ItemKNN with recency is about as strong as published generative recommenders. B batch, N items.
"""

from dataclasses import dataclass, field
from itertools import product
from typing import Annotated

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Baseline, BaselineConfig, Histories, validation_ndcg, validation_rows
from unisid.bounds import CountOrNone, NotNegative, Range, Seed
from unisid.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config(BaselineConfig):
    """The grid, and how much validation it sees."""

    shrinkages: tuple[NotNegative, ...] = (0.0, 5.0, 20.0)
    """How little to trust a pair that few users share: as many users in common halve its similarity."""
    decays: tuple[Annotated[float, Range(0, 1, above=True)], ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    """Weight of a history item relative to the one after it; 1 for a bag of items."""
    validation_samples: CountOrNone = 4000
    """Validation samples that decide, drawn by seed where there are more."""
    seed: Seed = 42
    """Draws the validation samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.shrinkages and self.decays):
            raise ConfigError(
                f"itemknn: shrinkages {self.shrinkages}, decays {self.decays}: must each name at least one value"
            )

    def build(self, catalog: Catalog) -> Baseline:
        users, items = catalog.training_edges()
        weights = catalog.training_weights()
        held = np.ones(len(users), np.float32) if weights is None else weights.astype(np.float32)
        taken = sp.csr_matrix((held, (users, items)), shape=(catalog.num_users, catalog.num_items))
        return choose(self, taken, catalog)


@dataclass
class ItemKnn:
    """A fitted ItemKNN."""

    similarity: sp.csr_matrix
    """[N, N], float32, no diagonal."""
    decay: float
    chosen: dict[str, float] = field(default_factory=dict)

    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        weights = np.power(np.float32(self.decay), histories.ages.astype(np.float32))
        shape = (len(histories), self.similarity.shape[0])
        seen = sp.csr_matrix((weights, (histories.rows, histories.items)), shape=shape)
        return torch.from_numpy((seen @ self.similarity).toarray())


def count_pairs(taken: sp.csr_matrix) -> tuple[sp.csr_matrix, np.ndarray]:
    """c_ij, the users who took both [N, N] (without the diagonal), and c_i = c_ii [N], from users' items [U, N]."""
    both = (taken.T @ taken).tocsr()
    single = both.diagonal()
    both.setdiag(0)
    both.eliminate_zeros()
    return both, single


def cosine(both: sp.csr_matrix, single: np.ndarray, shrinkage: float) -> sp.csr_matrix:
    """c_ij / sqrt(c_i c_j), times c_ij / (c_ij + shrinkage)."""
    rows = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
    similarity = both.data / np.sqrt(single[rows] * single[both.indices])
    damped = similarity * (both.data / (both.data + np.float32(shrinkage)))
    return sp.csr_matrix((damped, both.indices, both.indptr), shape=both.shape)


def choose(config: Config, taken: sp.csr_matrix, catalog: Catalog) -> ItemKnn:
    """The model of the grid that ranks validation best; the first one where there is no validation."""
    both, single = count_pairs(taken)
    grid = list(product(config.shrinkages, config.decays))
    rows = validation_rows(catalog, config.validation_samples, config.seed)
    best, best_score = ItemKnn(cosine(both, single, grid[0][0]), grid[0][1]), -1.0
    for shrinkage in config.shrinkages:
        similarity = cosine(both, single, shrinkage)
        for decay in config.decays if len(rows) else ():
            model = ItemKnn(similarity, decay)
            score = validation_ndcg(model, catalog, rows)
            if score > best_score:
                model.chosen = {"shrinkage": shrinkage, "decay": decay, "valid_NDCG@10": score}
                best, best_score = model, score
    return best
