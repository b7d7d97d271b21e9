"""Instructions on disk: rows and prompts as they were written, those of an older version too."""

import pyarrow as pa
import pytest

from tests.artifacts.artifacts import complete
from unisid.artifacts import instructions
from unisid.artifacts.tables import write_table, write_tables
from unisid.errors import ArtifactError
from unisid.ops.prompts import Prompts


def test_instructions(anywhere):
    rows = {
        "task": ["next", "sid_to_title"],
        "user": [4, -1],
        "target": [2, 5],
        "head": ["took ", ""],
        "pieces": [[3, 1], [5]],
        "separator": [", ", "\n"],
        "tail": [", then?", " is?"],
        "response": ["<a_1>", "naïve «pen»"],
    }
    table = pa.table(rows)
    write_tables(anywhere, "train", [table[:1], table[1:]])
    write_table(anywhere, "valid", 0, table[:0])
    complete(anywhere, "instructions", {"train": 2, "valid": 0}, {"tasks": ["next", "sid_to_title"]})
    read = instructions.Instructions.read(anywhere)
    assert read.table("train").equals(table)
    assert tuple(read.table("train").column_names) == instructions.COLUMNS
    assert read.table("valid").schema == table.schema
    assert (read.num_rows("train"), read.num_rows("valid")) == (2, 0)
    assert read.tasks == ("next", "sid_to_title")
    assert read.prompts() == Prompts()
    assert read.words == (*instructions.WORDS, "separator")


def test_instructions_of_an_older_version_have_no_separator(anywhere):
    rows = {"task": ["next"], "user": [4], "target": [2], "head": ["took "], "pieces": [["x"]], "tail": ["?"]}
    write_table(anywhere, "train", 0, pa.table(rows | {"response": ["<a_1>"]}))
    complete(anywhere, "instructions", {"train": 1, "valid": 0}, {"tasks": ["next"]})
    read = instructions.Instructions.read(anywhere)
    assert read.words == instructions.WORDS
    assert read.table("train").column_names == [name for name in instructions.COLUMNS if name != "separator"]


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"next": ["a", "b"]}', b'{"next": "abc"}'])
def test_damaged_prompts_are_named(anywhere, data):
    with anywhere.writing("prompts.json") as stream:
        stream.write(data)
    complete(anywhere, "instructions", {"train": 0, "valid": 0}, {"tasks": ["next"]})
    with pytest.raises(ArtifactError, match=r"/prompts.json: is not"):
        instructions.Instructions.read(anywhere).prompts()
