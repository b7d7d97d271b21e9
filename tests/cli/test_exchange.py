"""`unisid export` and `unisid import` on the command line."""

import json

from tests import recommenders
from tests.exchange import packages
from unisid import cli
from unisid.artifacts.store import Store
from unisid.tokenizers import rqkmeans


def test_an_index_goes_out_and_comes_back(place, tmp_path, capsys):
    store = Store(place)
    packages.stored(store, rqkmeans.Config(num_levels=3, codebook_size=6, restarts=1))
    folder = str(tmp_path / "package")
    assert cli.main(["export", "codes/t/1", "--to", folder, "--store", str(place)]) == 0
    assert "codes/t/1: 48 items, " in capsys.readouterr().out
    assert cli.main(["export", "codes/t/1", "--to", folder, "--store", str(place)]) == 1
    assert "is not empty" in capsys.readouterr().err
    words = ["import", folder, "--to", "codes/back/1", "--store", str(place)]
    assert cli.main(words) == 0
    assert "codes/back/1: 48 items of catalog/t/1, levels of 6, 6, 6 codes, 100.0% distinct" in capsys.readouterr().out
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["from"]["address"] == "codes/t/1"
    packages.write_catalog(store, 5, name="other", first=100)
    assert cli.main([*words[:2], "--to", "codes/x/1", "--catalog", "catalog/other/1", "--store", str(place)]) == 1
    assert "none of its 48 items is in catalog/other/1" in capsys.readouterr().err


def test_a_recommender_goes_out(tmp_path, capsys):
    recommenders.stored(tmp_path / "s")
    words = ["export", "model/ring/1", "--to", str(tmp_path / "hf"), "--store", str(tmp_path / "s")]
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "unisid-model"
    assert cli.main(["export", "catalog/ring/1", *words[2:]]) == 1
    assert "is no index and no recommender" in capsys.readouterr().err
    assert cli.main(["export", "codes/ring/1", "--codes", "codes/ring/1", *words[2:]]) == 1
    assert "is an index itself" in capsys.readouterr().err
