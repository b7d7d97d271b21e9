"""MLflow's registry: the SID index and the recommender as registered models, with their lineage.

Both are pyfuncs from code: nothing is pickled. A version is registered once for what it holds, also where several
processes register it at once; each new version becomes `candidate`, and `champion` where there is none yet, a
recommender only beside the champion index it was trained on. Everything else that moves aliases is `promotion`.
"""

import contextlib
import io
import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, DataType
from mlflow.utils import environment
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS
from packaging.version import Version

import unisid
from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place
from unisid.errors import ConfigError
from unisid.printable import printable
from unisid.serving.recommender import vectors_of

CANDIDATE, CHAMPION = "candidate", "champion"
INDEX, RECOMMENDER = ("codes", "catalog"), ("model", "codes", "catalog")
"""What each holds."""
PACKAGES = ("torch", "transformers", "pyarrow", "numpy", "safetensors", "pandas", "jaxtyping", "fsspec", "packaging")
"""What serving imports beside this package and MLflow."""
HERE = Path(__file__).parent
NOT_IN_NAMES = re.compile("[/:'\"`\x00-\x1f\x7f]")
"""What MLflow refuses in a name, or its searches misread."""
ATTEMPTS = 5
"""How often a change is made that another process makes at the same moment."""


def register(client: MlflowClient, run: str, name: str, places: Mapping[str, Place]) -> Iterator[str]:
    """Register what is complete, under `<name>-index` and `<name>-recommender`; yields one line for each."""
    if "codes" in places and places["codes"].exists("record.json"):
        yield log_index(client, run, index_of(name), places)
    if "model" in places and places["model"].exists("record.json"):
        yield log_recommender(client, run, recommender_of(name), places)


def index_of(name: str) -> str:
    """The registered model's name for an index. Raises ConfigError for a name that MLflow cannot have."""
    return f"{_allowed(name)}-index"


def recommender_of(name: str) -> str:
    """The registered model's name for a recommender. Raises ConfigError for a name that MLflow cannot have."""
    return f"{_allowed(name)}-recommender"


def _allowed(name: str) -> str:
    if found := NOT_IN_NAMES.search(name):
        raise ConfigError(
            f"registered name '{printable(name)}': has {printable(found[0])!r} in it; must be such as shop or my-shop, "
            "without / : quotation marks and line breaks"
        )
    return name


def log_index(client: MlflowClient, run: str, name: str, places: Mapping[str, Place]) -> str:
    """Register codes with their catalog; returns a line that says so."""
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "key")]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "sid"),
                ColSpec(Array(DataType.string), "item_ids"),
                ColSpec(DataType.string, "problem"),
            ]
        ),
        params=ParamSchema([ParamSpec("direction", DataType.string, "item_to_sid")]),
    )
    parts = {noun: places[noun] for noun in INDEX}
    return _log(client, run, name, "pyfunc_index.py", parts, signature)


def log_recommender(client: MlflowClient, run: str, name: str, places: Mapping[str, Place]) -> str:
    """Register a model with the index it serves with; returns a line for the log."""
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec(Array(DataType.string), "history", required=False),
                ColSpec(DataType.string, "text", required=False),
                ColSpec(DataType.string, "item_id", required=False),
                ColSpec(DataType.string, "sid", required=False),
                ColSpec(Array(DataType.string), "allowed", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(Array(DataType.string), "item_ids", required=False),
                ColSpec(Array(DataType.string), "titles", required=False),
                ColSpec(Array(DataType.double), "scores", required=False),
                ColSpec(DataType.string, "title", required=False),
                ColSpec(DataType.string, "problem"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("k", DataType.integer, 10),
                ParamSpec("exclude_history", DataType.boolean, True),
                ParamSpec("allowed", DataType.string, ["*"], shape=(-1,)),
            ]
        ),
    )
    parts = {noun: places[noun] for noun in RECOMMENDER}
    parts |= {noun: places[noun] for noun in vectors_of(places["model"]) if noun in places}
    return _log(client, run, name, "pyfunc_recommender.py", parts, signature)


