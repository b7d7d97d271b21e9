"""BPR-MF: matrix factorisation that ranks what a user took above what they did not, by the package `implicit`.

    score(u, i) = <p_u, q_i> + b_i        Rendle et al., 2009

The strength of its penalty is that of the best validation NDCG@10, history excluded, on the given grid. It models
users, not histories. U users, N items.
"""

import importlib.util
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Baseline, BaselineConfig, validation_ndcg, validation_rows
from unisid.baselines.parts.factors import Factors
from unisid.bounds import Count, CountOrNone, NotNegative, Positive, Width
from unisid.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config(BaselineConfig):
    """The factors and how they are learned."""

    trained: ClassVar[bool] = True

    width: Width = 64
    """Of a user's and an item's vector, beside the item's bias."""
    epochs: Count = 100
    """Passes over the training pairs."""
    learning_rate: Positive = 0.05
    """Of plain gradient descent, one pair at a time."""
    penalties: tuple[NotNegative, ...] = (0.001, 0.01, 0.05)
    """Of squared norms; validation chooses."""
    validation_samples: CountOrNone = 4000
    """Validation samples that decide, drawn by seed where there are more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.penalties:
            raise ConfigError("bprmf.penalties: is empty; must name at least 1 value")

    def build(self, catalog: Catalog) -> Baseline:
        if importlib.util.find_spec("implicit") is None:
            raise ConfigError(
                "bprmf: needs the package implicit, which is not installed: pip install 'unisid[baselines]'"
            )
        users, items = catalog.training_edges()
        shape = (catalog.num_users, catalog.num_items)
        taken = sp.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=shape)
        seed = int(torch.randint(2**31, ()))
        rows = validation_rows(catalog, self.validation_samples, seed)
        found: list[tuple[float, Factors]] = []
        for penalty in self.penalties if len(rows) else self.penalties[:1]:
            fitted = fit(self, taken, penalty, seed)
            score = validation_ndcg(fitted, catalog, rows)
            fitted.chosen = {"penalty": penalty, "valid_NDCG@10": score}
            found.append((score, fitted))
        return max(found, key=lambda pair: pair[0])[1]


def fit(config: Config, taken: sp.csr_matrix, penalty: float, seed: int) -> Factors:
    """Factors of users' items [U, N]; one thread, because several would race for the same rows."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=config.width,
        learning_rate=config.learning_rate,
        regularization=penalty,
        iterations=config.epochs,
        num_threads=1,
        random_state=seed,
    )
    model.fit(taken, show_progress=False)
    users, items = torch.from_numpy(model.user_factors), torch.from_numpy(model.item_factors)
    users[np.diff(taken.indptr) == 0] = 0.0  # first draws, of which nothing was learned
    bias = config.width  # the last column; a user's is 1
    return Factors(users[:, :bias].contiguous(), items[:, :bias].contiguous(), items[:, bias].contiguous())
