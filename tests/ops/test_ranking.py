import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, top_k_accuracy_score

from tests.references import ranking as slow
from unisid.ops import ranking

nan = math.nan
small_scores = st.lists(st.integers(0, 4), min_size=1, max_size=12)  # few values: many ties


def rank(scores, target):
    return ranking.rank_of_target(torch.tensor([scores], dtype=torch.float32), torch.tensor([target])).item()


def test_rank_by_hand():
    scores = [0.9, 0.5, 0.5, 0.5, 0.1]
    assert rank(scores, 0) == 1.0
    assert rank(scores, 2) == 1 + 1 + 0.5 * 2  # one is better, two are as good
    assert rank(scores, 4) == 5.0
    assert math.isnan(rank([0.5, -math.inf], 1))  # excluded targets are not ranked


def test_constant_scores_give_the_middle_rank():
    """A scorer that says nothing must not look good: all equal is the expected rank of a random order."""
    assert rank([0.0] * 101, 0) == 51.0


def test_scores_that_are_no_numbers_never_help():
    """A model that went astray ranks nothing, and is not the best there ever was."""
    assert math.isnan(rank([nan, nan, nan], 1))
    assert math.isnan(rank([0.9, nan, 0.1], 1))
    assert rank([nan, 0.5, 0.9, 0.1], 1) == 3.0  # NaN and .9 stand before it
    items, scores = torch.tensor([[4, 7]]), torch.tensor([[nan, 0.5]])
    in_list = [ranking.rank_in_list(items, scores, torch.tensor([t]), items >= 0).item() for t in (4, 7)]
    assert math.isnan(in_list[0])
    assert in_list[1] == 2.0


