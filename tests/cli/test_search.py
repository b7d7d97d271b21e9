"""`unisid search` as typed."""

import json
import subprocess
import sys

import pytest

from tests.search.quick_search import RECIPE
from unisid import cli
from unisid.cli.session import Session
from unisid.trials.telling import NullExperimentTracker


@pytest.fixture
def unisid(tmp_path, capsys, monkeypatch):
    """Runs a command; returns the exit code, what was printed and what was complained of."""
    monkeypatch.setattr(Session, "experiment_tracker", lambda session: NullExperimentTracker())

    def unisid(*words):
        code = cli.main(["search", *words, "--compute", "local", "--store", str(tmp_path)])
        return code, *capsys.readouterr()

    return unisid


def test_the_command_has_help(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["search", "--help"])
    assert left.value.code == 0
    assert "--space KEY=VALUE,VALUE" in capsys.readouterr().out


def test_a_search_by_command(unisid, tmp_path):
    words = (
        RECIPE,
        "--space",
        "codes.tokenizer.codebook_size=6,8",
        "--fused.fusion",
        "concat",
        "--seeds",
        "1",
        "2",
        "--objective",
        "distinct",
        "entropy",
        "--called",
        "books",
    )
    code, out, complaint = unisid(*words)
    assert (code, complaint) == (0, "")
    assert "codebook_size  seeds" in out
    assert (tmp_path / "searches" / "books" / "pareto.png").exists()
    code, again, _ = unisid(*words, "--resume", "--json")
    body = json.loads(again)
    assert (code, body["name"], len(body["trials"])) == (0, "books", 4)
    assert f"--codes.tokenizer.codebook_size {body['best']['codes.tokenizer.codebook_size']}" in out
    assert (
        json.loads((tmp_path / "searches" / "books" / "search.json").read_text())["objectives"] == "distinct, entropy"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((RECIPE,), "space: is empty"),
        ((RECIPE, "--space", "codes.tokenizer.num_levles=2,3"), "did you mean 'codes.tokenizer.num_levels'"),
        ((RECIPE, "--space", "codes.tokenizer.num_levels=two"), "'two' is not of type int"),
        ((RECIPE, "--space", "fused.loss.structure_weight=0,2"), "is 2.0; must be at least 0 and at most 1"),
        ((RECIPE, "--space", "levels", "--objective", "loss"), "objective 'loss': not known"),
        ((RECIPE, "--space", "levels", "--asha", "distinct"), "early stopping is Ray Tune's"),
        ((RECIPE, "--space", "levels", "--modle.beam", "3"), "no setting '--modle.beam'"),
        (("tinyy", "--space", "levels"), "recipe 'tinyy': not known"),
        (("--space", "levels"), "which recipe?"),
    ],
)
def test_each_mistake_is_one_message_and_nothing_made(unisid, tmp_path, words, message):
    code, _, complaint = unisid(*words)
    assert code == 1
    assert complaint.startswith("error: ")
    assert message in complaint
    assert not any(tmp_path.iterdir())


def test_a_lookup_loads_no_search():
    program = "import sys, unisid.cli; assert not {'torch', 'ray', 'unisid.search'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
