"""Vectors from a file: by id, zero where there is none, and refused where they are no vectors."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from unisid.encoders.vectors import Config
from unisid.errors import ConfigError, DataError

CPU = torch.device("cpu")


def written(folder, table: dict, name: str = "vectors.parquet") -> str:
    pq.write_table(pa.table(table), folder / name)
    return str(folder / name)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 2)])
def test_an_item_has_its_own_vector_and_one_without_has_zeros(tmp_path, kind):
    vectors = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], kind)
    config = Config(path=written(tmp_path, {"item_id": ["b", "a", "c"], "vector": vectors}))
    tokens, encoder = config.tokenizer(64)(["a", "no such", "c", "a"]), config.build(CPU)
    assert tokens.ids.tolist() == [2, 0, 3, 2]
    assert tokens.lengths.tolist() == [1] * 4
    states = encoder(torch.from_numpy(tokens.ids).long()[:, None], None)
    assert encoder.width == 2
    assert states[:, 0].tolist() == [[3, 4], [0, 0], [5, 6], [3, 4]]


def test_columns_may_have_other_names_and_ids_may_be_numbers(tmp_path):
    config = Config(path=written(tmp_path, {"asin": [7, 8], "clip": [[1.0], [2.0]]}), item_id="asin", vector="clip")
    assert config.tokenizer(64)(["8"]).ids.tolist() == [2]


def test_the_source_is_what_the_file_holds_not_where_it_lies(tmp_path):
    one = Config(path=written(tmp_path, {"item_id": ["a"], "vector": [[1.0]]}))
    moved = Config(path=written(tmp_path, {"item_id": ["a"], "vector": [[1.0]]}, "moved.parquet"))
    other = Config(path=written(tmp_path, {"item_id": ["a"], "vector": [[2.0]]}, "other.parquet"))
    assert one.source()["fingerprint"] == moved.source()["fingerprint"] != other.source()["fingerprint"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["a"], "vector": [[1.0]]}, "has no column 'item_id'; .*it has id, vector"),
        ({"item_id": ["a", "a"], "vector": [[1.0], [2.0]]}, "0 empty ids, and 1 that repeat"),
        ({"item_id": ["a", None], "vector": [[1.0], [2.0]]}, "1 empty ids"),
        ({"item_id": ["a", "b"], "vector": [[1.0], [2.0, 3.0]]}, "have the lengths 1, 2; all must have one"),
        ({"item_id": ["a", "b"], "vector": [[1.0], None]}, "have the lengths 1, None"),
        ({"item_id": ["a"], "vector": [[np.nan]]}, "of 1 items hold NaN, infinity or nothing"),
        ({"item_id": ["a"], "vector": [[None]]}, "hold NaN|no lists of numbers"),
        ({"item_id": ["a"], "vector": [["x"]]}, "are no lists of numbers"),
        ({"item_id": ["a"], "vector": [1.0]}, "are of type double in 1 rows; must be lists of numbers"),
    ],
)
def test_what_are_no_vectors_is_refused(tmp_path, table, message):
    config = Config(path=written(tmp_path, table))
    with pytest.raises(DataError, match=message):
        config.build(CPU)


def test_no_file_and_no_parquet_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=re.escape("no such file; must be a Parquet file of item vectors")):
        Config(path=str(tmp_path / "no.parquet")).source()
    (tmp_path / "broken.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        Config(path=str(tmp_path / "broken.parquet")).tokenizer(64)
