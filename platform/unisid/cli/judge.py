"""`unisid judge` and `unisid certify`: ranked lists under this product's evaluator, and how sure a search is."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional

from unisid.cli.options import UNSAID, Flag, Machines, at_most_one, several, shown, text
from unisid.cli.session import Command
from unisid.config import json_text
from unisid.errors import ConfigError
from unisid.log import logger

LOG = logger(__name__)
Width = int | tuple[int, ...]


def _width(text: str) -> Width:
    """'50', or by level '100,20'; raises ValueError where it is neither."""
    first, *others = (int(width) for width in text.split(","))
    return (first, *others) if others else first


@dataclass(frozen=True, kw_only=True)
class Judge(Command):
    """Compare ranked lists, or semantic IDs, of any systems under one evaluator."""

    lists: Annotated[tuple[str, ...], several(str, "[NAME=]PATH[,PATH...]"), UNSAID] = ()
    """lists of a system: a table of user, item and rank or score, or a TREC run; several paths are seeds"""
    ids: Annotated[tuple[str, ...], several(str, "[NAME=]WHERE"), UNSAID] = ()
    """the index whose semantic IDs a system's lists are of, as --codes takes them; without a name: of all lists"""
    users: Annotated[tuple[str, ...], several(str, "[NAME=]FILE"), UNSAID] = ()
    """the users, in order, of lists that name none, as GRID and MiniOneRec write them"""
    metrics: Annotated[tuple[str, ...], several(str, "[NAME=]ADDRESS[,ADDRESS...]"), UNSAID] = ()
    """methods of metrics/demo/1; several addresses are seeds; with a name, the recommender alone"""
    catalog: Annotated[str | None, text("ADDRESS", "the newest")] = None
    """whose test samples, such as catalog/demo/1"""
    cutoffs: Annotated[tuple[int, ...], several(int, "K"), UNSAID] = ()
    """of the metrics"""
    difference: Annotated[float | None, shown("FLOAT", "the one that is seen")] = None
    """that the power is about"""
    columns: Annotated[tuple[str, ...], several(str, "KIND=NAME"), UNSAID] = ()
    """what is user, item, rank, score or time"""
    codes: Annotated[tuple[str, ...], several(str, "NAME=WHERE"), UNSAID] = ()
    """semantic IDs of a system: an index (codes/shop/1), a package, or a file as LC-Rec and others write it"""
    items: Annotated[str | None, text("FILE")] = None
    """with codes or ids: the shop's ids of items that files number (item2id)"""
    predict: Annotated[str | None, text("FILE")] = None
    """with codes: indexes.json of an experiment, for the NDCG to expect"""
    train: Annotated[str | None, text("RECIPE")] = None
    """with codes: a recipe whose recommender is trained on each of them, beside its own"""
    seeds: Annotated[tuple[int, ...], several(int, "SEED"), UNSAID] = ()
    """with train: of every recommender; nothing for the recipe's own"""
    compute: Machines = "ray"
    """where a recipe's work is done"""
    json: Flag = False
    """print JSON instead of tables"""

    @property
    def shows_news(self) -> bool:
        return True  # above its tables

    def act(self) -> None:
        from unisid.cli.judge_codes import judge_codes
        from unisid.cli.judge_lists import judge_lists

        if not self.codes and (self.train or self.predict or self.seeds):
            raise ConfigError("--train, --seeds and --predict: are about semantic IDs; name some by --codes")
        if self.seeds and not self.train:
            raise ConfigError("--seeds: are of the recommenders that --train trains; name its recipe")
        if (self.ids or self.users or self.columns) and not self.lists:
            raise ConfigError("--ids, --users and --columns: are about ranked lists; name some by --lists")
        if self.items and not (self.codes or self.ids):
            raise ConfigError("--items: is about files of semantic IDs; name some by --codes, or by --ids for --lists")
        if self.codes:
            judge_codes(self)
        else:
            judge_lists(self)


@dataclass(frozen=True, kw_only=True)
class Certify(Command):
    """Show for how many test users a beam of each width certainly finds the best items."""

    model: Annotated[Positional[str], at_most_one("ADDRESS"), UNSAID] = ""
    """such as model/demo/1; nothing for the one in use"""
    codes: Annotated[str | None, text("ADDRESS", "its own")] = None
    """an index that extends the recommender's, such as codes/demo/2"""
    widths: Annotated[tuple[Width, ...], several(_width, "BEAM")] = (10, 20, 50, 100)
    """of the beam, such as 50, or by level 100,20"""
    k: int = 10
    """items wanted"""
    users: int = 1000
    """test users to try, drawn by seed"""
    json: Flag = False
    """print JSON instead of a table"""

    @property
    def shows_news(self) -> bool:
        return True  # above its table

    def act(self) -> None:
        from unisid.artifacts.catalog import Catalog
        from unisid.artifacts.store import Address
        from unisid.evaluation.certainty import certainty
        from unisid.in_use import named_pair
        from unisid.report.judgement import certainties
        from unisid.serving.recommender import Recommender

        if self.users < 1:
            raise ConfigError(f"--users: is {self.users}; must be at least 1")
        model, codes = (Address.parse(text) if text else None for text in (self.model, self.codes))
        pair = named_pair(self.session.opened, model, codes, None)
        recommender = Recommender.load(pair.model, pair.codes, pair.catalog, vectors=pair.vectors)

        def advance(width: Width) -> None:
            LOG.info(f"beam {width} done")

        found = certainty(recommender, Catalog.read(pair.catalog), self.widths, self.k, self.users, advance)
        print(json_text({"model": str(pair.model.address)} | found) if self.json else certainties(found))
