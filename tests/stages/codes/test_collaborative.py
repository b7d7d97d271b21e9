"""What interactions say of items, in the codes stage: only for those who ask, in the directions that say most."""

import numpy as np
import pytest

from tests.stages.test_codes import QUICK, clusters, inputs
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import write_array
from unisid.artifacts.store import Place
from unisid.compute import Job
from unisid.errors import DataError
from unisid.runtime.local import LocalCompute
from unisid.stages import codes as stage
from unisid.stages.codes.collaborative import collaborative, principal
from unisid.tokenizers import letter, read_tokenizer, rqvae

SMALL = {"num_levels": 3, "codebook_size": 8, "widths": (16, 8), "restart_after": 2}


def write_graph(place: Place, num_items: int, width: int = 6, lonely: int = 10) -> np.ndarray:
    """Two layers; the last items have no interactions. Returns the means over layers."""
    layers = np.random.default_rng(1).normal(size=(num_items, 2, width)).astype(np.float32)
    layers *= np.array([4, 3, 0.1, 0.1, 0.1, 0.1][:width], np.float32)
    degree = np.ones(num_items, np.int32)
    if lonely:
        layers[-lonely:], degree[-lonely:] = 0, 0
    write_array(place, "items", {"layers": layers.reshape(num_items, -1), "degree": degree}, shard_rows=70)
    write_record(place, Record(address="graph/t/1", config={}, inputs={}, counts={"layers": 2, "width": width}))
    return layers.mean(1)


def job(place: Place, tokenizer, num_graph_items: int = 200, lonely: int = 10) -> Job:
    found = inputs(place, clusters())
    write_graph(place / "graph", num_graph_items, lonely=lonely)
    config = stage.Config(tokenizer=tokenizer, batch_size=80, training=QUICK)
    return Job(
        config=config,
        inputs=found | {"graph": place / "graph"},
        out=place / "codes",
        name="codes-test",
        compute=LocalCompute(),
        report=lambda metrics: None,
    )


def test_the_graph_is_read_only_where_the_tokenizer_asks():
    assert stage.inputs(stage.Config(tokenizer=letter.Config())) == ("catalog", "fused", "graph")
    assert stage.inputs(stage.Config(tokenizer=letter.Config(alignment_weight=0.0))) == ("catalog", "fused")
    assert stage.inputs(stage.Config()) == ("catalog", "fused")


def test_the_strongest_directions_keep_dot_products_best_and_have_one_scale():
    vectors = (
        np.random.default_rng(0).normal(size=(300, 6))
        * [5, 3, 2, 0.1, 0.1, 0.1]
        @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    )
    projected = vectors @ principal(vectors.T @ vectors / 300, 3)
    assert (projected**2).mean() == pytest.approx(1, rel=1e-4)
    exact, kept = vectors @ vectors.T, projected @ projected.T
    scale = (exact * kept).sum() / (kept**2).sum()
    assert np.abs(exact - scale * kept).max() < 0.01 * np.abs(exact).max()
    again = (1000 * vectors) @ principal(1e6 * vectors.T @ vectors / 300, 3)
    np.testing.assert_allclose(again, projected, rtol=1e-4, atol=1e-4)


def test_more_dimensions_than_the_graph_has_are_zero(place):
    found = collaborative(job(place, letter.Config(**SMALL)), 8, stage.row_parts(200))
    vectors = found.read(np.array([3, 199, 0]))
    assert vectors.shape == (3, 8)
    assert (vectors[:, 6:] == 0).all()
    assert (vectors[1] == 0).all()  # no interactions
    assert vectors[[0, 2]].any(1).all()


def test_parts_do_not_matter(place):
    asked = job(place, letter.Config(**SMALL))
    parts = [{"start": 0, "stop": 60}, {"start": 60, "stop": 130}, {"start": 130, "stop": 200}]
    cut = collaborative(asked, 4, parts)
    np.testing.assert_allclose(cut.projection, collaborative(asked, 4, stage.row_parts(200)).projection, rtol=1e-4)
    everything = cut.read(np.arange(200))
    assert (everything[:190] ** 2).mean() == pytest.approx(1, rel=1e-4)


def test_letter_makes_unique_codes_and_encodes_new_items_without_a_graph(place):
    asked = job(place, letter.Config(**SMALL, recluster_every=2))
    shown: set[str] = set()
    counts = stage.make(
        Job(**{**vars(asked), "report": lambda metrics: shown.update(metrics)})  # what else a step says of itself
    )
    assert counts["items"] == 200
    assert counts["sizes"] == [8, 8, 8]
    assert {"alignment", "diversity"} <= {name.removeprefix("train_") for name in shown}
    tokenizer = read_tokenizer(place / "codes")
    assert int(tokenizer.steps) > 0
    assert asked.out.exists("items-00000.parquet")


def test_without_its_weights_letter_makes_the_codes_of_the_rqvae(place):
    for kind, more in ((letter, {"alignment_weight": 0.0, "diversity_weight": 0.0}), (rqvae, {})):
        stage.make(job(place / kind.__name__, kind.Config(**SMALL, sinkhorn_epsilon=0.003, **more)))
    ours, theirs = (place / kind.__name__ / "codes" for kind in (letter, rqvae))
    for name in ("items-00000.parquet", "quality.json"):
        assert ours.read(name) == theirs.read(name)


def test_a_graph_of_another_catalogue_or_without_interactions_is_refused(place):
    with pytest.raises(DataError, match="has 190 items, the fused vectors 200"):
        stage.make(job(place / "other", letter.Config(**SMALL), num_graph_items=190))
    with pytest.raises(DataError, match="no item has interactions.*alignment_weight=0"):
        stage.make(job(place / "empty", letter.Config(**SMALL), lonely=200))
    broken = job(place / "broken", letter.Config(**SMALL))
    layers = np.full((200, 12), np.nan, np.float32)
    broken.inputs["graph"].clear()
    write_array(broken.inputs["graph"], "items", {"layers": layers, "degree": np.ones(200, np.int32)})
    write_record(
        broken.inputs["graph"],
        Record(address="graph/t/1", config={}, inputs={}, counts={"layers": 2, "width": 6}),
    )
    with pytest.raises(DataError, match="NaN or infinite values in the item vectors"):
        stage.make(broken)
