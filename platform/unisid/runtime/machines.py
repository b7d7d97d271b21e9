"""Where work is done: on Ray, or in this process alone."""

import contextlib
from collections.abc import Callable, Iterator

from unisid.compute import Compute
from unisid.config import did_you_mean
from unisid.errors import ConfigError

KINDS = ("ray", "local")
Machines = Callable[[], contextlib.AbstractContextManager[Compute]]
"""Opens machines, for as long as the context lasts."""


@contextlib.contextmanager
def machines(kind: str) -> Iterator[Compute]:
    """The machines of a kind, for as long as the context lasts. Raises ConfigError for another kind."""
    if kind not in KINDS:
        raise ConfigError(f"compute: is {kind!r}{did_you_mean(kind, KINDS)}; must be {' or '.join(KINDS)}")
    if kind == "local":
        from unisid.runtime.local import LocalCompute

        yield LocalCompute()
    else:
        from unisid.runtime.ray_compute import RayCompute

        with RayCompute.open() as compute:
            yield compute


@contextlib.contextmanager
def opened_once(machines: Machines) -> Iterator[Machines]:
    """Machines that are opened when they are first used, and stay open for later uses until this context ends."""
    with contextlib.ExitStack() as stack:
        opened: list[Compute] = []

        @contextlib.contextmanager
        def once() -> Iterator[Compute]:
            if not opened:
                opened.append(stack.enter_context(machines()))
            yield opened[0]

        yield once
