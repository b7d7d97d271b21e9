"""One count for all replicas of a deployment: a webhook reaches one of them, and the count takes it to the others.

The count is a deployment actor of Ray Serve's, one in the cluster. A replica waits for it to change in a call that
lasts, so none polls it. Where it is lost, Serve's controller makes another one; until then replicas look every `poll`
seconds.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import DeploymentActorConfig
from ray.serve.exceptions import RayServeException

from unisid.log import logger

LOG = logger(__name__)

NAME = "alias-changes"
LASTS = 60.0
"""Seconds of one call that waits."""
TROUBLE = (RayError, RayServeException, ValueError)
"""What Ray raises while there is no such actor, or where it was lost."""


class Count:
    """A number that grows, and calls that wait until it has."""

    def __init__(self) -> None:
        self.value = time.time_ns()  # of an actor that was made again it is another one
        self.grown = asyncio.Event()

    async def add(self) -> None:
        """Let the calls that wait return."""
        self.value += 1
        self.grown.set()
        self.grown = asyncio.Event()

    async def after(self, seen: int, seconds: float) -> int:
        """The number, as soon as it is another one than was seen, or after some seconds."""
        if self.value == seen:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.grown.wait(), seconds)
        return self.value


def actor() -> Any:
    """The count, for the options of a deployment."""
    return DeploymentActorConfig(name=NAME, actor_class=ray.remote(Count), actor_options={"num_cpus": 0})


@dataclass
class Notifier:
    """A replica's end of the count."""

    act: Callable[[], None]
    """Called in a thread when the count has changed."""
    pause: float
    """Seconds between two attempts to reach an actor that was lost."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def follow(self) -> None:
        """Wait for changes in a thread, until `stop`; outside a cluster nothing is done."""
        if ray.is_initialized():
            threading.Thread(target=self._follow, name="unisid-notifier", daemon=True).start()

    def notify(self) -> None:
        """Let all replicas act, this one too."""
        try:
            serve.get_deployment_actor(NAME).add.remote()
        except TROUBLE as error:
            LOG.warning(f"the other replicas look at their next poll: {error}")

    def stop(self) -> None:
        """Wait no more."""
        self._stop.set()

    def _follow(self) -> None:
        seen = 0
        while not self._stop.is_set():
            try:
                now = ray.get(serve.get_deployment_actor(NAME).after.remote(seen, LASTS))
            except TROUBLE:
                self._stop.wait(self.pause)
                continue
            if seen not in (0, now):
                self.act()
            seen = now
