"""Rows that go into a table of BigQuery: Google's own client against a stand-in for the service."""

import sys

import google.auth.credentials
import google.auth.exceptions
import numpy as np
import pyarrow as pa
import pytest

from tests.raw.bigquery import Warehouse, refused, serving
from tests.raw.rows import ROWS, written
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.errors import ConfigError, DataError
from unisid.raw.lake_output import WrittenTable

pytest.importorskip("google.cloud.bigquery", reason="google-cloud-bigquery is not installed: unisid[bigquery]")

NAME = "shop-1.nightly.tonight"


class Visitor(google.auth.credentials.AnonymousCredentials):
    """Credentials that are the same again when they are asked for anew."""

    def refresh(self, request):
        return None


@pytest.fixture
def folder(tmp_path):
    return written(Place.of(tmp_path / "out"))


@pytest.fixture
def warehouse(monkeypatch):
    """A warehouse with one dataset; Google's client reaches it without credentials."""
    held = Warehouse("shop-1.nightly")
    with serving(held) as url:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", url)
        monkeypatch.setattr("google.auth.default", lambda **_: (Visitor(), None))
        yield held


def test_one_job_replaces_what_the_table_held(folder, warehouse):
    table = WrittenTable.of("test", f"bigquery:{NAME}")
    for count, rows in ((2, ROWS), (1, ROWS[:2])):
        line = table.replace(folder, "part", count)
        job = list(warehouse.jobs)[-1]
        assert line == f"{rows.num_rows} rows, job {job}"
        assert job.startswith("unisid-")
        assert warehouse.tables[NAME].to_pylist() == rows.to_pylist()
    assert len(warehouse.jobs) == 2


def test_a_file_of_many_pieces_is_one_job_or_none(tmp_path, warehouse, monkeypatch):
    monkeypatch.setattr("google.cloud.bigquery.client._DEFAULT_CHUNKSIZE", 256 << 10)  # the least that is allowed
    place = Place.of(tmp_path / "out")
    many = pa.table({"score": np.random.default_rng(0).random(100_000)})
    write_table(place, "part", 0, many)
    table = WrittenTable.of("test", f"bigquery:{NAME}")
    table.replace(place, "part", 1)
    assert warehouse.pieces > 2
    assert warehouse.tables[NAME].equals(many)
    warehouse.most_pieces = warehouse.pieces + 2
    with pytest.raises(DataError, match="cannot be written .*Upload was cancelled"):
        table.replace(place, "part", 1)
    assert len(warehouse.tables) == 1
    assert warehouse.tables[NAME].equals(many)


def test_the_job_is_paid_by_the_project_of_the_environment(folder, warehouse, monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "payer-1")
    WrittenTable.of("test", f"bigquery:{NAME}").replace(folder, "part", 2)
    [job] = warehouse.jobs.values()
    assert job["jobReference"]["projectId"] == "payer-1"
    assert warehouse.tables[NAME].num_rows == 3


def test_a_table_of_other_columns_stays_as_it_was(folder, warehouse):
    warehouse.tables[NAME] = orders = pa.table({"id": ["7"]})
    with pytest.raises(DataError, match=r"has the columns id, not user_id, rank, score; name another.* files lie in"):
        WrittenTable.of("test", f"bigquery:{NAME}").replace(folder, "part", 2)
    assert warehouse.tables == {NAME: orders}
    assert warehouse.jobs == {}


def test_a_failed_job_leaves_the_table_as_it_was_and_is_named(folder, warehouse):
    table = WrittenTable.of("test", f"bigquery:{NAME}")
    table.replace(folder, "part", 2)
    warehouse.failure = {"reason": "quotaExceeded", "message": "Your project exceeded quota for imports"}
    with pytest.raises(
        DataError,
        match=r"a table of BigQuery that cannot be written \(job unisid-\S+ failed: Your project exceeded quota for "
        r"imports; bq show --job shop-1:unisid-\S+\); the files lie in",
    ):
        table.replace(folder, "part", 1)
    assert warehouse.tables[NAME].num_rows == 3


def test_a_job_whose_end_is_not_seen_is_not_said_to_have_failed(folder, warehouse):
    warehouse.lost = True
    with pytest.raises(DataError, match=r"job unisid-\S+ is under way and cannot be followed: .*Not found: Job"):
        WrittenTable.of("test", f"bigquery:{NAME}").replace(folder, "part", 2)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (refused(401, "authError", "Invalid Credentials"), r"credentials are refused: Invalid Credentials; log in: g"),
        (
            refused(403, "accessDenied", "Access Denied: Table tonight"),
            r"access is refused: Access Denied: Table tonight; the roles BigQuery Data Editor on the dataset and",
        ),
    ],
)
def test_what_is_refused_says_what_is_needed(folder, warehouse, refusal, message):
    warehouse.refusal = refusal
    with pytest.raises(DataError, match=message):
        WrittenTable.of("test", f"bigquery:{NAME}").replace(folder, "part", 2)
    assert warehouse.jobs == {}


def test_a_missing_dataset_is_named_before_anything_is_sent(folder, warehouse):
    with pytest.raises(DataError, match=r"Not found: Dataset shop-1:weekly; .*: bq mk shop-1:weekly\); the files lie"):
        WrittenTable.of("test", "bigquery:shop-1.weekly.tonight").replace(folder, "part", 2)
    assert warehouse.jobs == {}


def test_missing_credentials_are_an_error(folder, warehouse, monkeypatch):
    def none(**_):
        raise google.auth.exceptions.DefaultCredentialsError("Your default credentials were not found.")

    monkeypatch.setattr("google.auth.default", none)
    with pytest.raises(DataError, match=r"credentials are missing or refused: Your default .*; log in: gcloud auth"):
        WrittenTable.of("test", f"bigquery:{NAME}").replace(folder, "part", 2)


def test_a_file_that_cannot_be_read_sends_nothing(folder, warehouse):
    folder.write("part-00001.parquet", b"damaged")
    with pytest.raises(DataError, match="a table of BigQuery that cannot be written"):
        WrittenTable.of("test", f"bigquery:{NAME}").replace(folder, "part", 2)
    assert warehouse.jobs == {}


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    with pytest.raises(ConfigError, match=r"to write a table of BigQuery, install its package: .*unisid\[bigquery\]"):
        WrittenTable.of("test", f"bigquery:{NAME}")
