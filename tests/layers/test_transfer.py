import math

import torch
from torch.nn import functional

from unisid.layers.transfer import Transfer, exchange

SIZES = (4, 6)
TABLES = [torch.randn(size, 8, generator=torch.Generator().manual_seed(size)) for size in SIZES]
CODES = torch.tensor([[1, 5], [3, 0], [2, 2]])


def made() -> Transfer:
    torch.manual_seed(1)
    return Transfer(8, 2, 12, 2)


def test_a_row_of_exchanged_codes_differs_in_one_level() -> None:
    torch.manual_seed(0)
    rows = CODES.repeat(200, 1)
    found = exchange(rows, SIZES)
    assert ((found != rows).sum(1) == 1).all()
    assert all(found[:, level].max() < size for level, size in enumerate(SIZES))
    assert {tuple(row) for row in (found != rows).tolist()} == {(True, False), (False, True)}
    assert found[: 200 * 3 : 3, 0].unique().tolist() == [0, 1, 2, 3]


def test_places_see_one_another_and_the_state() -> None:
    """Attention to a single state is one map of it, added to every place."""
    net, vectors, state = made(), torch.randn(3, 2, 8), torch.randn(3, 8)
    found = net.read(vectors, state)
    assert found.shape == (3, 3, 8)
    other = vectors.clone()
    other[0, 1] += 1
    again = net.read(other, state)
    assert not torch.allclose(found[0, 0], again[0, 0])
    assert torch.allclose(found[1:], again[1:])
    assert not torch.allclose(found[0], net.read(vectors, state + 1)[0])


def test_a_hidden_code_is_found_among_those_of_its_level() -> None:
    net, state = made(), torch.randn(1, 8)
    torch.manual_seed(3)
    level = int(torch.randint(2, (1,)))
    torch.manual_seed(3)
    found = net.reconstruction(CODES[:1], TABLES, state)
    vectors = torch.stack([TABLES[0][CODES[0, 0]], TABLES[1][CODES[0, 1]]])[None].clone()
    vectors[0, level] = net.hidden
    scores = TABLES[level] @ net.read(vectors, state)[0, 1 + level]
    assert torch.allclose(found, functional.cross_entropy(scores[None], CODES[:1, level]))


def test_recognition_is_two_log_two_where_nothing_is_known() -> None:
    net = made()
    with torch.no_grad():
        net.exchanged.weight.zero_()
        net.exchanged.bias.zero_()
    assert math.isclose(net.recognition(CODES, TABLES, torch.randn(3, 8)).item(), 2 * math.log(2), rel_tol=1e-5)


def test_the_state_takes_no_gradient() -> None:
    net, state = made(), torch.randn(3, 8, requires_grad=True)
    net.loss(CODES, TABLES, state).backward()
    assert state.grad is None
    assert all(parameter.grad is not None for parameter in net.parameters())
