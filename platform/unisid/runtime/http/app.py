"""The HTTP application: routes over a pair in use, for Ray Serve, for uvicorn and for tests alike."""

import asyncio
import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import fastapi
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from unisid import __version__
from unisid.errors import UnisidError
from unisid.printable import printable
from unisid.runtime.http import bodies
from unisid.runtime.http.adding import Adding
from unisid.runtime.http.guard import FAULT, Guard
from unisid.runtime.http.measures import Measures
from unisid.runtime.http.refusal import RefusedError, answered
from unisid.serving.answers import Answer, Problem, Query, answers
from unisid.serving.guard import Tally, fault_of
from unisid.serving.pair import Pair
from unisid.serving.settings import TOKEN, Serving

PAGE = Path(__file__).with_name("page.html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
Rank = Callable[[Pair, Sequence[Query]], Awaitable[list[Answer | Problem]]]
"""Answers queries by a pair: at once, or in batches with those of other requests."""
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": bodies.RefusedBody, "description": text}
    for status, text in (
        (400, "the body is no JSON"),
        (401, "the token is missing or wrong"),
        (408, "the body came too slowly"),
        (413, "the body is too large"),
        (422, "a value is wrong or beyond a limit"),
        (503, "too many rows wait (Retry-After), or no pair is in use"),
        (504, "not answered in time"),
    )
}


@dataclass
class Server:
    """What the routes share."""

    settings: Serving
    pair: Pair | None = None
    """The pair in use; another takes its place in one assignment."""
    refused: str = ""
    """Why the promoted pair is not in use; empty where it is."""
    measures: Measures = field(default_factory=Measures)
    waiting: int = 0
    """Rows that wait or are being ranked."""
    adding: Adding | None = None
    """Adds items to the index in use; None where the server adds none."""
    withdraw: Callable[[Pair, str], None] = lambda pair, why: None
    """Takes a pair that the guard found wanting, and why, in a thread."""
    before: Pair | None = None
    """The pair before this one."""
    tally: Tally = field(default_factory=Tally)
    """What the pair in use did so far."""
    tally_before: Tally = field(default_factory=Tally)
    judged: bool = True
    """Whether the guard has looked at the pair in use."""

    def use(self, pair: Pair) -> None:
        """Answer by this pair from now on; what began with another ends with it."""
        if self.pair is not None:
            self.measures.swaps.inc()
        self.measures.in_use(pair.versions)
        if self.pair is not None and pair.versions != self.pair.versions:
            self.before, self.tally_before, self.tally = self.pair, self.tally, Tally()
            self.judged = not self.settings.guard_rows
        self.pair = pair

    def saw(self, pair: Pair, rows: int, errors: int, seconds: float) -> None:
        """Count what a pair did; where the guard finds the promoted pair wanting, the one before it answers again."""
        if self.pair is None or pair.versions != self.pair.versions:
            return
        self.tally.add(rows, errors, seconds)
        if self.judged or self.tally.rows < self.settings.guard_rows:
            return
        self.judged = True
        if (why := fault_of(self.tally, self.tally_before, self.settings)) and self.before is not None:
            self.measures.withdrawn.inc()
            self.pair, self.tally = self.before, self.tally_before
            self.measures.in_use(self.pair.versions)
            self.refuse(f"serve: {pair.versions.model} over {pair.versions.index} was withdrawn: {why}")
            threading.Thread(target=self.withdraw, args=(pair, why), daemon=True).start()

    def refuse(self, why: str) -> None:
        """Say why the promoted pair is not in use; empty when it is."""
        self.refused = why
        self.measures.refused.set(bool(why))

    def in_use(self) -> Pair:
        """The pair in use; raises RefusedError where there is none."""
        if self.pair is None:
            raise RefusedError(503, "no-pair", self.refused or "no pair is in use yet", {"Retry-After": "1"})
        return self.pair

    async def rank_here(self, pair: Pair, rows: Sequence[Query]) -> list[Answer | Problem]:
        """Rank the rows of one request as one batch, in a thread."""
        self.measures.batches.observe(len(rows))
        return await asyncio.to_thread(answers, pair, rows)


def application(server: Server, rank: Rank | None = None) -> ASGIApp:
    """The routes behind their limits; the token is read from the environment now."""
    return Guard(routes(server, rank or server.rank_here), server.settings, os.environ.get(TOKEN, ""), server.measures)


