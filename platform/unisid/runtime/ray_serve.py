"""The HTTP application on Ray Serve: replicas that each hold the pair in use and rank waiting rows in batches.

`serve deploy` and KubeRay's RayService import `unisid.runtime.ray_serve:build` (cluster/kuberay-service.yaml).
"""

import logging
import threading
from collections.abc import Sequence
from typing import Any

import torch
from ray import serve
from starlette.types import ASGIApp

from unisid.config import from_record, to_record
from unisid.log import logger
from unisid.runtime import notifier, ray_session
from unisid.runtime.follower import Follower, Source
from unisid.runtime.http.app import application
from unisid.runtime.http.batches import Batches
from unisid.runtime.http.server import Server
from unisid.runtime.notifier import Notifier
from unisid.serving import mapped
from unisid.serving.answers import Answer, Problem, Query
from unisid.serving.settings import Serving

LOG = logger(__name__)

NAME = "unisid"
BESIDE = 64
"""Requests beside those that rank rows, which a replica takes while its queue is full: health, refusals."""


@serve.deployment(name="recommender")
@serve.ingress()
class Replica:
    """One process that answers; it follows the pair in use on its own."""

    def __init__(self, source: dict[str, Any], settings: dict[str, Any]) -> None:
        chosen = from_record(Serving, settings)
        torch.set_num_threads(max(1, int(chosen.cpus)))
        self.server = Server(chosen)
        self.follower = Follower(Source(**source), chosen, self.server.use, self.server.refuse, self.server.try_out)
        self.server.withdraw, self.server.dismiss = self.follower.withdraw, self.follower.dismiss
        self.server.adding, self.server.alias_moved = self.follower.adding(), self.alias_moved
        self.notifier = Notifier(self.follower.look_soon, chosen.poll)
        self.notifier.follow()
        self.follower.look()
        self.follower.follow()
        self.batches = Batches(chosen, self.server.measures)

    def __del__(self) -> None:
        """Release the pairs, and so their mapped files: Serve calls this where a replica ends in order."""
        self.follower.stop()
        self.notifier.stop()
        self.follower.pair = self.follower.candidate = None
        self.server.pair = self.server.before = self.server.candidate = None

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return application(self.server, self.batches.rank)

    def alias_moved(self, model: str) -> bool:
        """As `Follower.alias_moved`, in all replicas."""
        found = self.follower.alias_moved(model)
        if found:
            self.notifier.notify()
        return found

    async def answer(self, queries: Sequence[Query]) -> list[Answer | Problem]:
        """For other deployments, by handle: an answer a query, of the pair in use."""
        return await self.batches.rank(self.server.in_use(), queries)


def build(arguments: dict[str, Any]) -> Any:
    """The Serve application of `source` and `serving`, two mappings of settings.

    Raises:
        ConfigError: for settings that are unknown or out of range.
    """
    settings = from_record(Serving, to_record(Serving()) | dict(arguments.get("serving") or {}))
    source = from_record(Source, dict(arguments.get("source") or {}))
    deployment = Replica.options(  # type: ignore[attr-defined]
        num_replicas=settings.replicas,
        max_ongoing_requests=settings.most_waiting + BESIDE,
        max_queued_requests=settings.most_waiting,
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
        deployment_actors=[notifier.actor()] if source.name else None,
    )
    return deployment.bind(to_record(source), to_record(settings))


def run(source: Source, settings: Serving, until: threading.Event) -> None:
    """Serve on this machine's Ray, or on the cluster of RAY_ADDRESS, until the event is set."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    with ray_session.session():
        options = {"host": settings.host, "port": settings.port, "request_timeout_s": 3 * settings.timeout}
        serve.start(http_options=options, logging_config={"log_level": "WARNING"})
        try:
            serve.run(
                build({"source": to_record(source), "serving": to_record(settings)}),
                name=NAME,
                route_prefix="/",
                logging_config={"log_level": "WARNING"},
            )
            LOG.info(f"serving at http://{settings.host}:{settings.port}; /docs describes it, Ctrl-C ends it")
            until.wait()
        finally:
            serve.shutdown()
            mapped.remove_unused(mapped.here())
