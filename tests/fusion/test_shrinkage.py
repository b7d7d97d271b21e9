"""Shrinkage: the graph by the evidence for it, what alike texts predict in its place, and its references."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch.nn.functional import normalize

from unisid.config import to_record
from unisid.errors import ConfigError
from unisid.fusion import Items
from unisid.fusion.shrinkage import Config, Shrinkage
from unisid.ops.ragged import Ragged

WIDTHS = {"text": 5, "graph": 3}


def catalog(count: int = 40, seed: int = 0) -> Items:
    generator = torch.Generator().manual_seed(seed)
    text = torch.randn(count, 1, 5, generator=generator) + 2
    graph = torch.randn(count, 2, 3, generator=generator)
    return Items(
        {"text": Ragged.rectangle(text), "graph": Ragged.rectangle(graph)},
        torch.arange(count),
        interactions=torch.randint(0, 9, (count,), generator=generator),
    )


def some(items: Items, rows: list[int], **changed: object) -> Items:
    """Some of them, with other numbers or interactions."""
    modalities = {
        name: Ragged.rectangle(items[name].values.view(len(items), -1, width)[rows]) for name, width in WIDTHS.items()
    }
    assert items.numbers is not None
    assert items.interactions is not None
    given = {"numbers": items.numbers[rows], "interactions": items.interactions[rows], **changed}
    return Items(modalities, **given)  # type: ignore[arg-type]


def fitted(items: Items, **settings: object) -> Shrinkage:
    fusion = Config(**settings).build(WIDTHS)  # type: ignore[arg-type]
    fusion.fit(items)
    return fusion


def reference(items: Items, row: int, config: Config) -> torch.Tensor:
    """The formula at the top of the module, of one item, by loops."""
    texts = items["text"].values.view(len(items), 5)
    graphs = normalize(items["graph"].values.view(len(items), -1, 3).mean(1), dim=-1)
    centred = (texts - texts.mean(0)).double()
    if config.whitening == "on":
        covariance = centred.T @ centred / len(items)
        covariance += 0.1 * covariance.trace() / 5 * torch.eye(5)
        centred = centred @ torch.from_numpy(sqrtm(np.linalg.inv(covariance)))
    unit = normalize(centred, dim=-1).float()
    assert items.interactions is not None
    n = float(items.interactions[row])
    own = n / (n + config.prior_interactions)
    near = sorted((j for j in range(len(items)) if j != row), key=lambda j: -float(unit[row] @ unit[j]))
    told = torch.zeros(3)
    for j in near[: config.num_neighbours]:
        told += max(0.0, float(unit[row] @ unit[j])) ** config.sharpness * graphs[j]
    graph = normalize(own * graphs[row] + (1 - own) * normalize(told, dim=-1), dim=-1)
    return torch.cat([config.weights.get("text", 1.0) * (1 - own) ** 0.5 * unit[row], graph])


@pytest.mark.parametrize("settings", [{}, {"prior_interactions": 10.0, "num_neighbours": 3, "sharpness": 1.0}])
@pytest.mark.parametrize("whitening", ["off", "on"])
def test_vectors_are_those_of_the_formula(settings, whitening):
    items, config = catalog(), Config(weights={"text": 0.7}, whitening=whitening, **settings)
    found = fitted(items, weights={"text": 0.7}, whitening=whitening, **settings)(items)
    for row in range(len(items)):
        torch.testing.assert_close(found[row], reference(items, row, config), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("strong", ["loud", "quiet"])
def test_texts_are_whitened_where_they_predict_the_graph_better_so(strong):
    """Three directions of the text say what the graph is. Where they vary least, the others drown them; where they vary
    most, whitening would make the noise as strong as they are."""
    generator = torch.Generator().manual_seed(0)
    graph = torch.randn(300, 1, 3, generator=generator)
    scale = torch.tensor([1.0, 1.0, 1.0, 6.0, 6.0]) if strong == "quiet" else torch.tensor([1.0, 1.0, 1.0, 0.2, 0.2])
    text = torch.cat([graph, torch.randn(300, 1, 2, generator=generator)], dim=-1) * scale
    items = Items(
        {"text": Ragged.rectangle(text), "graph": Ragged.rectangle(graph)},
        torch.arange(300),
        interactions=torch.full((300,), 5),
    )
    found = {way: Config(whitening=way).build(WIDTHS) for way in ("auto", "on", "off")}
    said = {way: fusion.fit(items) for way, fusion in found.items()}
    better = "on" if strong == "quiet" else "off"
    assert said["auto"] == {"whitened": strong == "quiet", "predicted": said[better]["predicted"]}
    assert said["on"]["whitened"]
    assert not said["off"]["whitened"]
    assert torch.equal(found["auto"](items), found[better](items))


def test_much_evidence_leaves_the_graph_and_none_leaves_what_texts_predict():
    items = catalog()
    fusion = fitted(items)
    graphs = normalize(items["graph"].values.view(40, -1, 3).mean(1), dim=-1)
    often = fusion(some(items, list(range(40)), interactions=torch.full((40,), 10**9)))
    torch.testing.assert_close(often[:, 5:], graphs, atol=1e-4, rtol=1e-3)
    assert often[:, :5].abs().max() < 1e-3
    never = fusion(some(items, list(range(40)), interactions=None))
    assert torch.equal(never, fusion(some(items, list(range(40)), interactions=torch.zeros(40, dtype=torch.int64))))
    torch.testing.assert_close(never[:, :5].norm(dim=1), torch.ones(40))
    assert not torch.allclose(never[:, 5:], graphs, atol=0.1)


def test_a_prior_of_none_is_the_graph_where_there_are_interactions():
    items = some(catalog(), list(range(40)), interactions=torch.arange(40) % 2)
    found = fitted(items, prior_interactions=0.0)(items)
    graphs = normalize(items["graph"].values.view(40, -1, 3).mean(1), dim=-1)
    torch.testing.assert_close(found[1::2, 5:], graphs[1::2])
    assert found.isfinite().all()
    assert not torch.allclose(found[::2, 5:], graphs[::2], atol=0.1)


def test_an_item_does_not_stand_for_itself_and_a_new_one_is_told_by_all():
    items = catalog()
    fusion = fitted(items, num_neighbours=1)
    new = some(items, [4], numbers=torch.tensor([99]), interactions=None)
    graphs = normalize(items["graph"].values.view(40, -1, 3).mean(1), dim=-1)
    torch.testing.assert_close(fusion(new)[0, 5:], graphs[4])  # its own twin is the nearest
    known = some(items, [4], interactions=None)
    assert not torch.allclose(fusion(known)[0, 5:], graphs[4], atol=0.05)


def test_only_items_with_a_text_and_interactions_are_references():
    items = catalog()
    items["graph"].values.view(40, 2, 3)[3] = 0
    items["text"].values.view(40, 1, 5)[7] = 0
    fusion = fitted(items)
    assert fusion.numbers.tolist() == [row for row in range(40) if row not in (3, 7)]
    assert fusion.count == 38
    found = fusion(items)
    assert found.isfinite().all()
    assert not found[7, :5].any()


@pytest.mark.parametrize("whitening", ["off", "on"])
def test_mixed_precision_does_not_touch_it(whitening):
    items = catalog()
    fusion = fitted(items, whitening=whitening)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = fusion(items)
    assert torch.equal(rounded, fusion(items))


def test_its_weights_make_it_anew():
    items = catalog()
    first, again = fitted(items), Config().build(WIDTHS)
    again.reserve(first.count)
    again.load_state_dict(first.state_dict())
    assert torch.equal(first(items), again(items))


def test_fewer_references_than_neighbours_and_none():
    items = catalog(3)
    assert fitted(items, num_neighbours=10)(items).isfinite().all()
    assert Config().build(WIDTHS)(items).isfinite().all()


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="fusion.weights: no modality 'txt'; did you mean 'text'"):
        Config(weights={"txt": 0.5}).build(WIDTHS)
    with pytest.raises(ConfigError, match="shrinkage.prior_interactions"):
        Config(prior_interactions=-1.0)
    with pytest.raises(ConfigError, match="shrinkage.num_neighbours"):
        Config(num_neighbours=0)
    assert to_record(Config())["kind"] == "shrinkage"
