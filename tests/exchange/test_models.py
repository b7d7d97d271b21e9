"""A recommender as a folder of the transformers library: loaded there and masked by the trie, it answers as here."""

import json
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from tests import recommenders
from tests.backbones.models import index_of
from tests.exchange import packages
from tests.stages import ring
from unisid.artifacts.store import Place
from unisid.config import plug_in
from unisid.errors import ConfigError
from unisid.exchange import reader
from unisid.exchange.models import FORMAT, VERSION, export_model
from unisid.exchange.packing import trie_arrays
from unisid.serving.recommender import Recommender

K = 6
OLD = Path(__file__).parents[1] / "data" / "model-1"
ANSWERS = {
    (3, 4, 5): ([1, 2, 15, 6, 5, 12], [-6.174528, -6.739005, -7.608034, -8.142225, -8.740351, -9.298748]),
    (11,): ([1, 2, 6, 15, 11, 5], [-5.946804, -6.968530, -8.118295, -8.510612, -8.539654, -8.829546]),
}
"""What `rank` answered when the old folder was written, by history."""


@pytest.fixture(scope="module")
def page():
    """What the page's code about engines defines, with stand-ins of the interfaces that SGLang and vLLM document."""
    engines = {name: ModuleType(name) for name in ("sglang", "vllm")}
    sglang, vllm = "sglang.srt.sampling.custom_logit_processor", "vllm.v1.sample.logits_processor"
    engines |= {sglang: ModuleType(sglang), vllm: ModuleType(vllm)}
    engines[sglang].CustomLogitProcessor = engines[vllm].LogitsProcessor = object
    engines[vllm].MoveDirectionality = Enum("MoveDirectionality", ["UNIDIRECTIONAL", "SWAP"])
    scope: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in engines.items():
            patch.setitem(sys.modules, name, module)
        for block in packages.blocks("Engines that mask logits"):
            exec(block, scope)
    return SimpleNamespace(**scope)


def looped(folder, generated, logits):
    """The masked logits, row by row: the twin of `TrieMask`."""
    trie, starts = (
        reader.arrays(folder / "trie.npz"),
        json.loads((folder / "manifest.json").read_text())["level_starts"],
    )
    masked = torch.full_like(logits, -torch.inf)
    for row, entries in enumerate(generated):
        node = 0
        for level, entry in enumerate([*entries, None]):
            first = trie[f"first_child_{level}"]
            children = list(range(first[node], first[node + 1]))
            codes = (starts[level] + trie[f"codes_{level}"][children]).tolist()
            node = None if entry is None else children[codes.index(entry)]
        masked[row, codes] = logits[row, codes]
    return masked


def answers(page, folder, history, way="processor", **more):
    """Items and scores of one history, by the library, what lies in the folder, and the page's code alone."""
    manifest = reader.manifest_of(folder, FORMAT, VERSION)
    asked, starts = manifest["asked"], manifest["level_starts"]
    codes = np.stack(pq.read_table(folder / "items.parquet")["codes"].to_pylist()) + starts
    words = [codes[item].tolist() for item in history]
    if asked["kind"] == "encoder-decoder":
        model, begun = AutoModelForSeq2SeqLM.from_pretrained(folder, trust_remote_code=False), 1
        prompt = [entry for word in words for entry in word]
        more |= {"decoder_start_token_id": asked["decoder_start"], "pad_token_id": asked["pad"]}
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)
        inside = [entry for word in words[-asked["room"] :] for entry in [*asked["separator"], *word]]
        prompt = asked["before"] + inside[len(asked["separator"]) :] + asked["after"]
        begun = len(prompt)
    mask = page.TrieMask(folder)
    if way == "function":
        more |= {"logits_processor": []}
        more |= {"prefix_allowed_tokens_fn": lambda batch, ids: mask.allowed(ids[None, begun:])[1].tolist()}
    entries, scores = page.generated(model.eval(), torch.tensor([prompt]), mask, begun, 20, **more)
    item_of = {tuple(code.tolist()): item for item, code in enumerate(codes)}
    return [item_of[tuple(row)] for row in entries[:K].tolist()], scores[:K].tolist()


@pytest.mark.parametrize("kind", ["tiger", "lcrec"])
def test_the_library_answers_as_this_product_does(page, tmp_path, kind):
    places = recommenders.made(Place.of(tmp_path / "s"), tmp_path / "language", kind)
    recommender = Recommender.load(places["model"], places["codes"], places["catalog"], torch.device("cpu"))
    folder = tmp_path / "exported"
    export_model(recommender.backbone, places["model"], places["codes"], places["catalog"], str(folder))
    for history in ([3, 4, 5], [11]):
        for before in (True, False):
            items, scores = recommender.rank([history], K, False, beam_width=20, renormalised=before)
            for way in ("processor", "function"):
                found, their = answers(page, folder, history, way, renormalize_logits=before)
                assert found == items[0].tolist()
                np.testing.assert_allclose(their, scores[0], atol=1e-4)
    words = pq.read_table(folder / "vocabulary.parquet").to_pylist()
    assert [word["token"] for word in words if word["level"] == 0] == [f"<a_{c}>" for c in range(ring.SIZES[0])]
    if kind == "lcrec":
        entry = AutoTokenizer.from_pretrained(folder, trust_remote_code=False).convert_tokens_to_ids
        assert all(entry(word["token"]) == word["entry"] for word in words)


