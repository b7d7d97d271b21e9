"""Refused requests: an HTTP status, an error code and a message."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from unisid.printable import printable_lines


class RefusedError(Exception):
    """A request that gets no answer."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})

    def response(self) -> Response:
        """The refusal as it is sent."""
        text = printable_lines(self.message)
        return answered({"error": {"code": self.code, "message": text}}, self.status, self.headers)


def answered(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON in ASCII, which holds any text that a request may have brought."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Response(text, status, dict(headers or {}), "application/json")
