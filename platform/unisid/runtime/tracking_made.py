"""An SQLite database for MLflow that appears under its name with all its tables, or not at all.

MLflow makes its tables by dozens of migrations, one after the other; where they end halfway, none can go on from there.
"""

from pathlib import Path

from mlflow import MlflowClient

from unisid.runtime.tracking_place import sqlite_uri


def make(file: Path) -> None:
    """Make the database where there is none; what an ended process left half made is removed. The caller sees to it
    that no other process does so meanwhile."""
    if file.exists():
        return
    draft = file.with_name(f".{file.name}.new")
    for left in file.parent.glob(f"{draft.name}*"):  # its journal too
        left.unlink()
    uri = sqlite_uri(draft)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.search_experiments(max_results=1)  # the first request makes the tables
    client.search_registered_models(max_results=1)
    draft.rename(file)
