"""The record as it lies on disk: JSON whose every value is checked, and sealed against damage.

A newer version may add fields: they are kept as they are. One that changes the meaning of what is there raises
`FORMAT`, and only then is its record refused, in words that say so.
"""

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

from unisid.artifacts.roles import noun_of
from unisid.artifacts.store import NOUNS, Address
from unisid.artifacts.sums import KIND
from unisid.config import Json
from unisid.errors import ConfigError, UnreadableError

FORMAT = 1
"""The generation of the on-disk formats. Older ones are read; it bears no identity."""
RECORD = "record.json"
SEAL = "seal"
SEALED = ("address", "config", "inputs", "counts", "sums", "order", "code_version", "seconds", "runtime")
"""What the seal covers: what no file proves. (`files` and `created` are not: sizes are checked against the files, and
the time only breaks ties. Nor are `machine` and `memory`: earlier versions, which seal less, read such records too.)"""
LARGEST = 2**64
"""Whole numbers lie below it: larger ones are none that unisid writes."""
DEEPEST = 100
"""Levels of nesting; no setting comes near."""
TYPES: Mapping[str, tuple[type, ...]] = {
    "address": (str,),
    "fingerprint": (str,),
    "config": (dict,),
    "inputs": (dict,),
    "counts": (dict,),
    "files": (dict,),
    "sums": (dict,),
    "order": (int,),
    "code_version": (str,),
    "seconds": (int, float),
    "created": (str,),
    "runtime": (dict,),
    "machine": (str,),
    "memory": (dict,),
    "format": (int,),
    "seal": (str,),
}
NEEDED = ("address", "config", "inputs", "fingerprint")


def text(body: Json) -> bytes:
    """A record's fields as they lie on disk, sealed."""
    plain = json.loads(json.dumps(body))
    return (json.dumps(plain | {SEAL: seal(plain)}, indent=2, sort_keys=True) + "\n").encode()


def parsed(data: bytes, where: str) -> Json:
    """The fields of a record, `fingerprint` and `seal` among them.

    Raises:
        UnreadableError: its format is newer than this version's.
        ValueError: it is no record; the text says why.
    """
    try:
        body = json.loads(data)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep") from None
    if not isinstance(body, dict):
        raise ValueError(f"it is {_named(body)}, must be an object")
    form = body.get("format", 1)
    if isinstance(form, int) and form > FORMAT:
        raise UnreadableError(
            f"{where}: has format {form}, of unisid {body.get('code_version', 'in a newer version')}; this version "
            f"reads formats up to {FORMAT}. Nothing is damaged: use that version or a newer one"
        )
    _check(body)
    return body


def seal(body: Mapping[str, Any]) -> str:
    """The checksum of the sealed fields, in canonical form."""
    covered = json.dumps({name: body[name] for name in SEALED if name in body}, sort_keys=True, separators=(",", ":"))
    return f"{KIND}{zlib.crc32(covered.encode()):08x}"


def _check(body: Json) -> None:
    """Raise ValueError for the first field that is missing or of another type."""
    for name in NEEDED:
        if name not in body:
            raise ValueError(f"it has no '{name}'")
    for name, types in TYPES.items():
        value = body.get(name)
        if name in body and (not isinstance(value, types) or isinstance(value, bool)):
            raise ValueError(f"'{name}' is {_named(value)}, must be {_named(types[0]())}")
    _check_values(body)
    _check_address(body["address"])
    _check_inputs(body["inputs"])
    _check_files(body.get("files", {}), body.get("sums", {}))


def _check_inputs(inputs: Json) -> None:
    for role, entry in inputs.items():
        if not isinstance(entry, dict) or not all(isinstance(entry.get(n), str) for n in ("address", "fingerprint")):
            raise ValueError(f"inputs.{role} must be an object of texts 'address' and 'fingerprint'")
        if noun_of(role) in NOUNS:
            _check_address(entry["address"])


def _check_files(files: Json, sums: Json) -> None:
    for name, size in files.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 0 or "/" in name:
            raise ValueError(f"files has {name!r}: {size!r}, must be a file's name and its size in bytes")
    for name, checksum in sums.items():
        if not isinstance(checksum, str) or name not in files:
            raise ValueError(f"sums has {name!r}: {checksum!r}, must be one of the files and its checksum")


def _check_address(text: str) -> None:
    try:
        if str(Address.parse(text)) != text:
            raise ValueError(f"address '{text}' must be noun/name/version")
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _check_values(body: Json) -> None:
    """Refuse what no version writes: numbers beyond all bounds, text that is no text."""
    todo: list[tuple[Any, int]] = [(body, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
        if isinstance(value, dict):
            todo += [(inner, depth + 1) for inner in (*value, *value.values())]
        elif isinstance(value, list):
            todo += [(inner, depth + 1) for inner in value]
        elif isinstance(value, str):
            value.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
        elif isinstance(value, int) and abs(value) >= LARGEST:
            raise ValueError(f"it holds a number of {len(str(value))} digits")
    if not math.isfinite(body.get("seconds", 0.0)) or body.get("seconds", 0.0) < 0:
        raise ValueError(f"'seconds' is {body['seconds']}, must be a time")


def _named(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        type(None): "null",
    }
    return names[type(value)]
