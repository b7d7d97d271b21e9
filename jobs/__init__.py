"""Entry points for `ray job submit`, and the ready recipes."""

import sys


def run(until: str) -> None:
    """What every entry point does: `unisid run`, up to one noun; a failed run fails the job."""
    from unisid.cli import main

    sys.exit(main(["run", *sys.argv[1:], "--until", until]))
