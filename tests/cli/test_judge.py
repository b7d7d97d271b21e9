"""`unisid judge` and `unisid certify`: options that do not go together, and how sure a search is."""

import json
import re

import pytest

from tests import recommenders
from unisid import cli


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--seeds", "1"), "--train, --seeds and --predict: are about semantic IDs; name some by --codes"),
        (("--codes", "a=b", "--seeds", "1"), "--seeds: are of the recommenders that --train trains; name its recipe"),
        (
            ("--codes", "a=b", "--ids", "c"),
            "--ids, --users and --columns: are about ranked lists; name",
        ),
        (("--lists", "a=b", "--items", "c"), "--items: is about files of semantic IDs; name some by --codes, or by"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, capsys, words, message):
    assert cli.main(["judge", *words, "--store", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


def test_certify_prints_how_sure_each_width_is(tmp_path, capsys):
    recommenders.stored(tmp_path)
    assert cli.main(["certify", "--widths", "3", "20", "--k", "3", "--store", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"20 +100\.0% +3\.00 +0\.000 +100\.00%", out)
    assert cli.main(["certify", "--widths", "3", "--k", "3", "--json", "--store", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["widths"]["3"]["found"] == 1.0
    assert cli.main(["certify", "--widths", "8,3", "20", "--k", "3", "--json", "--store", str(tmp_path)]) == 0
    assert list(json.loads(capsys.readouterr().out)["widths"]) == ["8,3", "20"]
    with pytest.raises(SystemExit):
        cli.main(["certify", "--widths", "8,x", "--store", str(tmp_path)])
    assert cli.main(["certify", "--widths", "2", "--k", "3", "--store", str(tmp_path)]) == 1
    assert "beam 2 is smaller than k, 3" in capsys.readouterr().err
