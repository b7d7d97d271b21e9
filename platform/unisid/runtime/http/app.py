"""The HTTP application, for Ray Serve, uvicorn and tests: routes over the pair in use."""

import asyncio
import dataclasses
import os
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
from unisid.runtime.http import bodies, webhook
from unisid.runtime.http.guard import FAULT, Guard
from unisid.runtime.http.refusal import RefusedError, answered
from unisid.runtime.http.server import Rank, Server
from unisid.serving.answers import Answer
from unisid.serving.pair import Pair
from unisid.serving.settings import TOKEN

PAGE = Path(__file__).with_name("page.html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
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


def application(server: Server, rank: Rank | None = None) -> ASGIApp:
    """The application with its limits; the token is read from the environment at this call."""
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
        pair = server.pair_for(bodies.key_of(body))
        if body.rule or body.partition or body.quota:
            await asyncio.to_thread(bodies.check, pair, body)
        rows = bodies.queries(body, server.settings)
        pair, found = await server.ranked(rank, pair, rows)
        return answered(
            {"pair": dataclasses.asdict(pair.versions), "answers": [bodies.row(pair, row) for row in found]}
        )

    @app.post("/clicks", status_code=202, response_model=bodies.CountedBody, responses=REFUSALS)
    async def clicks(body: bodies.ClicksBody) -> Response:
        """Receive what users took: the guard ranks it by the pair on trial and by the other one, and compares."""
        return answered(await _clicked(server, rank, body), 202)

    _item_routes(app, server)
    webhook.route(app, server)

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
        return answered(
            {
                "unisid": __version__,
                "pair": pair,
                "refused": server.refused,
                "adding": adding,
                "candidate": server.trial(),
            }
        )

    @app.get("/metrics")
    async def metrics() -> Response:
        """This replica's figures, for Prometheus."""
        return Response(server.measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


async def _clicked(server: Server, rank: Rank, body: bodies.ClicksBody) -> dict[str, Any]:
    """Count clicks where a pair is on trial; returns how many were counted."""
    rows = bodies.clicked(body, server.settings)
    trial = server.on_trial()
    if trial is None:
        return {"counted": 0, "note": "no pair is on trial, or --guard-clicks is 0"}
    lists = []
    for pair in trial:
        try:
            found = await server.within_room(rank, pair, rows)
        except UnisidError as error:
            raise RefusedError(503, "model", str(error)) from None
        lists.append([[pair.item_ids[i] for i in row.items] if isinstance(row, Answer) else None for row in found])
    counted = 0
    for new, old, item in zip(*lists, body.items, strict=True):
        if new is not None and old is not None and server.on_trial() == trial:
            server.clicked(new, old, item)
            counted += 1
    return {"counted": counted, "note": ""}


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
    """Handlers that return every refusal in one form."""
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
