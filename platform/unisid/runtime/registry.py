"""MLflow's registry: the SID index and the recommender as registered models, with their lineage.

Both are pyfuncs from code: nothing is pickled. A version is registered once for what it holds; each new version becomes
`candidate`, and `champion` where there is none yet, a recommender only beside the champion index that it speaks.
Everything else that moves aliases is `promotion`.
"""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, DataType

from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place

CANDIDATE, CHAMPION = "candidate", "champion"
INDEX, RECOMMENDER = ("codes", "catalog"), ("model", "codes", "catalog")
"""What each holds."""
REQUIREMENTS = ["unisid", "torch", "transformers", "pyarrow", "numpy", "safetensors", "pandas"]
HERE = Path(__file__).parent


def register(uri: str, run: str, name: str, places: Mapping[str, Place]) -> Iterator[str]:
    """Register what is complete, under `<name>-index` and `<name>-recommender`; yields one line for each."""
    if "codes" in places and places["codes"].exists("record.json"):
        yield log_index(uri, run, index_of(name), places)
    if "model" in places and places["model"].exists("record.json"):
        yield log_recommender(uri, run, recommender_of(name), places)


def index_of(name: str) -> str:
    """What the index of a name is registered as."""
    return f"{name}-index"


def recommender_of(name: str) -> str:
    """What the recommender of a name is registered as."""
    return f"{name}-recommender"


def log_index(uri: str, run: str, name: str, places: Mapping[str, Place]) -> str:
    """Register codes with their catalog; returns a line that says so."""
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "key")]),
        outputs=Schema([ColSpec(DataType.string, "sid"), ColSpec(Array(DataType.string), "item_ids")]),
        params=ParamSchema([ParamSpec("direction", DataType.string, "item_to_sid")]),
    )
    parts = {noun: places[noun] for noun in INDEX}
    return _log(uri, run, name, "pyfunc_index.py", parts, signature)


def log_recommender(uri: str, run: str, name: str, places: Mapping[str, Place]) -> str:
    """Register a model with the index that it is to speak; returns a line that says so."""
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec(Array(DataType.string), "history", required=False),
                ColSpec(DataType.string, "text", required=False),
                ColSpec(DataType.string, "item_id", required=False),
                ColSpec(DataType.string, "sid", required=False),
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
    parts = {noun: places[noun] for noun in RECOMMENDER}
    return _log(uri, run, name, "pyfunc_recommender.py", parts, signature)


def _log(uri: str, run: str, name: str, code: str, parts: Mapping[str, Place], signature: ModelSignature) -> str:
    records = {noun: require(place, noun) for noun, place in parts.items()}
    first = next(iter(records.values()))
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if (known := version_of(client, name, records)) is not None:
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


def version_of(client: MlflowClient, name: str, records: Mapping[str, Record]) -> str | None:
    """The registered version that holds these very artifacts, if any."""
    first = next(iter(records.values())).fingerprint
    for found in client.search_model_versions(f"name = '{name}' and tags.fingerprint = '{first}'"):
        if all(held(found.tags, noun) == record.fingerprint for noun, record in records.items()):
            return str(found.version)
    return None


def held(tags: Mapping[str, str], noun: str) -> str:
    """The fingerprint of the artifact of a noun that a version holds, by its tags."""
    return tags.get(f"lineage.{noun}", "").rpartition(" ")[2]


def _describe(client: MlflowClient, name: str, version: str, records: Mapping[str, Record]) -> None:
    first = next(iter(records.values()))
    tags = {"fingerprint": first.fingerprint, "address": first.address}
    tags |= {f"lineage.{noun}": f"{record.address} {record.fingerprint}" for noun, record in records.items()}
    for record in records.values():  # what a version holds comes before what was trained on, the first before the rest
        for role, entry in record.inputs.items():
            tags.setdefault(f"lineage.{role}", f"{entry['address']} {entry['fingerprint']}")
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    client.set_registered_model_alias(name, CANDIDATE, version)
    if CHAMPION not in client.get_registered_model(name).aliases and _may_begin(client, name, tags):
        client.set_registered_model_alias(name, CHAMPION, version)


def _may_begin(client: MlflowClient, name: str, tags: Mapping[str, str]) -> bool:
    """Whether a first version may be the champion: an index may; a recommender if it speaks the champion index."""
    if "lineage.model" not in tags:
        return True
    with contextlib.suppress(MlflowException):
        index = client.get_model_version_by_alias(index_of(name.removesuffix(recommender_of(""))), CHAMPION)
        return held(tags, "codes") == held(index.tags, "codes")
    return False
