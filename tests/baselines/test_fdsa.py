import pytest
import torch

from tests.baselines.reading import order_matters, reads_forward
from unisid.baselines.fdsa import Config, Fdsa
from unisid.config import ConfigError

WORDS = (torch.rand(15, 7, generator=torch.Generator().manual_seed(3)) < 0.4).float()


def build(**changes):
    torch.manual_seed(0)
    settings = {"width": 8, "num_heads": 2, "num_layers": 1, "feedforward_width": 8, "dropout": 0.0}
    return Fdsa(Config(**{**settings, **changes}), WORDS, max_length=5)


def test_it_reads_forward_and_in_order():
    model = build()
    reads_forward(model.states)
    order_matters(model.states)


def test_an_items_feature_is_the_weighted_mean_of_its_words():
    model = build()
    torch.nn.init.normal_(model.words.weight)
    found = model.features()
    for item in range(15):
        own = [word for word in range(7) if WORDS[item, word]]
        if own:
            weights = torch.stack([model.attend(model.words.weight[word])[0] for word in own]).softmax(0)
            expected = sum(w * model.words.weight[word] for w, word in zip(weights, own, strict=True))
            torch.testing.assert_close(found[item], expected)
        else:
            assert not found[item].any()


def test_the_state_joins_both_kinds():
    model, items = build(), torch.tensor([[3, 1, 4]])
    both = torch.cat([model.of_items(model.items(items)), model.of_features(model.features()[items])], -1)
    torch.testing.assert_close(model.states(items, torch.tensor([0])), model.out(both))


def test_refuses_settings():
    with pytest.raises(ConfigError, match="fdsa: width 9 over 2 heads; must divide evenly"):
        Config(width=9)
