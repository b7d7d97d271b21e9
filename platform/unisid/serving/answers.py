"""Answers queries: the best items by the model for a history, else by text or popularity.

Every row stands alone: one that cannot be answered gives a `Problem` and changes nothing for the others. n queries,
k items each, N items, T items of a history.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from unisid.decoding.beam import Beam, at_least
from unisid.errors import ConfigError, DataError
from unisid.serving.explain import Explanation, explanations
from unisid.serving.filters import Mask, restricted
from unisid.serving.ids import ids_of, some
from unisid.serving.pair import Pair
from unisid.serving.proven import Proven
from unisid.serving.quotas import Quota, Quotas

MODEL, TEXT, POPULARITY = "model", "text", "popularity"
"""What an answer comes from."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """One row of a request."""

    history: Any = None
    """Item ids, oldest first; whatever else it is, is the row's problem."""
    user: Any = None
    """A user id of the catalogue, whose history is read there; instead of `history`."""
    text: str = ""
    """What the user looks for, in words; it is read where the history has no item of the catalogue."""
    k: int = 10
    """Items wanted."""
    exclude_history: bool = True
    """Whether items of the history are left out of the answer."""
    exclude: tuple[str, ...] = ()
    """Item ids to leave out."""
    allowed: tuple[str, ...] | None = None
    """Item ids to choose from; None for all."""
    rule: str = ""
    """A condition on columns that every answer obeys."""
    partition: str = ""
    """The name of a rule that the server has."""
    quota: Quota | None = None
    """Most items of each category."""
    explain: bool = False
    """Whether the answer says where its items stand in the index, and which items of the history moved them."""


@dataclass(frozen=True)
class Certainty:
    """How far the items of an answer are the best of all by the model: a beam may miss some."""

    items: int
    """So many of the first ones are, certainly."""
    slack: float
    """How much more than the last item one that was missed may score: 0 where all is certain, inf where the model's
    search has no bound."""


@dataclass(frozen=True)
class Answer:
    """Items and scores, best first: k of them, or all that may be recommended where these are fewer."""

    items: Int[np.ndarray, " k"]
    scores: Float[np.ndarray, " k"]
    """Log-probabilities of the model; by text the logarithm of the cosine of its words and a title's, by popularity
    that of an item's share of the users."""
    source: str
    skipped: tuple[str, ...] = ()
    """Item ids of the request that the catalogue lacks."""
    note: str = ""
    """Why the answer differs from the request; empty where it does not."""
    explained: tuple[Explanation, ...] = ()
    """An explanation an item, where these were requested."""
    certainty: Certainty | None = None
    """How far the search found the best, where that was requested; None where the model did not rank, and under a
    quota, which takes several searches."""


@dataclass(frozen=True)
class Problem:
    """The reason why a row has no answer."""

    message: str


_Ranked = tuple[Int[np.ndarray, " _"], Float[np.ndarray, " _"]]


@dataclass(frozen=True)
class _Row:
    """A query with its ids as item numbers."""

    query: Query
    history: Int[np.ndarray, " T"]
    """Items of the catalogue; none for a cold user."""
    source: str
    cold: _Ranked | None
    """All items and their scores, best first, for a cold user."""
    mask: Mask | None
    k: int
    skipped: tuple[str, ...]
    note: str
    taken: _Ranked = field(default_factory=lambda: (np.empty(0, np.int64), np.empty(0, np.float32)))
    """What a quota has let through so far."""


def answers(pair: Pair, queries: Sequence[Query]) -> list[Answer | Problem]:
    """One answer or problem for each query, in order; independent of the other queries."""
    found: list[Answer | Problem | None] = [None] * len(queries)
    rows: dict[int, _Row] = {}
    for number, query in enumerate(queries):
        try:
            rows[number] = _read(pair, query)
        except (DataError, ConfigError) as error:
            found[number] = Problem(str(error))
    quotas = Quotas(pair.filters)
    while rows:
        again: dict[int, _Row] = {}
        ranked, bounds = _ranked(pair, rows)
        for number, (items, scores) in ranked.items():
            row, quota = rows[number], rows[number].query.quota
            if quota is not None:
                items, scores, mask = quotas.choose(quota, (items, scores), row.taken, row.k, row.mask)
                if mask is not None:
                    again[number] = replace(row, mask=mask, taken=(items, scores))
                    continue
                order = np.argsort(-scores, kind="stable")  # a narrower search may find what a wide one missed
                items, scores = items[order], scores[order]
            found[number] = _answer(pair, row, items, scores, bounds.get(number))
        rows = again
    return [each for each in found if each is not None]


def _answer(
    pair: Pair, row: _Row, items: Int[np.ndarray, " k"], scores: Float[np.ndarray, " k"], bound: float | None
) -> Answer:
    fewer = ""
    if len(items) < row.query.k:
        fewer = f"only {len(items)} items may be recommended under what the request allows"
    note = "; ".join(text for text in (row.note, fewer) if text)
    if not row.query.explain:
        return Answer(items, scores, row.source, row.skipped, note)
    certainty = None
    if row.query.quota is None and bound is not None:
        proven = Proven(items[None], scores[None], np.array([bound], np.float32), np.zeros(1, np.int64))
        certainty = Certainty(int(proven.proven[0]), float(proven.slack[0]))
    explained = tuple(explanations(pair, row.history, items))
    return Answer(items, scores, row.source, row.skipped, note, explained, certainty)


