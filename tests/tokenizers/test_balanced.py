"""Balanced residual k-means: fitted in balance, encoded by the nearest."""

import pytest
import torch

from unisid.config import to_record
from unisid.errors import ConfigError
from unisid.tokenizers import balanced, rqkmeans


def skewed() -> torch.Tensor:
    """Three quarters of the rows in one blob, the rest far around it."""
    generator = torch.Generator().manual_seed(0)
    blob = 0.3 * torch.randn(300, 4, generator=generator)
    return torch.cat([blob, 5 * torch.randn(100, 4, generator=generator)])


@torch.no_grad()
def test_codes_are_used_more_evenly_than_those_of_plain_k_means():
    largest = {}
    for kind in (balanced, rqkmeans):
        tokenizer = kind.Config(num_levels=1, codebook_size=8).build(4)
        tokenizer.start(skewed(), 0)
        codes = tokenizer.encode(skewed())[:, 0]
        largest[kind] = int(torch.bincount(codes, minlength=8).max())
    assert largest[balanced] < 0.5 * largest[rqkmeans]


@torch.no_grad()
def test_a_code_hangs_on_the_vector_alone_not_on_who_else_is_encoded():
    tokenizer = balanced.Config(num_levels=2, codebook_size=8).build(4)
    tokenizer.start(skewed(), 0)
    whole = tokenizer.encode(skewed())
    same = skewed()[:1].expand(50, 4)  # more equal rows than a balanced cluster holds
    assert (tokenizer.encode(same) == whole[:1]).all()


@torch.no_grad()
def test_codes_are_used_more_evenly_by_interactions_where_these_are_what_is_equal():
    """Of items of which a fifth, all on one side, has most of the interactions."""
    rows = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    taken = torch.where(rows[:, 0] > 0.85, 60, 2)
    largest = {}
    for equal in ("items", "interactions"):
        tokenizer = balanced.Config(num_levels=1, codebook_size=16, equal=equal).build(4)
        tokenizer.start_weighing(rows, taken, 0) if equal == "interactions" else tokenizer.start(rows, 0)
        codes = tokenizer.encode(rows)[:, 0]
        largest[equal] = float(torch.bincount(codes, weights=taken.double(), minlength=16).max())
    assert largest["interactions"] < 0.75 * largest["items"]


def test_settings_that_weigh_no_items_are_known_by_the_same_record_as_before():
    assert "equal" not in to_record(balanced.Config(), identity=True)
    assert to_record(balanced.Config(equal="interactions"), identity=True)["equal"] == "interactions"


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="balanced.iterations: is 0; must be at least 1"):
        balanced.Config(iterations=0)
