"""What a shell completes: commands, options, names of recipes, nouns after --until; as the script's own Python says."""

import contextlib
import io
import re

import pytest

from unisid import cli
from unisid.artifacts.store import NOUNS
from unisid.cli.completion import ADDED, completing


@pytest.fixture(scope="module")
def complete():
    """What the script for bash completes words to; the last one is incomplete."""
    with contextlib.redirect_stdout(io.StringIO()) as written:
        assert cli.main(["completion", "bash"]) == 0
    [program] = re.findall(r"<< 'PYTHON_EOF' \|\| true\n(.*?)\nPYTHON_EOF\n", written.getvalue(), re.DOTALL)
    names = {"__name__": "completion"}
    exec(program, names)

    def completed(*words):
        found = names["get_completions"](["unisid", *words], len(words), names["COMPLETION_SPEC"])
        return [each.partition("\t")[0] for each in found]

    return completed


@pytest.mark.parametrize("command", ["run", "plan", "sync", "search", "index extend"])
def test_commands_that_take_a_recipe_complete_its_name(complete, command):
    assert {"demo", "demo_llm"} <= set(complete(*command.split(), "dem"))
    assert "--store" in complete(*command.split(), "demo", "--")


def test_other_commands_complete_no_recipe(complete):
    assert complete("doctor", "dem") == []


@pytest.mark.parametrize("words", [("run",), ("plan",), ("run", "demo")])
def test_nouns_are_completed_after_until(complete, words):
    assert complete(*words, "--until", "") == list(NOUNS)
    assert complete(*words, "--until", "cod") == ["codes"]


def test_what_an_option_may_be_is_what_it_takes(complete, capsys):
    assert set(complete("list", "--log-format", "")) == {"text", "json"}
    with pytest.raises(SystemExit):
        cli.main(["list", "--log-format", "None"])


def test_every_shell_is_given_the_lines_and_may_read_them():
    assert not {'"', "$", "\\", "`"} & set(ADDED)
    script = "before\nCOMPLETION_SPEC = {'subcommands': {}}\nafter"
    made = completing(script, ["run"], ["run"], ["demo"], ["codes"]).splitlines()
    assert (made[0], made[1], made[-1]) == ("before", "COMPLETION_SPEC = {'subcommands': {}}", "after")
    assert "for path in [['run']]:" in made
