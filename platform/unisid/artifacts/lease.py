"""One writer: the process that writes the artifacts of a name and version holds a lease on it.

A lease is a small file, `.leases/NAME@VERSION.json` under the store's root: who holds it (a token, host, process),
since when, what is made and what is read. Its owner renews it every few seconds and removes it at the end. A lease is
free again when its owner is gone: on the same machine when the process is; elsewhere when it is no longer renewed.
"""

import contextlib
import functools
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from unisid.artifacts.store import Store
from unisid.artifacts.swap import Swap
from unisid.errors import ArtifactError

FOLDER = ".leases"
RENEWED_EVERY = 15.0
"""Seconds."""
EXPIRY_SECONDS = 180.0
"""Without renewal, until an owner on another machine counts as gone."""
CONFIRM_SECONDS = 40.0
"""Seconds for which an expired lease is watched before it is taken over: clocks of two machines may differ, and a
live owner renews it in that time."""
POLL_SECONDS = 0.5
HELD: set[str] = set()
"""Tokens of the leases that this process holds."""


@functools.cache
def machine() -> str:
    """The identity of this machine and of the container that this process runs in."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _started(pid: int) -> float | None:
    """When a process of this machine began, in ticks since the machine did; None where it is over. 0.0 where the
    system has no /proc: a process is then identified by its number alone."""
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:  # another user's
            return 0.0
        return 0.0
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] in "ZX" else float(stat[19])  # a zombie is over, only not yet buried


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who is at work on a name and version, and on what."""

    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    doing: Literal["run", "drop"] = "run"
    host: str = field(default_factory=socket.gethostname)
    on: str = field(default_factory=machine)
    """Two processes of one machine can see each other by number, those of two containers cannot."""
    pid: int = field(default_factory=os.getpid)
    started: float = field(default_factory=lambda: _started(os.getpid()) or 0.0)
    """When the process began: numbers of processes are given out again."""
    since: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M:%S"))
    renewed: float = field(default_factory=time.time)
    makes: dict[str, str] = field(default_factory=dict)
    """The addresses that belong to it, with their fingerprints."""
    reads: list[str] = field(default_factory=list)
    """The addresses of other names that it needs."""

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.on == machine()

    @property
    def is_gone(self) -> bool:
        """On this machine, whether the process is over; elsewhere, whether its lease has expired."""
        if not self.is_here:
            return time.time() - self.renewed > EXPIRY_SECONDS
        if self.pid == os.getpid() and self.started == (_started(self.pid) or 0.0):
            return self.token not in HELD
        return _started(self.pid) != self.started

    def advice(self) -> str:
        """How a user can end it, for messages."""
        return f"kill {self.pid}" if self.is_here else f"on {self.host}: kill {self.pid}"


Busy = Callable[[Owner], None]
"""Called again and again while another is at work: returns to wait on, raises to give up."""


class Lease:
    """A lease that is held; a thread renews it."""

    def __init__(self, file: Swap, owner: Owner) -> None:
        self.file, self.owner = file, owner
        self._changing, self._over = threading.Lock(), threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="unisid-lease", daemon=True)
        HELD.add(owner.token)
        self._renewing.start()

    def check(self) -> None:
        """Raise ArtifactError where another has taken the lease over: what it writes is no longer this process's."""
        held = read(self.file)
        if held is None or held.token != self.owner.token:
            raise ArtifactError(
                f"{self.file.folder / self.file.name}: this run's lease was taken over"
                f"{f' by {held}' if held else ''}, for it was not renewed for {EXPIRY_SECONDS:.0f} s; "
                "what was made so far stays, the same command goes on from there"
            )

    def release(self) -> None:
        """End the hold; where another has taken over, nothing changes."""
        self._over.set()
        try:
            with self._changing, contextlib.suppress(ArtifactError):  # a lease that stays is free: its owner is gone
                held = self.file.read()
                if held is not None and _parsed(held).token == self.owner.token:
                    self.file.swap(held, None)
        finally:
            HELD.discard(self.owner.token)

    def _renew(self) -> None:
        while not self._over.wait(RENEWED_EVERY):
            with self._changing, contextlib.suppress(ArtifactError):  # tried again; it takes many misses to lose it
                held = self.file.read()
                if self._over.is_set() or held is None or _parsed(held).token != self.owner.token:
                    return
                self.owner = replace(self.owner, renewed=time.time())
                self.file.swap(held, _written(self.owner))


@contextlib.contextmanager
def holding(store: Store, name: str, version: str, owner: Owner, busy: Busy) -> Iterator[Lease]:
    """The lease on a name and version, for as long as the block runs.

    Raises:
        ArtifactError: the store cannot be written.
    """
    file = _file(store, name, version)
    _acquire(file, owner, busy)
    lease = Lease(file, owner)
    try:
        yield lease
    finally:
        lease.release()


def clear(store: Store, name: str, version: str) -> None:
    """Remove the lease of a process of this machine that is gone; one that cannot be removed stays, and is free."""
    file = _file(store, name, version)
    with contextlib.suppress(ArtifactError):
        body = file.read()
        if body is not None and (owner := _parsed(body)).is_gone and (owner.is_here or not owner.token):
            file.swap(body, None)


def owner_of(store: Store, name: str, version: str) -> Owner | None:
    """Who is at work on a name and version, if anybody is."""
    held = read(_file(store, name, version))
    return None if held is None or held.is_gone else held


def readers_of(store: Store, address: str) -> list[Owner]:
    """The owner of a live lease in the store that needs this artifact; None where there is none."""
    folder = store.root / FOLDER
    names = [name for name in folder.sizes() if name.endswith(".json")]
    owners = [read(Swap(folder, name)) for name in names]
    return [owner for owner in owners if owner is not None and address in owner.reads and not owner.is_gone]


def read(file: Swap) -> Owner | None:
    """Who holds a lease, gone or not; None where there is none."""
    body = file.read()
    return None if body is None else _parsed(body)


def _acquire(file: Swap, owner: Owner, busy: Busy) -> None:
    HELD.add(owner.token)
    seen, since = b"", time.monotonic()
    try:
        while True:
            body = file.read()
            if body is not None and body != seen:
                seen, since = body, time.monotonic()
            if body is None or _free(_parsed(body), time.monotonic() - since):
                if file.swap(body, _written(replace(owner, renewed=time.time()))):
                    return
                continue
            busy(_parsed(body))
            time.sleep(POLL_SECONDS)
    except BaseException:
        HELD.discard(owner.token)
        raise


def _free(owner: Owner, unchanged: float) -> bool:
    """Whether a lease may be taken over; `unchanged`: seconds for which it was watched."""
    return owner.is_gone and (owner.is_here or unchanged > CONFIRM_SECONDS)


def _file(store: Store, name: str, version: str) -> Swap:
    return Swap(store.root / FOLDER, f"{name}@{version}.json")


def _written(owner: Owner) -> bytes:
    return json.dumps(asdict(owner)).encode()


def _parsed(body: bytes) -> Owner:
    """The owner that a lease names; one that cannot be read has no owner."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        found = json.loads(body)
        known = {each.name for each in fields(Owner)}
        return Owner(**{key: value for key, value in found.items() if key in known})
    return Owner(token="", pid=0, started=-1.0)
