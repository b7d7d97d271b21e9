"""Secrets in URIs, left out of what is shown or written: passwords, keys and tokens become `***`."""

import re
from urllib.parse import unquote

MASK = "***"
AUTHORITY = re.compile(r"(?<=://)[^\s/?#'\"]*@|(?<=://)[^\s/?#@:'\"]*:(?!\d+[/?])[^\s@'\"]*@")
"""What stands before the last `@` of a URI's host; a password that holds `/` too, where it cannot be a port."""
OPTION = re.compile(r"(?<=[?&;])([^\s?&;=#'\"]+)=[^\s&;#'\"]*[^\s&;#'\":,.)]")
SECRET = re.compile(
    r"secret|token|passw|pwd|credential|signature|(^|[_-])(key|sig|sas|auth)$|key_?id|access_?key|api_?key",
    re.IGNORECASE,
)
"""Names of options whose values open something."""


def masked(text: str) -> str:
    """The text, where every URI in it has lost its user, password and secret options.

    `postgresql://shop:pw@db/mlflow` -> `postgresql://***@db/mlflow`;
    `s3://bucket/runs?region=eu&secret_key=x` -> `s3://bucket/runs?region=eu&secret_key=***`.
    """
    if "://" in text:
        text = AUTHORITY.sub(lambda found: f"{MASK}@", text)
    if "=" in text:
        text = OPTION.sub(_option, text)
    return text


def _option(found: re.Match[str]) -> str:
    name = found[1]
    return f"{name}={MASK}" if SECRET.search(unquote(name)) else found[0]
