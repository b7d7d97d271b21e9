"""Trials that are over, made up: a grid of settings, each under several seeds."""

import itertools

import numpy as np

from unisid.evaluation.estimates import Outcome

TEXTS = {"ndcg": "NDCG", "index": "index quality"}


def outcome(settings, values, seed=None, state="complete", note="") -> Outcome:
    """A trial's outcome by what it tried and what it measured."""
    return Outcome(id="", settings=settings, values=values, seed=seed, state=state, note=note, fingerprint="")


def grid(*keys, sizes=(3, 2), seeds=(1, 2, 3)):
    random = np.random.default_rng(0)
    return [
        outcome(dict(zip(keys, map(float, point), strict=True)), {n: float(random.random()) for n in TEXTS}, seed)
        for point in itertools.product(*(range(1, size + 1) for size in sizes[: len(keys)]))
        for seed in seeds
    ]
