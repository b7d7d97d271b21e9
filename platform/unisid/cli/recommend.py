"""`unisid recommend`."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import math
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import create_mutex_group

from unisid.cli.options import UNSAID, Flag, Machines, Name, count, several, shown, text
from unisid.cli.overnight import Everybody, recommend_all
from unisid.cli.session import Command
from unisid.cli.tables import show
from unisid.config import json_text
from unisid.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unisid.artifacts.catalog import Catalog
    from unisid.in_use import Pair
    from unisid.serving.proven import Proven

WIDER = 16
"""How many times as wide a beam may get as the first one, in advice."""
WHO = create_mutex_group(required=True, title="for whom")


@dataclass(frozen=True, kw_only=True)
class Recommend(Command):
    """Print the best next items for a user or a history, or write those for everybody."""

    user: Annotated[str | None, text("USER"), WHO] = None
    """a user id of the catalog"""
    history: Annotated[tuple[str, ...], several(str, "ITEM"), UNSAID, WHO] = ()
    """item ids, oldest first"""
    all: Annotated[Flag, WHO] = False
    """every user of the catalog, into --out"""
    histories: Annotated[str | None, text("FILE"), WHO] = None
    """the rows of a Parquet file with user_id and history, a list of item ids, into --out"""
    name: Name = None
    """the promoted pair of this name, else its newest"""
    model: Annotated[str | None, text("ADDRESS", "the one in use")] = None
    """the recommender, such as model/demo/1"""
    codes: Annotated[str | None, text("ADDRESS", "its own")] = None
    """an index that extends the recommender's, such as codes/demo/2"""
    k: int = 10
    """how many"""
    allow_history: Flag = False
    """items of the history may be recommended again"""
    allowed: Annotated[str | None, text("FILE")] = None
    """only these items: a text file with an item id a line"""
    excluded: Annotated[str | None, text("FILE")] = None
    """none of these items: a text file with an item id a line"""
    beams: Annotated[tuple[int, ...], several(count, "N"), UNSAID] = ()
    """prefixes that a search keeps at a level, the last number for all further ones, and nowhere fewer than k: 100 50
    (default: 50; 100 50 from 256 first codes on)"""
    widest: Annotated[int | None, shown("N")] = None
    """search again, with at most so many beams, where the answer is not certainly the best"""
    compute: Machines = "ray"
    """where the work for everybody is done"""
    json: Flag = False
    """print JSON instead of a table"""
    everybody: Everybody = field(default_factory=Everybody)

    @property
    def makes(self) -> bool:
        return self.everybody.out is not None

    def act(self) -> None:
        from unisid.artifacts.store import Address
        from unisid.in_use import named_pair

        is_for_all = self._is_for_all()
        store = self.session.opened
        model, codes = (Address.parse(text) if text else None for text in (self.model, self.codes))
        pair = named_pair(store, model, codes, self.name)
        if not is_for_all:
            return self._recommend(pair)
        machines = self.session.machines(self.compute)
        lists = self.histories or ""
        recommend_all(pair, self.everybody, self.k, not self.allow_history, self.beams, lists, machines, self.json)

    def _is_for_all(self) -> bool:
        """Whether everybody is meant; raises ConfigError for words that do not go together."""
        everybody = bool(self.all or self.histories)
        if everybody and not self.everybody.out:
            raise ConfigError("unisid recommend: --all and --histories write files; say where: --out FOLDER")
        options = self.everybody
        if not everybody and any((options.out, options.rule, options.columns, options.quota, options.into)):
            raise ConfigError(
                "unisid recommend: --out, --rule, --columns, --quota and --into are for --all and --histories"
            )
        if everybody and self.widest is not None:
            raise ConfigError("unisid recommend: --widest is for one user; for everybody give --beams")
        if everybody and (self.allowed or self.excluded):
            raise ConfigError(
                "unisid recommend: --allowed and --excluded are for one user; for everybody give a rule on a "
                "table of --columns"
            )
        return everybody

    def _recommend(self, pair: Pair) -> None:
        from unisid.artifacts.catalog import Catalog
        from unisid.artifacts.lookup import history_of, item_numbers
        from unisid.serving.recommender import Recommender

        catalog = Catalog.read(pair.catalog)
        history = item_numbers(catalog, self.history) if self.user is None else history_of(catalog, self.user)
        allowed = _subset(catalog, self.allowed, self.excluded)
        recommender = Recommender.load(pair.model, pair.codes, pair.catalog, vectors=pair.vectors)
        if self.beams:
            recommender = replace(recommender, beams=self.beams)
        found = recommender.prove([history], self.k, not self.allow_history, allowed=allowed, widest=self.widest)
        rows = [
            (rank, score, str(catalog.item_ids[item]), catalog.titles[item].as_py())
            for rank, (item, score) in enumerate(zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True), 1)
            if item >= 0
        ]
        if not rows:
            raise DataError(
                f"recommend: none of the {catalog.num_items:,} items of {catalog.record.address} is left: each "
                "is in the history, not allowed, or excluded; --allow-history lets the history's be recommended"
            )
        names = ("rank", "score", "item", "title")
        if self.json:
            body = {"model": str(pair.model.address), "codes": str(pair.codes.address), "why": pair.why}
            certain = {"certain": int(found.proven[0]), "slack": float(found.slack[0])}
            print(json_text(body | certain | {"items": [dict(zip(names, row, strict=True)) for row in rows]}))
        else:
            show([names, *((str(rank), f"{score:.3f}", item, str(title)) for rank, score, item, title in rows)])
            print(_certainty(found, catalog.num_items), file=sys.stderr)
        if len(rows) < self.k:
            print(
                f"only {len(rows)} items may be recommended: the rest is in the history, not allowed, or excluded",
                file=sys.stderr,
            )


