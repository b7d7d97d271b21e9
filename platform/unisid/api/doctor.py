"""`unisid.doctor`: what this machine has, and what will not work on it."""

from pathlib import Path
from typing import TYPE_CHECKING

from unisid.api.places import named_store
from unisid.artifacts.store import Store

if TYPE_CHECKING:
    from unisid.runtime.doctor import Check


def doctor(store: str | Path | Store | None = None) -> "list[Check]":
    """Every part of this machine that unisid uses: Python, torch, GPUs, faiss, Ray, MLflow, the store, disk, packages.

    Each has a `name`, a `state` (ok, absent, fault), what was `found`, and the `remedy`. Nothing is changed.

    Args:
        store: a folder or a URI; None for UNISID_STORE, else `runs`.
    """
    from unisid.runtime.doctor import checks

    return checks(named_store(store))
