"""`unisid serve`: its words, and what carries them out."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from unisid.log import logger

if TYPE_CHECKING:
    from unisid.artifacts.store import Store
    from unisid.runtime.follower import Source
    from unisid.serving.settings import Serving

    Command = Callable[..., argparse.ArgumentParser]

LOG = logger(__name__)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_commands(command: Command, store_of: Callable[[argparse.Namespace], Store]) -> None:
    """Add `serve` to the parser; its settings follow as `--key value`."""
    sub = command("serve", lambda args: _serve(args, store_of(args)), "Answer requests over HTTP.", add_help=False)
    sub.add_argument("--name", default="", help="the registered name whose promoted pair answers, and is followed")
    sub.add_argument("--model", default="", help="a recommender that answers instead, such as model/demo/1")
    sub.add_argument("--codes", default="", help="an index that extends that recommender's (default: its own)")
    sub.add_argument(
        "--compute",
        choices=("ray", "local"),
        default="ray",
        help="Ray Serve, or this process alone (no batches over requests)",
    )
    sub.add_argument("-h", "--help", action="store_true", help="this text, and the settings")
    sub.set_defaults(usage=sub.format_help)


def _serve(args: argparse.Namespace, store: Store) -> None:
    settings = _settings(args)
    from unisid.runtime.follower import Follower, Source
    from unisid.serving.settings import TOKEN

    source = Source(store.root.uri, args.name, args.model, args.codes)
    Follower(source, settings, lambda pair: None).check()
    if settings.host not in LOOPBACK and not os.environ.get(TOKEN):
        LOG.warning(
            f"{settings.host} can be reached from other machines, and {TOKEN} is not set: all may send requests"
        )
    if args.compute == "ray":
        from unisid.runtime import ray_serve

        ray_serve.run(source, settings, threading.Event())
    else:
        _serve_here(source, settings)


def _settings(args: argparse.Namespace) -> Serving:
    import tyro

    from unisid.console import styled
    from unisid.serving.settings import Serving

    if args.help:
        print(args.usage(), flush=True)
    with styled():
        words = [*args.rest, *(["--help"] if args.help else [])]
        return tyro.cli(Serving, args=words, prog="unisid serve", config=(tyro.conf.FlagConversionOff,))


def _serve_here(source: Source, settings: Serving) -> None:
    """Serve under uvicorn in this process; a pair must be there at once."""
    import uvicorn

    from unisid.errors import ArtifactError
    from unisid.runtime.follower import Follower
    from unisid.runtime.http.app import application
    from unisid.runtime.http.server import Server

    server = Server(settings)
    follower = Follower(source, settings, server.use, server.refuse, server.try_out)
    server.withdraw, server.dismiss = follower.withdraw, follower.dismiss
    server.adding = follower.adding()
    follower.look()
    if server.pair is None:
        raise ArtifactError(server.refused)
    follower.follow()
    with _listening(settings) as listening:
        port = listening.getsockname()[1]
        LOG.info(f"serving {server.pair.versions.model} at http://{settings.host}:{port}; /docs describes it")
        running = uvicorn.Server(uvicorn.Config(application(server), log_level="warning"))
        running.run(sockets=[listening])


def _listening(settings: Serving) -> socket.socket:
    """What accepts requests; port 0 is a free one. Raises ConfigError for an address that this machine lacks, or a port
    that another program has."""
    from unisid.errors import ConfigError

    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as error:
        raise ConfigError(
            f"serve: cannot listen at {settings.host}:{settings.port} ({error.strerror or error}); must be an address "
            "of this machine (--host) and a port that no other program has (--port; 0: any)"
        ) from None
