"""MLflow's database is there whole or not at all, wherever its making is ended."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from mlflow import MlflowClient

from tests.lines import logged
from unisid.runtime import tracking_made
from unisid.runtime.tracking import Tracker
from unisid.runtime.tracking_place import sqlite_uri

MAKES = """
import sys
from pathlib import Path
from unisid.runtime import tracking_made
print("begun", flush=True)
tracking_made.make(Path(sys.argv[1]))
"""


def tables(file):
    with sqlite3.connect(file) as connection:
        return {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}


def test_it_appears_with_its_tables_and_nothing_beside_it(tmp_path):
    file = tmp_path / "a folder" / "mlflow.db"
    file.parent.mkdir()
    tracking_made.make(file)
    assert {"runs", "experiments", "registered_models"} <= tables(file)
    assert os.listdir(file.parent) == ["mlflow.db"]
    before = file.read_bytes()
    tracking_made.make(file)
    assert file.read_bytes() == before
    client = MlflowClient(tracking_uri=sqlite_uri(file), registry_uri=sqlite_uri(file))
    assert [found.name for found in client.search_experiments()] == ["Default"]


def test_what_an_ended_process_left_half_made_is_no_hindrance(tmp_path):
    """As alembic leaves it: some tables, and one that a migration had begun."""
    with sqlite3.connect(tmp_path / ".mlflow.db.new") as left:
        left.execute("create table _alembic_tmp_metrics (key text)")
    (tmp_path / ".mlflow.db.new-journal").write_bytes(b"")
    tracker = Tracker(sqlite_uri(tmp_path / "mlflow.db"))
    with logged() as said, tracker.pipeline("r", {}, {}):
        pass
    assert said == []
    assert tracker.trouble == ""
    assert "_alembic_tmp_metrics" not in tables(tmp_path / "mlflow.db")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_it_is_made_whole_by_the_next(tmp_path, seed):
    draw, file = random.Random(seed), tmp_path / "mlflow.db"
    process = subprocess.Popen([sys.executable, "-c", MAKES, str(file)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    while not (tmp_path / ".mlflow.db.new").exists():
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(draw.uniform(0.0, 1.0))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not file.exists() or "registered_models" in tables(file)
    tracking_made.make(file)
    assert {"runs", "experiments", "registered_models"} <= tables(file)
    assert os.listdir(tmp_path) == ["mlflow.db"]
