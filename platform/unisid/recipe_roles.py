"""What a recipe makes, by role: a noun, or one with a name where a recipe makes several of that noun.

Besides further embeddings ('embeddings.NAME'), a recipe that trains tokenizer and recommender together makes the index
that this begins with ('codes.first') and the recommender that teaches ('baseline.teacher'); one that aligns its
recommender, the one that this begins with ('model.first').
"""

from dataclasses import replace
from typing import Any

from unisid.artifacts.roles import in_flow, name_of, noun_of
from unisid.artifacts.store import NOUNS, Address
from unisid.stages.align import START
from unisid.stages.joint import FIRST, TEACHER

KEYS = {FIRST: "codes", TEACHER: "joint.teacher", START: "model"}
"""The dotted keys of the settings of roles that are no noun of their own."""
AHEAD = {"codes": (FIRST,), "model": ("joint", START)}
"""What is made from the settings of another role too, where there is joint training, or a recommender is aligned."""
ALIGN = "align"
"""Where the settings lie by which a recommender is aligned; what they make is the model."""


def roles_of(recipe: Any) -> list[str]:
    """The roles that a recipe has settings for, in the order of the flow."""
    named = [f"embeddings.{name}" for name in getattr(recipe, "modalities", {})]
    if (joint := joint_of(recipe)) is not None:
        named += [FIRST, *([TEACHER] if joint.teacher is not None else [])]
    named += [START] if is_aligned(recipe, "model") else []
    nouns = (noun for noun in NOUNS if getattr(recipe, noun, None) is not None and (noun != "joint" or joint))
    return in_flow([*nouns, *named])


def joint_of(recipe: Any) -> Any:
    """How tokenizer and recommender are trained together; None where they are not: an index that is extended stays."""
    extended = getattr(getattr(recipe, "codes", None), "base", None) is not None
    return None if extended else getattr(recipe, "joint", None)


def emits(recipe: Any, role: str) -> bool:
    """Whether what has a role comes of training tokenizer and recommender together."""
    return role in ("codes", "model", START) and not is_aligned(recipe, role) and joint_of(recipe) is not None


def is_aligned(recipe: Any, role: str) -> bool:
    """Whether what has a role is a recommender that learns from its own answers."""
    return role == "model" and getattr(recipe, ALIGN, None) is not None


def config_of(recipe: Any, role: str) -> Any:
    """The settings of what has a role."""
    if role == FIRST:
        return recipe.codes
    if role == TEACHER:
        return recipe.joint.teacher
    if role == START:
        return recipe.model
    if is_aligned(recipe, role):
        return replace(recipe.align, recommender=replace(recipe.model, afterwards=None))
    if role == "joint":
        return replace(recipe.joint, recommender=replace(recipe.model, afterwards=None))
    name = name_of(role)
    return recipe.modalities[name] if name else getattr(recipe, role)


def key_of(role: str, recipe: Any = None) -> str:
    """The dotted key of a role's settings: 'modalities.image' of 'embeddings.image'; 'align' of a recipe's aligned
    model."""
    if is_aligned(recipe, role):
        return ALIGN
    return KEYS.get(role) or (f"modalities.{name}" if (name := name_of(role)) else role)


def role_of(key: str) -> str:
    """The role whose settings a dotted key leads into."""
    first, _, rest = key.partition(".")
    if key.startswith(f"{KEYS[TEACHER]}."):
        return TEACHER
    if first == ALIGN:
        return "model"
    return f"embeddings.{rest.partition('.')[0]}" if first == "modalities" else first


def roles_at(key: str) -> list[str]:
    """All roles whose settings a dotted key may lead into: what is trained together reads those of both halves."""
    role = role_of(key)
    return [role, *AHEAD.get(role, ())]


def address_of(recipe: Any, role: str) -> Address:
    """Where a recipe makes what has a role."""
    name = f"{recipe.name}.{name_of(role)}" if name_of(role) else recipe.name
    return Address(noun_of(role), name, recipe.version)
