r"""Compare methods on one catalogue, under several seeds, in one table.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.experiment NAME --dataset RECIPE --seeds 42 43 44 --store URI [--key value]

A job that is submitted again goes on where it was.
"""

import sys

if __name__ == "__main__":
    from unisid.cli import main

    sys.exit(main(["experiment", *sys.argv[1:]]))
