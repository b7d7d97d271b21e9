"""What travels to the workers of a session."""

import json
from pathlib import Path

import unisid
from unisid.runtime.ray_session import runtime_env

SETTINGS = {"A": "1", "B": "2"}


def test_a_cluster_gets_this_package(monkeypatch):
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    package = str(Path(unisid.__file__).parent)
    assert runtime_env(SETTINGS) == {"env_vars": SETTINGS, "py_modules": [package]}


def test_what_a_job_was_submitted_with_stays(monkeypatch):
    job = {"runtime_env": {"env_vars": {"B": "3"}, "py_modules": ["gcs://x.zip"]}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    assert runtime_env(SETTINGS) == {"env_vars": {"A": "1"}}
