"""What every fusion must do; a new module in the folder is tested unasked."""

import pytest
import torch

from unisid.config import from_record, plug_in, plug_ins, to_record
from unisid.fusion import FusionConfig, Items, LearnedFusion
from unisid.ops.ragged import pack

TEXT, GRAPH = 12, 6
SMALL = {"uqf": {"num_queries": 3, "width": 8, "output_width": 10, "num_layers": 2, "num_heads": 2}}
"""Settings that make a kind tiny; a kind not named here is built with its defaults."""

pytestmark = pytest.mark.parametrize("kind", plug_ins("fusion"))


def config_of(kind: str) -> FusionConfig:
    return plug_in("fusion", kind)(**SMALL.get(kind, {}))


def items(lengths: list[int], seed: int = 0, buckets: int = 2) -> tuple[Items, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor(lengths)
    tokens = torch.randn(int(counts.sum()), TEXT, generator=generator)
    graph = torch.randn(len(lengths), 4, GRAPH, generator=generator)
    ragged, order = pack(tokens, counts.cumsum(0) - counts, counts, buckets)
    return Items(ragged, graph[order]), order


def test_the_record_makes_the_same_fusion(kind: str) -> None:
    config = config_of(kind)
    assert config.kind == kind
    assert from_record(FusionConfig, to_record(config)) == config


def test_vectors_have_the_stated_width_and_are_finite(kind: str) -> None:
    fusion = config_of(kind).build(TEXT, GRAPH).eval()
    vectors = fusion(items([3, 1, 5, 2])[0])
    assert vectors.shape == (4, fusion.width)
    assert vectors.dtype == torch.float32
    assert vectors.isfinite().all()


def test_an_item_is_fused_by_itself(kind: str) -> None:
    fusion = config_of(kind).build(TEXT, GRAPH).eval()
    together, order = items([3, 1, 5, 2], buckets=4)
    padded, same = items([3, 1, 5, 2], buckets=1)
    assert torch.equal(order, same)
    with torch.no_grad():
        assert torch.allclose(fusion(together), fusion(padded), atol=1e-5)


def test_weights_make_the_same_fusion(kind: str) -> None:
    first, second = (config_of(kind).build(TEXT, GRAPH).eval() for _ in range(2))
    second.load_state_dict(first.state_dict())
    seen = items([2, 4])[0]
    with torch.no_grad():
        assert torch.equal(first(seen), second(seen))


def test_a_learned_one_reconstructs_both_modalities(kind: str) -> None:
    fusion = config_of(kind).build(TEXT, GRAPH)
    if isinstance(fusion, LearnedFusion):
        text, graph = fusion.reconstruct(fusion(items([2, 4, 1])[0]))
        assert (text.shape, graph.shape) == ((3, TEXT), (3, GRAPH))
    else:
        assert not list(fusion.parameters())
