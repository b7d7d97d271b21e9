"""The model stage with a language model: it learns from sequences alone, and its artifact is the library's own."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.backbones.models import language_model
from tests.stages import ring
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.backbones import lcrec
from unisid.language.lora import Lora
from unisid.ops.semantic_ids import spell
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import model, sequences
from unisid.training.loop import Training

N = 12


@pytest.mark.parametrize("trained", ["all", "lora"])
def test_it_learns_from_sequences_and_is_served(tmp_path, trained):
    place = Place.of(tmp_path)
    inputs = {
        "catalog": ring.write_catalog(place / "catalog", ring.walks(60, N), N),
        "codes": ring.write_index(place / "codes", N),
    }
    counts = sequences.make(ring.job(sequences.Config(), inputs, place / "sequences", LocalCompute()))
    ring.record(place / "sequences", "sequences", {}, counts)
    inputs["sequences"] = place / "sequences"
    backbone = lcrec.Config(
        model=str(language_model(tmp_path / "language")),
        rows="item_text",
        trained=trained,
        max_tokens=200,
        lora=Lora(rank=4, dropout=0.0),
    )
    config = model.Config(
        backbone=backbone,
        training=Training(epochs=3, learning_rate=3e-3, checkpoint_seconds=0.0),
        batch_size=16,
        valid_samples=20,
        beam=N,
    )
    assert model.sources(config)["language"]["address"] == backbone.model
    said: list = []
    out = place / "model"
    counts = model.make(ring.job(config, inputs, out, LocalCompute(), said))
    ring.record(out, "model", {}, counts, ring.entry(inputs["codes"], "codes"))
    losses = [values["loss"] for values in said if isinstance(values, dict)]
    assert losses[-1] < losses[0]

    recommender = Recommender.load(out, inputs["codes"], inputs["catalog"], torch.device("cpu"))
    items, scores = recommender.rank([np.array([3, 4, 5])], N, exclude_history=False)
    language, tokenizer = AutoModelForCausalLM.from_pretrained(out.uri), AutoTokenizer.from_pretrained(out.uri)
    assert not [name for name in language.state_dict() if "lora" in name or "base_layer" in name]
    backbone_prompt, real = recommender.backbone.prompts(recommender.index.tokens(torch.tensor([[3, 4, 5]])).flatten(1))
    before = backbone_prompt[real].tolist()
    sids = tokenizer([spell(row.tolist()) for row in Codes.read(inputs["codes"]).codes], add_special_tokens=False)
    ids = torch.tensor([before + sid for sid in sids.input_ids])
    with torch.no_grad():
        log_p = language(ids).logits.log_softmax(-1)[:, len(before) - 1 : -1]
    totals = log_p.gather(2, ids[:, len(before) :, None]).sum((1, 2))
    assert items[0].tolist() == totals.argsort(descending=True).tolist()
    assert np.allclose(scores[0], totals.sort(descending=True).values, atol=1e-3)
