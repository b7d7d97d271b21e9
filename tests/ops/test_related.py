import numpy as np
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.ops import related
from unisid.ops.related import (
    LIKENESSES,
    PAD,
    Table,
    alike_vectors,
    alike_words,
    entries,
    extended,
    mass_of,
    mass_of_all,
    recall,
)

N = 9


@st.composite
def tables(draw):
    dense = np.array(draw(st.lists(st.lists(st.integers(0, 5), min_size=N, max_size=N), min_size=N, max_size=N)), float)
    np.fill_diagonal(dense, 0)
    return dense, Table.strongest(sp.csr_matrix(dense), draw(st.integers(1, N)))


def dense_of(table):
    found = np.zeros((len(table.items), max(N, len(table.items))))
    for row, (items, values) in enumerate(zip(table.items.tolist(), table.values.tolist(), strict=True)):
        for item, value in zip(items, values, strict=True):
            if item != PAD:
                found[row, item] = value
    return found


@given(tables())
@settings(deadline=None, max_examples=50)
def test_the_strongest_of_every_row_are_kept_largest_first(made):
    dense, table = made
    assert (table.values.diff(dim=1) <= 0).all()
    assert ((table.items == PAD) == (table.values == 0)).all()
    for row, kept in zip(dense, dense_of(table), strict=True):
        assert sorted(kept[kept > 0]) == sorted(sorted(row[row > 0])[::-1][: table.items.shape[1]])
        assert (row[kept > 0] == kept[kept > 0]).all()


@given(tables(), tables(), st.integers(1, N))
@settings(deadline=None, max_examples=50)
def test_two_steps_are_the_product_of_both_tables_shares(one, other, at_once):
    first, second = dense_of(one[1]), dense_of(other[1])
    shares = [part / np.maximum(part.sum(1, keepdims=True), 1e-12) for part in (first, second)]
    expected = shares[0] @ shares[1]
    np.fill_diagonal(expected, 0)
    before, related.AT_ONCE = related.AT_ONCE, at_once
    try:
        found = dense_of(one[1].then(other[1]))
    finally:
        related.AT_ONCE = before
    assert np.allclose(found[found > 0], expected[found > 0], atol=1e-6)
    assert (
        np.sort(found, 1)[:, ::-1][:, : other[1].items.shape[1]].sum(1)
        >= np.sort(expected, 1)[:, ::-1][:, : other[1].items.shape[1]].sum(1) - 1e-6
    ).all()


@given(tables(), st.lists(st.integers(0, N - 1), max_size=5))
@settings(deadline=None, max_examples=50)
def test_all_three_ways_to_a_mass_agree(made, history):
    latest = torch.full((2, 5), PAD)
    latest[0, : len(history)] = torch.tensor(history, dtype=torch.long)
    held = entries(made[1], latest, 0.5)
    expected = sum((0.5**age * dense_of(made[1])[item] for age, item in enumerate(history)), np.zeros(N))
    whole = mass_of_all(*held, N)
    assert np.allclose(whole[0], expected, atol=1e-5)
    assert not whole[1].any()
    assert torch.allclose(mass_of(*held, torch.arange(N).expand(2, N)), whole, atol=1e-5)
    items, mass = recall(*held, N)
    assert torch.allclose(torch.where(items == PAD, 0.0, whole.gather(1, items.clamp_min(0))), mass, atol=1e-5)
    assert (mass > 0).sum(1).tolist() == (whole > 0).sum(1).tolist()


def test_alike_vectors_are_the_nearest_by_cosine(monkeypatch):
    monkeypatch.setattr(related, "AT_ONCE", 4)
    vectors = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
    vectors[3] = 0
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    cosine = (unit @ unit.T).clip(0) ** 4
    np.fill_diagonal(cosine, 0)
    found = dense_of(alike_vectors(vectors, N - 1))
    assert np.allclose(found, cosine, atol=1e-5)
    assert dense_of(alike_vectors(vectors, 2))[3].sum() == 0
    assert alike_vectors(vectors, 50).items.shape == (N, 50)


def test_alike_words_are_rare_words_in_common(monkeypatch):
    titles = [
        "rose hand cream",
        "rose soap",
        "lemon soap",
        "comb",
        "rose hand cream",
        "",
        "the the",
        "hand mirror",
        "x",
    ]
    found = dense_of(alike_words(titles, N))
    assert found[0].argmax() == 4
    assert found[0, 4] > found[0, 1] > 0
    assert found[0, 2] == found[0, 3] == 0
    assert np.allclose(found, found.T)
    assert found[5].sum() == found[3].sum() == 0
    monkeypatch.setattr(related, "COMMON", 2)  # "rose", of three titles, relates nothing now
    assert dense_of(alike_words(titles, N))[0, 1] == 0
    assert (alike_words(["", ""], 3).items == PAD).all()


def test_new_items_take_over_the_relations_of_what_they_are_like():
    """Row by row from the equation, with the nearest ten of each likeness."""
    rng, size, first = np.random.default_rng(0), 40, 30
    relation = np.where(rng.random((size, size)) < 0.2, rng.random((size, size)), 0.0)
    relation[first:], relation[:, first:] = 0.0, 0.0
    alike = [rng.random((size, size)), rng.random((size, size))]
    alike[1][33] = 0.0  # one likeness has nothing to say of item 33
    for each in alike:
        np.fill_diagonal(each, 0.0)
    alike[0][35] = alike[1][35] = 0.0  # and none of item 35
    made = [Table.strongest(sp.csr_matrix(each), size) for each in (relation, *alike)]
    found = dense_of(extended(made[0], made[1:], first))
    share = np.zeros((size, size))
    for new in range(first, size):
        parts = []
        for each in alike:
            nearest = sorted(range(first), key=lambda old: -each[new, old])[:LIKENESSES]
            if each[new].any():
                row = np.zeros(size)
                row[nearest] = each[new, nearest] / each[new, nearest].sum()
                parts.append(row)
        if parts:
            share[new] = np.mean(parts, 0)
    expected = relation + share @ relation + relation @ share.T + share @ relation @ share.T
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(found[:first, :first], relation[:first, :first])
    assert found[35].max() == found[:, 35].max() == 0
