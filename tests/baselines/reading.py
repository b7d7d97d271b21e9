"""Laws of models that read a history forward."""

import torch

from unisid.baselines.parts.learned import PAD, States


def reads_forward(states: States, num_items: int = 15, length: int = 5) -> None:
    """Neither later items nor what is filled up changes what is known after an item."""
    items = torch.randint(0, num_items, (4, length), generator=torch.Generator().manual_seed(1))
    users = torch.arange(4)
    whole = states(items, users)
    for seen in range(1, length):
        torch.testing.assert_close(states(items[:, :seen], users), whole[:, :seen])
        padded = torch.where(torch.arange(length) < seen, items, PAD)
        torch.testing.assert_close(states(padded, users)[:, :seen], whole[:, :seen])


def order_matters(states: States) -> None:
    """The same items in another order are another history."""
    one, other = (states(torch.tensor([items]), torch.tensor([0]))[0, -1] for items in ([1, 2, 3], [2, 1, 3]))
    assert (one - other).abs().max() > 1e-6
