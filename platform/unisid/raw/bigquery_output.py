"""Rows written into a table of BigQuery by Google's client: one load job, which replaces what the table held.

Readers see the rows before or after the job. Apache Arrow's driver for BigQuery, which reads (`databases.py`), writes
no tables.
"""

import contextlib
import importlib
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from unisid.errors import DataError
from unisid.raw import databases

PACKAGE = "google.cloud.bigquery"
PREFIX = "unisid-"
"""What the ids of its jobs begin with."""
RIGHTS = "the roles BigQuery Data Editor on the dataset and BigQuery Job User on the project are needed"
LOG_IN = "log in: gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"


def replace(project: str, dataset: str, table: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> str:
    """Replace what a table holds, which is made where there is none; returns a line with the rows and the job.

    Raises:
        DataError: the table has other columns, the dataset is missing, the credentials are refused or the job failed;
            the table stays as it was.
    """
    name = f"{project}.{dataset}.{table}"
    with _explained(project, dataset), tempfile.TemporaryFile() as file, connected(name) as client:
        _refuse_others(client, name, dataset, schema)
        rows = _write(file, schema, batches)
        library: Any = importlib.import_module(PACKAGE)
        settings = library.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
        job = client.load_table_from_file(file, name, rewind=True, job_id_prefix=PREFIX, job_config=settings)
        _wait(job)
    return f"{rows:,} rows, job {job.job_id}"


def connected(name: str) -> Any:
    """A client of the project that pays, as for reading; a `with` closes it."""
    library: Any = importlib.import_module(PACKAGE)
    project = databases.options("bigquery", name)["adbc.bigquery.sql.project_id"]
    return contextlib.closing(library.Client(project=project))


def _write(file: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    """Write all rows as one Parquet file, for a job takes one upload; returns how many they are."""
    rows = 0
    with pq.ParquetWriter(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _refuse_others(client: Any, name: str, dataset: str, schema: pa.Schema) -> None:
    """Raise DataError where a table of this name has other columns, or its dataset is missing."""
    errors: Any = importlib.import_module("google.api_core.exceptions")
    try:
        names = [field.name for field in client.get_table(name).schema]
    except errors.NotFound as error:
        if "Not found: Dataset" in str(error):
            raise
        return
    if names != schema.names:
        raise DataError(f"has the columns {', '.join(names)}, not {', '.join(schema.names)}; name another table")


def _wait(job: Any) -> None:
    """Return when a job is done; raises DataError where it failed, or where how it ends cannot be learnt."""
    try:
        job.result()
    except Exception as error:  # of the connection, or of the job
        look = f"bq show --job {job.project}:{job.job_id}"
        if job.error_result is None:
            raise DataError(f"job {job.job_id} is under way and cannot be followed: {error}; {look}") from error
        said = dict.fromkeys(each["message"] for each in (job.error_result, *(job.errors or ())))
        raise DataError(f"job {job.job_id} failed: {', '.join(said)}; {look}") from error


@contextlib.contextmanager
def _explained(project: str, dataset: str) -> Iterator[None]:
    """Raise errors of Google's client as DataError with what is needed."""
    errors: Any = importlib.import_module("google.api_core.exceptions")
    credentials: Any = importlib.import_module("google.auth.exceptions")
    try:
        yield
    except credentials.GoogleAuthError as error:
        raise DataError(f"credentials are missing or refused: {error}; {LOG_IN}") from error
    except errors.Unauthorized as error:
        raise DataError(f"credentials are refused: {_reason(error)}; {LOG_IN}") from error
    except errors.Forbidden as error:
        raise DataError(f"access is refused: {_reason(error)}; {RIGHTS}") from error
    except errors.NotFound as error:
        raise DataError(
            f"{_reason(error)}; project and dataset must be there, the table is made: bq mk {project}:{dataset}"
        ) from error


def _reason(error: Any) -> str:
    """The message of an error of the service, without the request that it answers."""
    return str(error.errors[0]["message"] if error.errors else error.message)
