"""`unisid update`: its words, and what carries them out."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from unisid.cli.tables import json_text

if TYPE_CHECKING:
    from unisid.cli.index import Session

    Command = Callable[..., argparse.ArgumentParser]


def add_commands(command: Command, session: Session) -> None:
    """Add `update` to the parser; settings of the recipe follow as `--section.key value`."""
    sub = command("update", lambda args: _update(args, session), "Take in a day's new items and interactions.")
    sub.add_argument("recipe", help="a ready recipe's name, or file.py:function; --section.key value may follow")
    sub.add_argument("--items", metavar="FILE", help="the new items, with the columns of the recipe's tables")
    sub.add_argument("--interactions", metavar="FILE", help="the new interactions, likewise")
    sub.add_argument("--to", default="", metavar="VERSION", help="the new version (default: the next number)")
    sub.add_argument("--epochs", type=int, default=3, help="passes over the training samples (default: 3)")
    sub.add_argument(
        "--rate", type=float, default=0.0, help="the peak learning rate (default: a third of the recipe's)"
    )
    sub.add_argument("--valid-share", type=float, default=0.1, help="of the new samples, for validation (default: 0.1)")
    sub.add_argument("--test-share", type=float, default=0.2, help="of them, to compare both by (default: 0.2)")
    gate = sub.add_argument_group("the gate: promoted only if not worse")
    gate.add_argument("--metric", default="NDCG@10", help="what decides: HR@K or NDCG@K (default: NDCG@10)")
    gate.add_argument("--history", choices=("excluded", "allowed"), default="excluded", help="which items are ranked")
    gate.add_argument(
        "--level", type=float, default=0.05, dest="gate_level", help="refused if worse at this level (default: 0.05)"
    )
    gate.add_argument("--most-loss", type=float, help="refused too unless a larger loss than this is ruled out")
    gate.add_argument("--least-samples", type=int, default=30, help="test samples that it needs (default: 30)")
    sub.add_argument("--compute", choices=("ray", "local"), default="ray", help="where the work is done")
    sub.add_argument("--json", action="store_true", help="print the decision as JSON")


def _update(args: argparse.Namespace, session: Session) -> None:
    from unisid.api.daily import day_tables
    from unisid.runtime.tracking import tracker
    from unisid.versions.gate import Gate
    from unisid.versions.update import Update, update

    store = session.store(args)
    gate = Gate(
        metric=args.metric,
        history=args.history,
        level=args.gate_level,  # `level` is that of the news
        most_loss=args.most_loss,
        least_samples=args.least_samples,
    )
    settings = Update(
        epochs=args.epochs,
        learning_rate=args.rate,
        valid_share=args.valid_share,
        test_share=args.test_share,
        gate=gate,
    )
    recipe = day_tables(session.recipe(args), store, args.items, args.interactions)
    machines = functools.partial(session.machines, args.compute)
    found = update(recipe, store, settings, machines, tracker(store.root), args.to)
    if args.json:
        print(json_text(found))
