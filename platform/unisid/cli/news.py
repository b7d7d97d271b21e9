"""Where the news of a command goes, and how much of it: `--quiet`, `--verbose`, `--log-format`.

What a command is for (tables, addresses, JSON) is printed to standard output and is no news.
"""

import argparse
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


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add to a command's parser what all commands have."""
    group = sub.add_argument_group("news")
    amount = group.add_mutually_exclusive_group()
    for option, level, text in (
        ("--quiet", logging.WARNING, "only warnings and results"),
        ("--verbose", logging.DEBUG, "details too, with times and the modules that they are from"),
    ):
        amount.add_argument(option, action="store_const", const=level, default=logging.INFO, dest="level", help=text)
    group.add_argument("--log-format", choices=FORMATS, help=f"lines of text, or a JSON object a line ({FORMAT})")


def news(args: argparse.Namespace, *, on_output: bool) -> contextlib.AbstractContextManager[None]:
    """Inside, the product's log is shown.

    Args:
        on_output: on standard output, unless that holds JSON; else on standard error.

    Raises:
        ConfigError: the environment variable names no format.
    """
    form = args.log_format or _from_environment()
    to_output = on_output and not getattr(args, "json", False)
    if to_output and form == "text" and args.level == logging.INFO and (console := drawable()) is not None:
        from unisid.cli.terminal import Terminal

        return logged_to(Terminal(console), args.level)
    return logged_to(Printing("stdout" if to_output else "stderr"), args.level, form)


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
