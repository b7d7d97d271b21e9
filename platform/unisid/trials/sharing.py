"""Artifacts that several trials need, found in their plans: each is made once, before the trials that need it."""

from collections.abc import Sequence
from dataclasses import dataclass

from unisid.artifacts.roles import in_flow
from unisid.planned import Planned


@dataclass(frozen=True)
class Phase:
    """Artifacts of one noun that several trials need; one trial of each group makes it for the others."""

    noun: str
    makers: tuple[int, ...]
    """The trials, by number, that run up to this noun."""


def shared_by_all(plans: Sequence[Sequence[Planned]]) -> list[str]:
    """The nouns whose artifact is the same for all trials that need it, in order; not those that only one trial needs,
    unless there is but one trial."""
    found = {noun: list(_groups(plans, noun).values()) for noun in _nouns(plans)}
    return [noun for noun, groups in found.items() if len(groups) == 1 and (len(groups[0]) > 1 or len(plans) == 1)]


def phases(plans: Sequence[Sequence[Planned]]) -> list[Phase]:
    """The artifacts that some trials share and not all, in the order in which they are made.

    Every artifact that two trials need belongs to a phase, or is made within a later one whose groups are the same:
    so no two trials of a phase, nor of the last run of all, ever make the same artifact.
    """
    found: list[Phase] = []
    ends: list[dict[str, list[int]]] = []
    for noun in _nouns(plans):
        groups = _groups(plans, noun)
        if len(groups) < 2 or all(len(group) == 1 for group in groups.values()):
            continue
        makers = tuple(group[0] for group in groups.values() if len(group) > 1 and _to_make(plans[group[0]], noun))
        one = plans[next(iter(groups.values()))[0]]
        if found and _members(ends[-1]) == _members(groups) and found[-1].noun in _inputs(one, noun):
            found.pop()
            ends.pop()
        found.append(Phase(noun, makers))
        ends.append(groups)
    return [phase for phase in found if phase.makers]


def _nouns(plans: Sequence[Sequence[Planned]]) -> list[str]:
    """All nouns of the plans, in the order of the flow."""
    return in_flow({entry.noun for planned in plans for entry in planned})


def _groups(plans: Sequence[Sequence[Planned]], noun: str) -> dict[str, list[int]]:
    """Fingerprint -> the trials that need it."""
    groups: dict[str, list[int]] = {}
    for number, planned in enumerate(plans):
        for entry in planned:
            if entry.noun == noun:
                groups.setdefault(entry.fingerprint, []).append(number)
    return groups


def _members(groups: dict[str, list[int]]) -> list[list[int]]:
    return sorted(groups.values())


def _to_make(planned: Sequence[Planned], noun: str) -> bool:
    return any(entry.noun == noun and entry.state in ("half made", "to make") for entry in planned)


def _inputs(planned: Sequence[Planned], noun: str) -> set[str]:
    """All that goes into a noun, however far upstream."""
    direct = {entry.noun: set(entry.inputs) for entry in planned}
    wanted, found = [noun], set[str]()
    while wanted:
        found |= (roles := direct.get(wanted.pop(), set()) - found)
        wanted += roles
    return found
