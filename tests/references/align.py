"""Rewards, credit and losses of aligning, one prompt and one answer at a time."""

import itertools
import math
from statistics import fmean, stdev


def rank_rewards(answers: list[int], target: int) -> list[float]:
    """Minus each wrong answer's share of discounted gain, where the target is among the answers."""
    gains = [1 / math.log2(rank + 1) for rank in range(1, len(answers) + 1)]
    if target not in answers:
        return [0.0] * len(answers)
    return [0.0 if item == target else -gain / sum(gains) for item, gain in zip(answers, gains, strict=True)]


def depth(codes: list[int], target: list[int]) -> int:
    """How many leading codes agree."""
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(codes, target, strict=True))))


def standardised(values: list[float], epsilon: float = 1e-4) -> list[float]:
    """Deviations from the mean by the sample's deviation; zeros where all are equal."""
    if len(set(values)) < 2:
        return [0.0] * len(values)
    return [(value - fmean(values)) / (stdev(values) + epsilon) for value in values]


def siblings(rewards: list[float], codes: list[list[int]]) -> list[list[float]]:
    """For every token of every answer: its mean reward among the tokens after the same prefix."""
    found = [[0.0] * len(codes[0]) for _ in codes]
    for level in range(len(codes[0])):
        for prefix in {tuple(each[:level]) for each in codes}:
            inside = [i for i, each in enumerate(codes) if tuple(each[:level]) == prefix]
            tokens = sorted({codes[i][level] for i in inside})
            means = [fmean(rewards[i] for i in inside if codes[i][level] == token) for token in tokens]
            values = dict(zip(tokens, standardised(means), strict=True))
            for i in inside:
                found[i][level] = values[codes[i][level]]
    return found


def first_difference(codes: list[int], target: list[int]) -> list[float]:
    """1 as long as the codes agree, -1 where they first do not, 0 after."""
    agreed = depth(codes, target)
    return [1.0 if level < agreed else -1.0 if level == agreed else 0.0 for level in range(len(codes))]


def pass_bonus(hits: list[bool], draws: int) -> list[float]:
    """By trying all ways to draw: what one answer's being drawn does to the chance of a right one, standardised."""
    ways = list(itertools.combinations(range(len(hits)), draws))
    right = [any(hits[i] for i in way) for way in ways]
    chance = fmean(right)
    spread = math.sqrt(chance * (1 - chance))
    if not spread:
        return [0.0] * len(hits)
    having = [[r for way, r in zip(ways, right, strict=True) if i in way] for i in range(len(hits))]
    return [(fmean(each) - chance) / spread for each in having]


def group_loss(log_p: list[list[float]], credit: list[list[float]]) -> float:
    """Its value, where the ratio is 1."""
    del log_p
    return -fmean(fmean(each) for each in credit)


def divergence(log_p: list[list[float]], reference: list[list[float]], most: float) -> float:
    """The mean of e^d - d - 1, d the reference's log p less one's own."""
    pairs = [zip(ours, theirs, strict=True) for ours, theirs in zip(log_p, reference, strict=True)]
    return fmean(fmean(min(most, math.exp(r - p) - (r - p) - 1) for p, r in each) for each in pairs)


def dpo(target: float, wrong: float, target_before: float, wrong_before: float, beta: float) -> float:
    """-log sigmoid of what the target gained less what the wrong answer gained."""
    margin = beta * ((target - target_before) - (wrong - wrong_before))
    return math.log(1 + math.exp(-margin))


def softmax_dpo(now: list[float], before: list[float], beta: float) -> float:
    """The target, at the front, against all others."""
    gained = [beta * (a - b) for a, b in zip(now, before, strict=True)]
    total = sum(math.exp(each - gained[0]) for each in gained[1:])
    return math.log(1 + total)


def contrast(log_p: list[float], temperature: float) -> float:
    """-log of the first's share."""
    values = [math.exp(each / temperature) for each in log_p]
    return -math.log(values[0] / sum(values))
