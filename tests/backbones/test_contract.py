"""What every backbone must do, whichever modules the folder holds; and what those of tokens must do besides."""

import pytest
import torch

from tests.backbones.models import halved_index, settings
from unisid.artifacts.store import Place
from unisid.backbones import PAD, Backbone, Batch, Index, Limits, TokenBackbone
from unisid.config import from_record, plug_ins, to_record
from unisid.decoding.beam import Decoder

INDEX = halved_index()
SIZES = INDEX.sizes
HISTORIES = torch.tensor([[3, 17, 29, 8], [11, 2, PAD, PAD]])
TARGETS = torch.tensor([5, 20])
TOKENS, TARGET_TOKENS = INDEX.tokens(HISTORIES).flatten(1), INDEX.tokens(TARGETS)


@pytest.fixture(scope="module", params=plug_ins("backbones"))
def config(request, tmp_path_factory):
    return settings(request.param, tmp_path_factory.mktemp("language"))


@pytest.fixture
def backbone(config) -> Backbone:
    torch.manual_seed(0)
    return config.build(INDEX)


@pytest.fixture
def of_tokens(backbone) -> TokenBackbone:
    if not isinstance(backbone, TokenBackbone):
        pytest.skip("generates no tokens one by one")
    return backbone


def batch_for(config) -> Batch:
    """What the backbone learns from: the histories with one target each, or with the next item at every place."""
    if config.learns_from == "samples":
        return Batch(HISTORIES, TARGETS)
    nexts = torch.tensor([[17, 29, 8, 5], [2, 20, PAD, PAD]])
    return Batch(HISTORIES, nexts)


def test_its_settings_survive_the_round_trip(config):
    assert from_record(type(config), to_record(config)) == config


def test_the_probabilities_of_all_items_are_those_of_the_search(backbone):
    """log_probs in one pass equals what a search of all items finds, target by target."""
    backbone.eval()
    with torch.no_grad():
        found = backbone.search(HISTORIES, INDEX, k=30, beam=30)
        for place in (0, 7, 29):
            items = found.items[:, place]
            log_p = backbone.log_probs(HISTORIES, items, INDEX)
            assert log_p.shape == (2, len(SIZES))
            assert torch.allclose(log_p.sum(1), found.scores[:, place], atol=1e-4)


def test_it_answers_by_the_log_p_that_it_would_learn_from(backbone):
    """The answers of `likeliest` are those of highest `log_probs`; all of a prompt's at once, as one by one."""
    items = torch.tensor([[5, 0, 29], [20, 7, PAD]])
    with torch.no_grad():
        found = backbone.eval().likeliest(HISTORIES, INDEX, k=6)
        log_p = backbone.log_probs_of(HISTORIES, found.items, INDEX)
        assert torch.allclose(log_p.sum(2), found.scores, atol=1e-4)
        together = backbone.log_probs_of(HISTORIES, items, INDEX)
        single = torch.stack([backbone.log_probs(HISTORIES, items[:, c].clamp_min(0), INDEX) for c in range(3)], 1)
    assert torch.allclose(together, single, atol=1e-4)


def test_its_draws_are_of_what_may_be_answered_and_of_the_likeliest_where_it_is_cold(config, backbone):
    if not config.aligns:
        pytest.skip("its scores are no log p to draw by")
    excluded = torch.tensor([[3, 17, 29, 8], [11, 2, PAD, PAD]])
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = backbone.eval().draw(HISTORIES, INDEX, k=4000, limits=Limits(excluded))
        cold = backbone.draw(HISTORIES, INDEX, k=50, temperature=1e-4)
        first = backbone.likeliest(HISTORIES, INDEX, k=1).items
    assert drawn.shape == (2, 4000)
    assert not set(drawn[0].tolist()) & {3, 17, 29, 8}
    assert len(set(drawn[0].tolist())) > 1
    assert (cold == cold[:, :1]).all()
    if not isinstance(backbone, TokenBackbone):  # whose draws go by codes, each the likeliest after those before
        assert torch.equal(cold[:, :1], first)


def test_renormalised_probabilities_add_up_to_one(backbone):
    with torch.no_grad():
        found = backbone.eval().search(HISTORIES, INDEX, k=30, beam=30, renormalised=True)
    assert torch.allclose(found.scores.exp().sum(1), torch.ones(2), atol=1e-4)


def test_a_search_lists_every_item_once_best_first_and_none_that_is_excluded(backbone):
    excluded = torch.tensor([[3, 17, 29, 8], [11, 2, PAD, PAD]])
    allowed = torch.arange(30) != 13
    with torch.no_grad():
        whole = backbone.eval().search(HISTORIES, INDEX, k=30, beam=30)
        limited = backbone.search(HISTORIES, INDEX, k=30, beam=30, limits=Limits(excluded, allowed))
    assert whole.items.sort(1).values.tolist() == [list(range(30))] * 2
    assert (whole.scores.diff(dim=1) <= 0).all()
    for row, excluded in enumerate([{3, 17, 29, 8, 13}, {11, 2, 13}]):
        left = [item for item in whole.items[row].tolist() if item not in excluded]
        assert limited.items[row].tolist() == left + [-1] * len(excluded)


