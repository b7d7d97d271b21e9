"""What an artifact is to a recipe or to another artifact: a noun, with a name where there are several of that noun."""

from collections.abc import Iterable

from unisid.artifacts.store import NOUNS


def noun_of(role: str) -> str:
    """'embeddings.image' -> 'embeddings': of a noun that a recipe has more than once, all but the first have a name."""
    return role.partition(".")[0]


def in_flow(roles: Iterable[str]) -> list[str]:
    """Roles in the order of the flow, those of one noun by name."""
    return sorted(roles, key=lambda role: (NOUNS.index(noun_of(role)), role))


def name_of(role: str) -> str:
    """'embeddings.image' -> 'image', 'embeddings' -> ''."""
    return role.partition(".")[2]
