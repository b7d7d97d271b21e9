"""Facts as JSON: every command that prints any has `--json`."""

import dataclasses

from unisid.cli.commands import every

NO_FACTS = {"serve", "completion"}
"""What they print are news, or a program for a shell."""


def test_every_command_that_prints_facts_prints_json():
    has = {name: "json" in {field.name for field in dataclasses.fields(kind)} for name, kind in every()}
    assert {name for name, found in has.items() if not found} == NO_FACTS
