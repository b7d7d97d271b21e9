"""Kills real runs at random moments, and looks at what the same command makes of it afterwards.

A round begins `unisid run` in a process of its own, ends it with SIGKILL at a moment drawn by seed (after some time, or
just after a file appears), and runs the same command again. Afterwards every artifact must be byte for byte that of a
run that nothing disturbed, the report must be there and the models registered, and nothing temporary may be left.
"""

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import forked
from tests.end_to_end.recipes import tiny
from unisid import pipeline
from unisid.artifacts.curve import FILE as CURVE
from unisid.artifacts.record import RECORD, read_record, require
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError, BusyError
from unisid.runtime.tracking import Tracker
from unisid.runtime.tracking_place import sqlite_uri

RECIPE = "tests/end_to_end/recipes.py:tiny"
NAME = "tiny"
OTHER = ("--codes.tokenizer.codebook-size", "16")
"""Other settings under the same name."""
KEPT = {".leases", ".published.json", ".order"}
"""Hidden names that a store has at rest."""
PATIENCE = 900
"""Seconds after which a run counts as stuck, on a busy machine too."""
SIGHTS = (
    "*/tiny/.1.*",
    "*/tiny/.1.*/*",
    "*/tiny/1/record.json",
    "mlflow.db",
    "reports/tiny/1/*",
    "mlflow-artifacts/**/*",
)
"""Files whose appearance may decide when a run is killed."""


@dataclass(frozen=True)
class Calm:
    """A run that nothing disturbed."""

    files: dict[str, bytes]
    seconds: float


def begin(store: Path, *words: str, compute: str = "local", log: Path | None = None) -> forked.Process:
    """`unisid run` of the tiny recipe, in a process group of its own; what it says goes to `log`."""
    return command("run", RECIPE, "--compute", compute, *words, store=store, log=log)


def command(*words: str, store: Path, log: Path | None = None) -> forked.Process:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_", "UNISID_"))}
    env = kept | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with (log or Path(os.devnull)).open("ab") as out:
        return forked.begin(*words, "--store", str(store), env=env, out=out, err=out, start_new_session=True)


def finish(process: forked.Process, log: Path, code: int = 0) -> str:
    """Wait for a run; returns what it said. AssertionError where it is stuck or ends otherwise than expected."""
    try:
        ended = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        kill(process)
        raise AssertionError(f"stuck: {log.read_text()}") from None
    said = log.read_text()
    assert ended == code, f"exit code {ended}, not {code}:\n{said}"
    assert "Traceback" not in said, said
    assert "warning: MLflow" not in said, said
    return said


def kill(process: forked.Process) -> None:
    """End the driver at once; its children are left to whatever ends them."""
    process.kill()
    process.wait()


def calm(folder: Path) -> Calm:
    """What an undisturbed run makes, and how long it takes."""
    begun, log = time.monotonic(), folder / "calm.log"
    finish(begin(folder / "calm", log=log), log)
    return Calm(files(folder / "calm"), time.monotonic() - begun)


def files(store: Path) -> dict[str, bytes]:
    """Every file of every artifact but the record and the curve, which hold times."""
    found = {}
    for address in Store(Place.of(store)).addresses():
        for path in sorted((store / str(address)).rglob("*")):
            if path.is_file() and path.name not in (RECORD, CURVE):
                found[str(path.relative_to(store))] = path.read_bytes()
    return found


def moment(random: random.Random, store: Path, seconds: float) -> Callable[[], bool]:
    """Whether it is time to kill: some time after the beginning, or just after a file of a kind appeared."""
    if random.random() < 0.4:
        at = time.monotonic() + random.uniform(0.1, 1.3) * seconds
        return lambda: time.monotonic() >= at
    sight, nth, delay = random.choice(SIGHTS), random.randint(1, 8), random.choice((0.0, 0.01, 0.05, 0.3))
    due: list[float] = []

    def seen() -> bool:
        if not due and sum(1 for _ in _found(store, sight)) >= nth:
            due.append(time.monotonic() + delay)
        return bool(due) and time.monotonic() >= due[0]

    return seen


def _found(store: Path, pattern: str) -> Iterator[Path]:
    with contextlib.suppress(OSError):  # folders come and go under its eyes
        yield from store.glob(pattern)


def kill_once(random: random.Random, store: Path, seconds: float, compute: str, log: Path) -> bool:
    """Begin a run and kill it at some moment; whether it was still there to be killed."""
    process, due = begin(store, compute=compute, log=log), moment(random, store, seconds)
    while process.poll() is None and not due():
        time.sleep(0.002)
    killed = process.poll() is None
    kill(process)
    return killed


def check_whole(store: Path) -> None:
    """Whatever looks complete is."""
    found = Store(Place.of(store))
    for address in found.addresses():
        if read_record(found.place(address)) is not None:
            require(found.place(address), address.noun)


