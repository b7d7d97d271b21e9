"""What travels to the workers of a session."""

import json
from pathlib import Path

import pytest
import ray

import unisid
from unisid.errors import ConfigError
from unisid.runtime import ray_session
from unisid.runtime.ray_session import each, free, largest, runtime_env, total

SETTINGS = {"A": "1", "B": "2"}


def test_a_cluster_gets_this_package(monkeypatch):
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    package = str(Path(unisid.__file__).parent)
    assert runtime_env(SETTINGS) == {"env_vars": SETTINGS, "py_modules": [package]}


def test_what_a_job_was_submitted_with_stays(monkeypatch):
    job = {"runtime_env": {"env_vars": {"B": "3"}, "py_modules": ["gcs://x.zip"]}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    assert runtime_env(SETTINGS) == {"env_vars": {"A": "1"}}


def test_a_cluster_that_grows_has_what_it_is_said_to_grow_to(monkeypatch):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    assert (total("CPU"), total("GPU")) == (4.0, 0.0)
    monkeypatch.setenv("UNISID_CLUSTER_GPUS", "8")
    monkeypatch.setenv("UNISID_CLUSTER_CPUS", "2.5")
    assert (total("CPU"), total("GPU")) == (4.0, 8.0)
    monkeypatch.setenv("UNISID_CLUSTER_CPUS", "many")
    with pytest.raises(ConfigError, match="UNISID_CLUSTER_CPUS: is 'many'; must be how many CPUs"):
        total("CPU")


def test_what_a_group_of_workers_holds_is_taken_from_its_nodes(monkeypatch):
    monkeypatch.delenv("UNISID_CLUSTER_CPUS", raising=False)
    bundles = {0: {"CPU": 1.5}, 1: {"CPU": 1.0, "GPU": 1.0}}
    placed = {
        "a": {"state": "CREATED", "bundles": bundles, "bundles_to_node_id": {0: "x", 1: "y"}},
        "b": {"state": "REMOVED", "bundles": bundles, "bundles_to_node_id": {0: "x", 1: "gone"}},
    }
    nodes = [("x", True, {"CPU": 2.0}), ("y", True, {"CPU": 4.0, "GPU": 2.0}), ("gone", False, {"CPU": 9.0})]
    monkeypatch.setattr(ray, "nodes", lambda: [{"NodeID": n, "Alive": a, "Resources": r} for n, a, r in nodes])
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 6.0, "GPU": 2.0})
    monkeypatch.setattr(ray_session, "placement_group_table", lambda: placed)
    assert (each("CPU"), free("CPU"), largest("CPU")) == ([2.0, 4.0], [0.5, 3.0], 4.0)
    assert (each("GPU"), free("GPU"), largest("GPU")) == ([0.0, 2.0], [0.0, 1.0], 2.0)
    monkeypatch.setenv("UNISID_CLUSTER_CPUS", "8")
    assert (each("CPU"), free("CPU"), largest("CPU")) == ([], [], 4.0), "a node of any size may come"
