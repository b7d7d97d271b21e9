import pytest
import torch
from torch.nn import functional

from tests.baselines.reading import order_matters, reads_forward
from unisid.baselines.caser import Caser, Config
from unisid.config import ConfigError


def build(**changes):
    torch.manual_seed(0)
    settings = {"width": 6, "last_items": 3, "horizontal": 4, "vertical": 2, "dropout": 0.0}
    return Caser(Config(**{**settings, **changes}), num_items=15, num_users=9)


def state_slowly(model, history, user):
    """The last state of one history, filter by filter and place by place."""
    length, width = model.config.last_items, model.config.width
    picture = torch.zeros(length, width)
    for row, item in zip(range(length - 1, -1, -1), reversed(history[-length:]), strict=False):
        picture[row] = model.items.weight[item]
    across = []
    for height, filters in enumerate(model.rows, 1):
        kernels = filters.weight.view(-1, width, height)  # a filter, its columns, its rows
        for kernel, bias in zip(kernels, filters.bias, strict=True):
            answers = [(picture[top : top + height].T * kernel).sum() + bias for top in range(length - height + 1)]
            across.append(functional.relu(torch.stack(answers)).max())
    down = [
        (picture[:, column] * weight).sum() + bias
        for column in range(width)
        for weight, bias in zip(model.columns.weight, model.columns.bias, strict=True)
    ]
    found = functional.relu(model.out(torch.stack([*across, *down])))
    return torch.cat([found, model.users.weight[user]])


@pytest.mark.parametrize("history", [[4], [4, 2], [7, 4, 2], [1, 1, 7, 4, 2]])
def test_the_last_state_equals_its_twin(history):
    """Also of histories shorter than the picture."""
    model = build()
    torch.nn.init.normal_(model.users.weight)
    found = model.states(torch.tensor([history]), torch.tensor([5]))[0, -1]
    torch.testing.assert_close(found, state_slowly(model, history, 5), atol=1e-6, rtol=1e-4)


def test_it_reads_forward_and_in_order():
    reads_forward(build().states)
    order_matters(build().states)


def test_an_unknown_user_has_the_zero_vector():
    model = build()
    torch.nn.init.normal_(model.users.weight)
    items = torch.tensor([[1, 2], [1, 2]])
    states = model.states(items, torch.tensor([-1, 3]))
    assert not states[0, :, 6:].any()
    assert states[1, :, 6:].any()
    assert torch.equal(states[0, :, :6], states[1, :, :6])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"last_items": 0}, "caser.last_items: is 0; must be at least 1"),
        ({"dropout": 1.0}, "caser.dropout: is 1.0"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config(**settings)