def _read(pair: Pair, query: Query) -> _Row:
    if isinstance(query.k, bool) or not isinstance(query.k, int) or query.k < 1:
        raise ConfigError(f"k: is {query.k!r:.60}; must be an integer, from 1 up")
    history, skipped, note = _history(pair, query)
    mask = pair.filters.of(query.rule, query.partition)
    if query.quota is not None:
        query.quota.check(pair.filters)
    for listed, allowed in ((query.allowed, True), (query.exclude or None, False)):
        if listed is not None:
            known = [pair.item_of[item_id] for item_id in listed if item_id in pair.item_of]
            skipped += [item_id for item_id in listed if item_id not in pair.item_of]
            mask = restricted(mask, pair.num_items, known, allowed)
    source, cold = MODEL, None
    if not len(history):
        source, cold = _cold(pair, query.text)
        note += ": popular items" if source == POPULARITY else ": items whose titles have words of the text"
    k = min(query.k, pair.num_items)
    return _Row(query, history, source, cold, mask, k, tuple(dict.fromkeys(skipped)), note)


def _history(pair: Pair, query: Query) -> tuple[Int[np.ndarray, " T"], list[str], str]:
    """The items of a query's history, the ids that the catalogue lacks, and a note where none is left."""
    if query.user is not None:
        if not isinstance(query.user, str):
            raise DataError(f"user: is {query.user!r:.60}; must be a user id, as text")
        user = pair.user_of.get(query.user)
        if user is None:
            return np.empty(0, np.int64), [], f"user {some([query.user])} is not in the catalogue"
        history = pair.history_of(user)
        return history, [], "" if len(history) else f"user {some([query.user])} has taken nothing"
    given = ids_of(query.history, "history")
    if bad := [each for each in query.history if not isinstance(each, str)]:
        raise DataError(f"history: has {bad[0]!r:.60}; must be a list of item ids, as text")
    known = [pair.item_of[item_id] for item_id in given if item_id in pair.item_of]
    unknown = [item_id for item_id in given if item_id not in pair.item_of]
    what = f"the catalogue has none of its items ({some(unknown)})" if unknown else "is empty"
    return np.array(known, np.int64), unknown, "" if known else f"history: {what}"


Found = dict[int, _Ranked]


def _ranked(pair: Pair, rows: dict[int, _Row]) -> tuple[Found, dict[int, float]]:
    """The k best of each row, within its mask; and for those that the model ranked the most that an item may score
    which is not among them."""
    bounds: dict[int, float] = {}
    found: Found = {number: _first(row.cold, row) for number, row in rows.items() if row.cold is not None}
    alike: dict[tuple[Beam, bool], list[int]] = {}
    for number, row in rows.items():
        if row.cold is None:
            alike.setdefault((at_least(pair.recommender.beams, row.k), row.query.exclude_history), []).append(number)
    for (width, excludes), numbers in alike.items():
        chosen = [rows[number] for number in numbers]
        most = max(row.k for row in chosen)
        histories, mask = [row.history for row in chosen], _joined([row.mask for row in chosen], pair.num_items)
        proven = pair.recommender.prove(histories, most, excludes, width, mask)
        items, scores = proven.items, proven.scores
        for place, (number, row) in enumerate(zip(numbers, chosen, strict=True)):
            best = slice(0, min(row.k, int((items[place] >= 0).sum())))
            found[number], bounds[number] = (items[place, best], scores[place, best]), float(proven.bound[place])
    return found, bounds


def _cold(pair: Pair, text: str) -> tuple[str, _Ranked]:
    """The source of an answer to a user without a history, and all items for it, best first: those that share a
    word with the text, then the others by popularity, their scores below those."""
    items, scores = pair.texts.nearest(text) if text else pair.popular
    if not text or not len(items):
        return POPULARITY, pair.popular
    others, popularity = pair.popular
    rest = ~np.isin(others, items)
    return TEXT, (np.concatenate([items, others[rest]]), np.concatenate([scores, scores[-1] + popularity[rest]]))


def _first(ranked: _Ranked, row: _Row) -> _Ranked:
    """The first items of a ranking that the row's mask allows."""
    order, scores = ranked
    places = np.arange(len(order)) if row.mask is None else np.flatnonzero(row.mask[order])
    return order[places[: row.k]], scores[places[: row.k]]


def _joined(masks: list[Mask | None], num_items: int) -> Bool[np.ndarray, "*n N"] | None:
    """One mask for all rows where they have the same, else a row each."""
    if all(mask is masks[0] for mask in masks):
        return masks[0]
    every = np.ones(num_items, bool)
    return np.stack([every if mask is None else mask for mask in masks])
