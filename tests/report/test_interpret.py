"""What is drawn of prefixes: which items stand side by side, and under which names."""

import numpy as np

from unisid.report.interpret import ITEMS, NAME, SIBLINGS, labels_of_prefixes, shared_users

random = np.random.default_rng(0)


def test_siblings_are_of_the_first_code_whose_second_largest_prefix_is_largest():
    """Under 0 one second code has all items, under 1 two have 3 and 4, under 2 two have 2 each."""
    pairs = [(0, 0)] * 9 + [(1, 5)] * 3 + [(1, 6)] * 4 + [(2, 0)] * 2 + [(2, 1)] * 2
    codes = np.column_stack([np.array(pairs), np.arange(20)]).astype(np.int32)
    figure = shared_users(codes, np.zeros(20, np.int64), np.arange(20))
    titles = [axis.get_title(loc="left") for axis in figure.axes[:3]]
    assert titles == ["9 items under <a_0>", "7 items under <a_1>, second codes 5, 6", "11 items of other first codes"]
    matrix = figure.axes[1].images[0].get_array()
    assert matrix.shape == (7, 7)
    assert (matrix == 1 - np.eye(7)).all()  # one user took all
    assert len(figure.axes[1].lines) == 2  # one border between the two, drawn both ways


def test_many_siblings_are_cut_short():
    codes = np.column_stack([np.zeros(400), np.arange(400) % 5, np.arange(400)]).astype(np.int32)
    figure = shared_users(codes, np.zeros(400, np.int64), np.arange(400))
    assert figure.axes[1].images[0].get_array().shape == (ITEMS, ITEMS)
    assert len(figure.axes[1].lines) == 2 * (SIBLINGS - 1)
    assert figure.axes[2].get_title(loc="left") == "0 items of other first codes"


def test_ids_without_siblings_have_an_empty_panel():
    for codes in (np.arange(6)[:, None], np.column_stack([np.arange(6) // 2, np.zeros(6)])):
        figure = shared_users(codes.astype(np.int32), np.zeros(6, np.int64), np.arange(6))
        assert figure.axes[1].get_title(loc="left") == "0 items under siblings: none"


def test_labels_are_named_by_their_source_and_cut_to_a_length():
    codes = random.integers(0, 3, (30, 2)).astype(np.int32)
    names = ["x" * (NAME + 5), "y"]
    figure = labels_of_prefixes(codes, np.arange(30) % 2, names, "column 'class'")
    assert figure.axes[0].get_title(loc="left") == "first codes; labels: column 'class'"
    shown = {text.get_text() for text in figure.legends[0].get_texts()}
    assert shown == {"x" * NAME, "y", "others"}


def test_no_two_labels_have_one_color():
    """Of 30 labels ten have a color each, whatever their numbers are; the rest are others."""
    codes = np.column_stack([np.arange(300) % 2, np.arange(300) % 3]).astype(np.int32)
    figure = labels_of_prefixes(codes, random.integers(0, 30, 300), [f"kind {n}" for n in range(30)], "x")
    shown = [(text.get_text(), patch.get_facecolor()) for text, patch in zip(
        figure.legends[0].get_texts(), figure.legends[0].get_patches(), strict=True
    )]  # fmt: skip
    assert len(shown) == len({color for _, color in shown}) == 11
