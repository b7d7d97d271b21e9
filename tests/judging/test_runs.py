"""A TREC run is known by its first line or its name, and its score decides."""

import gzip

import pytest

from unisid.errors import DataError
from unisid.judging.runs import is_run, read_run

LINES = "3 Q0 i4 1 0.5 mine\n3 Q0 i9 2 0.75 mine\n\n"


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("a.txt", LINES, True),
        ("a.txt", "\n" + LINES.replace("Q0", "q0").replace(" ", "\t"), True),
        ("a.run", "", True),
        ("a.txt", "user item score\n", False),
        ("a.txt", "a b c d e f\n", False),
        ("a.csv", "user_id,item_id\n3,i4\n", False),
    ],
)
def test_a_run_is_known_by_six_fields_of_which_the_second_is_q0(tmp_path, name, text, known):
    (tmp_path / name).write_text(text)
    assert is_run(str(tmp_path / name)) is known


def test_a_run_is_read_compressed_too(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(LINES.encode()))
    assert is_run(str(tmp_path / "a.txt.gz"))
    assert read_run(str(tmp_path / "a.txt.gz")).to_pydict() == {
        "user": ["3", "3"],
        "item": ["i4", "i9"],
        "score": [0.5, 0.75],
    }


def test_a_line_of_other_fields_is_refused(tmp_path):
    (tmp_path / "a.run").write_text(LINES + "3 Q0 i4 1\n")
    with pytest.raises(DataError, match=r"a\.run, line 4: has 4 fields, a TREC run has six: user Q0 item"):
        read_run(str(tmp_path / "a.run"))
