"""What systems' ranks come to, side by side: power first, then figures, groups of samples and paired tests.

The first system is compared with every other one. All test samples of a user are one draw. n seeds, S test samples, M
metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import HISTORY_RULES, Metrics
from unisid.config import Json
from unisid.errors import DataError
from unisid.evaluation.figures import SEED, comparisons, holm, over_seeds, values_of
from unisid.evaluation.groups import Groups, by_group, groups_of
from unisid.evaluation.ranks import Ranks, headline
from unisid.judging.power import power
from unisid.ops.by_user import Users, permutation_p
from unisid.ops.ranking import metric_names

PERMUTATIONS = 9_999
Values = Mapping[str, NDArray[np.float64]]
"""System -> its value [n, S, M] of every metric."""


def judge(
    systems: Mapping[str, Sequence[Ranks]], catalog: Catalog, cutoffs: tuple[int, ...], difference: float | None = None
) -> Json:
    """History rule -> power, figures, comparisons and groups, ready for JSON.

    Args:
        systems: name -> the ranks of all test samples for each of its seeds.
        difference: of the headline metric, that the power is about; None for the one that is seen.
    """
    rows = catalog.samples(TEST)
    users = Users.of(catalog.user[rows])
    groups, top = groups_of(catalog, rows), headline(cutoffs)[1]
    rules = {}
    for rule in HISTORY_RULES:
        ranks = {name: [each[rule] for each in by_seed] for name, by_seed in systems.items()}
        values = {name: values_of(each, cutoffs) for name, each in ranks.items()}
        rules[rule] = {
            **_compared(values, users, cutoffs, metric_names(cutoffs).index(top), difference),
            "figures": {
                name: {metric: asdict(figure) for metric, figure in over_seeds(each, users, cutoffs).items()}
                for name, each in values.items()
            },
            "groups": {name: _by_group(each, groups, int(top.partition("@")[2])) for name, each in ranks.items()},
        }
    return {
        "catalog": catalog.record.address,
        "samples": len(rows),
        "users": len(users.counts),
        "cutoffs": list(cutoffs),
        "metric": top,
        "seeds": {name: len(by_seed) for name, by_seed in systems.items()},
        "rules": rules,
    }


def _compared(values: Values, users: Users, cutoffs: tuple[int, ...], top: int, difference: float | None) -> Json:
    """The first system beside every other: power and a permutation test by the metric `top`, t-tests by all."""
    first, *others = values
    tests = comparisons(values[first], {name: values[name] for name in others}, users, cutoffs)
    apart = {name: (values[first].mean(0) - values[name].mean(0))[:, top] for name in others}
    chances = [permutation_p(each, users, PERMUTATIONS, SEED) for each in apart.values()]
    return {
        "power": {
            name: asdict(power(values[first][..., top], values[name][..., top], difference, len(others), users))
            for name in others
        },
        "comparisons": {
            name: {
                metric: asdict(each.test) | {"low": each.low, "high": each.high, "holm": each.holm}
                for metric, each in by_metric.items()
            }
            for name, by_metric in tests.items()
        },
        "permutation": dict(zip(others, holm(chances), strict=True)),
    }


def _by_group(by_seed: Sequence[NDArray[np.float64]], groups: Groups, cutoff: int) -> Json:
    """Group -> its samples and the means over seeds of its figures."""
    found = [by_group(ranks, groups, cutoff) for ranks in by_seed]
    return {
        group: {name: float(np.mean([each[group][name] for each in found])) for name in figures}
        for group, figures in found[0].items()
    }


def recorded(metrics: Metrics, catalog: Catalog) -> dict[str, Ranks]:
    """Method -> the ranks that an artifact of metrics holds, its recommender first.

    Raises:
        DataError: they are of other samples.
    """
    rows, own = catalog.samples(TEST), metrics.record.config.get("method")
    found = {}
    for method in sorted(metrics.results(), key=lambda name: name != own):
        table = metrics.ranks(method)
        same = table.num_rows == len(rows) and all(
            np.array_equal(table[name].to_numpy(), values[rows])
            for name, values in (("user", catalog.user), ("target", catalog.item))
        )
        if not same:
            raise DataError(
                f"{metrics.record.address}: ranks other samples than the {len(rows):,} test samples of "
                f"{catalog.record.address}; compare what was ranked on one catalog, in full (metrics.test_samples 0)"
            )
        found[method] = {rule: table[rule].to_numpy(zero_copy_only=False).astype(np.float64) for rule in HISTORY_RULES}
    return found