def _log(
    client: MlflowClient, run: str, name: str, code: str, parts: Mapping[str, Place], signature: ModelSignature
) -> str:
    records = {noun: require(place, noun) for noun, place in parts.items()}
    first = next(iter(records.values()))
    if (known := version_of(client, name, records)) is not None:
        _begin(client, name, known, _tags(records))  # what registered it may have been cut short before this
        return f"registry: {name} version {known} already holds {first.address}"
    logged = client.create_logged_model(client.get_run(run).info.experiment_id, name, source_run_id=run)
    # MLflow reads from this machine only, and says on the terminal how far it is with every file.
    with tempfile.TemporaryDirectory() as scratch, _hushed(), _unchecked():
        folder, fetched = str(Path(scratch) / "registered"), Path(scratch) / "fetched"
        mlflow.pyfunc.save_model(
            path=folder,
            mlflow_model=Model(
                artifact_path=logged.artifact_location, model_uuid=logged.model_id, model_id=logged.model_id, run_id=run
            ),
            python_model=str(HERE / code),
            artifacts={noun: place.fetch(fetched / noun).as_uri() for noun, place in parts.items()},
            signature=signature,
            code_paths=[str(Path(unisid.__file__).parent)],
            pip_requirements=requirements(),
            metadata={noun: record.fingerprint for noun, record in records.items()},
            model_config={"codes": ""},
        )
        for compiled in list(Path(folder).rglob("__pycache__")):
            shutil.rmtree(compiled)
        client.log_model_artifacts(logged.model_id, folder)
    client.finalize_logged_model(logged.model_id, "READY")
    made = _version(client, name, run, logged, _tags(records))
    if (known := version_of(client, name, records)) != made:
        client.delete_model_version(name, made)
        client.delete_logged_model(logged.model_id)
        return f"registry: {name} version {known}, of a process that was quicker, already holds {first.address}"
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    at_once(lambda: client.set_registered_model_alias(name, CANDIDATE, made))
    _begin(client, name, made, _tags(records))
    return f"registry: {name} version {made} ({CANDIDATE})"


def at_once(change: Callable[[], object]) -> None:
    """Make a change to an alias or a tag, again where another process makes the same at that moment.

    Both find that there is none and add it; the database takes one and refuses the other, which finds it the next time.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            change()
            return
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST":
                raise
    change()


def _version(client: MlflowClient, name: str, run: str, logged: LoggedModel, tags: dict[str, str]) -> str:
    """A new version of a registered model, which is made on first use; it has its tags from the first moment."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # MLflow looks a models:/ URI up in the database that the environment names, where no server stands between
    served = urlsplit(client.tracking_uri).scheme in ("http", "https")
    source = f"models:/{logged.model_id}" if served else logged.artifact_location
    made = client.create_model_version(name, source, run, tags=tags, model_id=logged.model_id)
    versions = json.dumps([{"name": name, "version": made.version}])
    client.set_logged_model_tags(logged.model_id, {MLFLOW_MODEL_VERSIONS: versions})
    return str(made.version)


def requirements() -> list[str]:
    """Requirements of a registered model for a server: the versions here, as the package index has them.

    A build of this machine's own is no version of the index: torch 2.13.0+cpu is torch==2.13.0 there. The package
    itself travels with the model (code_paths).
    """
    return [f"{package}=={Version(version(package)).public}" for package in PACKAGES]


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _unchecked() -> Iterator[None]:
    """Inside, MLflow does not hold requirements against what is installed, for which it reads the list of files of
    every installed package, two seconds here: they are what is installed."""
    before = environment.warn_dependency_requirement_mismatches
    environment.warn_dependency_requirement_mismatches = lambda model_requirements: None
    try:
        yield
    finally:
        environment.warn_dependency_requirement_mismatches = before


def version_of(client: MlflowClient, name: str, records: Mapping[str, Record]) -> str | None:
    """The first registered version that holds these very artifacts, if any."""
    first = next(iter(records.values())).fingerprint
    found = client.search_model_versions(f"name = '{name}' and tags.fingerprint = '{first}'")
    holding = [
        int(each.version)
        for each in found
        if all(held(each.tags, noun) == record.fingerprint for noun, record in records.items())
    ]
    return str(min(holding)) if holding else None


def held(tags: Mapping[str, str], noun: str) -> str:
    """The fingerprint of the artifact of a noun that a version holds, by its tags."""
    return tags.get(f"lineage.{noun}", "").rpartition(" ")[2]


def _tags(records: Mapping[str, Record]) -> dict[str, str]:
    """The tags of a version: the artifacts that it holds and those that they were made from."""
    first = next(iter(records.values()))
    tags = {"fingerprint": first.fingerprint, "address": first.address}
    tags |= {f"lineage.{noun}": f"{record.address} {record.fingerprint}" for noun, record in records.items()}
    for record in records.values():  # what a version holds comes before what was trained on, the first before the rest
        for role, entry in record.inputs.items():
            tags.setdefault(f"lineage.{role}", f"{entry['address']} {entry['fingerprint']}")
    return tags


def _begin(client: MlflowClient, name: str, version: str, tags: Mapping[str, str]) -> None:
    """Make a version the champion where there is none, if it may be."""
    if CHAMPION not in client.get_registered_model(name).aliases and _may_begin(client, name, tags):
        at_once(lambda: client.set_registered_model_alias(name, CHAMPION, version))


def _may_begin(client: MlflowClient, name: str, tags: Mapping[str, str]) -> bool:
    """Whether a first version may be the champion: an index may; a recommender if trained on the champion index."""
    if "lineage.model" not in tags:
        return True
    with contextlib.suppress(MlflowException):
        index = client.get_model_version_by_alias(index_of(name.removesuffix(recommender_of(""))), CHAMPION)
        return held(tags, "codes") == held(index.tags, "codes")
    return False
