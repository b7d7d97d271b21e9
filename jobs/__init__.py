"""Entry points for `ray job submit`, and the ready recipes.

A job's store must outlive it: a URI (s3://bucket/folder) or a folder that all nodes share, by --store or UNISID_STORE.
A job is FAILED when its exit code is not 0. `ray job stop` sends SIGTERM: what is complete stays, and the same
command, submitted again, goes on from there. docs/howto/cluster.md says more.
"""

import sys


def run(until: str) -> None:
    """What every entry point does: `unisid run`, up to one noun; a failed run fails the job."""
    from unisid.cli import main

    sys.exit(main(["run", *sys.argv[1:], "--until", until]))
