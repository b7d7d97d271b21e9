"""Explanations beside their definition: scores with and without each item of the history, words counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.recommenders import N
from tests.serving.ring_pair import ids, pair
from unisid.ops.semantic_ids import spell
from unisid.serving.answers import Query, answers


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return pair(tmp_path_factory.mktemp("explain"))


def explained(shop, *history, k=4):
    (found,) = answers(shop, [Query(history=ids(*history), k=k, explain=True)])
    assert len(found.explained) == len(found.items) == k
    return found


def scores_of(shop, history):
    items, scores = shop.recommender.rank([history], N, False)
    return dict(zip(items[0].tolist(), scores[0].tolist(), strict=True))


def test_an_explained_answer_says_how_far_it_is_certain(shop):
    found = explained(shop, 1, 2)
    proven = shop.recommender.prove([[1, 2]], 4)
    assert found.certainty.items == proven.proven[0]
    assert found.certainty.slack == proven.slack[0]
    (cold,) = answers(shop, [Query(user="nobody", k=3, explain=True)])
    assert (cold.source, cold.certainty) == ("popularity", None)
    (plain,) = answers(shop, [Query(history=ids(1, 2), k=3)])
    assert plain.certainty is None
    narrow = replace(shop, recommender=replace(shop.recommender, beams=1))
    (less,) = answers(narrow, [Query(history=ids(1, 2), k=2, explain=True)])
    searched = narrow.recommender.prove([[1, 2]], 2)
    assert (less.certainty.items, less.certainty.slack) == (searched.proven[0], searched.slack[0])


def test_what_moved_an_item_is_its_score_with_less_its_score_without(shop):
    history = [3, 7, 3, 12, 1]
    found = explained(shop, *history)
    whole = scores_of(shop, history)
    for item, explanation in zip(found.items.tolist(), found.explained, strict=True):
        gains = {
            other: whole[item] - scores_of(shop, [each for each in history if each != other])[item]
            for other in set(history)
        }
        expected = sorted(gains.values(), key=abs, reverse=True)[:3]
        assert [gain for _, gain in explanation.moved_by] == pytest.approx(expected, abs=1e-4)
        for other, gain in explanation.moved_by:
            assert gain == pytest.approx(gains[other], abs=1e-4)


def test_only_what_is_read_of_a_history_can_move_anything(shop):
    long = list(range(N - 2))
    found = explained(shop, *long, k=2)
    read = set(long[-shop.recommender.history_length :])
    assert {item for each in found.explained for item, _ in each.moved_by} <= read


def test_the_path_leads_to_the_item_and_counts_what_is_below(shop):
    found = explained(shop, 1, 2)
    codes = shop.codes.codes
    for item, explanation in zip(found.items.tolist(), found.explained, strict=True):
        for level, step in enumerate(explanation.path, 1):
            below = np.flatnonzero((codes[:, :level] == codes[item, :level]).all(1))
            assert (step.prefix, step.items) == (spell(codes[item, :level]), len(below))
            titles = " ".join(shop.titles[each].lower() for each in below)
            assert all(word in titles for word in step.words.split())
        assert explanation.path[-1].items == 1


def test_without_a_history_nothing_moved_the_answer(shop):
    (found,) = answers(shop, [Query(user="nobody", k=3, explain=True)])
    assert [each.moved_by for each in found.explained] == [(), (), ()]
    assert all(each.moved_by == () for each in explained(shop, 5).explained)
    (plain,) = answers(shop, [Query(user="nobody", k=3)])
    assert plain.explained == ()
