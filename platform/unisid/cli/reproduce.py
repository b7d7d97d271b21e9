"""`unisid reproduce`."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from unisid.cli.options import Flag, Machines
from unisid.cli.session import Command
from unisid.config import json_text
from unisid.errors import DriftError


@dataclass(frozen=True, kw_only=True)
class Reproduce(Command):
    """Make an artifact again from its record, elsewhere, and compare the bytes."""

    writes = True
    address: Annotated[Positional[str], arg(metavar="ADDRESS")]
    """what to make again, with all that it comes from, such as metrics/demo/1"""
    into: Annotated[str, arg(metavar="FOLDER")]
    """the store of the repetition; kept afterwards"""
    compute: Machines = "ray"
    """where the work is done"""
    json: Flag = False
    """print JSON instead of lines"""

    def act(self) -> None:
        from unisid.artifacts.store import Address, Place, Store
        from unisid.reproduce import reproduce

        store = self.session.opened
        with self.session.machines(self.compute) as compute:
            found = reproduce(Address.parse(self.address), store, Store(Place.of(self.into)), compute)
        if self.json:
            print(json_text([dataclasses.asdict(each) | {"address": str(each.address)} for each in found]))
        else:
            print("\n".join(map(str, found)))
        if different := [compared for compared in found if compared.differing]:
            raise DriftError(
                f"reproduce {self.address}: {len(different)} of {len(found)} artifacts differ, as listed; "
                "the same device, versions, workers and threads give the same bytes"
            )
