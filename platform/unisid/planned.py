"""One artifact's entry in a plan."""

from dataclasses import dataclass
from typing import Literal

from unisid.artifacts.store import Address
from unisid.config import Json

State = Literal["complete", "shared", "half made", "to make", "drift"]


@dataclass(frozen=True)
class Planned:
    """One artifact of a recipe: where it is or will be, and whether it must be made."""

    noun: str
    """Its role in the recipe: the noun, and for further embeddings also their name, 'embeddings.image'."""
    address: Address
    state: State
    fingerprint: str
    config: Json
    inputs: dict[str, Json]
    difference: tuple[str, ...] = ()
    """For drift: what stands there differs in these settings or inputs."""
    at_work: str = ""
    """Which other process makes it now; empty for none."""
