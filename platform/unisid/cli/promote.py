"""`unisid promote`: which version of an index and of its recommender is in use."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from unisid.cli.options import Flag, shown, text
from unisid.cli.session import Command
from unisid.config import json_text
from unisid.errors import ConfigError

if TYPE_CHECKING:
    from unisid.artifacts.store import Address

GATE = ("distinct", "usage", "entropy")
Figure = Annotated[float | None, shown("FLOAT", "the index's own")]


@dataclass(frozen=True, kw_only=True)
class Promote(Command):
    """Put an index and a recommender into use."""

    address: Annotated[Positional[tuple[str, ...]], arg(metavar="ADDRESS [ADDRESS]", help_behavior_hint="")] = ()
    """an index (codes/demo/2), a recommender (model/demo/1), or both"""
    name: Annotated[str | None, text("NAME", "the address's")] = None
    """the name they are registered under"""
    rollback: Annotated[str | None, text("NAME")] = None
    """put what was in use before back into use"""
    status: Annotated[str | None, text("NAME")] = None
    """show what is in use, and what was before"""
    json: Flag = False
    """print JSON instead of lines"""
    distinct: Figure = None
    """use another codes.gate.distinct"""
    usage: Figure = None
    """use another codes.gate.usage"""
    entropy: Figure = None
    """use another codes.gate.entropy"""

    @property
    def makes(self) -> bool:
        return not self.status

    def act(self) -> None:
        """Move the aliases, and say what is in use."""
        self._refuse_both()
        from unisid.runtime import promotion

        store = self.session.opened
        tracking = self.session.tracking()
        if self.status:
            pairs = promotion.in_use(tracking, self.status)
            body = json_text({alias: dataclasses.asdict(pair) for alias, pair in pairs.items()})
            print(body if self.json else "\n".join(f"{alias:<10} {pair}" for alias, pair in pairs.items()))
            return
        if self.rollback:
            pair, name = promotion.roll_back(tracking, self.rollback), self.rollback
        else:
            found = _addresses(self.address)
            name = self.name or next(iter(found.values())).name
            gate = {figure: getattr(self, figure) for figure in GATE if getattr(self, figure) is not None}
            pair = promotion.promote(tracking, store, found.get("codes"), found.get("model"), name, gate)
        if self.json:
            return print(json_text({"name": name} | dataclasses.asdict(pair)))
        print(f"in use under '{name}': {pair}; back again: unisid promote --rollback {name}")

    def _refuse_both(self) -> None:
        """Raises ConfigError for addresses, a name or a gate beside --rollback or --status, which would be ignored."""
        acts = [f"--{act} {getattr(self, act)}" for act in ("rollback", "status") if getattr(self, act)]
        given = [*self.address, *(f"--{name}" for name in ("name", *GATE) if getattr(self, name) is not None)]
        if acts and len(acts) + len(given) > 1:
            raise ConfigError(
                f"unisid promote: {' '.join([*acts, *given])}; {acts[0]} stands alone: give one command after the other"
            )


def _addresses(texts: Sequence[str]) -> dict[str, Address]:
    from unisid.artifacts.store import Address

    found = {address.noun: address for address in map(Address.parse, texts)}
    if not found or len(found) != len(texts) or found.keys() - {"codes", "model"}:
        raise ConfigError(
            f"unisid promote: {' '.join(texts) or 'nothing'}; must be an index (codes/NAME/VERSION), a "
            "recommender (model/NAME/VERSION), or one of each"
        )
    return found
