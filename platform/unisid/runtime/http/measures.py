"""Prometheus metrics of one replica."""

from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from unisid.serving.pair import Versions

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass
class Measures:
    """Counters, times and the pair in use, in a registry of their own."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        def made(kind: Any, name: str, text: str, labels: tuple[str, ...] = (), **options: Any) -> Any:
            return kind(f"unisid_{name}", text, labels, registry=self.registry, **options)

        self.requests = made(Counter, "requests", "requests by path and status", ("path", "status"))
        self.seconds = made(Histogram, "request_seconds", "time to the answer", ("path",), buckets=SECONDS)
        self.rows = made(Counter, "rows", "rows by where their answer came from", ("source",))
        self.batches = made(Histogram, "batch_rows", "rows ranked at once", buckets=ROWS)
        self.waiting = made(Gauge, "waiting_rows", "rows that wait or are being ranked")
        self.swaps = made(Counter, "swaps", "pairs put into use after the first")
        self.withdrawn = made(Counter, "pairs_withdrawn", "promoted pairs that the guard withdrew")
        self.refused = made(Gauge, "pair_refused", "1 while the promoted pair is not the one in use")
        self.candidate = made(Gauge, "candidate", "the candidate on trial", ("index_fingerprint", "model_fingerprint"))
        self.pair = made(Gauge, "pair", "the pair in use", ("index_fingerprint", "model_fingerprint"))

    def in_use(self, versions: Versions) -> None:
        """Record the pair that is now in use."""
        self.pair.clear()
        self.pair.labels(versions.index_fingerprint, versions.model_fingerprint).set(1)

    def try_out(self, versions: Versions | None) -> None:
        """Record the candidate that is now on trial; None for none."""
        self.candidate.clear()
        if versions is not None:
            self.candidate.labels(versions.index_fingerprint, versions.model_fingerprint).set(1)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
