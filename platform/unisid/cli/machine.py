"""`unisid doctor` and `unisid completion`: this machine, and the shell."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import dataclasses
import json
from collections.abc import Callable

Command = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]
SHELLS = ("bash", "zsh", "tcsh")


def add_commands(command: Command, parser: argparse.ArgumentParser) -> None:
    """Add both commands to the parser."""
    sub = command("doctor", _doctor, "Show what this machine has for unisid, and what will not work on it.")
    sub.add_argument("--json", action="store_true", help="print JSON instead of a table")
    text = "Print what completes words in a shell: source <(unisid completion bash)."
    sub = command("completion", lambda args: _completion(args, parser), text)
    sub.add_argument("shell", choices=SHELLS, help="the shell that reads it")


def _doctor(args: argparse.Namespace) -> None:
    from unisid.api.doctor import doctor
    from unisid.cli.tables import show
    from unisid.errors import ConfigError

    found = doctor(args.store)
    if args.json:
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


def _completion(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    import shtab

    print(shtab.complete(parser, args.shell))
