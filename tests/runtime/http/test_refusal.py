"""Refusals as they are sent: status, code and a message in ASCII, whatever the request brought."""

import json

import pytest

from unisid.runtime.http.refusal import RefusedError, answered


def test_a_refusal_has_its_status_its_code_and_a_message_that_prints():
    response = RefusedError(503, "busy", "no room\x1b[31m for «ä»\nnow", {"Retry-After": "1"}).response()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.media_type == "application/json"
    assert response.body.isascii()
    error = json.loads(response.body)["error"]
    assert error["code"] == "busy"
    assert "\x1b" not in error["message"]
    assert "«ä»" in error["message"]


def test_what_is_no_json_is_not_sent():
    assert json.loads(answered({"a": [1, "ä"]}, 201).body) == {"a": [1, "ä"]}
    with pytest.raises(ValueError, match="JSON"):
        answered({"score": float("nan")})
