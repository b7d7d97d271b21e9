"""One object says what a language model is asked with: in the rows that teach it, in validation, when it learns from
its own answers, and where it serves."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.backbones.models import language_model
from tests.legends import without_words
from tests.stages import ring
from unisid.artifacts.codes import Codes
from unisid.artifacts.instructions import Instructions
from unisid.artifacts.store import Place
from unisid.backbones import PAD, lcrec
from unisid.errors import ConfigError
from unisid.legend import LOSS
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender, _prompt_entries
from unisid.stages import instructions, model, sequences
from unisid.training.loop import Training
from unisid.training.packing import Packer

N = 12
TASKS = ("next", "title_to_sid", "sid_to_title")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    place = Place.of(tmp_path_factory.mktemp("ring"))
    found = {
        "catalog": ring.write_catalog(place / "catalog", ring.walks(20, N), N),
        "codes": ring.write_index(place / "codes", N),
    }
    counts = sequences.make(ring.job(sequences.Config(), found, place / "sequences", LocalCompute()))
    ring.record(place / "sequences", "sequences", {}, counts)
    return found | {"sequences": place / "sequences"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = language_model(tmp_path_factory.mktemp("language"))
    return model.Config(
        backbone=lcrec.Config(model=str(folder), max_tokens=400),
        training=Training(epochs=1, learning_rate=1e-3),
        batch_size=8,
        samples_per_epoch=8,
        valid_samples=4,
        beam=N,
    )


def taught(shop, place, wordings):
    settings = instructions.Config(tasks=TASKS, valid_rows=0, wordings=wordings)
    counts = instructions.make(ring.job(settings, shop, place / "instructions", LocalCompute()))
    ring.record(place / "instructions", "instructions", {"tasks": list(TASKS)}, counts)
    return shop | {"instructions": place / "instructions"}


@pytest.mark.parametrize("wordings", ["ours", "thesis", "lcrec"])
def test_training_validation_rollouts_and_serving_ask_in_the_same_entries(shop, config, place, monkeypatch, wordings):
    inputs, out = taught(shop, place, wordings), place / "model"
    searched = []
    search = lcrec.Config.build

    def build(self, index):
        backbone = search(self, index)
        start = backbone.start
        monkeypatch.setattr(backbone, "start", lambda read: searched.append(backbone.prompts(read)) or start(read))
        return backbone

    monkeypatch.setattr(lcrec.Config, "build", build)
    counts = model.make(ring.job(config, inputs, out, LocalCompute()))
    ring.record(out, "model", {}, counts, ring.entry(shop["codes"], "codes"))
    read = Instructions.read(inputs["instructions"])
    served = Recommender.load(out, shop["codes"], shop["catalog"], torch.device("cpu"))
    language = served.backbone
    assert (
        language.asks == read.prompts() == instructions.prompts_of(instructions.Config(wordings=wordings, tasks=TASKS))
    )

    rows = read.table("valid").to_pylist()
    taught_with = {}
    for row, sample in zip(rows, Packer(language).samples(read.table("valid")), strict=True):
        taught_with[row["task"], row["target"], row["user"]] = sample.ids[: -sample.num_learned]
    by_user = {user: ids for (kind, _, user), ids in taught_with.items() if kind == "next"}
    assert all(ids[real].tolist() in by_user.values() for whole in searched for ids, real in zip(*whole, strict=True))

    codes = Codes.read(shop["codes"]).codes
    spoken = {"<" + "><".join(f"{'abc'[n]}_{c}" for n, c in enumerate(row)) + ">": i for i, row in enumerate(codes)}
    for row in (row for row in rows if row["task"] == "next"):
        history = torch.tensor([[spoken[piece] for piece in row["pieces"]] + [PAD]])
        ids, real = language.prompts(served.index.tokens(history).flatten(1))
        assert ids[real].tolist() == by_user[row["user"]]
    titles = [f"item {number}" for number in range(N)]
    for item, ids in enumerate(_prompt_entries(language, language.asks.title_to_sid, titles, 3)):
        assert ids == taught_with["title_to_sid", item, -1]
    for (sid, item), ids in zip(
        spoken.items(), _prompt_entries(language, language.asks.sid_to_title, list(spoken), 0), strict=True
    ):
        assert ids == taught_with["sid_to_title", item, -1], sid
    assert np.isfinite(served.rank([np.array([3, 4])], 3)[1]).all()


def test_weights_that_were_saved_before_prompts_were_are_asked_in_our_words(config):
    from tests.backbones.models import index_of

    built = config.backbone.build(index_of(ring.SIZES))
    files = {name: data for name, data in built.files().items() if name != "prompts.json"}
    assert config.backbone.rebuild(index_of(ring.SIZES), files).asks == built.asks


def test_loss_selects_where_instructions_have_one(shop, config, place):
    chosen = dataclasses.replace(
        config, select="loss", training=Training(epochs=3, patience=1, learning_rate=3e-2), samples_per_epoch=16
    )
    said: list = []
    judged: list = []
    inputs = taught(shop, place, "ours")
    counts = model.make(ring.job(chosen, inputs, place / "model", LocalCompute(), said, judged))
    assert judged == [LOSS]
    assert without_words("model", said) == set()
    by_epoch = [v for v in said if isinstance(v, dict)]
    losses = [v["valid_loss"] for v in by_epoch]
    assert [v["valid_score"] for v in by_epoch] == losses
    best = min(range(len(losses)), key=losses.__getitem__)
    assert counts["best_epoch"] == best + 1
    assert counts["valid_ndcg_10"] == by_epoch[best]["valid_ndcg_10"]
    with pytest.raises(
        ConfigError, match=r"model.select: is loss, .* give it instructions, or set model.select to ndcg"
    ):
        model.make(ring.job(chosen, shop, place / "none", LocalCompute()))
