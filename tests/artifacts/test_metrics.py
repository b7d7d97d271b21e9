"""Metrics on disk: results and ranks as they were written."""

import pyarrow as pa

from tests.artifacts.artifacts import complete
from unisid.artifacts import metrics
from unisid.artifacts.tables import write_table
from unisid.artifacts.weights import write_json


def test_metrics(anywhere):
    results = {"uqf-tiger": {"excluded": {"HR@10": {"mean": 0.1, "low": 0.05, "high": 0.3}}}}
    ranks = pa.table({"user": [0, 2], "target": [5, 1], "excluded": [1.5, None], "allowed": [3.0, None]})
    write_json(anywhere, "metrics.json", results)
    write_table(anywhere, "ranks-uqf-tiger", 0, ranks)
    complete(anywhere, "metrics")
    read = metrics.Metrics.read(anywhere)
    assert read.results() == results
    assert read.ranks("uqf-tiger").equals(ranks)
    assert read.ranks("uqf-tiger")["excluded"].null_count == 1
