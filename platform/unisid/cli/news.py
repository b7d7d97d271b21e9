"""Where the news of a command goes, and how much of it: `--quiet`, `--verbose`, `--log-format`.

What a command is for (tables, addresses, JSON) is printed to standard output and is no news.
"""

import contextlib
import logging
import os
import sys

from unisid.config import did_you_mean
from unisid.console import Console
from unisid.errors import ConfigError
from unisid.log import FORMATS, Format, Printing, logged_to

FORMAT = "UNISID_LOG_FORMAT"
"""The environment variable for `--log-format`, for jobs of a cluster."""


def news(level: int, form: Format | None, on_output: bool) -> contextlib.AbstractContextManager[None]:
    """Inside, the product's log is shown.

    Args:
        level: the least that is shown.
        form: None for what the environment names, else text.
        on_output: on standard output; else on standard error.

    Raises:
        ConfigError: the environment variable names no format.
    """
    form = form or _from_environment()
    if on_output and form == "text" and level == logging.INFO and (console := drawable()) is not None:
        from unisid.cli.terminal import Terminal

        return logged_to(Terminal(console), level)
    return logged_to(Printing("stdout" if on_output else "stderr"), level, form)


def drawable() -> Console | None:
    """Standard output where it is a terminal that obeys cursor movements, else nothing."""
    output = sys.stdout
    can = isinstance(output, Console) and output.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return output if isinstance(output, Console) and can else None


def _from_environment() -> Format:
    name = os.environ.get(FORMAT) or "text"
    for known in FORMATS:
        if name == known:
            return known
    raise ConfigError(f"{FORMAT}: is '{name}'{did_you_mean(name, FORMATS)}; must be {' or '.join(FORMATS)}")
