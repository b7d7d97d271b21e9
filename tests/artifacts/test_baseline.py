"""A baseline on disk: settings, weights, results and ranks as they were written."""

import pyarrow as pa
import pytest
import torch

from tests.artifacts.artifacts import complete
from unisid.artifacts import baseline
from unisid.artifacts.tables import write_table
from unisid.artifacts.weights import write_json


@pytest.mark.parametrize("weights", [{"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}, None])
def test_baseline(anywhere, weights):
    settings, chosen = {"kind": "sasrec", "width": 8}, {"decay": 0.5}
    baseline.write_baseline(anywhere, settings, chosen, weights)
    results = {"sasrec": {"excluded": {"HR@10": {"mean": 0.1, "low": 0.05, "high": 0.3}}}}
    ranks = pa.table({"user": [0, 2], "target": [5, 1], "excluded": [1.5, None], "allowed": [3.0, None]})
    write_json(anywhere, "metrics.json", results)
    write_table(anywhere, "ranks-sasrec", 0, ranks)
    complete(anywhere, "baseline", config={"baseline": settings})
    read = baseline.Baseline.read(anywhere)
    assert (read.method, read.settings(), read.chosen()) == ("sasrec", settings, chosen)
    assert read.results() == results
    assert read.ranks().equals(ranks)
    found = read.weights()
    assert found.keys() == (weights or {}).keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in (weights or {}).items())