def check_healed(store: Path, calm: Calm) -> None:
    """The store is that of a calm run."""
    made = files(store)
    assert made.keys() == calm.files.keys(), sorted(made.keys() ^ calm.files.keys())
    assert [name for name in made if made[name] != calm.files[name]] == []
    check_at_rest(store)
    check_registered(store)
    recipe, found = tiny(), Store(Place.of(store))
    own = Tracker(sqlite_uri(store / "mlflow.db"))  # whatever other tests set in this process
    assert pipeline.is_done(recipe, found, pipeline.plan(recipe, found), own)


def check_at_rest(store: Path) -> None:
    """Everything is whole, the report is there, and nothing temporary is left."""
    check_whole(store)
    assert (store / "reports" / NAME / "1" / "report.html").exists()
    hidden = [p for p in store.rglob(".*") if p.name not in KEPT and not p.name.startswith(".mlflow.db")]
    assert hidden == []
    assert {p.name for p in (store / ".leases").iterdir()} <= {"lock"}


def check_registered(store: Path) -> None:
    """The index and the recommender are in the registry, each under its aliases, and no run is left open."""
    from mlflow import MlflowClient

    uri = sqlite_uri(store / "mlflow.db")
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    for noun, name in (("codes", f"{NAME}-index"), ("model", f"{NAME}-recommender")):
        champion = client.get_model_version_by_alias(name, "champion")
        record = require(Store(Place.of(store)).place(Address(noun, NAME, "1")), noun)
        assert champion.tags["fingerprint"] == record.fingerprint
        assert client.get_model_version_by_alias(name, "candidate").tags["fingerprint"] == record.fingerprint
    runs = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
    assert [run.info.run_name for run in runs if run.info.status == "RUNNING"] == []


def killed(seed: int, folder: Path, calm: Calm, compute: str = "local") -> int:
    """A round: one to four kills, then the same command heals; returns how many kills met a run at work."""
    draw, store, log = random.Random(seed), folder / "store", folder / "log"
    seconds = calm.seconds if compute == "local" else 2 * calm.seconds
    met = 0
    for _ in range(draw.choice((1, 2, 3, 4))):
        met += kill_once(draw, store, seconds, compute, log)
        if store.exists():
            check_whole(store)
    finish(begin(store, compute="local" if draw.random() < 0.5 else compute, log=log), log)
    check_healed(store, calm)
    return met


def at_once(seed: int, folder: Path, calm: Calm) -> int:
    """A round: the same command twice at once, one of them killed in half of the rounds; all who live succeed.

    Returns how many were killed.
    """
    draw, store = random.Random(seed), folder / "store"
    logs = [folder / "first.log", folder / "second.log"]
    first = begin(store, log=logs[0])
    time.sleep(draw.choice((0.0, 0.2, 0.6 * calm.seconds)))
    second = begin(store, log=logs[1])
    if draw.random() < 0.5:
        time.sleep(draw.uniform(0.3, 1.2) * calm.seconds)
        victim = draw.choice((first, second))
        kill(victim)
        logs, living = ([logs[1]], [second]) if victim is first else ([logs[0]], [first])
    else:
        living = [first, second]
    for process, log in zip(living, logs, strict=True):
        finish(process, log)
    check_healed(store, calm)
    return 2 - len(living)


def other_settings(seed: int, folder: Path, calm: Calm) -> int:
    """A round: two commands of other settings under one name; one makes it, the other is refused, nothing is mixed.

    Returns how many were refused.
    """
    draw, store = random.Random(seed), folder / "store"
    logs = [folder / "first.log", folder / "second.log"]
    first = begin(store, log=logs[0])
    time.sleep(draw.choice((0.0, 0.1, 0.5 * calm.seconds)))
    second = begin(store, *OTHER, log=logs[1])
    codes = [process.wait(PATIENCE) for process in (first, second)]
    said = [log.read_text() for log in logs]
    assert sorted(codes) == [0, 1], said
    refused = said[codes.index(1)]
    assert "from other settings or inputs" in refused, refused
    assert "Traceback" not in refused
    check_at_rest(store)
    if codes[0] == 0:
        check_healed(store, calm)
    else:
        sizes = {a: require(Store(Place.of(store)).place(a), a.noun) for a in Store(Place.of(store)).addresses("codes")}
        assert [record.config["tokenizer"]["codebook_size"] for record in sizes.values()] == [16]
    return codes.count(1)


def dropping(seed: int, folder: Path, calm: Calm) -> int:
    """A round: artifacts are dropped again and again while a run makes them; returns how many drops were refused."""
    draw, store, log = random.Random(seed), folder / "store", folder / "log"
    process, refused = begin(store, log=log), 0
    found = Store(Place.of(store))
    while process.poll() is None:
        time.sleep(draw.uniform(0.01, 0.3))
        address = Address(draw.choice(("catalog", "embeddings", "graph", "codes", "model")), NAME, "1")
        try:
            pipeline.drop(found, address)
        except BusyError:
            refused += 1
        except ArtifactError as error:
            if "nothing is there to remove" not in str(error):
                raise
    said = log.read_text()
    assert process.returncode in (0, 1), said  # 1: what it had made was dropped before its results were shown
    assert "Traceback" not in said, said
    finish(begin(store, log=log), log)
    check_healed(store, calm)
    return refused
