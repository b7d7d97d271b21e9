"""Outcomes of trials in a search's folder: kept, found again where they are of this very trial, and never mixed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from unisid.errors import ArtifactError, ConfigError
from unisid.evaluation.estimates import Outcome
from unisid.search.outcomes import DEFINITION, Folder

ONE = Outcome(id="a", settings={"x": 1}, seed=2, state="complete", fingerprint="f", values={"index": 0.5}, note="n")


def known(folder, *outcomes, fingerprint="f"):
    trials = [SimpleNamespace(id=outcome.id) for outcome in outcomes]
    return folder.known(trials, [[SimpleNamespace(fingerprint=fingerprint)] for _ in trials])


@pytest.mark.parametrize("state", ["complete", "stopped"])
def test_what_is_kept_is_found_again(place, state):
    folder = Folder(place)
    outcome = replace(ONE, state=state)
    folder.keep(outcome)
    assert known(folder, outcome, replace(ONE, id="b")) == {"a": outcome}


def test_failed_trials_and_those_of_another_artifact_are_tried_again(place):
    folder = Folder(place)
    folder.keep(ONE)
    assert known(folder, ONE, fingerprint="another") == {}
    folder.keep(replace(ONE, state="failed"))
    assert known(folder, ONE) == {}


def test_a_search_is_begun_once_and_gone_on_with_where_it_is_the_same(place):
    folder = Folder(place)
    folder.begin({"recipe": "demo", "dimensions": ("a", "b")}, resume=False)
    folder.keep(ONE)
    folder.begin({"recipe": "demo", "dimensions": ["a", "b"]}, resume=True)
    with pytest.raises(ConfigError, match="was begun before, 1 of its trials are over; go on with --resume"):
        folder.begin({"recipe": "demo", "dimensions": ("a", "b")}, resume=False)
    with pytest.raises(ConfigError, match=r"is defined otherwise \(.*recipe.*other.*\); give this one a name"):
        folder.begin({"recipe": "other", "dimensions": ("a", "b")}, resume=True)


def test_secrets_are_not_written(place):
    Folder(place).keep(replace(ONE, note="at https://user:secret@host/"))
    assert b"secret" not in place.read("trial-a.json")


@pytest.mark.parametrize("name", [DEFINITION, "trial-a.json"])
def test_a_damaged_file_is_named_with_what_to_do(place, name):
    folder = Folder(place)
    folder.begin({}, resume=False)
    folder.keep(ONE)
    place.write(name, b"{")
    with pytest.raises(ArtifactError, match=f"{name}: is damaged .*remove the file and go on with --resume"):
        folder.begin({}, resume=True) if name == DEFINITION else known(folder, ONE)
