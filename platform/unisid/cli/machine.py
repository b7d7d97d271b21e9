"""`unisid doctor` and `unisid completion`: this machine, and the shell."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from unisid.cli.options import Flag
from unisid.cli.session import Command
from unisid.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Show what this machine has for unisid, and what will not work on it."""

    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.api.doctor import doctor
        from unisid.cli.tables import show

        found = doctor(self.session.store)
        if self.json:
            print(json.dumps([dataclasses.asdict(check) for check in found], indent=2))
        else:
            show([("part", "state", "found"), *((c.name, c.state, c.found) for c in found)])
            for state, title in (("absent", "optional, and not there"), ("fault", "to be put right")):
                lines = [f"  {c.name}: {c.remedy}" for c in found if c.state == state]
                if lines:
                    print("\n".join(["", title, *lines]))
        faults = [check.name for check in found if check.state == "fault"]
        if faults:
            raise ConfigError(f"this machine: {', '.join(faults)} must be put right, as listed")


@dataclass(frozen=True, kw_only=True)
class Completion(Command):
    """Print what completes words in a shell: source <(unisid completion bash)."""

    shell: Positional[Literal["bash", "zsh", "fish"]]
    """the shell that reads it"""

    def act(self) -> None:
        from unisid.cli.commands import print_completion

        print_completion(self.shell)
