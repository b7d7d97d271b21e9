"""Two indexes side by side: matched by the shop's ids, whatever the numbers; in words and in JSON."""

import json

import numpy as np
import pyarrow as pa
import pytest

from tests.stages import ring
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes, write_codes
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.tables import write_table
from unisid.cli import main
from unisid.versions.compare import compare, table

SIZES = (2, 3, 4)


def index(root, version, ids, codes, sizes=SIZES):
    """An index and its catalog, as a store holds them."""
    catalog, place = root / f"catalog/c/{version}", root / f"codes/c/{version}"
    write_table(catalog, "items", 0, pa.table({"item_id": ids, "title": ids, "text": ids}))
    write_record(
        catalog, Record(address=f"catalog/c/{version}", config={}, inputs={}, counts={"items": len(ids), "users": 0})
    )
    write_codes(place, np.array(codes), sizes)
    counts = {"sizes": list(sizes), "quality": {"distinct_share": 0.5, "moved_share": 0.25}}
    inputs = ring.entry(catalog, "catalog")
    write_record(place, Record(address=f"codes/c/{version}", config={}, inputs=inputs, counts=counts))
    return Codes.read(place), Catalog.read(catalog)


@pytest.fixture
def pair(place):
    left = index(place, "1", ["a", "b", "c", "d"], [[0, 0, 0], [0, 1, 2], [1, 2, 3], [1, 0, 0]])
    right = index(place, "2", ["d", "c", "a", "x", "b"], [[1, 0, 0], [1, 2, 1], [1, 0, 1], [0, 0, 1], [0, 1, 2]])
    return left, right


def test_items_are_matched_by_their_ids_and_prefixes_counted_level_by_level(pair):
    found = compare(*pair)
    assert found["items"] == {"both": 4, "only_left": 0, "only_right": 1}
    assert found["changed"] == 0.5  # a and c
    assert found["changed_prefix"] == [0.25, 0.25, 0.5]
    assert found["examples"] == [
        {"item_id": "a", "left": "<a_0><b_0><c_0>", "right": "<a_1><b_0><c_1>"},
        {"item_id": "c", "left": "<a_1><b_2><c_3>", "right": "<a_1><b_2><c_1>"},
    ]
    left, right = found["indexes"]
    assert left["usage"] == [1.0, 1.0, 0.75]
    assert left["entropy"][0] == pytest.approx(1.0)
    assert right["entropy"][0] == pytest.approx(-(0.6 * np.log(0.6) + 0.4 * np.log(0.4)) / np.log(2))
    assert left["filled"] == 4 / 24
    assert (left["fullest_prefix"], right["fullest_prefix"]) == (1, 2)


def test_indexes_of_many_and_of_few_levels_are_compared(place):
    codes = np.random.default_rng(0).integers(0, 256, (4, 200))
    codes[1] = codes[0]
    codes[1, -1] ^= 1
    left = index(place, "1", ["a", "b", "c", "d"], codes, (256,) * 200)
    right = index(place, "2", ["a", "b", "c", "d"], codes[:, :3] + np.arange(4)[:, None], (999, 999, 999))
    found = compare(left, right)
    assert found["indexes"][0]["fullest_prefix"] == 2
    assert found["indexes"][0]["filled"] == 0.0
    assert found["changed_prefix"] == [0.75, 0.75, 0.75]
    assert "usage of level 3" in table(found)


def test_an_index_is_equal_to_itself(pair):
    found = compare(pair[0], pair[0])
    assert found["changed"] == 0
    assert found["changed_prefix"] == [0, 0, 0]
    assert found["examples"] == []


def test_other_levels_and_other_items_are_no_error(place, pair):
    other = index(place, "3", ["a", "b"], [[0, 0, 0, 0], [1, 0, 0, 0]], (2, 3, 4, 2))
    found = compare(pair[0], other)
    assert found["changed"] == 1.0  # a longer id is another id
    assert found["changed_prefix"] == [0.5, 0.5, 0.5]
    strange = index(place, "4", ["q"], [[0, 0, 0]])
    assert compare(pair[0], strange)["changed"] is None
    assert "only in codes/c/4" in table(compare(pair[0], strange))


def test_on_the_command_line(place, pair, capsys):
    words = ["index", "compare", "codes/c/1", "codes/c/2", "--store", str(place)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    for part in (
        "4 items in both, 0 only in codes/c/1, 1 only in codes/c/2",
        "semantic id changed: 50.00%",
        "25.00% by level 1, 25.00% by level 2, 50.00% by level 3",
        "entropy of level 3",
        "a  <a_0><b_0><c_0> -> <a_1><b_0><c_1>",
    ):
        assert part in shown, part
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == compare(*pair)
    with pytest.raises(SystemExit) as left:
        main([*words, "--codes.unique", "append"])
    assert left.value.code == 2
    assert "Unrecognized options: --codes.unique, append" in capsys.readouterr().err
    assert main(["index", "compare", "codes/c/1", "codes/c/9", "--store", str(place)]) == 1
    assert "no complete codes here" in capsys.readouterr().err
