"""`unisid update`."""

import functools
from dataclasses import dataclass
from typing import Annotated, Literal

from unisid.cli.configured import RecipeCommand, options, word_of
from unisid.cli.options import Flag, Machines, shown, text
from unisid.config import json_text
from unisid.console import styled


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
    least_users: int = 30
    """users with test samples that it needs"""


@dataclass(frozen=True, kw_only=True)
class Update(RecipeCommand):
    """Take in a day's new items and interactions.

    Settings are those that the index and the recommender in use were made with, as their records have them. A recipe
    says by its name what is in use, and adds how the recommender is measured.
    """

    writes = True
    items: Annotated[str | None, text("FILE")] = None
    """the new items, with the columns of the catalogue's tables"""
    interactions: Annotated[str | None, text("FILE")] = None
    """the new interactions, likewise"""
    to: Annotated[str | None, text("VERSION", "the next number")] = None
    """the new version"""
    epochs: int = 3
    """passes over the training samples"""
    rate: Annotated[float, shown("FLOAT", "a third of the recommender's first")] = 0.0
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
        from unisid import recipes
        from unisid.api.daily import beginning, day_tables
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
        named = recipes.find(self.recipe) if self.recipe else None
        begins = beginning(named, store, word_of(self.settings, "name"))
        with styled():
            whole = recipes.configure(begins.recipe, list(self.settings), own=options(self))
        recipe = day_tables(whole, store, self.items, self.interactions)
        machines, tracking = functools.partial(self.session.machines, self.compute), self.session.tracking()
        on = begins.model, begins.codes
        found = update.update(recipe, store, settings, machines, tracking, self.to or "", on)
        if self.json:
            print(json_text(found))
