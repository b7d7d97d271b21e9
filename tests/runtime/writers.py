"""Processes that write to one MLflow server at once; python -m tests.runtime.writers starts them.

It imports what they need, and for each line of its input, ["AT_ONCE" or "CUT_OFF", STORE, FOLDER] as JSON, forks eight,
waits for all, and answers `done`. Each writer's output is FOLDER/N.txt, its last line the exit code.
"""

import json
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import unisid
from unisid import cli, making, pipeline
from unisid.artifacts.record import Record
from unisid.artifacts.store import Address, Place, Store
from unisid.runtime import local, promotion, tracking

WRITERS = 8
RECIPE = "tests/end_to_end/recipes.py:tiny"
LOADED = (pipeline, local, promotion)
"""What commands import when they run: read before the fork."""


def version_of_writer(number: int) -> str:
    """Which version a writer registers: the first two the same."""
    return f"w{max(number, 1)}"


def at_once(number: int, store: str, begin: Callable[[], object]) -> int:
    """Log a run, then register an index and a recommender; the last two promote and roll back."""
    if number >= WRITERS - 2:
        begin()
        pairs = (["codes/ring/a", "model/ring/a"], ["codes/ring/b", "model/ring/b"], ["--rollback", "ring"])
        return max(cli.main(["promote", *words, "--store", store]) for words in (*pairs, *pairs))
    root = Store(Place.of(store))
    told = tracking.tracker(root.root)
    version = version_of_writer(number)
    with told.pipeline(f"writer {number}", {"writer": number}, {}):
        with told.stage("codes", {"version": version}) as log:
            for step in range(1, 6):
                log.metrics({"loss": 1.0 / step, "step": step})
        begin()
        places = {noun: root.place(Address(noun, "ring", version)) for noun in ("codes", "model")}
        places["catalog"] = root.place(Address("catalog", "ring", "1"))
        told.publish("ring", places, root.root / "pages")
    return int(bool(told.trouble))


def cut_off(number: int, store: str, begin: Callable[[], object]) -> int:
    """Run a recipe that waits before its first record, until the file STORE.open is there."""
    written = making.write_record

    def write_record(place: Place, record: Record) -> None:
        Path(f"{store}.{number}.waits").touch()
        while not Path(f"{store}.open").exists():
            time.sleep(0.1)
        written(place, record)

    making.write_record = write_record
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    begin()
    words = ["run", RECIPE, "--name", f"shop-{number}", "--until", "catalog", "--compute", "local"]
    return cli.main([*words, "--store", store])


def writer(kind: str, number: int, store: str, folder: str, barrier: "multiprocessing.synchronize.Barrier") -> None:
    """Be one writer, with everything that is printed in a file."""
    with open(f"{folder}/{number}.txt", "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        code = {"AT_ONCE": at_once, "CUT_OFF": cut_off}[kind](number, store, barrier.wait)
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    os.write(1, f"\n{code}\n".encode())
    os._exit(0)


def main() -> None:
    """Fork the writers for each line, and wait for all."""
    context = multiprocessing.get_context("fork")
    for line in sys.stdin:
        kind, store, folder = json.loads(line)
        # what travels with a registered model is as little as may be: hundreds of files are not what this is about
        package = Path(folder) / "unisid"
        package.mkdir()
        (package / "__init__.py").touch()
        unisid.__file__ = str(package / "__init__.py")
        barrier = context.Barrier(WRITERS, timeout=300)
        writers = [context.Process(target=writer, args=(kind, n, store, folder, barrier)) for n in range(WRITERS)]
        for each in writers:
            each.start()
        for each in writers:
            each.join()
        print("done", flush=True)


if __name__ == "__main__":
    main()
