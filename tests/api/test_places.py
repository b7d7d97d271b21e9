"""The store that a caller means: given, of the environment, or the folder `runs`; never one that a job would lose."""

from pathlib import Path

import pytest

from unisid.api.places import FOLDER, VARIABLE, default_store, named_store, store_of
from unisid.artifacts.store import Place, Store
from unisid.errors import ArtifactError, ConfigError


def test_what_is_given_goes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert default_store() == FOLDER
    monkeypatch.setenv(VARIABLE, str(tmp_path / "told"))
    assert store_of() == Store(Place.of(tmp_path / "told"))
    for given in (tmp_path / "own", str(tmp_path / "own"), Store(Place.of(tmp_path / "own"))):
        assert store_of(given) == Store(Place.of(tmp_path / "own"))


def test_no_folder_and_a_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="store '': no folder is named"):
        store_of("")
    Path(tmp_path / "file").write_bytes(b"")
    assert named_store(tmp_path / "file"), "nothing is read"
    with pytest.raises(ArtifactError):
        store_of(tmp_path / "file")


def test_in_a_job_a_store_is_no_relative_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.delenv(VARIABLE, raising=False)
    for given in (None, "runs"):
        with pytest.raises(ConfigError, match="store 'runs': would lie in this job's own copy of the working folder"):
            named_store(given)
    assert named_store(tmp_path).root == Place.of(tmp_path)
    assert named_store("memory://store").root == Place.of("memory://store")
