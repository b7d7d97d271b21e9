"""One writer a name and version, for runs and drops: which of them waits, which is refused, and with what message."""

import contextlib
import time
from collections.abc import Iterator, Sequence

from unisid.artifacts import lease
from unisid.artifacts.roles import name_of
from unisid.artifacts.store import Address, Store
from unisid.errors import ArtifactError, BusyError, DriftError
from unisid.log import logger
from unisid.planned import Planned

LOG = logger(__name__)

SAID_EVERY = 60.0
"""Seconds between two messages of a run that waits for another."""


@contextlib.contextmanager
def writing(store: Store, name: str, version: str, planned: Sequence[Planned]) -> Iterator[lease.Lease]:
    """The lease of a run on its name and version; waits while another run makes the same.

    Raises:
        DriftError: another process makes artifacts of these addresses from other settings.
    """
    own = {str(e.address): e.fingerprint for e in planned if (e.address.name, e.address.version) == (name, version)}
    named = {
        str(e.address): e.fingerprint
        for e in planned
        if name_of(e.noun) and (e.address.name, e.address.version) == (f"{name}.{name_of(e.noun)}", version)
    }
    needed = {str(entry.address) for entry in planned}
    needed |= {each["address"] for entry in planned for each in entry.inputs.values()}
    # A process that drops one of a name holds the lease of another name: it must find this one among the readers.
    owner = lease.Owner(makes=own | named, reads=sorted(needed - own.keys()))
    with lease.holding(store, name, version, owner, _waiting(name, version, planned)) as held:
        yield held


@contextlib.contextmanager
def unused(store: Store, address: Address) -> Iterator[None]:
    """Inside, no run makes this artifact or begins to.

    Raises:
        BusyError: a run makes or needs it.
    """

    def busy(owner: lease.Owner) -> None:
        if not owner.is_gone:
            raise BusyError(
                f"{address}: is in use by {owner}, at work since {owner.since}; remove it when that run is "
                f"over, or end the run first ({owner.advice()})"
            )

    with contextlib.ExitStack() as stack:
        try:
            owner = lease.Owner(doing="drop")
            stack.enter_context(lease.holding(store, address.name, address.version, owner, busy))
        except BusyError:
            raise
        except ArtifactError:  # a full disk takes no lease, and is what a drop may be for
            if (other := lease.owner_of(store, address.name, address.version)) is not None:
                busy(other)
        for reader in lease.readers_of(store, str(address)):
            busy(reader)
        yield


def _waiting(name: str, version: str, planned: Sequence[Planned]) -> lease.Busy:
    """The callback for a lease held by another process: log that this one waits; DriftError for other artifacts."""
    said: dict[str, float] = {}

    def busy(owner: lease.Owner) -> None:
        for entry in planned if not owner.is_gone else ():
            if owner.makes.get(str(entry.address), entry.fingerprint) != entry.fingerprint:
                raise DriftError(
                    f"{entry.address}: is being made from other settings or inputs by {owner}, at work since "
                    f"{owner.since}\n  Either give this run a name of its own (--name or --version; equal artifacts "
                    f"are shared), or wait until that run is over, or end it ({owner.advice()})"
                )
        if time.monotonic() - said.get(owner.token, -SAID_EVERY) >= SAID_EVERY:
            said[owner.token] = time.monotonic()
            silent = f", silent for {time.time() - owner.renewed:.0f} s" if owner.is_gone else ""
            LOG.info(
                f"waiting: {owner} has been at work on {name}/{version} since {owner.since}{silent}; this run goes on "
                f"when that one is over (to end it: {owner.advice()})"
            )

    return busy
