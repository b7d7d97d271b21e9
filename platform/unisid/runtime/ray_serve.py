"""The HTTP application on Ray Serve: replicas that each hold the pair in use and rank waiting rows in batches.

`serve deploy` and KubeRay's RayService import `unisid.runtime.ray_serve:build` (cluster/kuberay-service.yaml).
"""

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import torch
from ray import serve
from starlette.types import ASGIApp

from unisid.config import from_record, to_record
from unisid.errors import UnisidError
from unisid.log import logger
from unisid.runtime import ray_session
from unisid.runtime.follower import Follower, Source
from unisid.runtime.http.app import application
from unisid.runtime.http.server import Server
from unisid.serving import mapped
from unisid.serving.answers import Answer, Problem, Query, answers
from unisid.serving.pair import Pair
from unisid.serving.settings import Serving

LOG = logger(__name__)

NAME = "unisid"
BESIDE = 64
"""Requests beside those that rank rows, which a replica takes while its queue is full: health, refusals."""
Row = tuple[Pair, Query]
Found = Answer | Problem | UnisidError


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
        self.server.adding = self.follower.adding()
        self.follower.look()
        self.follower.follow()
        self.thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="unisid-rank")
        # made here, not in the class: settings of its own, and a class that still pickles after it was used
        batch = serve.batch(max_batch_size=chosen.batch_size, batch_wait_timeout_s=chosen.batch_wait)
        self.batched = batch(self._ranker())

    def __del__(self) -> None:
        """Release the pairs, and so their mapped files: Serve calls this where a replica ends in order."""
        self.follower.stop()
        self.follower.pair = self.follower.candidate = None
        self.server.pair = self.server.before = self.server.candidate = None

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return application(self.server, self.rank)

    async def answer(self, queries: Sequence[Query]) -> list[Answer | Problem]:
        """For other deployments, by handle: an answer a query, of the pair in use."""
        return await self.rank(self.server.in_use(), queries)

    async def rank(self, pair: Pair, queries: Sequence[Query]) -> list[Answer | Problem]:
        """The rows of one request, ranked beside those of others."""
        found: list[Found] = await asyncio.gather(*(self.batched((pair, query)) for query in queries))
        for each in found:
            if isinstance(each, UnisidError):
                raise each
        return [each for each in found if not isinstance(each, UnisidError)]

    def _ranker(self) -> Callable[[list[Row]], Awaitable[list[Found]]]:
        """What one thread ranks at once; rows that began with another pair are ranked by it."""

        async def ranked(rows: list[Row]) -> list[Found]:
            self.server.measures.batches.observe(len(rows))
            return await asyncio.get_running_loop().run_in_executor(self.thread, by_pair, rows)

        return ranked


def by_pair(rows: Sequence[Row]) -> list[Found]:
    """An answer a row, in order; the error of a pair is that of its rows alone."""
    found: list[Found | None] = [None] * len(rows)
    for pair in {id(pair): pair for pair, _ in rows}.values():
        numbers = [number for number, (each, _) in enumerate(rows) if each is pair]
        try:
            ranked: Sequence[Found] = answers(pair, [rows[number][1] for number in numbers])
        except UnisidError as error:
            ranked = [error] * len(numbers)
        for number, answer in zip(numbers, ranked, strict=True):
            found[number] = answer
    return [each for each in found if each is not None]


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
