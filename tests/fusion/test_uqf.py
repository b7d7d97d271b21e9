import dataclasses

import pytest
import torch

from tests.references import uqf as reference
from unisid.errors import ConfigError
from unisid.fusion import Items
from unisid.fusion.uqf import UQF, Config
from unisid.ops.ragged import Ragged, pack

TEXT, GRAPH = 7, 5


def small(**settings: float) -> Config:
    return Config(**({"num_queries": 3, "width": 8, "output_width": 6, "num_layers": 3, "num_heads": 2} | settings))


def model(seed: int = 0, **settings: float) -> UQF:
    torch.manual_seed(seed)
    built = small(**settings).build({"text": TEXT, "graph": GRAPH})
    for parameter in built.parameters():  # so that no bias is zero and no scale is one
        torch.nn.init.normal_(parameter, std=0.4)
    return built


def both(text: Ragged, graph: torch.Tensor) -> Items:
    return Items({"text": text, "graph": Ragged.rectangle(graph)})


def known(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    counts = torch.tensor(lengths)
    generator = torch.Generator().manual_seed(5)
    tokens = torch.randn(int(counts.sum()), TEXT, generator=generator)
    return tokens, counts, torch.randn(len(lengths), 4, GRAPH, generator=generator)


def test_equals_one_item_at_a_time() -> None:
    uqf = model().eval()
    tokens, counts, graph = known([4, 1, 6, 3, 3])
    ragged, order = pack(tokens, counts.cumsum(0) - counts, counts, 2)
    vectors = uqf(both(ragged, graph[order]))
    texts = tokens.split(counts.tolist())
    for vector, item in zip(vectors, order.tolist(), strict=True):
        assert torch.allclose(vector, reference.forward(uqf, texts[item], graph[item]), atol=1e-4)


def test_a_dropped_text_is_one_zero_token_and_that_equals_zeroing_all() -> None:
    uqf = model().eval()
    _, counts, graph = known([5])
    dropped, _ = pack(torch.ones(5, TEXT), torch.tensor([-1]), counts)
    expected = reference.forward(uqf, torch.zeros(5, TEXT), graph[0])
    assert dropped.lengths.tolist() == [1]
    assert torch.allclose(uqf(both(dropped, graph))[0], expected, atol=1e-4)


def test_a_dropped_graph_is_zero_layers() -> None:
    uqf = model().eval()
    tokens, counts, graph = known([5])
    ragged, _ = pack(tokens, torch.tensor([0]), counts)
    expected = reference.forward(uqf, tokens, torch.zeros(1, GRAPH))
    assert torch.allclose(uqf(both(ragged, torch.zeros_like(graph)))[0], expected, atol=1e-4)


def test_gradients_equal_those_of_one_item_at_a_time() -> None:
    fast, slow = model(), model()
    tokens, counts, graph = known([2, 4, 1])
    ragged, order = pack(tokens, counts.cumsum(0) - counts, counts, 2)
    weights = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    (fast.eval()(both(ragged, graph[order])) * weights[order]).sum().backward()
    texts = tokens.split(counts.tolist())
    sum((reference.forward(slow, texts[i], graph[i]) * weights[i]).sum() for i in range(3)).backward()
    for (name, ours), theirs in zip(fast.named_parameters(), slow.parameters(), strict=True):
        if not name.endswith(("decoder.0.weight", "decoder.0.bias", "decoder.2.weight", "decoder.2.bias")):
            scale = theirs.grad.abs().max().clamp(min=1e-3)
            assert torch.allclose(ours.grad / scale, theirs.grad / scale, atol=1e-3), name


def test_finite_differences_agree_with_the_gradient() -> None:
    uqf = model().double().eval()
    tokens, counts, graph = known([2, 3])
    ragged, order = pack(tokens.double(), counts.cumsum(0) - counts, counts)
    seen = both(ragged, graph.double()[order])
    weights = torch.randn(2, 6, dtype=torch.float64)

    def total() -> torch.Tensor:
        return (uqf.out(_queries(uqf, seen)) * weights).sum()

    total().backward()
    for parameter in (uqf.queries, uqf.layers[0].self_in.weight, uqf.text_in[0].weight, uqf.layers[2].gate.bias):
        direction = torch.randn_like(parameter)
        with torch.no_grad():
            parameter += 1e-6 * direction
            above = total()
            parameter -= 2e-6 * direction
            below = total()
            parameter += 1e-6 * direction
        assert (above - below).item() / 2e-6 == pytest.approx((parameter.grad * direction).sum().item(), rel=1e-4)


def _queries(uqf: UQF, seen: Items) -> torch.Tensor:
    text, graph, queries = uqf.text_in(seen["text"].values), uqf.graph_in(seen["graph"].values), uqf.queries[None]
    for layer in uqf.layers:
        queries = layer(queries, seen, text, graph)
    return queries.mean(dim=1)


def test_dropout_acts_in_training_only() -> None:
    uqf = model(dropout=0.5)
    tokens, counts, graph = known([2, 3])
    ragged, order = pack(tokens, counts.cumsum(0) - counts, counts)
    seen = both(ragged, graph[order])
    assert not torch.equal(uqf(seen), uqf(seen))
    uqf.eval()
    assert torch.equal(uqf(seen), uqf(seen))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 10, "num_heads": 4}, "fusion: width 10 does not divide into 4 heads"),
        ({"num_layers": 0}, "uqf.num_layers: is 0; must be at least 1"),
        ({"dropout": 1.0}, "uqf.dropout: is 1.0; must be at least 0 and below 1"),
    ],
)
def test_refuses(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**settings)


@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"dropout": 0.0, "attention_dropout": 0.5}])
def test_what_items_have_in_common_is_dropped_alike_by_one_seed(rates: dict[str, float]) -> None:
    """Whatever torch's own state is, as on workers that contrast their items with one another's."""
    uqf = model(num_layers=1, **rates).train()
    first = uqf.layers[0]
    for linear in (first.text_out, first.graph_out, first.narrow):  # what is left is what all items have in common
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    tokens, counts, graph = known([4, 1])
    ragged, order = pack(tokens, counts.cumsum(0) - counts, counts, 2)

    def vectors(seed: int | None, state: int) -> torch.Tensor:
        torch.manual_seed(state)
        return uqf(dataclasses.replace(both(ragged, graph[order]), seed=seed))

    assert torch.equal(vectors(7, 1), vectors(7, 2))
    assert not torch.allclose(vectors(7, 1), vectors(8, 1), atol=1e-3)
    assert not torch.allclose(vectors(None, 1), vectors(None, 2), atol=1e-3)
