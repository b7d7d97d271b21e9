"""What every module in `encoders` must do, asked of each that is there."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.encoders.models import tiny_qwen3
from unisid.artifacts.catalog import TRAIN, write_interactions
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.config import from_record, plug_in, plug_ins, to_record
from unisid.encoders import EncoderConfig
from unisid.stages.embeddings.encode import encode

TEXTS = ["red table", "large old printer with ink and paper", "lamp", "red table", "blue pen of new desk"]
CPU = torch.device("cpu")


def steps_between(place: Place, ids: list[str]) -> Place:
    """A catalogue of these items, which three users took in turn."""
    write_table(place, "items", 0, pa.table({"item_id": ids}))
    users, items = np.repeat(np.arange(3), len(ids)), np.tile(np.arange(len(ids)), 3)
    write_interactions(place, users, items, np.arange(len(users)), np.full(len(users), TRAIN))
    counts = {"items": len(ids), "users": 3}
    write_record(place, Record(address="catalog/toy/1", config={}, inputs={}, counts=counts))
    return place


@pytest.fixture(params=plug_ins("encoders"))
def config(request, tmp_path) -> EncoderConfig:
    kind = plug_in("encoders", request.param)
    ids = [*dict.fromkeys(TEXTS), *(f"i{n}" for n in range(8))]
    if "catalog" in kind.__dataclass_fields__:
        return kind(width=6).of(steps_between(Place.of(tmp_path / "catalog"), ids))
    if kind.reads == "item_id":
        vectors = np.random.default_rng(0).normal(size=(len(ids), 6)).astype(np.float32)
        pq.write_table(pa.table({"item_id": ids, "vector": list(vectors)}), tmp_path / "vectors.parquet")
        return kind(path=str(tmp_path / "vectors.parquet"))
    return kind(model=str(tiny_qwen3(tmp_path))) if "model" in kind.__dataclass_fields__ else kind()


def test_a_config_goes_through_its_record(config):
    assert from_record(EncoderConfig, to_record(config)) == config


def test_tokens_are_cut_and_the_cut_is_told(config):
    whole, cut = config.tokenizer(64)(TEXTS), config.tokenizer(4)(TEXTS)
    assert not whole.truncated.any()
    np.testing.assert_array_equal(cut.lengths, np.minimum(whole.lengths, 4))
    np.testing.assert_array_equal(cut.truncated, whole.lengths > 4)
    assert len(whole.ids) == whole.lengths.sum()


def test_states_do_not_depend_on_company_or_padding(config):
    encoder, tokenizer = config.build(CPU), config.tokenizer(64)
    together = _encode(encoder, tokenizer(TEXTS), 4096)
    ends = np.cumsum(tokenizer(TEXTS).lengths)
    for row, text in enumerate(TEXTS):
        alone = _encode(encoder, tokenizer([text]), 4096)
        np.testing.assert_allclose(together.pooled[row], alone.pooled[0], atol=1e-5)
        start = ends[row] - len(alone.states)
        np.testing.assert_allclose(together.states[start : ends[row]], alone.states, rtol=2e-3, atol=1e-3)
    assert together.pooled.shape == (len(TEXTS), encoder.width)


def test_a_smaller_budget_changes_rounding_alone(config):
    encoder, tokens = config.build(CPU), config.tokenizer(64)(TEXTS)
    one, many = _encode(encoder, tokens, 4096), _encode(encoder, tokens, 1)
    np.testing.assert_allclose(one.pooled, many.pooled, atol=1e-5)
    assert many.slots == len(tokens.ids)
    assert (many.slots < one.slots) == (len(set(tokens.lengths)) > 1)


def test_causal_is_true_of_those_that_say_so(config):
    encoder = config.build(CPU)
    ids = torch.tensor([[5, 6, 7], [5, 6, 9]])
    states = encoder(ids, None)
    unmoved = torch.allclose(states[0, :2], states[1, :2], atol=1e-6)
    assert unmoved == encoder.causal


def test_building_twice_gives_the_same_bytes(config):
    tokens = config.tokenizer(64)(TEXTS)
    first, second = (_encode(config.build(CPU), tokens, 4096) for _ in range(2))
    assert first.states.tobytes() == second.states.tobytes()
    assert first.pooled.tobytes() == second.pooled.tobytes()


def _encode(encoder, tokens, batch_tokens):
    return encode(encoder, tokens, CPU, pooling="mean", normalise=False, keep_states=True, batch_tokens=batch_tokens)
