"""The parts of UQF that can be switched: each does what its formula says, and none changes a default's identity."""

from typing import Any

import pytest
import torch

from tests.fusion.test_uqf import GRAPH, TEXT, both, known, small
from unisid.config import to_record
from unisid.fusion import Items
from unisid.fusion.uqf import UQF, Config
from unisid.ops.ragged import Ragged, pack

SWITCHES: list[dict[str, Any]] = [
    {"gate": "half"},
    {"gate": "none"},
    {"order": "text_first"},
    {"order": "graph_first"},
    {"graph": "mean"},
    {"graph": "last"},
    {"text": "mean"},
    {"bias": True},
]
TRAINING_ONLY: list[dict[str, Any]] = [{"attention_dropout": 0.5}, {"feed_forward_order": "drop_first"}]


def built(**settings: Any) -> UQF:
    torch.manual_seed(0)
    model = Config(**(vars(small()) | settings)).build({"text": TEXT, "graph": GRAPH})
    for number, (_, parameter) in enumerate(sorted(model.named_parameters())):
        torch.manual_seed(number)
        torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


def seen(lengths: tuple[int, ...] = (4, 1, 6)) -> tuple[Items, torch.Tensor, torch.Tensor]:
    """The items, packed; their graph layers; which item lies where."""
    tokens, counts, graph = known(list(lengths))
    ragged, order = pack(tokens, counts.cumsum(0) - counts, counts, 2)
    return both(ragged, graph[order]), graph[order], order


@pytest.mark.parametrize("settings", SWITCHES + TRAINING_ONLY, ids=str)
def test_each_learns_and_bears_identity(settings: dict[str, Any]) -> None:
    model = built(**settings).train()
    model(seen()[0]).sum().backward()
    without = {name for name, each in model.named_parameters() if each.grad is None and "decoder" not in name}
    assert not without
    (name,) = settings
    assert name not in to_record(Config(), identity=True)
    assert to_record(Config(**settings), identity=True)[name] == settings[name]


@pytest.mark.parametrize("settings", SWITCHES, ids=str)
def test_each_changes_the_vectors(settings: dict[str, Any]) -> None:
    items = seen()[0]
    assert not torch.allclose(built(**settings)(items), built()(items), atol=1e-4)


@pytest.mark.parametrize("weights", [{}, {"text": 0.5, "graph": 2.0}], ids=str)
def test_a_start_from_both_side_by_side_begins_there_and_learns(weights: dict[str, float]) -> None:
    settings = vars(small()) | {"start": "concat", "weights": weights, "dropout": 0.0}
    torch.manual_seed(0)
    model = Config(**settings).build({"graph": GRAPH, "text": TEXT})
    items, graph, order = seen()
    tokens, counts, _ = known([4, 1, 6])
    texts = torch.stack([rows.mean(0) for rows in tokens.split(counts.tolist())])[order]
    joined = [
        weights.get("text", 1) * torch.nn.functional.normalize(texts, dim=1),
        weights.get("graph", 1) * torch.nn.functional.normalize(graph.mean(1), dim=1),
    ]
    assert model.width == TEXT + GRAPH
    begun = model(items)
    assert torch.allclose(begun, torch.cat(joined, dim=1), atol=1e-6)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(items).square().sum().backward()
        optimiser.step()
    learned = {name for name, each in model.named_parameters() if each.grad is not None and each.grad.abs().sum() > 0}
    assert {"queries", "text_in.0.weight", "graph_in.0.weight", "out.weight"} <= learned
    assert not torch.allclose(model(items), begun, atol=1e-3)


def test_further_modalities_lie_beside_these_two_at_the_start_and_are_reconstructed() -> None:
    settings = vars(small()) | {"start": "concat"}
    model = Config(**settings).build({"text": TEXT, "graph": GRAPH, "steps": 5}).eval()
    items, _, order = seen()
    near = torch.randn(len(order), 1, 5)
    wider = Items({**items.modalities, "steps": Ragged.rectangle(near)})
    vectors = model(wider)
    assert vectors.shape == (len(order), TEXT + GRAPH + 5)
    assert torch.allclose(vectors[:, -5:], torch.nn.functional.normalize(near[:, 0], dim=1), atol=1e-6)
    widths = {name: found.shape[1] for name, found in model.reconstruct(vectors).items()}
    assert widths == {"text": TEXT, "graph": GRAPH, "steps": 5}


