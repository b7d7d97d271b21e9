"""What is drawn in a terminal: bars below the lines, which leave nothing behind; tables that cut no cell."""

import contextlib
import io
import logging
import re

import pytest

from unisid.cli.news import drawable, news
from unisid.cli.tables import show
from unisid.cli.terminal import Terminal
from unisid.console import consoles
from unisid.log import about, logged_to, logger
from unisid.making import Shown
from unisid.progress import Progress

LOG = logger("unisid.stages.test")
MOVES = re.compile("\x1b\\[[0-9;?]*[A-Za-z]|\r")


class Tty(io.StringIO):
    """A terminal that keeps all that is written to it."""

    encoding = "utf-8"

    def isatty(self):
        return True


@contextlib.contextmanager
def terminal(monkeypatch, term="xterm", columns=100):
    """Inside, standard output is a terminal; yields the console and what is behind it."""
    screen = Tty()
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout", screen)
    with consoles() as console:
        yield console, screen


def seen(screen):
    """All that was ever drawn, without cursor movements."""
    return MOVES.sub("", screen.getvalue())


def test_a_count_is_a_bar_with_its_total_and_its_last_line_stays(monkeypatch):
    with terminal(monkeypatch) as (console, screen), logged_to(Terminal(console), logging.INFO), about("graph/demo/1"):
        count = Progress(None, 30, "files", of="items")
        count.advance(10)
        LOG.info("beside")
        count.advance(20)
    shown = seen(screen)
    assert re.search(r"items: files \S+ 10/30", shown)
    assert "      beside" in shown
    assert "10 of 30 files" not in shown  # the bar stands in its place
    assert re.search(r"      items: 30 of 30 files, \S+ a second", shown)


def test_a_bar_of_epochs_stands_below_the_lines_until_the_stage_ends(monkeypatch):
    with terminal(monkeypatch) as (console, screen):
        handler = Terminal(console)
        with logged_to(handler, logging.INFO):
            with about("model/demo/1"):
                figures = Shown("model", seconds=0, epochs=9)
                figures.show({"epoch": 2, "loss": 5.0})
                assert list(handler.tasks) == [("model/demo/1", "epochs")]
                LOG.info("done in 2.0 s", extra={"is_end": True})
                assert handler.tasks == {}
                figures.show({"epoch": 3, "loss": 4.0})
            LOG.info("[8/8] metrics/demo/1")
            assert handler.tasks == {}
    shown = seen(screen)
    assert "epoch 2  loss 5↓" in shown
    assert "2/9" in shown


def test_an_interrupted_bar_is_gone_and_the_cursor_is_back(monkeypatch):
    def interrupted(handler):
        with logged_to(handler, logging.INFO):
            Progress(None, 30, "files").advance(10)
            assert len(handler.tasks) == 1
            raise KeyboardInterrupt

    with terminal(monkeypatch) as (console, screen):
        handler = Terminal(console)
        with pytest.raises(KeyboardInterrupt):
            interrupted(handler)
        assert handler.tasks == {}
        assert not handler.bars.live.is_started
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1


def test_text_from_data_moves_no_cursor(monkeypatch):
    with terminal(monkeypatch) as (console, screen):
        with logged_to(Terminal(console), logging.INFO):
            LOG.info("a [bold]title[/bold] \x1b[2J")
        show([("item", "title"), ("a", "gone\x1b[2J [red]red[/red]")])
    assert "\x1b[2J" not in screen.getvalue()
    assert "a [bold]title[/bold] \\x1b[2J" in screen.getvalue()
    assert "[red]red[/red]" in seen(screen)


def test_a_table_shows_no_secret(monkeypatch):
    with terminal(monkeypatch) as (_, screen):
        show([("part", "found"), ("store", "postgresql://user:hidden@host/db")])
    assert "hidden" not in screen.getvalue()
    assert "@host/db" in seen(screen)


def test_a_table_folds_long_cells_and_cuts_none(monkeypatch):
    with terminal(monkeypatch, columns=30) as (_, screen):
        show([("item", "title"), ("i1", "word " * 12 + "end")])
    words = seen(screen).split()
    assert words.count("word") == 12
    assert "end" in words
    assert "…" not in words


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_what_cannot_move_its_cursor_gets_plain_lines(monkeypatch, term):
    with terminal(monkeypatch, term) as (_, screen):
        assert drawable() is None
        show([("item", "title"), ("i1", "word")])
    assert screen.getvalue() == "item  title\ni1    word\n"


def test_news_is_drawn_in_a_terminal_unless_it_is_to_be_quiet(monkeypatch):
    with terminal(monkeypatch) as (_, screen), news(logging.INFO, None, on_output=True):
        LOG.warning("left aside")
        assert isinstance(logging.getLogger("unisid").handlers[-1], Terminal)
    assert screen.getvalue() == "warning: left aside\n"
    with terminal(monkeypatch) as (_, screen), news(logging.WARNING, None, on_output=True):
        assert not isinstance(logging.getLogger("unisid").handlers[-1], Terminal)
