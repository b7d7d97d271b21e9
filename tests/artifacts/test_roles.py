"""Roles: nouns, and names of what a recipe has several of."""

import pytest

from unisid.artifacts.roles import in_flow, name_of, noun_of
from unisid.artifacts.store import NOUNS


@pytest.mark.parametrize(
    ("role", "noun", "name"), [("embeddings.image", "embeddings", "image"), ("codes", "codes", "")]
)
def test_a_role_is_a_noun_with_or_without_a_name(role, noun, name):
    assert (noun_of(role), name_of(role)) == (noun, name)


def test_roles_go_with_the_flow_those_of_one_noun_by_name():
    roles = ["fused", "embeddings.image", "graph", "embeddings", "catalog", "embeddings.abstract"]
    assert in_flow(roles) == ["catalog", "embeddings", "embeddings.abstract", "embeddings.image", "graph", "fused"]
    assert in_flow(reversed(NOUNS)) == list(NOUNS)