def test_metrics_by_hand():
    ranks = np.array([1.0, 3.0, 10.0, 10.5, nan])
    names = ranking.metric_names((1, 10))
    means = dict(zip(names, ranking.metric_values(ranks, (1, 10)).mean(0), strict=True))
    assert means["HR@1"] == 1 / 5
    assert means["HR@10"] == 3 / 5  # 10.5 is past the tenth place
    assert means["NDCG@1"] == 1 / 5
    assert means["NDCG@10"] == pytest.approx((1 + 1 / 2 + 1 / math.log2(11)) / 5)
    assert means["MRR@1"] == 1 / 5
    assert means["MRR@10"] == pytest.approx((1 + 1 / 3 + 1 / 10) / 5)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_every_metric_is_scikit_learns(k):
    """Of rankings without ties; its reciprocal rank has no cut-off, so items past the list are struck out of it."""
    random = np.random.default_rng(k)
    scores, targets = random.random((60, 12)), random.integers(0, 12, 60)
    ranks = ranking.rank_of_target(torch.from_numpy(scores), torch.from_numpy(targets)).numpy()
    means = dict(zip(ranking.metric_names((k,)), ranking.metric_values(ranks, (k,)).mean(0), strict=True))
    relevant = np.eye(12, dtype=int)[targets]
    listed = relevant * (scores >= np.sort(scores, axis=1)[:, [-k]])
    found = listed.any(1)
    assert means[f"HR@{k}"] == pytest.approx(top_k_accuracy_score(targets, scores, k=k))
    assert means[f"NDCG@{k}"] == pytest.approx(ndcg_score(relevant, scores, k=k))
    each = label_ranking_average_precision_score(listed[found], scores[found])
    assert means[f"MRR@{k}"] == pytest.approx(found.mean() * each)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_every_metric_of_every_sample_is_trec_evals(k):
    """Its reciprocal rank has no cut-off, so that it is given lists of k; its average precision is the same number."""
    trec = pytest.importorskip("pytrec_eval", reason="pytrec_eval-terrier is not installed")
    random = np.random.default_rng(k)
    scores, targets = random.permuted(np.tile(np.arange(12.0), (60, 1)), axis=1), random.integers(0, 12, 60)
    ranks = ranking.rank_of_target(torch.from_numpy(scores), torch.from_numpy(targets)).numpy()
    ours = dict(zip(ranking.metric_names((k,)), ranking.metric_values(ranks, (k,)).T, strict=True))
    relevant = {str(sample): {str(target): 1} for sample, target in enumerate(targets)}
    run = {
        str(sample): {str(item): float(row[item]) for item in np.argsort(-row)[:k]} for sample, row in enumerate(scores)
    }
    measures = {f"success.{k}": "HR", f"ndcg_cut.{k}": "NDCG", "recip_rank": "MRR", f"map_cut.{k}": "MRR"}
    found = trec.RelevanceEvaluator(relevant, set(measures)).evaluate(run)
    for measure, metric in measures.items():
        theirs = [found[str(sample)][measure.replace(".", "_")] for sample in range(60)]
        np.testing.assert_allclose(ours[f"{metric}@{k}"], theirs, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_every_metric_of_every_sample_is_rectools(k):
    """With one target a sample its NDCG is ours where it divides by what can be reached, which is not its default."""
    theirs = pytest.importorskip("rectools.metrics", reason="rectools is not installed")
    random = np.random.default_rng(k)
    lists, targets = random.permuted(np.tile(np.arange(12), (60, 1)), axis=1), random.integers(0, 12, 60)
    ranks = 1.0 + (lists == targets[:, None]).argmax(1)
    ours = dict(zip(ranking.metric_names((k,)), ranking.metric_values(ranks, (k,)).T, strict=True))
    entries = {"user_id": np.repeat(range(60), 12), "item_id": lists.ravel(), "rank": np.tile(range(1, 13), 60)}
    reco, taken = pd.DataFrame(entries), pd.DataFrame({"user_id": range(60), "item_id": targets})
    reached = theirs.NDCG(k=k, divide_by_achievable=True)
    measures = (("HR", theirs.HitRate(k=k)), ("NDCG", reached), ("MRR", theirs.MRR(k=k)), ("MRR", theirs.MAP(k=k)))
    for metric, measure in measures:
        found = measure.calc_per_user(reco, taken).sort_index()
        np.testing.assert_allclose(ours[f"{metric}@{k}"], found, rtol=1e-12)


@given(st.lists(small_scores, min_size=1, max_size=4), st.data())
def test_first_items_are_those_of_sorting(rows, data):
    """Equal ones by number; what is struck out is no item."""
    n = min(map(len, rows))
    struck = data.draw(st.sets(st.integers(0, n - 1)))
    k = data.draw(st.integers(0, n))
    scores = [[-math.inf if i in struck else float(s) for i, s in enumerate(row[:n])] for row in rows]
    found = ranking.first_items(torch.tensor(scores), k).tolist()
    for row, own in zip(scores, found, strict=True):
        best = sorted(range(n), key=lambda i: (-row[i], i))[:k]
        assert own == [i if row[i] > -math.inf else -1 for i in best]


@given(small_scores, st.data())
def test_rank_equals_twin(scores, data):
    target = data.draw(st.integers(0, len(scores) - 1))
    assert rank([float(s) for s in scores], target) == slow.rank_of_target(scores, target)


@given(small_scores)
def test_ranks_of_all_items_sum_to_those_of_a_permutation(scores):
    n = len(scores)
    ranks = ranking.rank_of_target(torch.tensor([scores] * n, dtype=torch.float32), torch.arange(n))
    assert ranks.sum().item() == n * (n + 1) / 2


@given(small_scores, st.data())
def test_a_full_list_ranks_as_full_scores(scores, data):
    """Ranking within a list of all items, in any order, is ranking over all items; dropping some equals -inf."""
    n = len(scores)
    order = data.draw(st.permutations(range(n)))
    dropped = data.draw(st.sets(st.integers(0, n - 1)))
    target = data.draw(st.integers(0, n - 1))
    items, values = torch.tensor([order]), torch.tensor([[float(scores[i]) for i in order]])
    kept = torch.tensor([[i not in dropped for i in order]])
    got = ranking.rank_in_list(items, values, torch.tensor([target]), kept).item()
    masked = [-math.inf if i in dropped else float(s) for i, s in enumerate(scores)]
    assert got == pytest.approx(rank(masked, target), nan_ok=True)
    assert got == pytest.approx(
        slow.rank_in_list(order, [scores[i] for i in order], target, kept[0].tolist()), nan_ok=True
    )


def test_padding_of_a_list_is_not_ranked():
    items, scores = torch.tensor([[7, 3, -1, -1]]), torch.tensor([[-1.0, -2.0, -math.inf, -math.inf]])
    kept = items >= 0
    assert ranking.rank_in_list(items, scores, torch.tensor([3]), kept).item() == 2.0
    assert math.isnan(ranking.rank_in_list(items, scores, torch.tensor([5]), kept).item())


ranks_with_gaps = st.lists(st.one_of(st.integers(2, 200).map(lambda r: r / 2), st.just(nan)), min_size=1, max_size=30)


@given(ranks_with_gaps, st.lists(st.integers(1, 60), min_size=1, max_size=4, unique=True).map(sorted))
def test_metric_laws_and_twins(ranks, cutoffs):
    values = ranking.metric_values(np.array(ranks), cutoffs)
    hits, gains, reciprocals = np.split(values.mean(0), 3)
    assert hits == pytest.approx([slow.hit_rate(ranks, k) for k in cutoffs])
    assert gains == pytest.approx([slow.ndcg(ranks, k) for k in cutoffs])
    assert (np.diff(hits) >= 0).all()
    assert reciprocals == pytest.approx([slow.mean_reciprocal_rank(ranks, k) for k in cutoffs])
    assert (reciprocals <= gains + 1e-12).all()
    assert (gains <= hits + 1e-12).all()