def test_what_a_search_proves_is_the_best_of_all_and_one_of_all_items_proves_everything(backbone):
    with torch.no_grad():
        whole = backbone.eval().search(HISTORIES, INDEX, k=30, beam=30)
        assert whole.proven().tolist() == [30, 30]
        for beam in (3, 5, 10, 20):
            found = backbone.search(HISTORIES, INDEX, k=3, beam=beam)
            for row, proven in enumerate(found.proven().tolist()):
                assert found.items[row, :proven].tolist() == whole.items[row, :proven].tolist()


def test_the_loss_reaches_every_weight_that_learns(config, backbone):
    backbone.train()
    backbone.loss(batch_for(config), INDEX).backward()
    assert [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None] == []


def test_padding_changes_nothing(config, backbone):
    backbone.eval()
    wide = torch.cat([HISTORIES, torch.full((2, 4), PAD)], 1)
    with torch.no_grad():
        ours, padded = (backbone.log_probs(histories, TARGETS, INDEX) for histories in (HISTORIES, wide))
        assert torch.allclose(ours, padded, atol=1e-5)


def test_what_is_saved_is_the_whole_of_it(config, backbone):
    """The structure is rebuilt from the files, and the weights make it the same model."""
    backbone.eval()
    torch.manual_seed(1)
    again = config.rebuild(INDEX, backbone.files()).eval()
    again.load(backbone.weights(), INDEX)
    with torch.no_grad():
        ours, theirs = (model.log_probs(HISTORIES, TARGETS, INDEX) for model in (backbone, again))
        assert torch.equal(ours, theirs)
    assert again.files() == backbone.files()


def test_items_take_what_was_learned_of_them_along_to_other_numbers(config, backbone):
    was = torch.randperm(len(INDEX.codes), generator=torch.Generator().manual_seed(2))
    vectors = {noun: values[was].numpy() for noun, values in INDEX.vectors.items()}
    index = Index.of(INDEX.codes[was].numpy(), SIZES, vectors)
    anew = config.rebuild(index, backbone.files()).eval()
    anew.load(anew.renumbered(backbone.weights(), was, index), index)
    now = was.argsort()
    with torch.no_grad():
        ours = backbone.eval().log_probs(HISTORIES, TARGETS, INDEX)
        theirs = anew.log_probs(torch.where(HISTORIES == PAD, PAD, now[HISTORIES]), now[TARGETS], index)
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_it_may_count_the_training_interactions_before_it_learns(config, backbone, tmp_path):
    from tests.stages import ring
    from unisid.artifacts.catalog import Catalog

    catalog = Catalog.read(ring.write_catalog(Place.of(tmp_path), ring.walks(20, 30), 30))
    backbone.count(catalog, INDEX)
    assert backbone.loss(batch_for(config), INDEX).isfinite()


def test_its_levels_do_not_overlap_in_the_vocabulary(of_tokens):
    assert isinstance(of_tokens, Decoder)
    starts = of_tokens.level_starts
    assert all(b - a >= size for a, b, size in zip(starts, starts[1:], SIZES, strict=False))


def test_the_loss_is_the_mean_of_the_log_probabilities(config, of_tokens):
    """Of one that learns from item vectors too, the part of the loss that is of tokens."""
    of_tokens.eval()
    with torch.no_grad():
        expected = -of_tokens.log_probs(HISTORIES, TARGETS, INDEX).mean()
        assert torch.allclose(of_tokens.token_loss(TOKENS, TARGET_TOKENS), expected, atol=1e-5)
        if not config.vectors():
            assert torch.allclose(of_tokens.loss(Batch(HISTORIES, TARGETS), INDEX), expected, atol=1e-5)


def test_the_log_probabilities_are_what_the_decoder_says_of_the_target(of_tokens):
    """Teacher forcing in one pass equals the search's own steps along the target."""
    of_tokens.eval()
    with torch.no_grad():
        log_probs = of_tokens.token_log_probs(TOKENS, TARGET_TOKENS)
        state, hidden = of_tokens.start(TOKENS)
        parents = torch.zeros(2, 1, dtype=torch.long)
        offset = 0
        for level, size in enumerate(SIZES):
            entries = TARGET_TOKENS[:, level] - offset + of_tokens.level_starts[level]
            found = of_tokens.logits(hidden, slice(None)).float().log_softmax(-1)[:, 0].gather(1, entries[:, None])
            assert torch.allclose(log_probs[:, level], found[:, 0], atol=1e-4)
            offset += size
            if level < len(SIZES) - 1:
                state, hidden = of_tokens.step(state, entries[:, None], parents)


def test_some_of_the_head_is_the_same_as_that_part_of_all_of_it(of_tokens):
    with torch.no_grad():
        _, hidden = of_tokens.eval().start(TOKENS)
        some, whole = of_tokens.logits(hidden, slice(2, 7)), of_tokens.logits(hidden, slice(None))
        assert torch.allclose(some, whole[..., 2:7], atol=1e-6)


def test_weights_are_loaded_into_what_training_begins_with(config):
    """As `starts_from` does: `load` is the inverse of `weights` before training too."""
    torch.manual_seed(1)
    trained = config.build(INDEX)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    torch.manual_seed(2)
    again = config.build(INDEX)
    again.load(trained.weights(), INDEX)
    found = again.weights()
    assert found.keys() == trained.weights().keys()
    for name, tensor in trained.weights().items():
        assert torch.equal(found[name], tensor), name
