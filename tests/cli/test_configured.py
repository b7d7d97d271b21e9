"""Words of commands about a recipe: a command's own options, and values of keys among the settings."""

from dataclasses import dataclass

import pytest

from unisid.cli.configured import RecipeCommand, configured, options, word_of
from unisid.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Command(RecipeCommand):
    how_many: int = 0

    def act(self): ...


def test_the_last_of_several_words_counts():
    words = ["--name", "a", "--version=2", "--name=b", "--named", "c", "--name"]
    assert word_of(words[:3], "name") == "a"
    assert word_of(words[:6], "name") == "b"
    assert word_of(words, "name") == ""
    assert word_of(words, "version") == "2"
    assert word_of([], "name") == ""


def test_options_are_the_commands_and_its_sessions():
    found = options(Command())
    assert "how-many" in found
    assert "store" in found
    assert not {"session", "settings", "recipe"} & set(found)


def test_settings_reach_the_recipe_and_mistakes_name_what_was_meant():
    command = Command(recipe="demo", settings=("--codes.batch-size", "64"))
    assert command.configured().codes.batch_size == 64
    with pytest.raises(ConfigError, match="no setting '--how_mani'; did you mean 'how-many'"):
        Command(recipe="demo", settings=("--how-mani", "3")).configured()


def test_a_recipe_must_be_named():
    with pytest.raises(
        DataError, match=r"unisid: which recipe, which stands before its settings \(--seed 1\)\? known: "
    ):
        configured(Command(settings=("--seed", "1")), "")
    with pytest.raises(DataError, match=r"unisid: which recipe\? known: .*demo"):
        Command().configured()
