"""What every fusion must do; a new module in the folder is tested unasked."""

import dataclasses

import pytest
import torch

from unisid.config import from_record, plug_in, plug_ins, to_record
from unisid.fusion import (
    PAD,
    Batch,
    FittedFusion,
    Following,
    Fusion,
    FusionConfig,
    Items,
    LearnedFusion,
    Loss,
    SequenceFusion,
)
from unisid.ops.ragged import Ragged, pack

TEXT, GRAPH, IMAGE = 12, 6, 5
WIDTHS = {"text": TEXT, "graph": GRAPH}
FURTHER = WIDTHS | {"image": IMAGE, "abstract": TEXT}
SMALL = {
    "uqf": {"num_queries": 3, "width": 8, "output_width": 10, "num_layers": 2, "num_heads": 2},
    "unger": {"width": 8, "num_heads": 2, "feedforward_width": 10},
}
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
    return Items({"text": ragged, "graph": Ragged.rectangle(graph[order])}), order


def with_further(seen: Items, order: torch.Tensor, buckets: int = 2, zero: bool = False) -> Items:
    """Two modalities more: single vectors, and rows of lengths whose order is not the text's."""
    generator = torch.Generator().manual_seed(9)
    image = torch.randn(len(order), 1, IMAGE, generator=generator) * (not zero)
    counts = 1 + (7 * torch.arange(len(order)) + 3) % 4
    rows = torch.randn(int(counts.sum()), TEXT, generator=generator) * (not zero)
    starts = (counts.cumsum(0) - counts)[order]
    abstract, own = pack(rows, starts, counts[order], buckets)
    further = {"image": Ragged.rectangle(image[order]), "abstract": dataclasses.replace(abstract, order=own)}
    return Items({**seen.modalities, **further})


def test_the_record_makes_the_same_fusion(kind: str) -> None:
    config = config_of(kind)
    assert config.kind == kind
    assert from_record(FusionConfig, to_record(config)) == config


def build(kind: str, widths: dict[str, int], seed: int = 0) -> Fusion:
    torch.manual_seed(seed)
    return config_of(kind).build(widths)


def test_vectors_have_the_stated_width_and_are_finite(kind: str) -> None:
    fusion = config_of(kind).build(WIDTHS).eval()
    vectors = fusion(items([3, 1, 5, 2])[0])
    assert vectors.shape == (4, fusion.width)
    assert vectors.dtype == torch.float32
    assert vectors.isfinite().all()


def test_an_item_is_fused_by_itself(kind: str) -> None:
    fusion = config_of(kind).build(WIDTHS).eval()
    together, order = items([3, 1, 5, 2], buckets=4)
    padded, same = items([3, 1, 5, 2], buckets=1)
    assert torch.equal(order, same)
    with torch.no_grad():
        assert torch.allclose(fusion(together), fusion(padded), atol=1e-5)


def test_weights_make_the_same_fusion(kind: str) -> None:
    first, second = (config_of(kind).build(WIDTHS).eval() for _ in range(2))
    second.load_state_dict(first.state_dict())
    seen = items([2, 4])[0]
    with torch.no_grad():
        assert torch.equal(first(seen), second(seen))


def test_a_learned_one_reconstructs_every_modality(kind: str) -> None:
    fusion = config_of(kind).build(FURTHER)
    if isinstance(fusion, LearnedFusion):
        found = fusion.reconstruct(fusion(with_further(*items([2, 4, 1]))))
        assert {name: tuple(each.shape) for name, each in found.items()} == {n: (3, w) for n, w in FURTHER.items()}
    elif not isinstance(fusion, SequenceFusion):
        assert not list(fusion.parameters())


def test_an_item_of_several_modalities_is_fused_by_itself(kind: str) -> None:
    fusion = awake(config_of(kind).build(FURTHER)).eval()
    seen, order = items([3, 1, 5, 2, 2, 4], buckets=3)
    padded, _ = items([3, 1, 5, 2, 2, 4], buckets=1)
    with torch.no_grad():
        found = fusion(with_further(seen, order, buckets=3))
        assert torch.allclose(found, fusion(with_further(padded, order, buckets=1)), atol=1e-5)
        if fusion.width != TEXT:  # not of the text alone
            assert not torch.allclose(found, fusion(with_further(seen, order, buckets=3, zero=True)), atol=1e-3)


def test_the_order_of_the_modalities_names_does_not_matter(kind: str) -> None:
    one, other = build(kind, FURTHER).eval(), build(kind, dict(reversed(FURTHER.items()))).eval()
    seen = with_further(*items([3, 1, 2]))
    turned = Items(dict(reversed(seen.modalities.items())))
    with torch.no_grad():
        assert torch.equal(one(seen), other(turned))


@pytest.mark.parametrize("zero", [True, False])
def test_a_further_modality_changes_nothing_at_first(kind: str, zero: bool) -> None:
    """Of zeros, it adds nothing to any inner product of vectors; and what learns begins without it, whatever it is."""
    seen, order = items([3, 1, 5, 2])
    more, plain = build(kind, FURTHER), build(kind, WIDTHS)
    if zero or isinstance(plain, LearnedFusion):
        torch.manual_seed(1)
        found = more(with_further(seen, order, zero=zero)).detach()
        torch.manual_seed(1)
        expected = plain(seen).detach()
        assert torch.equal(found[:, : plain.width], expected)
        assert torch.allclose(found @ found.T, expected @ expected.T)


