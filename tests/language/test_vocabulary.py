"""New words: where their rows come from, that nothing lies beyond them, and that old rows rest where they must."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.backbones.models import NUM_WORDS, language_model
from unisid.errors import ConfigError
from unisid.language import vocabulary
from unisid.ops.semantic_ids import tokens

SIZES = (4, 3)
WORDS = tokens(SIZES)


@pytest.fixture
def language(tmp_path):
    def load(**options):
        folder = language_model(tmp_path, **options)
        return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

    return load


@pytest.mark.parametrize("padding", [0, 3, 61])
@pytest.mark.parametrize("tied", [True, False])
def test_new_words_are_the_last_rows_and_no_padding_is_left(language, tied, padding):
    model, tokenizer = language(tied=tied, padding=padding)
    before = [old.clone() for old, _ in vocabulary.rows(model, NUM_WORDS)]
    first = vocabulary.add(model, tokenizer, WORDS, "it")
    assert first == NUM_WORDS
    assert tokenizer.convert_tokens_to_ids(WORDS) == list(range(first, first + 7))
    assert model(torch.tensor([[1]])).logits.shape[-1] == model.config.vocab_size == first + 7
    assert vocabulary.is_tied(model) is tied
    after = vocabulary.rows(model, first)
    assert len(after) == (1 if tied else 2)
    assert all(torch.equal(old, was) and len(new) == 7 for (old, new), was in zip(after, before, strict=True))


@pytest.mark.parametrize("padding", [0, 3, 61])
def test_the_librarys_rows_are_the_mean_row_and_old_padding(language, padding):
    model, tokenizer = language(padding=padding)
    old = model.get_input_embeddings().weight.detach().clone()
    first = vocabulary.add(model, tokenizer, WORDS, "it")
    [(rest, new)] = vocabulary.rows(model, first)
    padded = min(padding, len(WORDS))
    found = vocabulary.as_library(rest.detach(), new.detach(), padded)
    assert torch.equal(found[:padded], old[first : first + padded])
    table = old[: first + padded]
    theirs = table.mean(0) + 1e-4 * table.std(0) * torch.tensor([[-1.0], [1.0]])
    assert ((theirs[0] < found[padded:]) & (found[padded:] < theirs[1])).all(), (
        "the mean, with 3e-5 deviations of noise"
    )
    assert found.shape == new.shape


def test_words_within_a_text_become_one_entry_each(language):
    model, tokenizer = language()
    first = vocabulary.add(model, tokenizer, WORDS, "it")
    plain = tokenizer("x", add_special_tokens=False).input_ids
    assert tokenizer("x<a_3><b_0>x", add_special_tokens=False).input_ids == [*plain, first + 3, first + 4, *plain]


def test_a_tokenizer_that_has_semantic_ids_is_refused(language):
    model, tokenizer = language()
    tokenizer.add_tokens(["<a_0>"])
    with pytest.raises(ConfigError, match=rf"it: its tokenizer already has '<a_0>' \(entry {NUM_WORDS}\)"):
        vocabulary.add(model, tokenizer, WORDS, "it")


def test_a_tokenizer_of_another_model_is_refused(language):
    model, tokenizer = language()
    tokenizer.add_tokens(["more", "words"])
    with pytest.raises(ConfigError, match=f"has {NUM_WORDS + 2} entries, but the model {NUM_WORDS} rows"):
        vocabulary.add(model, tokenizer, WORDS, "it")


@pytest.mark.parametrize("width", [6, 50])
def test_drawn_rows_have_the_old_ones_mean_and_covariance(width):
    """Also where there are fewer old rows than dimensions."""
    torch.manual_seed(0)
    old = torch.randn(20, width) @ torch.randn(width, width) + 3
    drawn = vocabulary.draw(old, 200_000)
    assert torch.allclose(drawn.mean(0), old.mean(0), atol=0.05 * old.std().item())
    wanted = torch.cov(old.T, correction=0)
    assert torch.allclose(torch.cov(drawn.T), wanted, atol=0.03 * wanted.abs().max().item())
    torch.manual_seed(1)
    first = vocabulary.draw(old, 5)
    torch.manual_seed(1)
    assert torch.equal(first, vocabulary.draw(old, 5))


def test_mean_of_texts_equals_one_text_at_a_time(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    old, new = torch.randn(9, 4, generator=generator), torch.randn(6, 4, generator=generator)
    texts = [[0, 3, 3], [], [8], [1, 2, 5, 7], []]
    stands_for = torch.tensor([[0, 4], [0, 4], [0, 5], [1, 5], [2, 5]])
    expected = new.clone()
    for row in range(6):
        means = [old[text].mean(0) for text, stands in zip(texts, stands_for, strict=True) if row in stands and text]
        if means:
            expected[row] = torch.stack(means).mean(0)
    found = vocabulary.mean_of_texts(old, new, texts, stands_for)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.equal(found[2:4], new[2:4])  # no words stand for them


@pytest.mark.parametrize("tied", [True, False])
def test_a_split_model_is_the_same_and_only_its_new_rows_learn(language, tied):
    model, tokenizer = language(tied=tied)
    first = vocabulary.add(model, tokenizer, WORDS, "it")
    ids = torch.tensor([[1, first, 5, first + 6]])
    whole = model(ids).logits
    names = set(model.state_dict())
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    vocabulary.split(model, first)
    assert torch.allclose(model(ids).logits, whole, atol=1e-5)
    model(ids).logits.square().mean().backward()
    learning = [p for p in model.parameters() if p.requires_grad]
    assert sum(p.numel() for p in learning) == 7 * 32 * (1 if tied else 2)
    assert all(p.grad.abs().sum() > 0 for p in learning)
    assert vocabulary.is_tied(model) is tied
    joined = vocabulary.joined(model.state_dict())
    assert set(joined) == names
    assert all(torch.equal(joined[name], kept[name]) for name in names)


@pytest.mark.parametrize("tied", [True, False])
def test_a_split_models_gradient_is_the_whole_ones(language, tied):
    model, tokenizer = language(tied=tied)
    first = vocabulary.add(model, tokenizer, WORDS, "it")
    ids = torch.tensor([[1, first, 5, first + 6, first]])
    model(ids, labels=ids).loss.backward()
    wanted = [
        weight.grad[first:].clone()
        for weight in {
            id(w): w for w in (model.get_input_embeddings().weight, model.get_output_embeddings().weight)
        }.values()
    ]
    vocabulary.split(model, first)
    model(ids, labels=ids).loss.backward()
    for (_, new), gradient in zip(vocabulary.rows(model, first), wanted, strict=True):
        assert torch.allclose(new.grad, gradient, atol=1e-5)
