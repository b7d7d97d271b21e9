"""`unisid judge` and `unisid certify`: ranked lists under this product's evaluator, and how sure a search is."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from unisid.cli.options import UNSAID, Flag, Machines, at_most_one, named, several, shown, text
from unisid.cli.session import Command
from unisid.config import json_text
from unisid.errors import ConfigError
from unisid.log import logger

if TYPE_CHECKING:
    from unisid.artifacts.catalog import Catalog
    from unisid.evaluation.ranks import Ranks

LOG = logger(__name__)
Width = int | tuple[int, ...]


def _width(text: str) -> Width:
    """'50', or by level '100,20'; raises ValueError where it is neither."""
    first, *others = (int(width) for width in text.split(","))
    return (first, *others) if others else first


@dataclass(frozen=True, kw_only=True)
class Judge(Command):
    """Compare ranked lists, or semantic IDs, of any systems under one evaluator."""

    lists: Annotated[tuple[str, ...], several(str, "NAME=PATH[,PATH...]"), UNSAID] = ()
    """lists of a system: a table of user, item and rank or score, or a TREC run; several paths are seeds"""
    metrics: Annotated[tuple[str, ...], several(str, "ADDRESS"), UNSAID] = ()
    """this product's methods, such as metrics/demo/1; several addresses are seeds of the same methods"""
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
    """with codes: the shop's ids of items that files number (item2id)"""
    predict: Annotated[str | None, text("FILE")] = None
    """with codes: indexes.json of an experiment, for the NDCG to expect"""
    train: Annotated[str | None, text("RECIPE")] = None
    """with codes: a recipe whose recommender is trained on each of them, beside its own"""
    compute: Machines = "ray"
    """where a recipe's work is done"""
    json: Flag = False
    """print JSON instead of tables"""

    @property
    def shows_news(self) -> bool:
        return True  # above its tables

    def act(self) -> None:
        from unisid.cli.judge_codes import judge_codes

        if not self.codes and (self.train or self.predict or self.items):
            raise ConfigError("--train, --predict and --items: are about semantic IDs; name some by --codes")
        if self.codes:
            judge_codes(self)
        else:
            self._judge_lists()

    def _judge_lists(self) -> None:
        from unisid.artifacts.catalog import Catalog
        from unisid.artifacts.lookup import newest_of, place_of
        from unisid.artifacts.metrics import Metrics
        from unisid.artifacts.store import Address
        from unisid.evaluation.ranks import check_cutoffs, usable_cutoffs
        from unisid.judging.judgement import judge, recorded
        from unisid.report.judgement import judgement

        store = self.session.opened
        address = Address.parse(self.catalog) if self.catalog else newest_of(store, "catalog", None)[0]
        catalog = Catalog.read(place_of(store, address))
        check_cutoffs(self.cutoffs, "--cutoffs")
        if self.difference is not None and not 0 < self.difference <= 1:
            raise ConfigError(f"--difference: is {self.difference}; must be above 0 and at most 1, such as 0.01")
        systems: dict[str, list[Ranks]] = {}
        lengths = []
        for name, paths in named(self.lists, "--lists"):
            systems[name] = []
            for path in paths.split(","):
                ranks, longest = _ranked(path, name, catalog, dict(named(self.columns, "--columns")))
                systems[name].append(ranks)
                lengths.append(longest)
        most = min([catalog.num_items, *lengths])
        of = "catalogue's" if most == catalog.num_items else "shortest lists'"
        cutoffs = usable_cutoffs(self.cutoffs, most, "--cutoffs", of)
        given = set(systems)
        for measured in self.metrics:
            metrics = Metrics.read(place_of(store, Address.parse(measured)))
            for name, ranks in recorded(metrics, catalog).items():
                if name in given:
                    raise ConfigError(f"--lists: '{name}' is a method of {measured}; give the lists another name")
                systems.setdefault(name, []).append(ranks)
        if not systems:
            raise ConfigError("unisid judge: no system is given; give --lists NAME=PATH, --metrics ADDRESS or both")
        found = judge(systems, catalog, cutoffs, self.difference)
        print(json_text(found) if self.json else judgement(found))


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


def _ranked(path: str, name: str, catalog: Catalog, columns: dict[str, str]) -> tuple[Ranks, int]:
    """The ranks of one file of lists, and the longest list; logs what is odd about them."""
    from unisid.artifacts.catalog import TEST
    from unisid.judging.lists import read_lists
    from unisid.judging.ranks import ranks_of

    lists, rows = read_lists(path, catalog, columns), catalog.samples(TEST)
    ranks, lengths = ranks_of(lists, catalog, rows)
    LOG.info(f"{name}: {lists.users:,} lists of at most {lists.longest:,} items, ordered by {lists.order}, from {path}")
    if without := int((lengths["allowed"] == 0).sum()):
        LOG.info(f"{name}: {without:,} of {len(rows):,} test samples have no list and count as missed")
    shorter = int(((lengths["excluded"] < lists.longest) & (lengths["allowed"] > 0)).sum())
    if shorter:
        LOG.info(
            f"{name}: {shorter:,} lists have fewer than {lists.longest:,} items once what the user took before is "
            "taken out; a target that is not in the rest counts as missed"
        )
    return ranks, lists.longest
