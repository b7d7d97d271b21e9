"""What is drawn of prefixes: which items stand side by side, and under which names."""

import numpy as np

from tests.report.drawings import marks, panels
from unisid.report import plots
from unisid.report.interpret import ITEMS, NAME, SIBLINGS, labels_of_prefixes, shared_users

random = np.random.default_rng(0)
CODES = np.array([[0, 0], [0, 0], [0, 1], [1, 0], [2, 0]], np.int32)


def drawn(picture):
    """Its panels; it can be made a picture."""
    assert plots.png(picture)[:4] == b"\x89PNG"
    return panels(picture)


def matrix_of(panel):
    """(row, column) -> users, and the places of lines."""
    (_, cells, _), (_, lines, _), _ = marks(panel)
    return {(cell["y"], cell["x"]): cell["users"] for cell in cells}, [line["x"] for line in lines]


def test_labels_of_the_largest_prefixes_are_shares_of_their_items():
    first, second = drawn(labels_of_prefixes(CODES, np.array([0, 0, 1, 1, 2]), ["red", "green", "blue"], "colours"))
    assert (first["title"], second["title"]) == ("first codes; labels: colours", "second codes under <a_0>")
    [(_, rows, encoding)] = marks(first)
    shares = {(row["code"], row["label"]): row["share"] for row in rows}
    assert shares["<a_0>", "red"] == 2 / 3
    assert shares["<a_0>", "green"] == 1 / 3
    assert shares["<a_1>", "green"] == shares["<a_2>", "blue"] == 1
    assert encoding["y"]["sort"] == ["<a_0>", "<a_1>", "<a_2>"]
    [(_, rows, _)] = marks(second)
    assert {(row["code"], row["label"]): row["share"] for row in rows}["<a_0><b_0>", "red"] == 1


def test_labels_are_named_by_their_source_and_cut_to_a_length():
    codes = random.integers(0, 3, (30, 2)).astype(np.int32)
    first, _ = drawn(labels_of_prefixes(codes, np.arange(30) % 2, ["x" * (NAME + 5), "y"], "column 'class'"))
    assert first["title"] == "first codes; labels: column 'class'"
    assert {row["label"] for row in marks(first)[0][1]} == {"x" * NAME, "y", "others"}


def test_no_two_labels_have_one_color():
    """Of 30 labels ten have a color each, whatever their numbers are; the rest are others."""
    codes = np.column_stack([np.arange(300) % 2, np.arange(300) % 3]).astype(np.int32)
    for panel in drawn(labels_of_prefixes(codes, random.integers(0, 30, 300), [f"kind {n}" for n in range(30)], "x")):
        scale = marks(panel)[0][2]["color"]["scale"]
        assert len(scale["domain"]) == len(set(scale["range"])) == 11
        assert scale["domain"][-1] == "others"


def test_users_in_common_are_counted_pair_by_pair():
    users, items = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 3, 0, 1, 4])
    own, *_ = drawn(shared_users(CODES, users, items))
    found, lines = matrix_of(own)
    taken = [{0, 1}, {0, 1}, set()]
    assert found == {(i, j): 0 if i == j else len(taken[i] & taken[j]) for i in range(3) for j in range(3)}
    assert lines == [2], "before the first item of the second code"


def test_siblings_are_of_the_first_code_whose_second_largest_prefix_is_largest():
    """Under 0 one second code has all items, under 1 two have 3 and 4, under 2 two have 2 each."""
    pairs = [(0, 0)] * 9 + [(1, 5)] * 3 + [(1, 6)] * 4 + [(2, 0)] * 2 + [(2, 1)] * 2
    codes = np.column_stack([np.array(pairs), np.arange(20)]).astype(np.int32)
    found = drawn(shared_users(codes, np.zeros(20, np.int64), np.arange(20)))
    titles = [panel["title"] for panel in found]
    assert titles == ["9 items under <a_0>", "7 items under <a_1>, second codes 5, 6", "11 items of other first codes"]
    matrix, lines = matrix_of(found[1])
    assert matrix == {(i, j): i != j for i in range(7) for j in range(7)}  # one user took all
    assert lines == [3]


def test_many_siblings_are_cut_short():
    codes = np.column_stack([np.zeros(400), np.arange(400) % 5, np.arange(400)]).astype(np.int32)
    _, sisters, others = drawn(shared_users(codes, np.zeros(400, np.int64), np.arange(400)))
    matrix, lines = matrix_of(sisters)
    assert (len(matrix), len(lines)) == (ITEMS * ITEMS, SIBLINGS - 1)
    assert others["title"] == "0 items of other first codes"


def test_ids_without_siblings_have_an_empty_panel():
    for codes in (np.arange(6)[:, None], np.column_stack([np.arange(6) // 2, np.zeros(6)])):
        _, sisters, _ = drawn(shared_users(codes.astype(np.int32), np.zeros(6, np.int64), np.arange(6)))
        assert sisters["title"] == "0 items under siblings: none"