def test_the_loss_is_finite_and_a_mean_whose_parts_are_named(kind: str) -> None:
    fusion = awake(config_of(kind).build(FURTHER))
    if not isinstance(fusion, LearnedFusion):
        return
    seen, order = items([3, 1, 5, 2, 2, 4])
    targets = {name: torch.randn(2, width) for name, width in FURTHER.items()}
    none = torch.zeros(2, 2, dtype=torch.bool)
    batch = Batch(with_further(seen, order), torch.arange(6), targets, torch.arange(2), none, none)
    parts = fusion.loss(batch, Loss(), lambda own: own)
    assert "loss" in parts
    assert set(fusion.chance(batch)) < set(parts)
    assert all(part.shape == () and part.isfinite() for part in parts.values())
    parts["loss"].backward()
    assert all(parameter.grad is not None for parameter in fusion.parameters())
    missed = torch.nn.functional.mse_loss(fusion.reconstruct(fusion.eval()(batch.items)[:2])["image"], targets["image"])
    if kind == "uqf":
        whole = fusion.loss(batch, Loss(), lambda own: own)["reconstruction"]
        lighter = fusion.loss(batch, Loss(reconstruction={"image": 0.0}), lambda own: own)["reconstruction"]
        assert (whole - lighter).item() == pytest.approx(missed.item(), rel=1e-4)


def following(read: list[list[int]], asked: list[list[int]], rows: slice = slice(None)) -> Following:
    """Some rows of a step over six items."""
    asking = torch.tensor(asked)
    distinct, counts = asking[asking != PAD].unique(return_counts=True)
    own = torch.tensor([int((asking[rows] == item).sum()) for item in distinct])
    seen, order = items([3, 1, 5, 2, 2, 4])
    place = torch.empty_like(order)
    place[order] = torch.arange(6)
    every = with_further(seen, order)
    means = {name: Ragged.rectangle(each.mean()[place[distinct]][:, None]) for name, each in every.modalities.items()}
    draws = torch.rand(7, generator=torch.Generator().manual_seed(4))
    return Following(torch.tensor(read)[rows], asking[rows], Items(means, distinct), counts, own, draws)


def test_a_fusion_of_sequences_learns_sums_over_targets_however_rows_are_shared(kind: str) -> None:
    """Of two workers' rows the losses and gradients add up to those of one, the batch's other targets included."""
    fusion = config_of(kind).build(FURTHER)
    if not isinstance(fusion, SequenceFusion):
        return
    fusion.begin(torch.ones(6, dtype=torch.bool), 4)
    awake(fusion).eval()
    step = ([[0, 3, 1], [2, 0, PAD], [4, 3, 0]], [[3, 1, 2], [0, 5, PAD], [3, PAD, 3]])
    whole, first, rest = (fusion.loss(following(*step, rows)) for rows in (slice(0, 3), slice(0, 1), slice(1, 3)))
    assert whole.keys() >= {"loss"}
    for name, value in whole.items():
        assert value.item() == pytest.approx((first[name] + rest[name]).item(), rel=1e-4)
    assert set(fusion.chance(following(*step))) < set(whole)
    parameters = list(fusion.parameters())
    found = torch.autograd.grad(whole["loss"], parameters)
    added = torch.autograd.grad(first["loss"] + rest["loss"], parameters)
    for one, other in zip(found, added, strict=True):
        assert torch.allclose(one, other, atol=1e-3)


def test_a_fusion_of_sequences_begins_anew_from_its_weights(kind: str) -> None:
    """What it has of items goes with its weights; an item that it did not learn from has a vector all the same."""
    fusion = config_of(kind).build(WIDTHS)
    if not isinstance(fusion, SequenceFusion):
        return
    trained = torch.tensor([True, False, True, True])
    fusion.begin(trained, 3)
    awake(fusion)
    seen, order = items([3, 1, 5, 2, 2, 4])
    numbered = Items(seen.modalities, torch.arange(6)[order])
    again = config_of(kind).build(WIDTHS).eval()
    again.begin(fusion.state_dict()["trained"], 3)
    again.load_state_dict(fusion.state_dict())
    with torch.no_grad():
        found, plain = fusion(numbered), fusion(seen)
        assert torch.equal(found, again(numbered))
    same = (found == plain).all(1)
    assert same.tolist() == [item not in (0, 2, 3) for item in order.tolist()]


def test_a_fitted_fusion_is_made_anew_from_its_weights_and_fuses_items_by_themselves(kind: str) -> None:
    fusion = config_of(kind).build(FURTHER)
    if not isinstance(fusion, FittedFusion):
        return
    seen, order = items([3, 1, 5, 2, 2, 4], buckets=3)
    taken = 1 + order
    whole = dataclasses.replace(with_further(seen, order, buckets=3), numbers=order, interactions=taken)
    fusion.fit(whole)
    assert fusion.count == 6
    again = config_of(kind).build(FURTHER)
    assert isinstance(again, FittedFusion)
    again.reserve(fusion.count)
    again.load_state_dict(fusion.state_dict())
    assert torch.equal(fusion(whole), again(whole))
    padded, _ = items([3, 1, 5, 2, 2, 4], buckets=1)
    same = dataclasses.replace(with_further(padded, order, buckets=1), numbers=order, interactions=taken)
    assert torch.allclose(fusion(whole), fusion(same), atol=1e-5)
    often = dataclasses.replace(whole, interactions=1000 * taken)
    assert not torch.allclose(fusion(whole), fusion(often), atol=1e-2), "interactions count"


def awake(fusion: Fusion) -> Fusion:
    """With weights of which none is zero, as after some learning."""
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return fusion