def _certainty(found: Proven, num_items: int) -> str:
    """How far an answer to one history is the best of all by the model."""
    wanted, certain, slack = int((found.items[0] >= 0).sum()), int(found.proven[0]), float(found.slack[0])
    if certain == wanted:
        return "certainly the best by this recommender"
    if math.isinf(slack):
        return "as the search found them: it has no bound of what it missed"
    return (
        f"the first {certain} of {wanted} are certainly the best by this recommender; an item that the search missed "
        f"may score {slack:.3f} more than the last (--widest {min(num_items, WIDER * int(found.beam[0]))} searches on)"
    )


def _subset(catalog: Catalog, allowed: str | None, excluded: str | None) -> NDArray[np.bool_] | None:
    """The items that two files leave, by item number; None where there are no files."""
    if allowed is None and excluded is None:
        return None
    import numpy as np

    mask = np.full(catalog.num_items, allowed is None)
    if allowed is not None:
        mask[_listed(catalog, allowed, "--allowed")] = True
        if not mask.any():
            raise DataError(
                f"--allowed {allowed}: names none of the {catalog.num_items:,} items of "
                f"{catalog.record.address}; must have an item id a line, such as '{catalog.item_ids[0]}'"
            )
    if excluded is not None:
        mask[_listed(catalog, excluded, "--excluded")] = False
    return mask


def _listed(catalog: Catalog, path: str, option: str) -> list[int]:
    """The items whose ids a file lists, one a line; ids that the catalog lacks are counted on the console."""
    try:
        item_ids = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{option} {path}: cannot be read ({error}); must be a UTF-8 text file with an item id a line"
        ) from error
    from unisid.artifacts.lookup import number_of

    number = number_of(catalog)
    unknown = [item_id for item_id in item_ids if item_id not in number]
    if unknown:
        print(
            f"{option} {path}: {len(unknown):,} of {len(item_ids):,} item ids are not in {catalog.record.address}, "
            f"such as '{unknown[0]}'",
            file=sys.stderr,
        )
    return [number[item_id] for item_id in item_ids if item_id in number]
