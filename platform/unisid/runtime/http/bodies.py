"""The bodies of requests and answers, as OpenAPI shows them; a request's rows as queries."""

import json
import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from unisid.errors import ConfigError, DataError
from unisid.printable import printable
from unisid.runtime.http.refusal import RefusedError
from unisid.serving.answers import Answer, Problem, Query
from unisid.serving.explain import Explanation
from unisid.serving.pair import Pair
from unisid.serving.quotas import Quota
from unisid.serving.settings import Serving

HISTORY = {"type": "array", "items": {"type": "string"}}
Loose = Annotated[Any, WithJsonSchema(HISTORY)]
"""A history: whatever it is, a row that is none has its own error and the request goes on."""
User = Annotated[Any, WithJsonSchema({"type": "string"})]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class QuotaBody(_Body):
    """At most `most` items of each category of a column; or so many of each category that `most` names."""

    column: str
    most: int | dict[str, int]


class RecommendBody(_Body):
    """Histories of the shop's item ids, or its user ids, and which items may answer them."""

    histories: list[Loose] | None = Field(None, description="item ids, oldest first; or `users`")
    users: list[User] | None = Field(None, description="user ids of the catalogue; or `histories`")
    texts: list[str] | None = Field(None, description="what each looks for, in words: for rows without a history")
    k: int = Field(10, ge=1, description="items wanted for each row")
    exclude_history: bool = Field(True, description="leave the items of a history out of its answer")
    exclude: list[str] = Field([], description="item ids to leave out")
    allowed: list[str] | None = Field(None, description="item ids to choose from; null for all")
    rule: str = Field("", description="a condition on columns: in_stock and retailer == 7 and price < 20")
    partition: str = Field("", description="the name of a rule that the server has")
    quota: QuotaBody | None = None
    cohort: str = Field("", description="what decides whether the candidate answers: a user or session id, of anybody")
    explain: bool = Field(False, description="say for each item its path in the index, and what moved it")

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"histories": [["item-1", "item-2"]], "k": 5}]}
    )


class ClicksBody(_Body):
    """What users took after these histories: an item a row."""

    histories: list[Loose] | None = Field(None, description="item ids before the click, oldest first; or `users`")
    users: list[User] | None = Field(None, description="user ids of the catalogue; or `histories`")
    items: list[str] = Field(min_length=1, description="the item that each of them took")
    exclude_history: bool = Field(True, description="as in `/recommend`: false where items of a history may come again")

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"histories": [["item-1"]], "items": ["item-2"]}]}
    )


class CountedBody(BaseModel):
    """How many clicks the guard took into account, and why not all."""

    counted: int
    note: str


class ItemsBody(_Body):
    """New items, with the columns of the shop's own table of items."""

    items: list[dict[str, str]] = Field(min_length=1)

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"items": [{"item_id": "item-9", "title": "a red lamp"}]}]},
    )


class AddedBody(BaseModel):
    """Items that were taken in, and how many others wait before them."""

    accepted: int
    waiting: int


class ItemBody(BaseModel):
    """An item of an answer."""

    item_id: str
    title: str
    score: float
    semantic_id: str
    explanation: "ExplanationBody | None" = None


class StepBody(BaseModel):
    """A prefix of an item's semantic ID, and the words that name the items below it."""

    prefix: str
    items: int
    words: str


class GainBody(BaseModel):
    """An item of the history, and how much larger the answer's score is with it than without."""

    item_id: str
    title: str
    gain: float


class ExplanationBody(BaseModel):
    """Why an item is recommended."""

    path: list[StepBody]
    moved_by: list[GainBody]


class CertaintyBody(BaseModel):
    """How far the items are the best of all by the model: a beam may miss some."""

    items: int = Field(description="so many of the first ones are, certainly")
    slack: float | None = Field(
        description="how much more than the last item one that was missed may score: 0 where all is certain, null "
        "where the model's search has no bound"
    )


class ErrorBody(BaseModel):
    """Why there is no answer: a word for programs, and a sentence."""

    code: str
    message: str


class RowBody(BaseModel):
    """The answer of a row: items, best first; or its error."""

    items: list[ItemBody] | None = None
    source: str | None = Field(None, description="model; text or popularity for a user without a history")
    skipped: list[str] | None = Field(None, description="ids of the request that the catalogue lacks")
    note: str | None = Field(None, description="why the answer differs from the request; empty where it does not")
    certainty: CertaintyBody | None = Field(
        None, description="where `explain` is asked for, the model ranked, and no quota is set"
    )
    error: ErrorBody | None = None


class PairBody(BaseModel):
    """What answered: the index and the recommender, their fingerprints and their versions in the registry."""

    index: str
    index_fingerprint: str
    model: str
    model_fingerprint: str
    index_version: str
    model_version: str


class AnswerBody(BaseModel):
    """A row an answer, in the order of the request, all by one pair."""

    pair: PairBody
    answers: list[RowBody]


class RefusedBody(BaseModel):
    """What a refused request gets."""

    error: ErrorBody


