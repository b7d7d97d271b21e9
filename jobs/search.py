r"""Search a recipe's settings.

ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- \
    python -m jobs.search RECIPE --space KEY=VALUE,VALUE --store URI --resume [--key value]

With --resume a job that is submitted again goes on where it was, and begins where there is nothing.
"""

import sys

if __name__ == "__main__":
    from unisid.cli import main

    sys.exit(main(["search", *sys.argv[1:]]))
