"""`unisid update`."""

import functools
from dataclasses import dataclass
from typing import Annotated, Literal

from unisid.cli.configured import RecipeCommand
from unisid.cli.options import Flag, Machines, shown, text
from unisid.cli.tables import json_text


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """The gate: promoted only if not worse."""

    metric: str = "NDCG@10"
    """what decides: HR@K or NDCG@K"""
    history: Literal["excluded", "allowed"] = "excluded"
    """which items are ranked"""
    level: float = 0.05
    """refused if worse at this level"""
    most_loss: Annotated[float | None, shown("FLOAT")] = None
    """refused too unless a larger loss than this is ruled out"""
    least_samples: int = 30
    """test samples that it needs"""


@dataclass(frozen=True, kw_only=True)
class Update(RecipeCommand):
    """Take in a day's new items and interactions."""

    writes = True
    items: Annotated[str | None, text("FILE")] = None
    """the new items, with the columns of the recipe's tables"""
    interactions: Annotated[str | None, text("FILE")] = None
    """the new interactions, likewise"""
    to: Annotated[str | None, text("VERSION", "the next number")] = None
    """the new version"""
    epochs: int = 3
    """passes over the training samples"""
    rate: Annotated[float, shown("FLOAT", "a third of the recipe's")] = 0.0
    """the peak learning rate"""
    valid_share: float = 0.1
    """of the new samples, for validation"""
    test_share: float = 0.2
    """of them, to compare both by"""
    gate: GateOptions = GateOptions()
    compute: Machines = "ray"
    """where the work is done"""
    json: Flag = False
    """print the decision as JSON"""

    def act(self) -> None:
        from unisid.api.daily import day_tables
        from unisid.versions import update
        from unisid.versions.gate import Gate

        store = self.session.opened
        settings = update.Update(
            epochs=self.epochs,
            learning_rate=self.rate,
            valid_share=self.valid_share,
            test_share=self.test_share,
            gate=Gate(**vars(self.gate)),
        )
        recipe = day_tables(self.configured(), store, self.items, self.interactions)
        machines = functools.partial(self.session.machines, self.compute)
        found = update.update(recipe, store, settings, machines, self.session.tracking(), self.to or "")
        if self.json:
            print(json_text(found))
