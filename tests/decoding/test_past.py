"""The past of beams: as long as their own tokens, and that of their parents when beams are chosen anew."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from unisid.decoding.past import Past


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 3), st.integers(0, 2**16))
def test_beams_take_over_what_their_parents_have(users, beams, positions, seed):
    generator = torch.Generator().manual_seed(seed)
    layer = tuple(torch.randn(users, beams, 2, positions, 3, generator=generator) for _ in range(2))
    past = Past((layer, layer))
    parents = torch.randint(beams, (users, beams), generator=generator)
    found = past.follow(parents)
    assert len(found) == len(past) == positions
    for before, after in zip(layer, found.layers[1], strict=True):
        for user in range(users):
            for beam in range(beams):
                assert torch.equal(after[user, beam], before[user, parents[user, beam]])


def test_before_the_first_token_there_is_none():
    assert len(Past()) == 0
    assert Past().follow(torch.zeros(1, 2, dtype=torch.long)) == Past()
