"""A recommender as a folder of the transformers library: loaded there and masked by the trie, it answers as here."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
)

from tests import recommenders
from tests.backbones.models import index_of
from tests.stages import ring
from unisid.artifacts.store import Place
from unisid.config import plug_in
from unisid.errors import ConfigError
from unisid.exchange import reader
from unisid.exchange.models import FORMAT, VERSION, export_model
from unisid.serving.recommender import Recommender

K = 6
OLD = Path(__file__).parents[1] / "data" / "model-1"
ANSWERS = {
    (3, 4, 5): ([1, 2, 15, 6, 5, 12], [-6.174528, -6.739005, -7.608034, -8.142225, -8.740351, -9.298748]),
    (11,): ([1, 2, 6, 15, 11, 5], [-5.946804, -6.968530, -8.118295, -8.510612, -8.539654, -8.829546]),
}
"""What `rank` answered when the old folder was written, by history."""


class Masked(LogitsProcessor):
    """Leaves the entries that the trie allows after the codes so far, and no others."""

    def __init__(self, trie: dict[str, np.ndarray], starts: list[int], begun: int) -> None:
        self.trie, self.starts, self.begun = trie, starts, begun

    def __call__(self, input_ids, scores):
        masked = torch.full_like(scores, -torch.inf)
        for row, entries in enumerate(input_ids[:, self.begun :].tolist()):
            node = 0
            for level, entry in enumerate(entries):
                children = self._children(level, node)
                node = children.start + self.trie[f"codes_{level}"][children].tolist().index(entry - self.starts[level])
            level = len(entries)
            allowed = self.starts[level] + self.trie[f"codes_{level}"][self._children(level, node)]
            masked[row, allowed] = scores[row, allowed]
        return masked

    def _children(self, level, node):
        first = self.trie[f"first_child_{level}"]
        return slice(int(first[node]), int(first[node + 1]))


def answers(folder, history):
    """Items and scores of one history, by the library and what lies in the folder alone."""
    manifest = reader.manifest_of(folder, FORMAT, VERSION)
    asked, starts, trie = manifest["asked"], manifest["level_starts"], reader.arrays(folder / "trie.npz")
    table = pq.read_table(folder / "items.parquet")
    codes = [np.array(row) + starts for row in table["codes"].to_pylist()]
    words = [codes[item].tolist() for item in history]
    options = {"num_beams": 20, "num_return_sequences": K, "max_new_tokens": len(starts), "do_sample": False}
    options |= {"length_penalty": 0.0, "output_scores": True, "return_dict_in_generate": True}
    if asked["kind"] == "encoder-decoder":
        model, begun = AutoModelForSeq2SeqLM.from_pretrained(folder, trust_remote_code=False), 1
        prompt = [entry for word in words for entry in word]
        options |= {"decoder_start_token_id": asked["decoder_start"], "pad_token_id": asked["pad"]}
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)
        inside = [entry for word in words[-asked["room"] :] for entry in [*asked["separator"], *word]]
        prompt = asked["before"] + inside[len(asked["separator"]) :] + asked["after"]
        begun = len(prompt)
    masked = LogitsProcessorList([Masked(trie, starts, begun)])
    ids = torch.tensor([prompt])
    found = model.eval().generate(input_ids=ids, attention_mask=ids >= 0, logits_processor=masked, **options)
    entries = found.sequences[:, begun:].tolist()
    item_of = {tuple(code.tolist()): item for item, code in enumerate(codes)}
    return [item_of[tuple(row)] for row in entries], found.sequences_scores.tolist()


@pytest.mark.parametrize("kind", ["tiger", "lcrec"])
def test_the_library_answers_as_this_product_does(tmp_path, kind):
    places = recommenders.made(Place.of(tmp_path / "s"), tmp_path / "language", kind)
    recommender = Recommender.load(places["model"], places["codes"], places["catalog"], torch.device("cpu"))
    folder = tmp_path / "exported"
    export_model(recommender.backbone, places["model"], places["codes"], places["catalog"], str(folder))
    for history in ([3, 4, 5], [11]):
        items, scores = recommender.rank([history], K, False, beam_width=20)
        own, given = answers(folder, history)
        assert own == items[0].tolist()
        np.testing.assert_allclose(given, scores[0], atol=1e-4)
    words = pq.read_table(folder / "vocabulary.parquet").to_pylist()
    assert [word["token"] for word in words if word["level"] == 0] == [f"<a_{c}>" for c in range(ring.SIZES[0])]
    if kind == "lcrec":
        entry = AutoTokenizer.from_pretrained(folder, trust_remote_code=False).convert_tokens_to_ids
        assert all(entry(word["token"]) == word["entry"] for word in words)


@pytest.mark.parametrize("history", ANSWERS)
def test_an_old_folder_answers_for_good(history):
    """Written by version 1 of the format, of a tiny TIGER; what is there must not be made anew."""
    items, scores = answers(OLD, history)
    assert items == ANSWERS[history][0]
    np.testing.assert_allclose(scores, ANSWERS[history][1], atol=1e-4)


def test_an_old_folder_holds_what_the_page_says():
    manifest = reader.manifest_of(OLD, FORMAT, VERSION)
    assert (manifest["version"], manifest["items"], manifest["sizes"]) == (1, 20, list(ring.SIZES))
    assert manifest["asked"]["kind"] == "encoder-decoder"
    words = pq.read_table(OLD / "vocabulary.parquet").to_pylist()
    assert [word["entry"] - manifest["level_starts"][word["level"]] for word in words] == [w["code"] for w in words]
    assert pq.read_table(OLD / "items.parquet")["item_id"][0].as_py() == "id-0"


def test_a_backbone_of_its_own_is_refused():
    backbone = plug_in("backbones", "parallel")(width=16).build(index_of(ring.SIZES))
    with pytest.raises(ConfigError, match="backbone 'parallel': is no model of the transformers library"):
        backbone.hugging_face()


def test_the_manifest_is_whole(tmp_path):
    places = recommenders.made(Place.of(tmp_path / "s"), tmp_path, "tiger")
    recommender = Recommender.load(places["model"], places["codes"], places["catalog"], torch.device("cpu"))
    given = (recommender.backbone, places["model"], places["codes"], places["catalog"])
    manifest = export_model(*given, str(tmp_path / "e"))
    assert json.loads((tmp_path / "e" / "manifest.json").read_text()) == manifest
    assert manifest["codes"]["address"].startswith("codes/")
    assert manifest["history_length"] > 0
    with pytest.raises(ConfigError, match="is not empty"):
        export_model(*given, str(tmp_path / "e"))
