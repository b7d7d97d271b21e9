"""Bit for bit, with threads."""

import torch

from unisid.training.repeatable import repeatable


def gradient(seed: int = 0) -> torch.Tensor:
    """Of indexing with rows that repeat often, which threads add up at once."""
    random = torch.Generator().manual_seed(seed)
    table = torch.zeros(50, 64, requires_grad=True)
    rows = torch.randint(0, 50, (40_000,), generator=random)
    weights = torch.randn(40_000, 64, generator=random)
    (table[rows] * weights).sum().backward()
    return table.grad


def test_sums_over_repeated_rows_have_one_order():
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        loose = gradient()
        with repeatable(torch.device("cpu")):
            strict = [gradient() for _ in range(8)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(strict[0], other) for other in strict)
    torch.testing.assert_close(strict[0], loose, rtol=1e-3, atol=1e-2)


def test_what_was_set_before_is_set_again():
    with repeatable(torch.device("cpu")):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    with repeatable(torch.device("meta")):
        assert not torch.are_deterministic_algorithms_enabled()