def routes(server: Server, rank: Rank) -> FastAPI:
    """The routes alone."""
    app = FastAPI(title="unisid", version=__version__, description="Recommendations by semantic IDs.", redoc_url=None)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(Exception, _refused)

    @app.post("/recommend", response_model=bodies.AnswerBody, responses=REFUSALS)
    async def recommend(body: bodies.RecommendBody) -> Response:
        """The best next items for histories or users, within rules."""
        pair = server.in_use()
        if body.rule or body.partition or body.quota:
            await asyncio.to_thread(bodies.check, pair, body)
        rows = bodies.queries(body, server.settings)
        found = await _ranked(server, rank, pair, rows)
        return answered(
            {"pair": dataclasses.asdict(pair.versions), "answers": [bodies.row(pair, row) for row in found]}
        )

    _item_routes(app, server)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        """A page for people: titles, what lies beside them, and what comes next."""
        return Response(
            PAGE.read_bytes(), media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY}
        )

    @app.get("/healthz", responses={503: {"model": bodies.RefusedBody}})
    async def healthz() -> Response:
        """Whether a pair is in use."""
        server.in_use()
        return answered({"status": "ok"})

    @app.get("/version")
    async def version() -> Response:
        """The pair in use, and why a promoted one is not."""
        pair = None if server.pair is None else dataclasses.asdict(server.pair.versions)
        adding = None if server.adding is None else server.adding.state()
        return answered({"unisid": __version__, "pair": pair, "refused": server.refused, "adding": adding})

    @app.get("/metrics")
    async def metrics() -> Response:
        """This replica's figures, for Prometheus."""
        return Response(server.measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def _item_routes(app: FastAPI, server: Server) -> None:
    """The routes about items."""

    @app.get("/items")
    async def items(title: str, limit: Annotated[int, fastapi.Query(ge=1, le=100)] = 20) -> Response:
        """Items whose titles have all of some words."""
        pair = server.in_use()
        found = await asyncio.to_thread(pair.titled, title, limit)
        return answered({"items": [_named(pair, item) for item in found]})

    @app.post("/items", status_code=202, response_model=bodies.AddedBody, responses=REFUSALS)
    async def add(body: bodies.ItemsBody) -> Response:
        """Give new items semantic ids by their texts alone; `GET /items/{id}` finds those that can be recommended."""
        if server.adding is None:
            raise RefusedError(403, "adds", "this server adds no items; start it with --adds True and --name")
        if len(body.items) > server.settings.most_added:
            most = server.settings.most_added
            raise RefusedError(422, "items", f"items: has {len(body.items)}; must be at most {most}")
        return answered(await server.adding.add(body.items), 202)

    @app.get("/items/{item_id:path}", responses={404: {"model": bodies.RefusedBody}})
    async def item(item_id: str) -> Response:
        """An item: its title, semantic ID and columns, and the items beside it in the index."""
        pair = server.in_use()
        if item_id not in pair.item_of:
            raise RefusedError(404, "item", f"item '{printable(item_id)[:100]}': not in {pair.catalog.record.address}")
        return answered(_item(pair, pair.item_of[item_id]))


async def _ranked(server: Server, rank: Rank, pair: Pair, rows: Sequence[Query | Problem]) -> list[Answer | Problem]:
    """An answer a row; raises RefusedError where too many rows wait, or the model cannot answer."""
    wanted = [row for row in rows if isinstance(row, Query)]
    if server.waiting + len(wanted) > server.settings.most_waiting:
        raise RefusedError(
            503,
            "full",
            f"{server.waiting} rows wait; there is room for {server.settings.most_waiting}",
            {"Retry-After": "1"},
        )
    server.waiting += len(wanted)
    server.measures.waiting.set(server.waiting)
    work = asyncio.ensure_future(rank(pair, wanted))
    work.add_done_callback(lambda _: _left(server, len(wanted)))
    begun = time.monotonic()
    try:
        ranked = await asyncio.shield(work)  # who gives up leaves its rows in the queue until they are done
    except UnisidError as error:
        server.saw(pair, len(wanted), len(wanted), time.monotonic() - begun)
        raise RefusedError(503, "model", str(error)) from None
    except Exception:
        server.saw(pair, len(wanted), len(wanted), time.monotonic() - begun)
        raise
    await _compared(server, rank, pair, wanted, ranked)
    server.saw(pair, len(wanted), 0, time.monotonic() - begun)
    found = iter(ranked)
    every = [row if isinstance(row, Problem) else next(found) for row in rows]
    for each in every:
        server.measures.rows.labels("problem" if isinstance(each, Problem) else each.source).inc()
    return every


async def _compared(
    server: Server, rank: Rank, pair: Pair, rows: Sequence[Query], ranked: Sequence[Answer | Problem]
) -> None:
    """Let the pair before answer a tenth of the requests too, unseen, while the guard has not decided."""
    before, settings = server.before, server.settings
    if server.judged or before is None or not settings.least_agreement or server.tally.rows % 10:
        return
    with contextlib.suppress(Exception):  # a failure of the pair before is none of this one
        for new, old in zip(ranked, await rank(before, rows), strict=True):
            if isinstance(new, Answer) and isinstance(old, Answer):
                ids = [[each.item_ids[item] for item in row.items] for each, row in ((pair, new), (before, old))]
                server.tally.compare(*ids)


def _left(server: Server, rows: int) -> None:
    server.waiting -= rows
    server.measures.waiting.set(server.waiting)


def _named(pair: Pair, item: int) -> dict[str, Any]:
    return {"item_id": pair.item_ids[item], "title": pair.titles[item], "semantic_id": pair.sids[item]}


def _item(pair: Pair, item: int) -> dict[str, Any]:
    columns = {name: values[item].as_py() for name, values in pair.filters.columns.values.items()}
    return {
        **_named(pair, item),
        "neighbours": [_named(pair, other) for other in pair.beside(item)],
        "columns": {name: value for name, value in columns.items() if name not in ("item_id", "title")},
        "pair": dataclasses.asdict(pair.versions),
    }


async def _refused(_: Request, error: Exception) -> Response:
    """Every refusal in one form."""
    if isinstance(error, RefusedError):
        return error.response()
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(printable(str(part)) for part in first["loc"])[:200]
        status, code = (400, "json") if first["type"] == "json_invalid" else (422, "body")
        return RefusedError(status, code, f"{where}: {first['msg']}").response()
    if not isinstance(error, HTTPException):
        return RefusedError(500, "fault", FAULT).response()
    return RefusedError(error.status_code, "http", str(error.detail), error.headers).response()
