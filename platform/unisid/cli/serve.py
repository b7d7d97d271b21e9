"""`unisid serve`."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import os
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from unisid.cli.options import Address, Machines, Name, text
from unisid.cli.session import Configured
from unisid.console import styled
from unisid.log import logger

if TYPE_CHECKING:
    from unisid.runtime.follower import Source
    from unisid.serving.settings import Serving

LOG = logger(__name__)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Serve(Configured):
    """Answer requests over HTTP."""

    writes = True
    name: Name = None
    """the name whose promoted pair answers, and is followed; its newest until one is promoted"""
    model: Address = None
    """a recommender that answers instead, for good, such as model/demo/1"""
    codes: Annotated[str | None, text("ADDRESS", "its own")] = None
    """an index that extends that recommender's"""
    compute: Machines = "ray"
    """Ray Serve, or this process alone"""

    def act(self) -> None:
        store, settings = self.session.opened, self._settings()
        from unisid.runtime.follower import Follower, Source
        from unisid.serving.settings import TOKEN

        name, until_promoted = self.name or "", ""
        if not self.model and not self.codes:
            from unisid.in_use import served

            name, until_promoted = served(store, self.name)
        source = Source(store.root.uri, name, self.model or "", self.codes or "", until_promoted)
        Follower(source, settings, lambda pair: None).check()
        if settings.host not in LOOPBACK and not os.environ.get(TOKEN):
            LOG.warning(
                f"{settings.host} can be reached from other machines, and {TOKEN} is not set: all may send requests"
            )
        if self.compute == "ray":
            from unisid.runtime import ray_serve

            ray_serve.run(source, settings, threading.Event())
        else:
            _serve_here(source, settings)

    def show_settings(self, prog: str) -> None:
        _parsed(["--help"])

    def _settings(self) -> Serving:
        return _parsed(list(self.settings))


def _parsed(words: list[str]) -> Serving:
    import tyro

    from unisid.serving.settings import Serving

    with styled():
        return tyro.cli(Serving, args=words, prog="unisid serve", config=(tyro.conf.FlagConversionOff,))


def _serve_here(source: Source, settings: Serving) -> None:
    """Serve under uvicorn in this process; a pair must be there at once."""
    import uvicorn

    from unisid.errors import ArtifactError
    from unisid.runtime.follower import Follower
    from unisid.runtime.http.app import application
    from unisid.runtime.http.batches import Batches
    from unisid.runtime.http.server import Server

    server = Server(settings)
    follower = Follower(source, settings, server.use, server.refuse, server.try_out)
    server.withdraw, server.dismiss = follower.withdraw, follower.dismiss
    server.adding, server.alias_moved = follower.adding(), follower.alias_moved
    follower.look()
    if server.pair is None:
        raise ArtifactError(server.refused)
    follower.follow()
    with _listening(settings) as listening:
        port = listening.getsockname()[1]
        LOG.info(f"serving {server.pair.versions.model} at http://{settings.host}:{port}; /docs describes it")
        app = application(server, Batches(settings, server.measures).rank)
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        running.run(sockets=[listening])


def _listening(settings: Serving) -> socket.socket:
    """The listening socket; port 0 is a free one. Raises ConfigError for an address that this machine lacks, or a port
    that another program has."""
    from unisid.errors import ConfigError

    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as error:
        raise ConfigError(
            f"serve: cannot listen at {settings.host}:{settings.port} ({error.strerror or error}); must be an address "
            "of this machine (--host) and a port that no other program has (--port; 0: any)"
        ) from None