@pytest.mark.parametrize("history", ANSWERS)
def test_an_old_folder_answers_for_good(page, history):
    """Written by version 1 of the format, of a tiny TIGER; what is there must not be made anew."""
    items, scores = answers(page, OLD, history, renormalize_logits=False)
    assert items == ANSWERS[history][0]
    np.testing.assert_allclose(scores, ANSWERS[history][1], atol=1e-4)


def test_an_old_folder_holds_what_the_page_says():
    manifest = reader.manifest_of(OLD, FORMAT, VERSION)
    assert (manifest["version"], manifest["items"], manifest["sizes"]) == (1, 20, list(ring.SIZES))
    assert manifest["asked"]["kind"] == "encoder-decoder"
    words = pq.read_table(OLD / "vocabulary.parquet").to_pylist()
    assert [word["entry"] - manifest["level_starts"][word["level"]] for word in words] == [w["code"] for w in words]
    assert pq.read_table(OLD / "items.parquet")["item_id"][0].as_py() == "id-0"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=20), st.data())
@settings(max_examples=30, deadline=None)
def test_the_mask_is_that_of_a_loop_over_rows(page, tmp_path_factory, codes, data):
    folder = tmp_path_factory.mktemp("drawn")
    codes, starts = np.unique(np.array(codes, np.int32), axis=0), [2, 9, 12]
    np.savez(folder / "trie.npz", **trie_arrays(codes))
    (folder / "manifest.json").write_text(json.dumps({"level_starts": starts}))
    level = data.draw(st.integers(0, 2))
    rows = data.draw(st.lists(st.integers(0, len(codes) - 1), min_size=1, max_size=9))
    so_far, logits = torch.from_numpy((codes + starts)[rows, :level]).long(), torch.randn(len(rows), 20)
    masked = page.TrieMask(folder)(so_far, logits)
    assert torch.equal(masked, looped(folder, so_far.tolist(), logits))
    assert masked.isfinite().any(1).all()


@pytest.fixture(scope="module")
def unequal():
    """Requests that have come unequally far in the old folder, and their masked logits by a loop over them."""
    codes = np.stack(pq.read_table(OLD / "items.parquet")["codes"].to_pylist())
    starts = json.loads((OLD / "manifest.json").read_text())["level_starts"]
    so_far = [(codes[row] + starts)[: row % 3].tolist() for row in range(7)]
    logits = torch.randn(7, starts[-1] + ring.SIZES[-1] + 4)
    return so_far, logits, torch.cat([looped(OLD, [each], row[None]) for each, row in zip(so_far, logits, strict=True)])


def test_sglang_requests_are_masked(page, unequal):
    so_far, logits, expected = unequal
    asked = [{"folder": str(OLD), "__req__": SimpleNamespace(output_ids=each)} for each in so_far]
    assert torch.equal(page.SglangTrie()(logits.clone(), asked), expected)


def test_vllm_requests_are_masked_as_they_come_go_and_change_places(page, unequal):
    so_far, logits, expected = unequal
    config = SimpleNamespace(model_config=SimpleNamespace(model=str(OLD)))
    trie = page.VllmTrie(config, torch.device("cpu"), False)

    def update(removed=(), added=(), moved=()):
        trie.update_state(SimpleNamespace(removed=removed, added=added, moved=moved))

    outputs = [[] for _ in so_far]
    update(added=[(row, None, [1, 2], output) for row, output in enumerate(outputs)])
    for output, own in zip(outputs, so_far, strict=True):
        output += own
    trie.update_state(None)
    assert torch.equal(trie.apply(logits.clone()), expected)
    update(moved=[(0, 4, page.MoveDirectionality.SWAP)])
    order = [4, 1, 2, 3, 0, 5, 6]
    assert torch.equal(trie.apply(logits[order]), expected[order])
    update(removed=[2], moved=[(6, 2, page.MoveDirectionality.UNIDIRECTIONAL)])
    order = [4, 1, 6, 3, 0, 5]
    assert torch.equal(trie.apply(logits[order]), expected[order])
    assert not trie.is_argmax_invariant()


def test_a_backbone_of_its_own_is_refused():
    backbone = plug_in("backbones", "parallel")(width=16).build(index_of(ring.SIZES))
    with pytest.raises(ConfigError, match="backbone 'parallel': is no model of the transformers library"):
        backbone.hugging_face()


def test_the_manifest_is_whole(tmp_path):
    places = recommenders.made(Place.of(tmp_path / "s"), tmp_path, "tiger")
    recommender = Recommender.load(places["model"], places["codes"], places["catalog"], torch.device("cpu"))
    parts = (recommender.backbone, places["model"], places["codes"], places["catalog"])
    manifest = export_model(*parts, str(tmp_path / "e"))
    assert json.loads((tmp_path / "e" / "manifest.json").read_text()) == manifest
    assert manifest["codes"]["address"].startswith("codes/")
    assert manifest["history_length"] > 0
    with pytest.raises(ConfigError, match="is not empty"):
        export_model(*parts, str(tmp_path / "e"))
