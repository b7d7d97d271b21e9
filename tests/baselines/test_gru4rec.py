import pytest
import torch

from tests.baselines.reading import order_matters, reads_forward
from unisid.baselines.gru4rec import Config, Gru4Rec
from unisid.config import ConfigError


def build(**changes):
    torch.manual_seed(0)
    return Gru4Rec(Config(**{"width": 8, "hidden_width": 12, "dropout": 0.0, **changes}), num_items=15)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_it_reads_forward_and_in_order(num_layers):
    model = build(num_layers=num_layers)
    assert model.states(torch.zeros(3, 4, dtype=torch.long), torch.zeros(3, dtype=torch.long)).shape == (3, 4, 8)
    reads_forward(model.states)
    order_matters(model.states)


def test_states_equal_the_recurrence_item_by_item():
    model = build()
    cell = torch.nn.GRUCell(8, 12)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in model.recurrent.state_dict().items()})
    items, state = [3, 14, 3, 0], torch.zeros(1, 12)
    found = model.states(torch.tensor([items]), torch.tensor([0]))[0]
    for at, item in enumerate(items):
        state = cell(model.items.weight[item][None], state)
        torch.testing.assert_close(found[at], model.out(state)[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_width": 0}, "gru4rec.hidden_width: is 0; must be at least 1"),
        ({"dropout": -0.1}, "gru4rec.dropout: is -0.1"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config(**settings)
