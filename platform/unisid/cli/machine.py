"""`unisid doctor`: what this machine has."""

import dataclasses
from dataclasses import dataclass

from unisid.cli.options import Flag
from unisid.cli.session import Command
from unisid.cli.tables import show
from unisid.config import json_text
from unisid.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Show what this machine has for unisid, and what will not work on it."""

    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.api.doctor import doctor

        found = doctor(self.session.store)
        if self.json:
            print(json_text([dataclasses.asdict(check) for check in found]))
        else:
            show([("part", "state", "found"), *((c.name, c.state, c.found) for c in found)])
            for state, title in (("absent", "optional, and not there"), ("fault", "to be put right")):
                lines = [f"  {c.name}: {c.remedy}" for c in found if c.state == state]
                if lines:
                    print("\n".join(["", title, *lines]))
        faults = [check.name for check in found if check.state == "fault"]
        if faults:
            raise ConfigError(f"this machine: {', '.join(faults)} must be put right, as listed")
