"""Runs one stage in this process and measures it: seconds, peak memory, bytes on disk, file-system requests.

    python -m unisid.capacity.measure RECIPE ITEMS NOUN STORE ANSWER

RECIPE is a name, or a file and function; its earlier artifacts are in the store. Peak memory is the largest resident
set of the process, memory-mapped files included, beside what it was before the work began (the interpreter and the
libraries). Requests are the calls of `Place` that reach a file system. Of an index of nearest vectors it is noted how
many lists are searched for a vector.
"""

import functools
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unisid import pipeline
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Place, Store
from unisid.ops.nearest import Nearest
from unisid.pipeline import NullTracker
from unisid.planning import Recipe
from unisid.recipe_roles import address_of

REQUESTS = ("exists", "stamp", "read", "open", "writing", "checksum", "take", "clear", "remove", "_entries")
"""The methods of a place that access its file system."""
MEGABYTE = 2**20


def stage(noun: str, recipe: Recipe, store: Store) -> dict[str, Any]:
    """Make a noun's artifact in this process, with one worker a pool; returns the measurements."""
    from unisid.runtime.local import LocalCompute

    requests, lists, before, cpu = counted(), searched(), peak(), time.process_time()
    pipeline.run(recipe, store, LocalCompute(), NullTracker(), until=noun)
    cpu = time.process_time() - cpu
    place = store.place(address_of(recipe, noun))
    record = read_record(place)
    assert record is not None
    return {
        "seconds": record.seconds,
        "cpu_seconds": round(cpu, 2),
        "peak_mib": round(peak()),
        "before_mib": round(before),
        **_on_device(record.memory.get("device", 0)),
        "disk_mib": round(sum(place.sizes().values()) / MEGABYTE, 2),
        "requests": sum(requests.values()),
        **({"lists": max(lists)} if lists else {}),
        "counts": {name: value for name, value in record.counts.items() if isinstance(value, int | float)},
    }


def _on_device(reported: float) -> dict[str, int]:
    """The most of a GPU's memory that the process took, or that a training reported; nothing where no GPU worked."""
    import torch

    most = max(reported, torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0)
    return {"device_mib": max(1, round(most / MEGABYTE))} if most else {}


def peak() -> float:
    """The largest resident set so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def counted() -> Counter[str]:
    """A counter of all later calls of `Place` that access a file system, by method."""
    count = Counter[str]()

    def counting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            count[name] += 1
            return method(*args, **kwargs)

        return call

    for name in REQUESTS:
        setattr(Place, name, counting(name, getattr(Place, name)))
    return count


def searched() -> list[int]:
    """How many lists are searched for a vector, in every index of nearest vectors that is made later."""
    found: list[int] = []
    build = Nearest.build

    def noted(*args: Any, **kwargs: Any) -> Nearest:
        made = build(*args, **kwargs)
        found.append(made.searched)
        return made

    setattr(Nearest, "build", noted)  # noqa: B010  a type checker refuses to see a method replaced
    return found


def main(arguments: list[str]) -> None:
    """Measure the stage that the arguments name, and write the figures as JSON."""
    from unisid import recipes
    from unisid.capacity.calibrate import small

    name, items, noun, store, answer = arguments
    found = stage(noun, small(recipes.find(name), int(items)), Store(Place.of(store)))
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
