"""The stages by noun, and what extends them, found by name."""

import dataclasses
import importlib.util
import inspect
from dataclasses import replace

import pytest

from unisid.artifacts.store import NOUNS
from unisid.errors import ConfigError
from unisid.planning import Recipe, stage_of
from unisid.stages.extension import Base
from unisid.stages.flow import STAGES, extension


def fields(noun: str) -> set[str]:
    return {field.name for field in dataclasses.fields(STAGES[noun].Config)}


EXTENDED = [noun for noun in NOUNS if "base" in fields(noun)]


def test_every_noun_has_the_stage_of_its_name():
    assert list(STAGES) == list(NOUNS)
    for noun, stage in STAGES.items():
        assert inspect.getmodule(stage.make).__name__ == f"unisid.stages.{noun}"


@pytest.mark.parametrize("noun", NOUNS)
def test_what_has_a_base_has_an_extension_and_nothing_else_has(noun):
    folder = inspect.getmodule(STAGES[noun].make)
    known = hasattr(folder, "__path__") and importlib.util.find_spec(f"unisid.stages.{noun}.extend") is not None
    assert known == ("base" in fields(noun))


@pytest.mark.parametrize("noun", EXTENDED)
def test_the_settings_alone_say_that_an_artifact_is_extended(noun):
    recipe, base = Recipe(), Base(fingerprint="f" * 64, address=f"{noun}/old/1", place="/nowhere")
    assert stage_of(recipe, noun) is STAGES[noun]
    further = replace(recipe, **{noun: replace(getattr(recipe, noun), base=base)})
    found = stage_of(further, noun)
    assert found is extension(noun)


@pytest.mark.parametrize("noun", ["graph", "fused", "codes"])
def test_an_extension_names_its_base_among_its_sources(noun):
    base = Base(fingerprint="f" * 64, address=f"{noun}/old/1", place="/nowhere")
    known = {"known": base} if noun == "graph" else {}
    config = replace(getattr(Recipe(), noun), base=base, **known)
    assert extension(noun).sources(config)["base"] == base.source()


@pytest.mark.parametrize("noun", ["graph", "fused", "codes"])
def test_an_extension_without_a_base_is_refused(noun):
    with pytest.raises(ConfigError, match="name no base to go on from"):
        extension(noun).sources(getattr(Recipe(), noun))
