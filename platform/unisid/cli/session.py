"""What every command has: a store, a tracker, machines, and news of its work."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import contextlib
import functools
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import Fixed, Suppress, create_mutex_group

from unisid.cli.news import news
from unisid.cli.options import Flag, one_of, shown, text
from unisid.log import FORMATS, Format

if TYPE_CHECKING:
    from unisid.artifacts.store import Store
    from unisid.compute import Compute
    from unisid.pipeline import Tracker
    from unisid.runtime import tracking
    from unisid.runtime.trials import Runner
    from unisid.trials.telling import ExperimentTracker

AMOUNT = create_mutex_group(required=False, title="news options")


@dataclass(frozen=True, kw_only=True)
class Session:
    """Options of every command."""

    store: Annotated[str | None, text("FOLDER|URI", "UNISID_STORE, else runs")] = None
    """where artifacts lie"""
    quiet: Annotated[Flag, AMOUNT] = False
    """only warnings and results"""
    verbose: Annotated[Flag, AMOUNT] = False
    """details too, with times and the modules that they are from"""
    log_format: Annotated[Format | None, one_of(FORMATS), shown("{text,json}", "UNISID_LOG_FORMAT, else text")] = None
    """lines of text, or a JSON object a line"""

    @functools.cached_property
    def opened(self) -> Store:
        """The store; it need not exist yet.

        Raises:
            ConfigError, ArtifactError: as `unisid.api.places.store_of`.
        """
        from unisid.api.places import store_of

        return store_of(self.store)

    def tracker(self) -> Tracker:
        """MLflow, where the store's runs are logged."""
        return self.tracking()

    def tracking(self) -> tracking.Tracker:
        """MLflow itself: its runs and its registry."""
        from unisid.runtime.tracking import tracker

        return tracker(self.opened.root)

    def experiment_tracker(self) -> ExperimentTracker:
        """MLflow for searches and experiments."""
        from unisid.runtime.search_runs import SearchRuns

        return SearchRuns(self.tracking())

    def machines(self, kind: str) -> contextlib.AbstractContextManager[Compute]:
        """The machines of a kind, 'ray' or 'local', for as long as the context lasts."""
        from unisid.runtime.machines import machines

        return machines(kind)

    def runner(self, kind: str, compute: Compute, concurrent: int | None) -> Runner:
        """The runner of trials on these machines, at most so many at once."""
        if kind == "local":
            from unisid.runtime.trials import InTurn

            return InTurn()
        from unisid.runtime.ray_compute import RayCompute
        from unisid.runtime.ray_tune import RayTune

        assert isinstance(compute, RayCompute)
        return RayTune.beside(compute, concurrent)

    def news(self, on_output: bool) -> contextlib.AbstractContextManager[None]:
        """Inside, the product's log is shown, on standard output or on standard error."""
        level = logging.WARNING if self.quiet else logging.DEBUG if self.verbose else logging.INFO
        return news(level, self.log_format, on_output)


@dataclass(frozen=True, kw_only=True)
class Command(ABC):
    """One command: its fields are its words, `act` carries it out."""

    writes: ClassVar[bool] = False
    """Whether it does more than print, whatever its options are."""
    session: Session = Session()

    @property
    def makes(self) -> bool:
        """Whether it does more than print: then a lost reader of its output does not end it."""
        return self.writes

    @property
    def shows_news(self) -> bool:
        """Whether its news stand among what it prints, unless that is JSON."""
        return self.makes

    def news(self) -> contextlib.AbstractContextManager[None]:
        """Inside, its news are shown."""
        return self.session.news(self.shows_news and not getattr(self, "json", False))

    @abstractmethod
    def act(self) -> None:
        """Carry the command out. Raises UnisidError for what the user can put right."""


@dataclass(frozen=True, kw_only=True)
class Configured(Command):
    """A command after whose words settings may follow, as `--section.key value`."""

    settings: Suppress[Fixed[tuple[str, ...]]] = ()
    """The words that are none of the command's own, in order."""

    @abstractmethod
    def show_settings(self, prog: str) -> None:
        """Print what settings there are, and leave."""
