"""A model on disk as it was written; what is built of it: files of another form are ArtifactErrors that name them."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from tests.artifacts.artifacts import complete
from tests.recommenders import made
from unisid.artifacts.codes import Codes, write_codes
from unisid.artifacts.model import Model, write_model
from unisid.artifacts.reading import SETTING
from unisid.artifacts.record import RECORD, Record, require_input, write_record
from unisid.artifacts.store import Place, Store
from unisid.artifacts.weights import write_json, write_weights
from unisid.errors import ArtifactError, UnisidError
from unisid.fusion import concat
from unisid.serving.recommender import Recommender
from unisid.stages import fused


def test_a_model_is_read_as_it_was_written(anywhere):
    index = anywhere / "codes"
    write_codes(index, np.array([[0, 1], [1, 0]]), (2, 2))
    spoken = complete(index, "codes", {"sizes": [2, 2]})
    shared = torch.arange(6.0).reshape(2, 3)
    given_ = {
        "a": shared,
        "tied": shared,
        "turned": shared.T,
        "half": torch.ones(2, dtype=torch.bfloat16),
        "number": torch.tensor(3),
    }
    place = anywhere / "model"
    write_model(place, {"kind": "tiger", "width": 8, "rate": 0.1}, given_, {"config.json": b"{}", "x.jinja": b"x"})
    complete(place, "model", inputs={"codes": {"address": spoken.address, "fingerprint": spoken.fingerprint}})
    read = Model.read(place, Codes.read(index))
    assert read.backbone() == {"kind": "tiger", "width": 8, "rate": 0.1}
    assert read.files() == {"config.json": b"{}", "x.jinja": b"x"}
    found = read.weights()
    assert found.keys() == given_.keys()
    for name, tensor in given_.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An untrained recommender, its index and catalogue."""
    return made(Place.of(tmp_path_factory.mktemp("whole")), tmp_path_factory.mktemp("language"), "tiger")


@pytest.fixture
def places(whole, tmp_path, monkeypatch):
    """Copies that may be spoiled; checksums are not compared."""
    monkeypatch.setenv(SETTING, "never")
    for noun, place in whole.items():
        shutil.copytree(place.uri, tmp_path / noun)
    return {noun: Place.of(tmp_path / noun) for noun in whole}


def load_(places):
    return Recommender.load(places["model"], places["codes"], places["catalog"], torch.device("cpu"))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        [],
        {"kind": 5},
        {"kind": "nosuch"},
        {"kind": "tiger", "width": [1]},
        {"kind": "tiger", "width": "x"},
        {"kind": "tiger", "unknown": 1},
        {"kind": "tiger", "width": None},
        {"kind": "tiger", "width": {"a": 1}},
    ],
)
def test_settings_of_no_backbone_are_refused_in_words(places, settings):
    write_json(places["model"], "backbone.json", settings)
    with pytest.raises(UnisidError):
        load_(places)


@pytest.mark.parametrize("change", ["lacks one", "one too many", "another shape", "none"])
def test_weights_of_another_backbone_are_named(places, change):
    weights = load(places["model"].read("model.safetensors"))
    first = sorted(weights)[0]
    if change == "lacks one":
        del weights[first]
    elif change == "one too many":
        weights["other"] = torch.ones(1)
    elif change == "another shape":
        weights[first] = torch.ones(3, 5, 7)
    else:
        weights = {}
    places["model"].write("model.safetensors", save(weights))
    with pytest.raises(
        ArtifactError, match=r"model.safetensors: is not the weights of the backbone that backbone.json"
    ):
        load_(places)


def test_a_model_that_names_no_codes_is_refused(places):
    body = json.loads(places["model"].read(RECORD))
    made_ = Record(address=body["address"], config=body["config"], inputs={}, files=body["files"])
    write_record(places["model"], made_)
    with pytest.raises(ArtifactError, match=r"record.json: names no codes that the model was trained on"):
        load_(places)
    with pytest.raises(ArtifactError, match=r"names no codes that it was made from; make it anew: unisid drop"):
        require_input(Store(places["model"]), made_, "codes")


def test_files_put_beside_a_model_are_not_the_models(place):
    write_weights(place, "model.safetensors", {"a": torch.ones(1)})
    place.write("config.json", b"{}")
    record = Record(address="model/t/1", config={}, inputs={}, files=place.sizes())
    write_record(place, record)
    place.write("code.py", b"raise SystemExit")
    assert Model(place, record).files() == {"config.json": b"{}"}


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"fusion": 5},
        {"fusion": {"kind": "concat"}},
        {"fusion": {"kind": "concat"}, "text_width": "x"},
        {"fusion": {"kind": "concat"}, "text_width": None},
        {"fusion": {"kind": "uqf"}, "text_width": []},
    ],
)
def test_settings_of_no_fusion_are_refused_in_words(place, described):
    assert concat.Config().kind == "concat"
    write_json(place, fused.DESCRIPTION, described)
    with pytest.raises(UnisidError, match="fusion.json: |no kind"):
        fused.load(place)
