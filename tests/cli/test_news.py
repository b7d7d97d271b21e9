"""The news of a command: how much of it, in which form, on which stream."""

import json

import pytest

from unisid.cli import main
from unisid.log import logger

NEWS = logger("unisid.stages.test")


@pytest.fixture
def chatty(monkeypatch):
    """`unisid recipes` logs a detail, a line and a warning."""
    from unisid import recipes

    def ready():
        NEWS.debug("a detail")
        NEWS.info("a line")
        NEWS.warning("a warning")
        return {}

    monkeypatch.setattr(recipes, "ready", ready)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), ["a line", "warning: a warning"]),
        (("--quiet",), ["warning: a warning"]),
    ],
)
def test_every_command_can_be_quiet(chatty, capsys, words, wanted):
    assert main(["recipes", *words]) == 0
    assert capsys.readouterr().err.splitlines() == wanted


def test_every_command_can_be_verbose(chatty, capsys):
    assert main(["recipes", "--verbose"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" unisid.stages.test: ")[2] for line in lines] == ["a detail", "a line", "a warning"]


@pytest.mark.parametrize("by", ["word", "environment"])
def test_every_command_can_log_json(chatty, capsys, monkeypatch, by):
    monkeypatch.setenv("UNISID_LOG_FORMAT", "json" if by == "environment" else "text")
    assert main(["recipes", *(["--log-format", "json"] if by == "word" else [])]) == 0
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["a line", "a warning"]


def test_an_unknown_format_is_refused(capsys, monkeypatch):
    monkeypatch.setenv("UNISID_LOG_FORMAT", "jsno")
    assert main(["recipes"]) == 1
    error = capsys.readouterr().err
    assert "UNISID_LOG_FORMAT: is 'jsno'; did you mean 'json'?" in error
    assert "must be text or json" in error


def test_news_beside_json_is_on_standard_error(chatty, capsys):
    assert main(["recipes", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == []
    assert "a line" in shown.err