def test_what_the_start_changes_bears_identity() -> None:
    for settings in ({"start": "concat"}, {"weights": {"text": 0.5}}):
        (name,) = settings
        assert name not in to_record(Config(), identity=True)
        assert to_record(Config(**settings), identity=True)[name] == settings[name]


@pytest.mark.parametrize("settings", TRAINING_ONLY, ids=str)
def test_what_acts_in_training_alone_leaves_the_vectors(settings: dict[str, Any]) -> None:
    items = seen()[0]
    assert torch.equal(built(**settings)(items), built()(items))
    torch.manual_seed(1)
    found = built(dropout=0.3, **settings).train()(items)
    torch.manual_seed(1)
    assert not torch.equal(found, built(dropout=0.3).train()(items))


def test_half_a_gate_is_a_gate_of_zeros_and_none_is_twice_that() -> None:
    layer, half, none = (built(num_layers=1, **more).layers[0] for more in ({}, {"gate": "half"}, {"gate": "none"}))
    text, graph = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    torch.nn.init.zeros_(layer.gate.weight)
    torch.nn.init.zeros_(layer.gate.bias)
    assert torch.allclose(half._mixed(text, graph), layer._mixed(text, graph), atol=1e-6)
    assert torch.allclose(none._mixed(text, graph), text + graph)


@pytest.mark.parametrize("order", ["text_first", "graph_first"])
def test_what_is_read_second_is_read_by_changed_queries(order: str) -> None:
    """What is read first is read as in parallel, what comes second is not."""
    one, other = built(num_layers=1).layers[0], built(num_layers=1, order=order).layers[0]
    other.load_state_dict(one.state_dict(), strict=False)
    items, _, _ = seen()
    text, graph = torch.randn(len(items["text"].values), 8), torch.randn(len(items["graph"].values), 8)
    queries = torch.randn(1, 3, 8)
    parallel = one._texts_and_graphs(queries, items, text, graph)
    in_turn = other._texts_and_graphs(queries, items, text, graph)
    first = 0 if order == "text_first" else 1
    assert torch.allclose(parallel[first], in_turn[first])
    assert not torch.allclose(parallel[1 - first], in_turn[1 - first], atol=1e-4)


@pytest.mark.parametrize("kind", ["mean", "last"])
def test_a_reduced_graph_is_one_layer(kind: str) -> None:
    items, graph, _ = seen()
    one = graph.mean(dim=1, keepdim=True) if kind == "mean" else graph[:, -1:]
    assert torch.allclose(built(graph=kind)(items), built()(both(items["text"], one)), atol=1e-5)


def test_a_mean_text_is_one_token() -> None:
    tokens, counts, graph = known([4, 1, 6])
    ragged, order = pack(tokens, counts.cumsum(0) - counts, counts, 2)
    means = torch.stack([each.mean(dim=0) for each in tokens.split(counts.tolist())])
    one, own = pack(means, torch.arange(3), torch.ones(3, dtype=torch.int64), 2)
    found = torch.empty(3, 6)
    found[order] = built(text="mean")(both(ragged, graph[order])).detach()
    expected = torch.empty(3, 6)
    expected[own] = built()(both(one, graph[own])).detach()
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("lengths", [(4, 1, 6, 3, 3), (2, 2, 2)])
def test_the_last_row_of_ragged_rows(lengths: tuple[int, ...]) -> None:
    tokens, counts, _ = known(list(lengths))
    ragged, order = pack(tokens, counts.cumsum(0) - counts, counts, 2)
    expected = torch.stack([each[-1] for each in tokens.split(counts.tolist())])
    assert torch.equal(ragged.last(), expected[order])