def queries(body: RecommendBody, limits: Serving) -> list[Query | Problem]:
    """The query of each row of a request; raises RefusedError where the request is beyond a limit."""
    if (body.histories is None) == (body.users is None):
        raise RefusedError(422, "rows", "body: must have either 'histories' or 'users'")
    rows = body.histories if body.users is None else body.users
    assert rows is not None
    _within(len(rows), limits.most_rows, "rows", "a request", "rows")
    _within(body.k, limits.most_k, "k", "a row", "items")
    if body.explain:
        _within(len(rows), limits.most_explained, "explain", "a request that is explained", "rows")
    for name, listed in (("exclude", body.exclude), ("allowed", body.allowed or [])):
        _within(len(listed), limits.most_ids, name, f"'{name}'", "ids")
    common: dict[str, Any] = {
        "k": body.k,
        "exclude_history": body.exclude_history,
        "exclude": tuple(body.exclude),
        "allowed": None if body.allowed is None else tuple(body.allowed),
        "rule": body.rule,
        "partition": body.partition,
        "quota": body.quota and _quota(body.quota),
        "explain": body.explain,
    }
    texts = [""] * len(rows) if body.texts is None else body.texts
    if len(texts) != len(rows):
        raise RefusedError(422, "texts", f"texts: has {len(texts)}; must be one a row, {len(rows)}")
    _within(max(map(len, texts), default=0), limits.most_text, "texts", "a text", "characters")
    each = zip(rows, texts, strict=True)
    if body.users is not None:
        return [_of_user(user, {**common, "text": text}) for user, text in each]
    return [_query(history, limits, {**common, "text": text}) for history, text in each]


def clicked(body: ClicksBody, limits: Serving) -> list[Query]:
    """The queries that rank what was clicked, 10 items each; raises RefusedError for a row that has no answer."""
    wanted = RecommendBody.model_validate(body.model_dump(exclude={"items"}))
    rows = queries(wanted, limits)
    if len(rows) != len(body.items):
        raise RefusedError(422, "items", f"items: has {len(body.items)}; must be one a row, {len(rows)}")
    found = [row for row in rows if isinstance(row, Query)]
    if len(found) < len(rows):
        raise RefusedError(422, "rows", next(row.message for row in rows if isinstance(row, Problem)))
    return found


def key_of(body: RecommendBody) -> str:
    """The key by which a pair is chosen for a request: its cohort, else its first user, else its first history."""
    if body.cohort:
        return body.cohort
    first = (body.users or body.histories or [""])[0]
    return first if isinstance(first, str) else json.dumps(first, default=str)


def _of_user(user: Any, common: dict[str, Any]) -> Query | Problem:
    return Problem("user: is missing; must be a user id, as text") if user is None else Query(user=user, **common)


def _query(history: Any, limits: Serving, common: dict[str, Any]) -> Query | Problem:
    if isinstance(history, list) and len(history) > limits.most_history:
        return Problem(f"history: has {len(history)} items; must have at most {limits.most_history}")
    return Query(history=history, **common)


def _quota(body: QuotaBody) -> Quota:
    counts = [body.most] if isinstance(body.most, int) else list(body.most.values())
    if wrong := [count for count in counts if not 0 <= count < 1 << 31]:
        raise RefusedError(422, "quota", f"quota.most: is {wrong[0]!r:.40}; must be from 0 to {(1 << 31) - 1}")
    return Quota(body.column, body.most)


def _within(count: int, most: int, code: str, where: str, what: str) -> None:
    if count > most:
        raise RefusedError(422, code, f"{where}: {count!r:.40} {what}; must be at most {most}")


def check(pair: Pair, body: RecommendBody) -> None:
    """Compile what all rows share; raises RefusedError where it does not fit the columns."""
    code = "rule"
    try:
        if body.rule:
            pair.filters.rule(body.rule)
        code = "partition"
        if body.partition:
            pair.filters.partition(body.partition)
        code = "quota"
        if body.quota:
            _quota(body.quota).check(pair.filters)
    except (DataError, ConfigError) as error:
        raise RefusedError(422, code, str(error)) from None


def row(pair: Pair, found: Answer | Problem) -> dict[str, Any]:
    """The answer of a row, as JSON."""
    if isinstance(found, Problem):
        return {"error": {"code": "row", "message": found.message}}
    items: list[dict[str, Any]] = [
        {"item_id": pair.item_ids[item], "title": pair.titles[item], "score": score, "semantic_id": pair.sids[item]}
        for item, score in zip(found.items.tolist(), found.scores.tolist(), strict=True)
    ]
    for each, explanation in zip(items, found.explained, strict=False):
        each["explanation"] = _explanation(pair, explanation)
    answer: dict[str, Any] = {
        "items": items,
        "source": found.source,
        "skipped": [printable(item_id) for item_id in found.skipped],
        "note": found.note,
    }
    if found.certainty is not None:
        slack = found.certainty.slack
        answer["certainty"] = {"items": found.certainty.items, "slack": slack if math.isfinite(slack) else None}
    return answer


def _explanation(pair: Pair, found: Explanation) -> dict[str, Any]:
    return {
        "path": [{"prefix": step.prefix, "items": step.items, "words": step.words} for step in found.path],
        "moved_by": [
            {"item_id": pair.item_ids[item], "title": pair.titles[item], "gain": gain} for item, gain in found.moved_by
        ],
    }
