"""What a recommender is given: every history's own subset of items, and refusals that name the row."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch

from tests.recommenders import N, history, made
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.serving.recommender import Recommender


def load(root, kind):
    found = made(Place.of(root), root / "language", kind)
    return Recommender.load(found["model"], found["codes"], found["catalog"], torch.device("cpu"))


@pytest.fixture(scope="module", params=["tiger", "lcrec"])
def either(request, tmp_path_factory) -> Recommender:
    return load(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def tiger(tmp_path_factory) -> Recommender:
    return load(tmp_path_factory.mktemp("alone"), "tiger")


def test_every_history_is_answered_from_its_own_subset(either):
    """Of unequal lengths, over several batches: each row as if it had been alone."""
    rng = np.random.default_rng(0)
    histories = [rng.integers(0, N, length) for length in (9, 1, 4, 2, 7, 1, 3)]
    allowed = rng.random((len(histories), N)) < 0.5
    few = Recommender(**{**vars(either), "batch_size": 3})
    items, scores = few.rank(histories, 5, allowed=allowed)
    for row, past in enumerate(histories):
        alone, alone_scores = either.rank([past], 5, allowed=allowed[row])
        assert items[row].tolist() == alone[0].tolist()
        np.testing.assert_allclose(scores[row], alone_scores[0], atol=1e-5)
        assert set(items[row][items[row] >= 0]) <= set(np.flatnonzero(allowed[row])) - set(past.tolist())


def read_only(allowed):
    return np.broadcast_to(allowed, allowed.shape)


@pytest.mark.parametrize(
    "form",
    [np.ndarray.tolist, torch.from_numpy, lambda a: a[::-1].copy()[::-1], np.asfortranarray, read_only],
    ids=["lists", "tensor", "reversed", "by column", "read only"],
)
def test_a_subset_may_come_in_any_form_of_bools(tiger, form):
    allowed = np.random.default_rng(1).random((2, N)) < 0.5
    for given in (allowed, allowed[0]):
        wanted = tiger.rank([history(1), history(2, 3)], 3, allowed=given)
        assert np.array_equal(tiger.rank([history(1), history(2, 3)], 3, allowed=form(given))[0], wanted[0])


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        (np.ones(N, np.int8), "allowed has entries of type int8; must be True or False"),
        (np.ones(N), "allowed has entries of type float64; must be True or False"),
        ([1] * N, "allowed has entries of type int64"),
        (["yes"] * N, "allowed has entries of type <U3"),
        ([[True], [True, False]], "allowed is no array"),
        ("all", "allowed has entries of type <U3"),
        (True, r"allowed has the shape \(\)"),
        (np.ones(N + 1, bool), rf"allowed has the shape \({N + 1},\); must be \({N},\)"),
        (np.ones((3, N), bool), rf"allowed has the shape \(3, {N}\); must be \({N},\), .* or \(2, {N}\)"),
        (np.ones((N, 2), bool), "allowed has the shape"),
        (np.ones((1, 2, N), bool), "allowed has the shape"),
        (np.ma.array(np.ones(N, bool), mask=np.arange(N) == 3), "allowed is no array .some of its entries are masked"),
        (torch.ones(N, dtype=torch.bool, device="meta"), "allowed is no array"),
        (pd.Series(True, index=np.arange(N)[::-1]), r"allowed has rows .* .the first is 19\), .* allowed.to_numpy\(\)"),
        (pd.DataFrame(True, range(2), [f"id-{n}" for n in range(N)]), "not labelled 0, 1, 2, ... .the first is 'id-0'"),
    ],
    ids=[
        *("int8", "float", "integers", "words", "ragged", "a word", "one", "longer", "three rows", "by item", "deep"),
        *("masked", "nowhere", "in another order", "by item id"),
    ],
)
def test_a_subset_of_another_type_or_shape_is_refused(tiger, allowed, message):
    with pytest.raises(ConfigError, match=message):
        tiger.rank([history(1), history(2)], 3, allowed=allowed)


def test_where_nothing_may_be_recommended_the_row_is_filled_up(tiger):
    items, scores = tiger.rank([np.arange(N), history(1)], 3)
    assert (items[0].tolist(), scores[0].tolist()) == ([-1] * 3, [-math.inf] * 3)
    assert (items[1] >= 0).all()
    assert (tiger.rank([history(1)], 3, allowed=np.zeros(N, bool))[0] == -1).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64", "object", ">i4"])
def test_a_history_may_be_of_any_integer_type(tiger, dtype):
    wanted, _ = tiger.rank([history(3, 7)], 3)
    assert np.array_equal(tiger.rank([np.array([3, 7], dtype)], 3)[0], wanted)


@pytest.mark.parametrize("form", [list, tuple, torch.from_numpy, np.ndarray.tolist], ids=lambda f: f.__name__)
def test_a_history_may_be_any_sequence(tiger, form):
    wanted, _ = tiger.rank([history(3, 7)], 3)
    assert np.array_equal(tiger.rank([form(history(3, 7))], 3)[0], wanted)


@pytest.mark.parametrize(
    "bad",
    [
        [1.7],
        [1.0],
        ["3"],
        [math.nan],
        [math.inf],
        [None],
        [True],
        [True, 2],
        [[1, 2], [3, 4]],
        [[1], [2, 3]],
        3,
        None,
        "12",
        b"12",
        {1, 2},
        {1: 2},
        [],
        [-1],
        [N],
        [2**63],
        [2**70],
        [-(2**70)],
        [1, N],
        [1j],
        np.array([1.7]),
        np.array(["3"]),
        np.array([np.nan]),
        np.array([True]),
        np.array([[1, 2]]),
        np.array(3),
        np.array([], int),
        np.array([1, None], object),
        np.array([1], "timedelta64[s]"),
        np.array([1], "datetime64[s]"),
        np.array([2**63], np.uint64),
        type,
    ],
    ids=repr,
)
def test_what_is_no_history_is_refused_by_its_row(tiger, bad):
    with pytest.raises(DataError, match="history 1: "):
        tiger.rank([[1, 2], bad], 3)


@pytest.mark.parametrize("bad", ["12", b"12", None, 3, {"a": [1]}, np.array(3)], ids=repr)
def test_what_is_no_list_of_histories_is_refused(tiger, bad):
    with pytest.raises(DataError, match="histories: is .*; must be a list of lists of item numbers"):
        tiger.rank(bad, 3)


@pytest.mark.parametrize(
    "bad", [True, 2.5, 5.0, "5", None, math.nan, 10**6, 0, -1, N + 1, [3], np.float32(3)], ids=repr
)
def test_a_number_of_items_that_is_none_is_refused(tiger, bad):
    with pytest.raises(ConfigError, match="k is "):
        tiger.rank([[1]], bad)


@pytest.mark.parametrize(
    "bad", [True, 2.5, "5", math.nan, 10**6, 0, -1, [], [7, "5"], (7.0,), [7, 0], [7, 10**6]], ids=repr
)
def test_a_beam_that_is_none_is_refused(tiger, bad):
    with pytest.raises(ConfigError, match=r"beam(_width is)? "):
        tiger.rank([[1]], 1, beam_width=bad)


def test_numpys_integers_count_as_integers(tiger):
    wanted, _ = tiger.rank([[1]], 3, beam_width=7)
    assert np.array_equal(tiger.rank([[1]], np.int32(3), beam_width=np.uint8(7))[0], wanted)
    assert tiger.rank([], 3)[0].shape == (0, 3)
    assert np.array_equal(tiger.rank([[1]], 3, beam_width=[np.int64(7), 7])[0], wanted)
    assert np.array_equal(tiger.rank([[1]], 3, beam_width=500)[0], tiger.rank([[1]], 3, beam_width=N)[0])


@pytest.mark.parametrize("name", ["exclude_history", "renormalised"])
@pytest.mark.parametrize("bad", ["False", 1, None], ids=repr)
def test_a_text_is_no_claim(tiger, name, bad):
    with pytest.raises(ConfigError, match=f"{name} is .*; must be True or False"):
        tiger.rank([[1]], 3, **{name: bad})


@pytest.mark.parametrize(
    ("bad", "where"), [("red", "texts"), (None, "texts"), (["a", 3], "text 1"), ([None], "text 0")]
)
def test_what_is_no_text_is_refused(either, bad, where):
    if hasattr(either.backbone, "encode"):
        with pytest.raises(DataError, match=f"{where}: "):
            either.find(bad, 3)


@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf], ids=repr)
@pytest.mark.parametrize("renormalised", [False, True])
def test_weights_that_give_no_probabilities_are_refused(tmp_path, value, renormalised):
    """Instead of an answer with fewer items: where all of the head is broken, and where one row of it is."""
    for rows in (slice(None), slice(-1, None)):
        broken = load(tmp_path / str(rows.start), "tiger")
        broken.rank([[1, 2]], 3, renormalised=renormalised)
        logits = type(broken.backbone).logits

        def damaged(hidden, entries, rows=rows, broken=broken, logits=logits):
            whole = logits(broken.backbone, hidden, slice(None)).clone()
            whole[..., rows] = value
            return whole[..., entries]

        broken.backbone.logits = damaged
        with pytest.raises(ArtifactError, match="NaN or 0: its weights are damaged"):
            broken.rank([[1, 2]], 3, renormalised=renormalised)


def test_a_model_of_nan_is_refused(either):
    broken = Recommender(**{**vars(either), "backbone": copy.deepcopy(either.backbone)})
    for weight in broken.backbone.parameters():
        weight.data.fill_(math.nan)
    with pytest.raises(ArtifactError, match="its weights are damaged"):
        broken.rank([[1, 2]], 3)
