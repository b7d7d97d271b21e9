"""MLflow's registry: the SID index and the recommender as registered models, with their lineage.

Both are pyfuncs from code: nothing is pickled. A version is registered once for a fingerprint; each new version
becomes `candidate`, and `champion` where there is none yet.
"""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, DataType

from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place

CANDIDATE, CHAMPION = "candidate", "champion"
REQUIREMENTS = ["unisid", "torch", "transformers", "pyarrow", "numpy", "safetensors", "pandas"]
HERE = Path(__file__).parent


def register(uri: str, run: str, name: str, places: Mapping[str, Place]) -> Iterator[str]:
    """Register what is complete, under `<name>-index` and `<name>-recommender`; yields one line for each."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if "codes" in places and places["codes"].exists("record.json"):
        yield _index(uri, run, f"{name}-index", places)
    if "model" in places and places["model"].exists("record.json"):
        yield _recommender(uri, run, f"{name}-recommender", places)


def _index(uri: str, run: str, name: str, places: Mapping[str, Place]) -> str:
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "key")]),
        outputs=Schema([ColSpec(DataType.string, "sid"), ColSpec(Array(DataType.string), "item_ids")]),
        params=ParamSchema([ParamSpec("direction", DataType.string, "item_to_sid")]),
    )
    parts = {noun: places[noun] for noun in ("codes", "catalog")}
    return _log(uri, run, name, "pyfunc_index.py", parts, signature)


def _recommender(uri: str, run: str, name: str, places: Mapping[str, Place]) -> str:
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec(Array(DataType.string), "history", required=False),
                ColSpec(DataType.string, "text", required=False),
                ColSpec(DataType.string, "item_id", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(Array(DataType.string), "item_ids", required=False),
                ColSpec(Array(DataType.string), "titles", required=False),
                ColSpec(Array(DataType.double), "scores", required=False),
                ColSpec(DataType.string, "title", required=False),
            ]
        ),
        params=ParamSchema(
            [ParamSpec("k", DataType.integer, 10), ParamSpec("exclude_history", DataType.boolean, True)]
        ),
    )
    parts = {noun: places[noun] for noun in ("model", "codes", "catalog")}
    return _log(uri, run, name, "pyfunc_recommender.py", parts, signature)


def _log(uri: str, run: str, name: str, code: str, parts: Mapping[str, Place], signature: ModelSignature) -> str:
    records = {noun: require(place, noun) for noun, place in parts.items()}
    first = next(iter(records.values()))
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if (known := _version_of(client, name, first.fingerprint)) is not None:
        return f"registry: {name} version {known} already holds {first.address}"
    # MLflow reads from this machine only, and says on the terminal how far it is with every file.
    with tempfile.TemporaryDirectory() as scratch, _hushed(), mlflow.start_run(run_id=run):
        info = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(HERE / code),
            artifacts={noun: str(place.fetch(Path(scratch) / noun)) for noun, place in parts.items()},
            signature=signature,
            pip_requirements=REQUIREMENTS,
            registered_model_name=name,
            metadata={noun: record.fingerprint for noun, record in records.items()},
            model_config={"codes": ""},
        )
    version = str(info.registered_model_version)
    _describe(client, name, version, records)
    return f"registry: {name} version {version} ({CANDIDATE})"


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _version_of(client: MlflowClient, name: str, fingerprint: str) -> str | None:
    found = client.search_model_versions(f"name = '{name}' and tags.fingerprint = '{fingerprint}'")
    return str(found[0].version) if found else None


def _describe(client: MlflowClient, name: str, version: str, records: Mapping[str, Record]) -> None:
    first = next(iter(records.values()))
    tags = {"fingerprint": first.fingerprint, "address": first.address}
    for noun, record in records.items():
        tags |= {f"lineage.{noun}": f"{record.address} {record.fingerprint}"}
        tags |= {f"lineage.{role}": f"{e['address']} {e['fingerprint']}" for role, e in record.inputs.items()}
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    client.set_registered_model_alias(name, CANDIDATE, version)
    if CHAMPION not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, CHAMPION, version)
