"""Whether several artifacts of metrics are seeds of one system: made with one configuration, save for its seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from unisid.artifacts.metrics import Metrics
from unisid.artifacts.record import Record, read_record
from unisid.artifacts.store import Address, Store
from unisid.config import Json, differences, fingerprint
from unisid.errors import ArtifactError, ConfigError


def check_distinct(several: Sequence[Metrics]) -> None:
    """Raise ConfigError where two artifacts rank the same recommender on the same index."""
    seen: dict[str, str] = {}
    for metrics in several:
        record = metrics.record
        ranked = {role: entry["fingerprint"] for role, entry in record.inputs.items() if role in ("model", "codes")}
        key = fingerprint(ranked) if ranked else record.fingerprint
        if key in seen:
            other = "is given twice" if seen[key] == record.address else f"and {seen[key]} are of one recommender"
            raise ConfigError(f"--metrics: {record.address} {other}; give each seed and each system once")
        seen[key] = record.address


def unlike(store: Store, several: Sequence[Metrics]) -> list[str]:
    """The settings apart from seeds, by dotted key, in which artifacts or what they were made from differ from the
    first; none where they are seeds of one system."""
    first, *others = (settings_of(store, metrics.record) for metrics in several)
    return list(dict.fromkeys(line for other in others for line in differences(first, other)))


def settings_of(store: Store, record: Record) -> Json:
    """Role -> the settings that bear identity, without seeds, of an artifact and of all that it was made from.

    An input that is not in the store any more counts by its fingerprint.
    """
    found: Json = {}
    seen: dict[str, str] = {}
    left = [(record.noun, record)]
    while left:
        role, made = left.pop()
        found[role] = _without_seeds(made.config)
        for inner, entry in made.inputs.items():
            key = inner if seen.get(inner, entry["fingerprint"]) == entry["fingerprint"] else f"{role}.{inner}"
            if key in seen:
                continue
            seen[key] = entry["fingerprint"]
            if (source := _made(store, entry)) is None:
                found[key] = entry["fingerprint"]
            else:
                left.append((key, source))
    return found


def _made(store: Store, entry: Mapping[str, Any]) -> Record | None:
    """The record of an input; None where its address, which may be a file's, has none of this fingerprint."""
    try:
        record = read_record(store.place(Address.parse(entry["address"])))
    except (ArtifactError, ConfigError):
        return None
    return record if record is not None and record.fingerprint == entry["fingerprint"] else None


def _without_seeds(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {name: _without_seeds(value) for name, value in config.items() if name != "seed"}
    return config
