"""The encoder of steps: what the stage makes of training steps alone, beside text in a fusion, and in an extension."""

import numpy as np
import pyarrow as pa
import torch

from tests.encoders.test_contract import steps_between
from unisid.artifacts.catalog import TEST, TRAIN, VALID, write_interactions
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.compute import Job
from unisid.config import to_record
from unisid.encoders import steps
from unisid.ops.spectral import step_vectors
from unisid.runtime.local import LocalCompute
from unisid.stages import embeddings as stage


def test_the_stage_writes_the_vectors_of_training_steps(place: Place):
    """0 -> 1 -> 0 in training; 2 and 3 come later, and are not known."""
    catalog = place / "catalog"
    write_table(catalog, "items", 0, pa.table({"item_id": ["a", "b", "c", "d"]}))
    users = np.repeat(np.arange(5), 5)
    items, split = np.tile([0, 1, 0, 2, 3], 5), np.tile([TRAIN, TRAIN, TRAIN, VALID, TEST], 5)
    write_interactions(catalog, users, items, np.arange(25), split)
    counts = {"items": 4, "users": 5}
    write_record(catalog, Record(address="catalog/toy/1", config={}, inputs={}, counts=counts))
    config = stage.Config(encoder=steps.Config(width=2), keep_states=False)
    job = Job(
        config=config,
        inputs={"catalog": catalog},
        out=place / "steps",
        name="steps",
        compute=LocalCompute(),
        report=lambda metrics: None,
    )
    found = stage.make(job)
    assert (found["items"], found["width"], found["empty"]) == (4, 2, 0)
    write_record(job.out, Record(address="embeddings/toy/1", config={}, inputs={}, counts=found))
    vectors = Embeddings.read(job.out).pooled()
    training = split == TRAIN
    assert np.allclose(vectors, step_vectors(items[training], users[training], 4, 2))
    assert vectors[:2].any(axis=1).all()
    assert not vectors[2:].any()


def test_where_the_catalogue_lies_is_no_part_of_its_identity(tmp_path):
    given = steps.Config(width=3).of(steps_between(Place.of(tmp_path / "catalog"), ["a", "b"]))
    assert to_record(given, identity=True) == to_record(steps.Config(width=3), identity=True)


def test_without_a_catalogue_no_item_is_known():
    """As in an extension: new items have the zero vector."""
    config = steps.Config(width=3)
    tokens = config.tokenizer(64)(["a", "b"])
    assert tokens.ids.tolist() == [0, 0]
    vectors = config.build(torch.device("cpu"))(torch.tensor([[0], [0]]), None)
    assert vectors.shape == (2, 1, 3)
    assert not vectors.any()
