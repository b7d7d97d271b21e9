"""MLflow's files after a store was moved: the database names them by absolute path; here the paths are set right.

What lay under the old `mlflow-artifacts` lies under the new one, unless it is still at its old path and not at the new.
docs/decisions/0009-moved-stores.md says why the database is changed and no second experiment is made.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import sqlalchemy as sql
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun
from sqlalchemy.orm import Session

from unisid.runtime.tracking_place import FILES, files_of, local_path

LOCATIONS = (
    SqlExperiment.artifact_location,
    SqlRun.artifact_uri,
    SqlLoggedModel.artifact_location,
    SqlModelVersion.storage_location,
    SqlModelVersion.source,
)
"""The columns that name where files lie."""


def set_right(uri: str) -> Path | None:
    """Make an SQLite database name its files where they are now; returns the folder that it named before, if another.

    Only folders called `mlflow-artifacts` are meant: an experiment whose files were moved elsewhere stays as it is.
    """
    here = files_of(uri)
    if here is None:
        return None
    engine = sql.create_engine(uri)
    try:
        with Session(engine) as session, session.begin():
            former = dict(_former(session, here))
            for location, folder in former.items():
                _move(session, location, folder, here)
            return next(iter(former.values()), None)
    finally:
        engine.dispose()


def _former(session: Session, here: Path) -> Iterator[tuple[str, Path]]:
    """The other places of `mlflow-artifacts` that experiments name, as URI and as path."""
    for location in session.scalars(sql.select(SqlExperiment.artifact_location).distinct()):
        folder = local_path(location or "")
        if folder is not None and folder != here and (location or "").endswith(f"/{FILES}"):
            yield location, folder


def _move(session: Session, location: str, folder: Path, here: Path) -> None:
    """Replace the beginning of every location under a former folder."""
    session.execute(
        sql.update(SqlExperiment)
        .where(SqlExperiment.artifact_location == location)
        .values(artifact_location=here.as_uri())
    )
    for column in LOCATIONS[1:]:
        named = session.scalars(sql.select(column).where(column.startswith(f"{location}/", autoescape=True)).distinct())
        for old in named.all():
            inside = unquote(old.removeprefix(f"{location}/"))
            if (here / inside).exists() or not (folder / inside).exists():
                new = f"{here.as_uri()}/{old.removeprefix(f'{location}/')}"
                session.execute(sql.update(column.class_).where(column == old).values({column: new}))
