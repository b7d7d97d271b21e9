import pytest
import torch

from tests.baselines.reading import order_matters, reads_forward
from unisid.baselines.hgn import Config, Hgn
from unisid.config import ConfigError


def build(**changes):
    torch.manual_seed(0)
    model = Hgn(Config(**{"width": 6, "last_items": 3, "dropout": 0.0, **changes}), num_items=15, num_users=9)
    torch.nn.init.normal_(model.users.weight)
    torch.nn.init.normal_(model.items.weight)
    return model


def state_slowly(model, history, user):
    """The last state of one history, item by item."""
    own, length = model.users.weight[user], model.config.last_items
    last = history[-length:]
    pooled, total, plain = torch.zeros(6), 0.0, torch.zeros(6)
    for place, item in enumerate(last, length - len(last)):
        vector = model.items.weight[item]
        gated = vector * torch.sigmoid(model.feature(vector) + model.feature_user(own))
        share = torch.sigmoid(model.instance(gated)[0] + model.instance_user(own)[place])
        pooled, total, plain = pooled + share * gated, total + share, plain + vector
    return own + pooled / total + plain


@pytest.mark.parametrize("history", [[4], [4, 2], [7, 4, 2], [1, 1, 7, 4, 2]])
def test_the_last_state_equals_its_twin(history):
    """Also of histories shorter than what the gates look at."""
    model = build()
    found = model.states(torch.tensor([history]), torch.tensor([3]))[0, -1]
    torch.testing.assert_close(found, state_slowly(model, history, 3))


def test_it_reads_forward_and_in_order():
    model = build()
    reads_forward(model.states)
    order_matters(model.states)


def test_a_user_of_whom_nothing_is_known_is_zero():
    model, items = build(), torch.tensor([[3, 1]])
    unknown = model.states(items, torch.tensor([-1]))
    with torch.no_grad():
        model.users.weight.zero_()
    torch.testing.assert_close(unknown, model.states(items, torch.tensor([2])))


def test_refuses_settings():
    with pytest.raises(ConfigError, match="hgn.last_items: is 0; must be at least 1"):
        Config(last_items=0)
