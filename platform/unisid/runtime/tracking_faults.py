"""Why logging to MLflow failed: what each error of MLflow, of its database and its server means, and what helps."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import sqlalchemy.exc
from alembic.util.exc import CommandError
from mlflow.exceptions import MlflowException
from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

from unisid.errors import ConfigError
from unisid.masked import masked

TROUBLES = (
    MlflowException,
    sqlalchemy.exc.SQLAlchemyError,
    CommandError,
    requests.RequestException,
    OSError,
    ImportError,
)
"""What MLflow raises where it cannot do what it should."""
CLOUDS = ("boto3", "botocore", "s3transfer", "google", "azure", "urllib3")
"""Packages whose errors come through MLflow as they are, where its files lie in an object store."""
SERVER_EXTRA = ("psycopg", "psycopg2", "boto3", "botocore")
"""Packages of the extra `server`."""
BACK = "when it is back"
RIGHT = "when that is put right"


class Deleted(MlflowException):
    """The experiment is in MLflow's bin."""


class Contested(MlflowException):
    """Other processes undo a change as often as it is made."""


@dataclass(frozen=True)
class Fault:
    """What is wrong, what helps, and when it is worth another try."""

    what: str
    remedy: str = ""
    when: str = RIGHT

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


def refuse_useless(uri: str) -> None:
    """Raise ConfigError for a tracking URI that no MLflow of this kind can use, whatever runs there."""
    scheme = urlsplit(uri).scheme
    if scheme in ("", "file") and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise ConfigError(
            f"MLFLOW_TRACKING_URI: is '{uri}', a folder; MLflow writes to databases and servers: give "
            "sqlite:////path/of/mlflow.db or http://host:5000, or unset it for a database in the store (`mlflow "
            "migrate-filestore` takes over what the folder holds; MLFLOW_ALLOW_FILE_STORE=true goes on with it)"
        )


def is_trouble(error: BaseException) -> bool:
    """Whether an error is MLflow's, its database's, its server's or its file store's, and not one of this program."""
    return isinstance(error, TROUBLES) or type(error).__module__.partition(".")[0] in CLOUDS


def useless(error: BaseException, uri: str) -> ConfigError | None:
    """The error for a tracking URI whose kind or driver is not there; None for any other trouble."""
    shown = masked(uri)
    if isinstance(error, ImportError):
        return ConfigError(f"MLFLOW_TRACKING_URI: is '{shown}', {_missing(error)}")
    if isinstance(error, (UnsupportedModelRegistryStoreURIException, sqlalchemy.exc.NoSuchModuleError)):
        return ConfigError(
            f"MLFLOW_TRACKING_URI: is '{shown}', which MLflow has nothing for; must begin with http://, "
            "https://, sqlite:///, postgresql://, mysql:// or mssql://"
        )
    if isinstance(error, sqlalchemy.exc.ArgumentError):
        return ConfigError(
            f"MLFLOW_TRACKING_URI: '{shown}' is not the URI of a database ({_first(error)}); must look "
            "like postgresql://user:password@host:5432/name"
        )
    return None


def fault(error: BaseException) -> Fault:
    """Diagnose an error of MLflow."""
    if isinstance(error, ImportError):
        return Fault(_missing(error))
    if isinstance(error, (Deleted, Contested)):
        return Fault(str(error))
    causes = list(_chain(error))
    text = " ".join(map(str, causes))
    if found := re.search(r"out-of-date database schema \((.*?)\)|Can't locate revision", text):
        versions = f" ({found[1]})" if found[1] else ""
        return Fault(
            f"its database has another version of MLflow's tables{versions}",
            "back it up and give `mlflow db upgrade URI` where it is older than this MLflow, or install the "
            "MLflow that wrote it",
        )
    status = _status(error, text)
    if status in (401, 403):
        return Fault(
            f"it refuses this user, with HTTP status {status} ({_first(error)})",
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    if getattr(error, "error_code", "") == "ENDPOINT_NOT_FOUND" or "not in a valid JSON format" in text:
        return Fault(f"what answers there is no MLflow server ({_first(error)})", "give the URI of one")
    if _is_away(causes, status):
        return Fault(f"cannot be reached ({_first(error)})", when=BACK)
    if any(isinstance(cause, sqlalchemy.exc.SQLAlchemyError) for cause in causes):
        return Fault(
            f"its database cannot be used ({_first(error)})",
            "free space, rights to write and an undamaged file are needed; of a server, its name and password",
        )
    if isinstance(error, OSError) or not isinstance(error, MlflowException):
        return Fault(
            f"its files cannot be written ({_first(error)})",
            "free space and rights to write are needed; a "
            "server that keeps files for others is started with --artifacts-destination",
        )
    return Fault(f"it refuses what it is sent ({_first(error)})")


def _missing(error: ImportError) -> str:
    package = (error.name or str(error)).partition(".")[0]
    extra = "'unisid[server]'" if package in SERVER_EXTRA else package
    return f"for which the Python package '{package}' is not installed; pip install {extra}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException, text: str) -> int | None:
    """The HTTP status of a server's answer; None where no server answered."""
    if found := re.search(r"failed with error code (\d{3})|(\d{3}) (?:Client|Server) Error", text):
        return int(found[1] or found[2])
    code = str(getattr(error, "error_code", ""))
    return {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "TEMPORARILY_UNAVAILABLE": 503}.get(code)


def _is_away(causes: list[BaseException], status: int | None) -> bool:
    if any(isinstance(cause, sqlalchemy.exc.SQLAlchemyError) for cause in causes):
        return False
    if status is not None:
        return status >= 500
    return any(isinstance(cause, (requests.RequestException, ConnectionError, TimeoutError)) for cause in causes)


def _first(error: BaseException) -> str:
    """The first line of an error's text, without secrets."""
    lines = masked(str(error)).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
